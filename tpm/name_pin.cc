#include "tpm/name_pin.h"

#include <algorithm>

#include "core/encoding.h"
#include "core/file.h"

namespace keyward::tpm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNameSize = 34;
constexpr size_t kMaxFileSize = 256;

struct Pin {
  Bytes primary;
  std::optional<Bytes> endorsement;
};

Error Damaged(const fs::path& path) {
  return Error(ErrorCode::kDataCorrupt,
               "the file tpm-primary-name in keyd's state directory is damaged; restore it from a "
               "backup, or remove it to accept the TPM of today")
      .WithCause(path.string());
}

// The file module's failure, as one of this file.
Error NotKept(const Error& error) {
  return Error(ErrorCode::kIo,
               "the name of the TPM cannot be kept; check that keyd's state directory exists and "
               "that keyd may write there")
      .WithAction(Action::kProvision)
      .WithCause(error.cause());
}

// Takes the first line off `text`.
Result<Bytes> TakeName(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  KEYWARD_ASSIGN(Bytes name, FromHex(text.substr(0, end)));
  if (name.size() != kNameSize) return Fail(ErrorCode::kMalformed, "not a name");
  text.remove_prefix(std::min(end + 1, text.size()));
  return name;
}

Result<Pin> Parse(std::string_view text) {
  Pin pin;
  KEYWARD_ASSIGN(pin.primary, TakeName(text));
  if (!text.empty()) {
    KEYWARD_ASSIGN(pin.endorsement, TakeName(text));
  }
  if (!text.empty()) return Fail(ErrorCode::kMalformed, "more than two names");
  return pin;
}

std::string ToText(const Pin& pin) {
  std::string text = ToHex(pin.primary) + "\n";
  if (pin.endorsement) text += ToHex(*pin.endorsement) + "\n";
  return text;
}

// Nothing when there is no file.
Result<std::optional<Pin>> ReadPin(const fs::path& path) {
  const Result<std::optional<Bytes>> text = ReadFile(path, kMaxFileSize);
  if (!text && text.error().code() == ErrorCode::kTooLarge) return Fail(Damaged(path));
  if (!text) return Fail(NotKept(text.error()));
  if (!*text) return std::nullopt;
  Result<Pin> pin = Parse(AsText(**text));
  if (!pin) return Fail(Damaged(path));
  return std::move(*pin);
}

// False when somebody else's pin got there first.
Result<bool> WriteFirstPin(const fs::path& path, ByteView name,
                           const EndorsementNameReader& endorsement) {
  Pin pin{ToBytes(name), {}};
  KEYWARD_ASSIGN(pin.endorsement, endorsement());
  const Result<bool> written = CreateFile(path, AsBytes(ToText(pin)));
  if (!written) return Fail(NotKept(written.error()));
  return *written;
}

// What the first line says is proved: a file from before can have its second one.
Result<void> AddEndorsement(const fs::path& path, Pin pin,
                            const EndorsementNameReader& endorsement) {
  KEYWARD_ASSIGN(pin.endorsement, endorsement());
  if (!pin.endorsement) return {};
  const Result<void> written = ReplaceFile(path, AsBytes(ToText(pin)));
  if (!written) return Fail(NotKept(written.error()));
  return {};
}

Error Replaced() {
  return Error(ErrorCode::kCustodianReplaced,
               "this is not the TPM that was pinned on first use: bring back the former one, or "
               "remove tpm-primary-name from keyd's state directory to start anew without the "
               "former keys");
}

Error Cleared() {
  return Error(ErrorCode::kCustodianCleared,
               "the TPM was cleared by its owner since it was pinned on first use, and the former "
               "keys are lost with that: restore a backup, or remove tpm-primary-name from keyd's "
               "state directory to start anew without them");
}

// `pin` is of another primary than the TPM's.
Result<void> Refuse(const Pin& pin, const EndorsementNameReader& endorsement) {
  if (!pin.endorsement) return Fail(Replaced());
  KEYWARD_ASSIGN(const std::optional<Bytes> now, endorsement());
  return Fail(now == pin.endorsement ? Cleared() : Replaced());
}

}  // namespace

Result<void> CheckOrPinName(const fs::path& state_directory, ByteView name,
                            const EndorsementNameReader& endorsement) {
  const fs::path path = state_directory / kNamePinFile;
  KEYWARD_ASSIGN(std::optional<Pin> pinned, ReadPin(path));
  if (!pinned) {
    KEYWARD_ASSIGN(const bool written, WriteFirstPin(path, name, endorsement));
    if (written) return {};
    KEYWARD_ASSIGN(pinned, ReadPin(path));
    if (!pinned) return Fail(NotKept(Error(ErrorCode::kIo, "").WithCause("it comes and goes")));
  }
  if (!std::ranges::equal(pinned->primary, name)) return Refuse(*pinned, endorsement);
  if (!pinned->endorsement) return AddEndorsement(path, std::move(*pinned), endorsement);
  return {};
}

}  // namespace keyward::tpm
