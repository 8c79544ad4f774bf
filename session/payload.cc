#include "session/payload.h"

#include <algorithm>
#include <string_view>

#include "session/aico_handshake.h"

namespace keyward::session {
namespace {

constexpr size_t kPadding = 64;
constexpr std::string_view kServerContext = "TLS 1.3, server CertificateVerify";
constexpr std::string_view kClientContext = "TLS 1.3, client CertificateVerify";

bool HasTlsPadding(ByteView payload) {
  return payload.size() >= kPadding &&
         std::ranges::all_of(payload.first(kPadding), [](uint8_t byte) { return byte == 0x20; });
}

Result<void> CheckTls13(ByteView payload, std::string_view context) {
  const auto malformed = [](const char* why) { return Fail(ErrorCode::kMalformed, why); };
  if (!HasTlsPadding(payload)) {
    return malformed("not a TLS 1.3 CertificateVerify, which begins with 64 spaces");
  }
  const ByteView after = payload.subspan(kPadding);
  if (!AsText(after).starts_with(context) || after.size() <= context.size() ||
      after[context.size()] != 0) {
    return malformed("not a TLS 1.3 CertificateVerify of this role");
  }
  const size_t hash_size = after.size() - context.size() - 1;
  if (hash_size != 32 && hash_size != 48) {
    return malformed("a TLS 1.3 transcript hash has 32 or 48 bytes");
  }
  return {};
}

Result<void> CheckRaw(ByteView payload) {
  if (payload.empty()) return Fail(ErrorCode::kMalformed, "there is nothing to sign");
  if (payload.size() > kMaxRawPayload) {
    return Fail(ErrorCode::kTooLarge, "a raw payload has at most 65536 bytes");
  }
  if (HasTlsPadding(payload) || AsText(payload).starts_with(kAicoSignatureDomain)) {
    return Fail(ErrorCode::kMalformed, "this payload has a purpose of its own; name that");
  }
  return {};
}

}  // namespace

Result<void> CheckPayload(Purpose purpose, ByteView payload) {
  switch (purpose) {
    case Purpose::kTls13Server:
      return CheckTls13(payload, kServerContext);
    case Purpose::kTls13Client:
      return CheckTls13(payload, kClientContext);
    case Purpose::kRaw:
      return CheckRaw(payload);
    case Purpose::kAico:
      break;
  }
  return Fail(ErrorCode::kUnknownPurpose, "an AICO transcript is signed by a session alone");
}

}  // namespace keyward::session
