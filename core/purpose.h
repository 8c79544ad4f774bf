// What a key may be used for. Keyd signs no bytes it does not understand: each purpose is a form
// that it builds or parses itself, and the policy grants each one by itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace keyward {

enum class Purpose : uint8_t {
  kTls13Server = 1,  // server CertificateVerify (RFC 8446, 4.4.3)
  kTls13Client = 2,  // client CertificateVerify
  kAico = 3,         // transcripts of the AICO handshake; granted, keyd runs sessions with the key
  kRaw = 4,          // any bytes that are not the beginning of another purpose's
};

inline constexpr std::array kPurposes = {Purpose::kTls13Server, Purpose::kTls13Client,
                                         Purpose::kAico, Purpose::kRaw};

// "tls13-server", "tls13-client", "aico", "raw"; these are D-Bus and policy values.
std::string_view Name(Purpose purpose);
std::optional<Purpose> PurposeFromName(std::string_view name);

}  // namespace keyward
