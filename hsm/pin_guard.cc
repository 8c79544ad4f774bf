#include "hsm/pin_guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace keyward::hsm {
namespace {

constexpr size_t kMaxLine = 256;

std::unexpected<Error> CannotRemember(const std::filesystem::path& path) {
  const int reason = errno;
  return Fail(Error(ErrorCode::kIo,
                    "the state directory cannot be used: the PIN is not tried, because a refusal "
                    "could not be remembered; make it readable and writable for the service")
                  .WithAction(Action::kProvision)
                  .WithCause(fmt::format("{}: {}", path.string(), std::strerror(reason))));
}

// Empty when there is no memory yet.
Result<std::string> ReadLine(const std::filesystem::path& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return std::string();
  std::array<char, kMaxLine + 1> line{};
  const ssize_t size = file ? read(file.get(), line.data(), line.size()) : -1;
  if (size < 0) return CannotRemember(path);
  if (size == 0 || static_cast<size_t>(size) > kMaxLine ||
      line.at(static_cast<size_t>(size) - 1) != '\n') {
    return Fail(Error(ErrorCode::kDataCorrupt,
                      "the record of the refused PIN is damaged: check the PIN, then remove "
                      "hsm-pin-rejected from the state directory")
                    .WithAction(Action::kProvision)
                    .WithCause(path.string()));
  }
  return std::string(line.data(), static_cast<size_t>(size) - 1);
}

bool SyncFolder(const std::filesystem::path& folder) {
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  return fd && fsync(fd.get()) == 0;
}

}  // namespace

PinGuard::PinGuard(const std::filesystem::path& state_directory)
    : path_(state_directory / "hsm-pin-rejected"),
      draft_path_(state_directory / "hsm-pin-rejected.new") {}

Result<void> PinGuard::Prepare(const std::string& attempt) {
  KEYWARD_ASSIGN(const std::string recorded, ReadLine(path_));
  if (attempt == recorded || attempt == rejected_) {
    return Fail(ErrorCode::kPinRejected,
                "the HSM token refused this PIN before and it is not tried again: write the right "
                "one to the PIN file, or touch that file if it is right by now");
  }
  draft_.Reset(
      open(draft_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!draft_) return CannotRemember(draft_path_);
  return {};
}

void PinGuard::Forget() noexcept {
  draft_.Reset();
  static_cast<void>(unlink(draft_path_.c_str()));  // an empty file that is left does no harm
}

Result<void> PinGuard::Remember(const std::string& attempt) {
  rejected_ = attempt;
  const std::string line = attempt + "\n";
  const UniqueFd draft = std::move(draft_);
  if (write(draft.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fsync(draft.get()) != 0 || std::rename(draft_path_.c_str(), path_.c_str()) != 0 ||
      !SyncFolder(path_.parent_path())) {
    return CannotRemember(path_);
  }
  return {};
}

}  // namespace keyward::hsm
