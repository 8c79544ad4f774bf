// A session token that is anything: keyd takes none that it did not make.
#include "session/token.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using keyward::fuzz::Require;
  static const auto key = keyward::SecretBytes::CopyOf(keyward::Bytes(32, 7)).value();
  Require(!keyward::session::CheckToken({data, size}, key));
  if (size < sizeof(uint64_t)) return 0;
  // What it makes it takes back, and nothing that follows it.
  const keyward::session::TokenClaims claims{.session = data[0], .boot = {data[1], data[2]}};
  const auto token = keyward::session::MakeToken(claims, key).value();
  keyward::Bytes shown = keyward::ToBytes(token.RevealSecret());
  Require(keyward::session::CheckToken(shown, key) == claims);
  keyward::Append(shown, {data, size});
  Require(!keyward::session::CheckToken(shown, key));
  return 0;
}
