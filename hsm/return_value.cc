#include "hsm/return_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace keyward::hsm {
namespace {

struct Meaning {
  CK_RV value;
  std::string_view name;
  ErrorCode code;
};

constexpr ErrorCode kLost = ErrorCode::kCustodianUnavailable;

// PKCS#11 2.40, section 5.1. None of them, nor of those that 3.0 adds, says "busy, ask again", so
// none is kCustodianBusy.
constexpr std::array kMeanings = std::to_array<Meaning>({
    {CKR_CANCEL, "CKR_CANCEL", kLost},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY", ErrorCode::kResourceExhausted},
    {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", kLost},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", kLost},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", kLost},
    {CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", ErrorCode::kInternal},
    {CKR_NEED_TO_CREATE_THREADS, "CKR_NEED_TO_CREATE_THREADS", ErrorCode::kNotSupported},
    {CKR_CANT_LOCK, "CKR_CANT_LOCK", ErrorCode::kNotSupported},
    {CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", ErrorCode::kInternal},
    {CKR_ATTRIBUTE_SENSITIVE, "CKR_ATTRIBUTE_SENSITIVE", ErrorCode::kInternal},
    {CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", ErrorCode::kNotSupported},
    {CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", ErrorCode::kNotSupported},
    {CKR_DATA_INVALID, "CKR_DATA_INVALID", ErrorCode::kInternal},
    {CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", ErrorCode::kTooLarge},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", kLost},
    {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", ErrorCode::kResourceExhausted},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", kLost},
    {CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", ErrorCode::kAuthenticationFailed},
    {CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE",
     ErrorCode::kAuthenticationFailed},
    {CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED", kLost},
    {CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", ErrorCode::kNotSupported},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", ErrorCode::kNotFound},
    {CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", ErrorCode::kNotSupported},
    {CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", ErrorCode::kDataCorrupt},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", ErrorCode::kDataCorrupt},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", ErrorCode::kNotSupported},
    {CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", ErrorCode::kNotSupported},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", ErrorCode::kNotFound},
    {CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", kLost},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", kLost},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", ErrorCode::kPinRejected},
    {CKR_PIN_INVALID, "CKR_PIN_INVALID", ErrorCode::kPinRejected},
    {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", ErrorCode::kPinRejected},
    {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", ErrorCode::kPinRejected},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", ErrorCode::kLockedOut},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", kLost},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT", ErrorCode::kResourceExhausted},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", kLost},
    {CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", ErrorCode::kInternal},
    {CKR_SIGNATURE_INVALID, "CKR_SIGNATURE_INVALID", ErrorCode::kAuthenticationFailed},
    {CKR_SIGNATURE_LEN_RANGE, "CKR_SIGNATURE_LEN_RANGE", ErrorCode::kAuthenticationFailed},
    {CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", ErrorCode::kNotSupported},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", ErrorCode::kNotSupported},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", kLost},
    {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", kLost},
    {CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", ErrorCode::kNotSupported},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", kLost},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", ErrorCode::kPinRejected},
    {CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", kLost},
    {CKR_DOMAIN_PARAMS_INVALID, "CKR_DOMAIN_PARAMS_INVALID", ErrorCode::kNotSupported},
    {CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", ErrorCode::kNotSupported},
    {CKR_BUFFER_TOO_SMALL, "CKR_BUFFER_TOO_SMALL", ErrorCode::kInternal},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", kLost},
});

const Meaning* Find(CK_RV value) {
  const auto* const found = std::ranges::find(kMeanings, value, &Meaning::value);
  return found == kMeanings.end() ? nullptr : found;
}

std::string MessageFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCustodianUnavailable:
      return "the HSM token does not answer: check that it is present and its module works";
    case ErrorCode::kPinRejected:
      return "the HSM token refused the PIN: write the right one to the PIN file; it is not tried "
             "again until that file changes";
    case ErrorCode::kLockedOut:
      return "the HSM token has locked its user PIN: have its security officer set a new one, and "
             "write that to the PIN file";
    case ErrorCode::kNotFound:
      return "the HSM token holds no such key";
    case ErrorCode::kNotSupported:
      return "the HSM token does not support this operation";
    case ErrorCode::kResourceExhausted:
      return "the HSM token or its module is out of memory or sessions: remove unused objects";
    case ErrorCode::kAuthenticationFailed:
      return "the HSM token could not authenticate the data";
    case ErrorCode::kDataCorrupt:
      return "the HSM token holds something else under the name of this key";
    case ErrorCode::kTooLarge:
      return "the message is larger than the HSM token takes";
    default:
      return "the HSM token refused a request that should be valid";
  }
}

}  // namespace

std::string NameOf(CK_RV value) {
  const Meaning* meaning = Find(value);
  if (meaning != nullptr) return std::string(meaning->name);
  return fmt::format("CK_RV {:#x}", value);
}

Result<void> Check(CK_RV value, std::string_view function) {
  if (value == CKR_OK) return {};
  const Meaning* meaning = Find(value);
  const ErrorCode code = meaning == nullptr ? kLost : meaning->code;
  return Fail(
      Error(code, MessageFor(code)).WithCause(fmt::format("{}: {}", function, NameOf(value))));
}

}  // namespace keyward::hsm
