// Whether every version of every key still signs, for a test that has killed keyd.
//
// Usage: keyward-sign-versions SECURITY_YAML STATE_DIRECTORY
// Signs with the private half of each version that is pending, active or retiring, as the hardware
// and the store have it while no keyd uses them, and verifies that with the public half that is
// stored. Prints a line for each: the key's name, the version's number, its state. Fails at the
// first that does not sign.
#include <sodium.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "keyd/ed25519_seed.h"
#include "keyd/version_state.h"
#include "tests/system/opened_state.h"

namespace keyward::testing_support {
namespace {

bool Signs(const VersionRecord& version) {
  return !version.spki.empty() &&
         (version.state == VersionState::kPending || version.state == VersionState::kActive ||
          version.state == VersionState::kRetiring);
}

Result<Bytes> SignWithSeed(OpenedState& opened, const KeyRecord& key, const VersionRecord& version,
                           ByteView message) {
  KEYWARD_ASSIGN(const SecretBytes seed, SeedOf(opened, key, version));
  KEYWARD_ASSIGN(const Ed25519Pair pair, PairOfSeed(seed));
  Bytes signature(crypto_sign_BYTES);
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       pair.secret.RevealSecret().data());
  return signature;
}

Result<Bytes> SignWith(OpenedState& opened, const KeyRecord& key, const VersionRecord& version,
                       const Bytes& message) {
  if (key.custody != Custody::kHardware) return SignWithSeed(opened, key, version, message);
  const auto custodian = opened.custodians.find(key.custodian);
  if (custodian == opened.custodians.end()) {
    return Fail(ErrorCode::kConfiguration, "its custodian is not configured");
  }
  return custodian->second->signer().Sign(version.reference, message);
}

Result<void> SignAndVerify(OpenedState& opened, const VersionRecord& version, Rng& rng) {
  const auto key = std::ranges::find(opened.state.keys, version.key, &KeyRecord::name);
  if (key == opened.state.keys.end()) return Fail(ErrorCode::kDataCorrupt, "it is of no key");
  Bytes message(40);
  rng.Fill(message);
  KEYWARD_ASSIGN(const Bytes signature, SignWith(opened, *key, version, message));
  KEYWARD_ASSIGN(const PublicKey public_key, PublicKey::FromSpki(version.spki));
  return public_key.Verify(message, signature);
}

Result<void> SignAll(const std::string& config, const std::string& directory) {
  SystemRng rng;
  KEYWARD_ASSIGN(OpenedState opened, OpenState(config, directory, rng));
  for (const VersionRecord& version : opened.state.versions) {
    if (!Signs(version)) continue;
    const Result<void> signs = SignAndVerify(opened, version, rng);
    if (!signs) {
      return Fail(Error(signs.error().code(), version.key + " version " +
                                                  std::to_string(version.number) + ": " +
                                                  signs.error().message())
                      .WithCause(signs.error().cause()));
    }
    std::printf("%s %u %s\n", version.key.c_str(), version.number,
                std::string(Name(version.state)).c_str());
  }
  return {};
}

}  // namespace
}  // namespace keyward::testing_support

int main(int argc, char** argv) {
  if (argc != 3 || sodium_init() < 0) return 2;
  const keyward::Result<void> signs = keyward::testing_support::SignAll(argv[1], argv[2]);
  if (signs) return 0;
  static_cast<void>(std::fprintf(stderr, "%s %s\n", signs.error().message().c_str(),
                                 signs.error().cause().c_str()));
  return 1;
}
