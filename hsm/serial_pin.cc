#include "hsm/serial_pin.h"

#include <string>

#include "core/file.h"

namespace keyward::hsm {
namespace {

constexpr size_t kMaxLine = 64;  // a serial has 16 bytes

std::unexpected<Error> CannotKeep(const Error& error) {
  return Fail(Error(ErrorCode::kIo,
                    "the serial number of the HSM token cannot be kept: make the state directory "
                    "readable and writable for the service")
                  .WithAction(Action::kProvision)
                  .WithCause(error.cause()));
}

std::unexpected<Error> Damaged() {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file hsm-token-serial in the state directory is damaged: restore it from "
                    "a backup, or remove it to accept the HSM token of today")
                  .WithAction(Action::kProvision));
}

std::unexpected<Error> Cleared(std::string_view pinned, std::string_view serial) {
  return Fail(Error(ErrorCode::kCustodianCleared,
                    "the HSM token was initialised anew, or is another one under the same label: "
                    "bring back the former one, or remove hsm-token-serial from the state "
                    "directory to start anew without the former keys")
                  .WithCause("pinned " + std::string(pinned) + ", found " + std::string(serial)));
}

}  // namespace

Result<bool> CheckSerial(const std::filesystem::path& state_directory, std::string_view serial) {
  const Result<std::optional<Bytes>> file = ReadFile(state_directory / kSerialPinFile, kMaxLine);
  if (!file)
    return file.error().code() == ErrorCode::kTooLarge ? Damaged() : CannotKeep(file.error());
  if (!*file) return false;
  std::string_view pinned = AsText(**file);
  if (!pinned.ends_with('\n')) return Damaged();
  pinned.remove_suffix(1);
  if (pinned != serial) return Cleared(pinned, serial);
  return true;
}

Result<void> PinSerial(const std::filesystem::path& state_directory, std::string_view serial) {
  const std::string line = std::string(serial) + "\n";
  const Result<bool> made = CreateFile(state_directory / kSerialPinFile, AsBytes(line));
  if (!made) return CannotKeep(made.error());
  if (!*made) KEYWARD_TRY(CheckSerial(state_directory, serial));
  return {};
}

}  // namespace keyward::hsm
