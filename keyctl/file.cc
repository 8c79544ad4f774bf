#include "keyctl/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

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

constexpr size_t kChunk = 65536;

Result<void> ReadFileChunks(const std::string& path,
                            const std::function<bool(std::string_view)>& take) {
  KEYWARD_ASSIGN(const UniqueFd file, OpenFile(path));
  std::array<char, kChunk> buffer{};
  while (true) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno);
    if (got == 0 || !take({buffer.data(), static_cast<size_t>(got)})) return {};
  }
}

}  // namespace

Result<UniqueFd> OpenFile(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FileError(errno);
  return file;
}

Result<std::string> ReadTextFile(const std::string& path, size_t limit) {
  std::string text;
  KEYWARD_TRY(ReadFileChunks(path, [&](std::string_view chunk) {
    text += chunk;
    return text.size() <= limit;
  }));
  if (text.size() > limit) {
    return Fail(ErrorCode::kTooLarge,
                "the file is larger than the " + std::to_string(limit) + " bytes it may have");
  }
  return text;
}

Result<void> ReadChunks(const std::string& path, std::istream& in,
                        const std::function<bool(std::string_view)>& take) {
  if (path != "-") return ReadFileChunks(path, take);
  std::array<char, kChunk> buffer{};
  while (in) {
    in.read(buffer.data(), buffer.size());
    if (!take({buffer.data(), static_cast<size_t>(in.gcount())})) return {};
  }
  if (in.bad()) return Fail(ErrorCode::kIo, "the standard input cannot be read");
  return {};
}

}  // namespace keyward::keyctl
