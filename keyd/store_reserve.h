// Disk space set aside for what the store must be able to write on a full disk: revocations.
#pragma once

#include <filesystem>
#include <utility>

#include "core/result.h"
#include "core/unique_fd.h"

namespace keyward {

// A file that holds nothing but space, mode 0600. It is given up piece by piece, so that little of
// it is lost when somebody else writes at the same time. One thread at a time.
class StoreReserve {
 public:
  // Some ten times what a revocation adds to the store's log.
  static constexpr uint64_t kBytes = uint64_t{256} << 10;
  static constexpr uint64_t kPiece = uint64_t{32} << 10;

  explicit StoreReserve(std::filesystem::path file) : file_(std::move(file)) {}

  // Sets aside what is missing, as far as there is space; keyd's log has when it falls short, and
  // when it is whole again. Does nothing while it is whole.
  void Fill();
  // Frees a piece. False when there is none left. Errors: kIo.
  Result<bool> GiveUp();
  // Bytes that are set aside. Errors: kIo.
  Result<uint64_t> Size() const;

 private:
  // Nothing when there is no such file; with O_CREAT in `how` it is made. Errors: kIo.
  Result<UniqueFd> Open(int how) const;
  Result<void> TryFill() const;

  std::filesystem::path file_;
  bool whole_ = false;
  bool short_is_told_ = false;
};

}  // namespace keyward
