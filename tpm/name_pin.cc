#include "tpm/name_pin.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "core/encoding.h"
#include "core/unique_fd.h"

namespace keyward::tpm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameSize = 34;
constexpr size_t kMaxFileSize = 256;

std::unexpected<Error> IoFailure(std::string_view what, const fs::path& path) {
  const int error = errno;
  return Fail(Error(ErrorCode::kIo,
                    "the name of the TPM cannot be kept; check that keyd's state directory exists "
                    "and that keyd may write there")
                  .WithAction(Action::kProvision)
                  .WithCause(fmt::format("{} {}: {}", what, path.string(), std::strerror(error))));
}

// Nothing when there is no file.
Result<std::optional<Bytes>> ReadPin(const fs::path& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    return IoFailure("open", path);
  }
  std::array<char, kMaxFileSize> text{};
  const ssize_t size = read(file.get(), text.data(), text.size());
  if (size < 0) return IoFailure("read", path);
  std::string_view line(text.data(), static_cast<size_t>(size));
  if (line.ends_with('\n')) line.remove_suffix(1);
  Result<Bytes> name = FromHex(line);
  if (!name || name->size() != kNameSize) {
    return Fail(Error(ErrorCode::kDataCorrupt,
                      "the file tpm-primary-name in keyd's state directory is damaged; restore it "
                      "from a backup, or remove it to accept the TPM of today")
                    .WithCause(path.string()));
  }
  return std::move(*name);
}

Result<void> WriteSynced(int fd, std::string_view text, const fs::path& path) {
  // A file this small is written in one piece or the disk is full.
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return IoFailure("write", path);
  }
  if (fsync(fd) != 0) return IoFailure("fsync", path);
  return {};
}

Result<void> SyncDirectory(const fs::path& directory) {
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return IoFailure("fsync", directory);
  return {};
}

// False when somebody else's pin got there first.
Result<bool> WritePin(const fs::path& path, ByteView name) {
  std::string temporary = path.string() + ".XXXXXX";
  const UniqueFd file(mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
  if (!file) return IoFailure("mkostemp", temporary);
  const Result<void> written = WriteSynced(file.get(), ToHex(name) + "\n", temporary);
  if (written &&
      renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    KEYWARD_TRY(SyncDirectory(path.parent_path()));
    return true;
  }
  const int rename_error = errno;
  unlink(temporary.c_str());
  KEYWARD_TRY(written);
  errno = rename_error;
  if (errno == EEXIST) return false;
  return IoFailure("rename", path);
}

Error Replaced() {
  return Error(ErrorCode::kCustodianReplaced,
               "this is not the TPM that was pinned on first use, or its owner cleared it: bring "
               "back the former one, or remove tpm-primary-name from keyd's state directory to "
               "start anew without the former keys");
}

}  // namespace

Result<void> CheckOrPinName(const fs::path& state_directory, ByteView name) {
  const fs::path path = state_directory / kNamePinFile;
  KEYWARD_ASSIGN(std::optional<Bytes> pinned, ReadPin(path));
  if (!pinned) {
    KEYWARD_ASSIGN(const bool written, WritePin(path, name));
    if (written) return {};
    KEYWARD_ASSIGN(pinned, ReadPin(path));
    if (!pinned) return IoFailure("open", path);
  }
  if (!std::ranges::equal(*pinned, name)) return Fail(Replaced());
  return {};
}

}  // namespace keyward::tpm
