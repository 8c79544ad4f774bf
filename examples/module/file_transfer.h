// A file in chunks, with its SHA-256 as it goes by.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"

struct crypto_hash_sha256_state;

namespace keyward::example {

// Bytes. Frames of chunks this long travel inside a packet of keyd's channel, not in a memfd.
inline constexpr size_t kChunkSize = size_t{64} * 1024;

class Sha256 {
 public:
  Sha256();
  void Update(ByteView bytes);
  // Once.
  Bytes Finish();

 private:
  struct Free {
    void operator()(crypto_hash_sha256_state* state) const;
  };
  std::unique_ptr<crypto_hash_sha256_state, Free> state_;
};

class FileReader {
 public:
  // Errors: kInvalidArgument (cannot be opened).
  static Result<FileReader> Open(const std::string& path);
  // At most `limit` chunks, each of kChunkSize but the last; none at the end. Errors: kIo.
  Result<std::vector<Bytes>> NextChunks(size_t limit);
  uint64_t bytes() const { return bytes_; }
  Bytes FinishHash() { return hash_.Finish(); }

 private:
  explicit FileReader(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

class FileWriter {
 public:
  // At "", the bytes are hashed and forgotten. An existing file is replaced. Errors:
  // kInvalidArgument (cannot be made).
  static Result<FileWriter> Create(const std::string& path);
  // Errors: kIo.
  Result<void> Write(ByteView chunk);
  uint64_t bytes() const { return bytes_; }
  Bytes FinishHash() { return hash_.Finish(); }

 private:
  explicit FileWriter(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;  // none: forgets
  Sha256 hash_;
  uint64_t bytes_ = 0;
};

}  // namespace keyward::example
