#include "keyctl/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/unique_fd.h"

namespace keyward::keyctl {
namespace {

std::unexpected<Error> FileError(int error) {
  if (error == ENOENT) return Fail(ErrorCode::kInvalidArgument, "there is no such file");
  if (error == EACCES || error == EPERM) {
    return Fail(ErrorCode::kInvalidArgument, "this user may not read the file");
  }
  if (error == EISDIR) return Fail(ErrorCode::kInvalidArgument, "that is a directory");
  return Fail(ErrorCode::kIo, std::string("the file cannot be read: ") + std::strerror(error));
}

}  // namespace

Result<std::string> ReadTextFile(const std::string& path, size_t limit) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FileError(errno);
  std::string text;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > limit) {
      return Fail(ErrorCode::kTooLarge,
                  "the file is larger than the " + std::to_string(limit) + " bytes it may have");
    }
  }
}

}  // namespace keyward::keyctl
