#include "keyctl/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/file.h"

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

Result<void> CheckOutput(const std::string& path, bool replace) {
  const auto refuse = [&path](ErrorCode code, std::string_view why) {
    return Fail(code, fmt::format("'{}' cannot be written: {}", path, why));
  };
  struct stat info{};
  const bool there = lstat(path.c_str(), &info) == 0;
  if (!there && errno != ENOENT) return refuse(ErrorCode::kInvalidArgument, std::strerror(errno));
  // Renamed over, a device or a link would be gone.
  if (there && !S_ISREG(info.st_mode)) {
    return refuse(ErrorCode::kInvalidArgument, "it is no regular file");
  }
  if (there && !replace)
    return refuse(ErrorCode::kAlreadyExists, "there is such a file; --force replaces it");
  const std::string folder = std::filesystem::absolute(path).parent_path().string();
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return refuse(ErrorCode::kInvalidArgument, std::strerror(errno));
  }
  return {};
}

Result<void> WriteOutput(const std::string& path, ByteView contents, bool replace) {
  KEYWARD_TRY(CheckOutput(path, replace));
  Result<bool> written = true;
  if (!replace) {
    written = CreateFile(path, contents);
  } else if (const Result<void> replaced = ReplaceFile(path, contents); !replaced) {
    written = Fail(replaced.error());
  }
  if (!written) {
    return Fail(ErrorCode::kIo,
                fmt::format("'{}' cannot be written ({})", path, written.error().cause()));
  }
  if (*written) return {};
  return Fail(ErrorCode::kAlreadyExists, fmt::format("'{}' was made by somebody else", path));
}

}  // namespace keyward::keyctl
