#include "keyctl/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

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

std::string FolderOf(const std::string& path) {
  return std::filesystem::absolute(path).parent_path().string();
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
  if (there && !replace) return refuse(ErrorCode::kAlreadyExists, "there is such a file");
  const std::string folder = FolderOf(path);
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return refuse(ErrorCode::kInvalidArgument, std::strerror(errno));
  }
  return {};
}

Result<OutputFile> OutputFile::Create(const std::string& path, bool replace) {
  KEYWARD_TRY(CheckOutput(path, replace));
  std::string draft = path + ".draft.XXXXXX";
  UniqueFd file(mkostemp(draft.data(), O_CLOEXEC));  // mode 0600
  OutputFile output(path, std::move(draft), std::move(file), replace);
  if (!output.file_) return output.Failed();
  return output;
}

OutputFile::~OutputFile() {
  if (file_) unlink(draft_.c_str());
}

std::unexpected<Error> OutputFile::Failed() const {
  return Fail(ErrorCode::kIo,
              fmt::format("'{}' cannot be written: {}", path_, std::strerror(errno)));
}

Result<void> OutputFile::Write(ByteView part) {
  while (!part.empty()) {
    const ssize_t put = write(file_.get(), part.data(), part.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Failed();
    part = part.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<void> OutputFile::Finish() {
  if (fsync(file_.get()) != 0) return Failed();
  const unsigned flags = replace_ ? 0 : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, draft_.c_str(), AT_FDCWD, path_.c_str(), flags) != 0) {
    if (errno != EEXIST) return Failed();
    return Fail(ErrorCode::kAlreadyExists, fmt::format("'{}' was made by somebody else", path_));
  }
  file_.Reset();
  const std::string folder = FolderOf(path_);
  const UniqueFd named(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!named || fsync(named.get()) != 0) return Failed();
  return {};
}

Result<void> WriteOutput(const std::string& path, ByteView contents, bool replace) {
  KEYWARD_ASSIGN(OutputFile file, OutputFile::Create(path, replace));
  KEYWARD_TRY(file.Write(contents));
  return file.Finish();
}

}  // namespace keyward::keyctl
