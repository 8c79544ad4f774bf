#include "keyd/store_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "keyd/log.h"

namespace keyward {
namespace {

std::unexpected<Error> Failed(const char* step, const std::filesystem::path& file, int reason) {
  return Fail(Error(ErrorCode::kIo, "the store's reserve of disk space cannot be changed")
                  .WithCause(std::string(step) + " " + file.string() + ": " + strerror(reason)));
}

// Errors: kIo, also when it is no file.
Result<uint64_t> SizeOf(const UniqueFd& fd, const std::filesystem::path& file) {
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return Failed("fstat", file, errno);
  if (!S_ISREG(info.st_mode)) return Failed("fstat", file, EINVAL);
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace

Result<UniqueFd> StoreReserve::Open(int how) const {
  UniqueFd fd(open(file_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | how, 0600));
  if (!fd && errno != ENOENT) return Failed("open", file_, errno);
  return fd;
}

Result<uint64_t> StoreReserve::Size() const {
  constexpr int kIfThere = 0;
  KEYWARD_ASSIGN(const UniqueFd fd, Open(kIfThere));
  return fd ? SizeOf(fd, file_) : 0;
}

// Also what is there, since a copy of the file may have holes.
Result<void> StoreReserve::TryFill() const {
  KEYWARD_ASSIGN(const UniqueFd fd, Open(O_CREAT));
  KEYWARD_TRY(SizeOf(fd, file_));
  for (uint64_t at = 0; at < kBytes; at += kPiece) {
    const int reason = posix_fallocate(fd.get(), static_cast<off_t>(at), kPiece);
    if (reason != 0) return Failed("fallocate", file_, reason);
  }
  return {};
}

void StoreReserve::Fill() {
  if (whole_) return;
  const Result<void> filled = TryFill();
  whole_ = filled.has_value();
  if (!whole_ && !short_is_told_) {
    LogError("setting disk space aside for revocations; it is tried again", filled.error());
  }
  if (whole_ && short_is_told_) {
    LogLine(LogLevel::kNotice, "disk space is set aside for revocations again");
  }
  short_is_told_ = !whole_;
}

Result<bool> StoreReserve::GiveUp() {
  whole_ = false;
  constexpr int kIfThere = 0;
  KEYWARD_ASSIGN(const UniqueFd fd, Open(kIfThere));
  if (!fd) return false;
  KEYWARD_ASSIGN(const uint64_t size, SizeOf(fd, file_));
  if (size == 0) return false;
  const uint64_t rest = size > kPiece ? size - kPiece : 0;
  if (ftruncate(fd.get(), static_cast<off_t>(rest)) != 0) return Failed("ftruncate", file_, errno);
  // Some filesystems free space no sooner than what freed it is on disk.
  if (fsync(fd.get()) != 0) return Failed("fsync", file_, errno);
  return true;
}

}  // namespace keyward
