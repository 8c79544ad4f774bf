#include "core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/unique_fd.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> Failed(const char* message, const char* step, const fs::path& path) {
  return Fail(Error(ErrorCode::kIo, message)
                  .WithCause(std::string(step) + " " + path.string() + ": " + strerror(errno)));
}

constexpr std::string_view kDraftEnd = ".draft.XXXXXX";
constexpr const char* kCannotRead = "a file cannot be read";
constexpr const char* kCannotWrite = "a file cannot be written";

Result<void> WriteAll(int fd, ByteView rest, const fs::path& path) {
  while (!rest.empty()) {
    const ssize_t put = write(fd, rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Failed(kCannotWrite, "write", path);
    rest = rest.subspan(static_cast<size_t>(put));
  }
  if (fsync(fd) != 0) return Failed(kCannotWrite, "fsync", path);
  return {};
}

Result<void> SyncFolderOf(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return Failed(kCannotWrite, "fsync", folder);
  return {};
}

// False when RENAME_NOREPLACE found a file.
Result<bool> Write(const fs::path& path, ByteView contents, unsigned int rename_flags) {
  std::string draft = path.string() + std::string(kDraftEnd);
  const UniqueFd file(mkostemp(draft.data(), O_CLOEXEC));  // mode 0600
  if (!file) return Failed(kCannotWrite, "mkostemp", draft);
  if (Result<void> written = WriteAll(file.get(), contents, draft); !written) {
    unlink(draft.c_str());
    return Fail(std::move(written).error());
  }
  if (renameat2(AT_FDCWD, draft.c_str(), AT_FDCWD, path.c_str(), rename_flags) != 0) {
    const int reason = errno;
    unlink(draft.c_str());
    errno = reason;
    if (errno == EEXIST) return false;
    return Failed(kCannotWrite, "rename", path);
  }
  KEYWARD_TRY(SyncFolderOf(path));
  return true;
}

// mkostemp(3) chooses among letters and digits.
bool IsDraft(std::string_view name) {
  if (name.size() <= kDraftEnd.size()) return false;
  const std::string_view end = name.substr(name.size() - kDraftEnd.size());
  constexpr size_t kChosen = 6;
  const std::string_view mark = kDraftEnd.substr(0, kDraftEnd.size() - kChosen);
  return end.starts_with(mark) && std::ranges::all_of(end.substr(mark.size()), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0;
         });
}

bool IsOwnFile(const fs::path& path) {
  struct stat info{};
  return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == geteuid();
}

}  // namespace

Result<std::optional<Bytes>> ReadFile(const fs::path& path, size_t max_size) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file && errno == ENOENT) return std::nullopt;
  if (!file) return Failed(kCannotRead, "open", path);
  Bytes contents(max_size + 1);
  size_t size = 0;
  while (size < contents.size()) {
    const ssize_t got = read(file.get(), contents.data() + size, contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(kCannotRead, "read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max_size) {
    return Fail(Error(ErrorCode::kTooLarge, "a file is too large").WithCause(path.string()));
  }
  contents.resize(size);
  return contents;
}

Result<bool> FileExists(const fs::path& path) {
  struct stat info{};
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return Failed(kCannotRead, "stat", path);
}

Result<void> ReplaceFile(const fs::path& path, ByteView contents) {
  constexpr unsigned int kReplace = 0;
  KEYWARD_TRY(Write(path, contents, kReplace));
  return {};
}

Result<bool> CreateFile(const fs::path& path, ByteView contents) {
  return Write(path, contents, RENAME_NOREPLACE);
}

Result<size_t> RemoveDrafts(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> drafts;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const fs::path& path = entry->path();
    if (IsDraft(path.filename().string()) && IsOwnFile(path)) drafts.push_back(path);
  }
  errno = error.value();
  if (error) return Failed(kCannotRead, "list", folder);
  for (const fs::path& draft : drafts) KEYWARD_TRY(RemoveFile(draft));
  return drafts.size();
}

Result<void> MoveFile(const fs::path& from, const fs::path& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return Failed(kCannotWrite, "rename", from);
  }
  return SyncFolderOf(to);
}

Result<void> RemoveFile(const fs::path& path) {
  if (unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return Failed(kCannotWrite, "unlink", path);
  }
  return SyncFolderOf(path);
}

}  // namespace keyward
