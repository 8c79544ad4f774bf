#include "dbus/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace keyward {
namespace {

std::unexpected<Error> IoError(const char* what) {
  return Fail(Error(ErrorCode::kIo, "there is no memory file to be had")
                  .WithCause(std::string(what) + ": " + std::strerror(errno)));
}

std::unexpected<Error> NoMemfd() {
  return Fail(ErrorCode::kMalformed, "the body is not in a memfd");
}

// Only memory files have seals: a pipe, a device or a FUSE file would let the sender stall us.
bool IsMemfd(int fd, struct stat& info) {
  return fd >= 0 && fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

Result<UniqueFd> WriteMemfd(std::span<const ByteView> parts) {
  UniqueFd fd(memfd_create("keyward-body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return IoError("memfd_create");
  for (const ByteView part : parts) {
    size_t done = 0;
    while (done < part.size()) {
      const ssize_t put = write(fd.get(), part.data() + done, part.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return IoError("write to memfd");
      done += static_cast<size_t>(put);
    }
  }
  return fd;
}

Result<void> ReadMemfd(int fd, size_t size, Bytes& out) {
  struct stat info{};
  if (!IsMemfd(fd, info)) return NoMemfd();
  out.resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t got = pread(fd, out.data() + done, size - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(ErrorCode::kMalformed, "the memfd is shorter than the body");
    done += static_cast<size_t>(got);
  }
  return {};
}

Result<Bytes> ReadWholeMemfd(int fd, size_t max_size) {
  struct stat info{};
  if (!IsMemfd(fd, info)) return NoMemfd();
  if (static_cast<uint64_t>(info.st_size) > max_size) {
    return Fail(ErrorCode::kTooLarge, "the memfd is too large");
  }
  Bytes bytes;
  KEYWARD_TRY(ReadMemfd(fd, static_cast<size_t>(info.st_size), bytes));
  return bytes;
}

}  // namespace keyward
