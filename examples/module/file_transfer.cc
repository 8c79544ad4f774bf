#include "examples/module/file_transfer.h"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace keyward::example {
namespace {

std::unexpected<Error> FileError(ErrorCode code, const std::string& what) {
  return Fail(code, what + ": " + std::strerror(errno));
}

}  // namespace

Sha256::Sha256() : state_(new crypto_hash_sha256_state) { crypto_hash_sha256_init(state_.get()); }

void Sha256::Free::operator()(crypto_hash_sha256_state* state) const { delete state; }

void Sha256::Update(ByteView bytes) {
  crypto_hash_sha256_update(state_.get(), bytes.data(), bytes.size());
}

Bytes Sha256::Finish() {
  Bytes digest(crypto_hash_sha256_BYTES);
  crypto_hash_sha256_final(state_.get(), digest.data());
  return digest;
}

Result<FileReader> FileReader::Open(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FileError(ErrorCode::kInvalidArgument, "cannot read " + path);
  return FileReader(std::move(file));
}

Result<std::vector<Bytes>> FileReader::NextChunks(size_t limit) {
  std::vector<Bytes> chunks;
  while (chunks.size() < limit) {
    Bytes chunk(kChunkSize);
    size_t filled = 0;
    while (filled < chunk.size()) {
      const ssize_t got = read(file_.get(), chunk.data() + filled, chunk.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FileError(ErrorCode::kIo, "the file cannot be read");
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    if (filled == 0) break;
    chunk.resize(filled);
    hash_.Update(chunk);
    bytes_ += filled;
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

Result<FileWriter> FileWriter::Create(const std::string& path) {
  if (path.empty()) return FileWriter(UniqueFd());
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return FileError(ErrorCode::kInvalidArgument, "cannot write " + path);
  return FileWriter(std::move(file));
}

Result<void> FileWriter::Write(ByteView chunk) {
  hash_.Update(chunk);
  bytes_ += chunk.size();
  while (file_ && !chunk.empty()) {
    const ssize_t put = write(file_.get(), chunk.data(), chunk.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FileError(ErrorCode::kIo, "the file cannot be written");
    chunk = chunk.subspan(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace keyward::example
