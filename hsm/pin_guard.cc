#include "hsm/pin_guard.h"

#include "core/file.h"

namespace keyward::hsm {
namespace {

constexpr size_t kMaxLine = 256;
constexpr std::string_view kCounted = " counted";
constexpr int kSightings = 3;  // who sets a PIN logs in first, and is not to be met in between

std::unexpected<Error> CannotRemember(const Error& error) {
  return Fail(Error(ErrorCode::kIo,
                    "the state directory cannot be used: the PIN is not tried, because a refusal "
                    "could not be remembered; make it readable and writable for the service")
                  .WithAction(Action::kProvision)
                  .WithCause(error.cause()));
}

std::unexpected<Error> Damaged(const std::filesystem::path& path) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the record of the refused PIN is damaged: check the PIN, then remove "
                    "hsm-pin-rejected from the state directory")
                  .WithAction(Action::kProvision)
                  .WithCause(path.string()));
}

// Empty when there is no memory yet.
Result<std::string> ReadLine(const std::filesystem::path& path) {
  const Result<std::optional<Bytes>> file = ReadFile(path, kMaxLine);
  if (!file) {
    return file.error().code() == ErrorCode::kTooLarge ? Damaged(path)
                                                       : CannotRemember(file.error());
  }
  if (!*file) return std::string();
  const std::string_view text = AsText(**file);
  if (!text.ends_with('\n')) return Damaged(path);
  return std::string(text.substr(0, text.size() - 1));
}

Result<void> WriteLine(const std::filesystem::path& path, const std::string& line) {
  const Result<void> written = ReplaceFile(path, AsBytes(line + "\n"));
  if (!written) return CannotRemember(written.error());
  return {};
}

}  // namespace

PinGuard::PinGuard(const std::filesystem::path& state_directory)
    : path_(state_directory / "hsm-pin-rejected"),
      rehearsal_path_(state_directory / "hsm-pin-rejected.new") {}

// What this process knows holds; what an earlier one wrote down is read until there is such.
Result<void> PinGuard::ReadRecord() {
  KEYWARD_ASSIGN(const std::string line, ReadLine(path_));
  if (refused_ || line.empty()) return {};
  const bool counted = line.ends_with(kCounted);
  refused_ = Refusal{line.substr(0, line.size() - (counted ? kCounted.size() : 0)), counted};
  return {};
}

bool PinGuard::MayTryAgain(bool counts_failures) {
  sightings_ = counts_failures ? 0 : sightings_ + 1;
  return refused_->may_try_again && sightings_ >= kSightings;
}

Result<void> PinGuard::Prepare(const std::string& attempt, bool counts_failures) {
  KEYWARD_TRY(ReadRecord());
  if (refused_ && refused_->attempt == attempt && !MayTryAgain(counts_failures)) {
    return Fail(ErrorCode::kPinRejected,
                "the HSM token refused this PIN before and it is not tried again: write the right "
                "one to the PIN file, or touch that file if it is right by now");
  }
  return WriteLine(rehearsal_path_, attempt + std::string(kCounted));
}

void PinGuard::Forget() {
  const Result<void> ignored = RemoveFile(rehearsal_path_);  // one that is left does no harm
  static_cast<void>(ignored);
}

void PinGuard::Succeed() {
  refused_.reset();
  const Result<void> ignored = RemoveFile(path_);  // it was of another file, or is of no use now
  static_cast<void>(ignored);
  Forget();
}

Result<void> PinGuard::Remember(const std::string& attempt, bool counts_failures) {
  const bool is_second = refused_ && refused_->attempt == attempt;
  refused_ = Refusal{attempt, counts_failures && !is_second};
  sightings_ = 0;
  KEYWARD_TRY(WriteLine(path_, attempt + std::string(refused_->may_try_again ? kCounted : "")));
  Forget();
  return {};
}

}  // namespace keyward::hsm
