#include "session/token.h"

#include <algorithm>

#include "core/encoding.h"

namespace keyward::session {
namespace {

constexpr std::string_view kLabel = "keyward token 1";
constexpr std::string_view kMagic = "KWST";
constexpr uint8_t kVersion = 1;

Bytes Encode(const TokenClaims& claims) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Integer(claims.session)
      .Raw(claims.boot)
      .Take();
}

Result<Hash256> MacOf(ByteView claims, const SecretBytes& key) {
  return Blake2bMac(key).Add(AsBytes(kLabel)).Add(claims).End();
}

Result<TokenClaims> Decode(ByteView claims) {
  Reader in(claims);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic || version != kVersion) {
    return Fail(ErrorCode::kMalformed, "this is not a session token of this version");
  }
  TokenClaims decoded{};
  KEYWARD_ASSIGN(decoded.session, in.Integer<uint64_t>());
  KEYWARD_ASSIGN(const ByteView boot, in.Raw(decoded.boot.size()));
  std::ranges::copy(boot, decoded.boot.begin());
  return decoded;
}

}  // namespace

Result<SecretBytes> MakeToken(const TokenClaims& claims, const SecretBytes& key) {
  const Bytes encoded = Encode(claims);
  KEYWARD_ASSIGN(const Hash256 mac, MacOf(encoded, key));
  KEYWARD_ASSIGN(SecretBytes token, SecretBytes::Create(kTokenSize));
  const MutableBytes out = token.RevealSecretForWriting();
  std::ranges::copy(mac, std::ranges::copy(encoded, out.begin()).out);
  return token;
}

Result<TokenClaims> CheckToken(ByteView token, const SecretBytes& key) {
  if (token.size() != kTokenSize) {
    return Fail(ErrorCode::kMalformed, "a session token has 77 bytes");
  }
  const ByteView claims = token.first(kTokenSize - Hash256{}.size());
  KEYWARD_ASSIGN(const TokenClaims decoded, Decode(claims));
  KEYWARD_ASSIGN(const Hash256 mac, MacOf(claims, key));
  if (!EqualHashes(token.last(mac.size()), mac)) {
    return Fail(ErrorCode::kAuthenticationFailed, "keyd did not make this session token");
  }
  return decoded;
}

}  // namespace keyward::session
