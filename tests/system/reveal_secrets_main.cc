// What keyd keeps secret, for a test that looks for it where it must not be.
//
// Usage: keyward-reveal-secrets SECURITY_YAML STATE_DIRECTORY
// Opens the master key and every sealed key, and derives every subkey and derived key, as keyd
// does, while no keyd uses them, and prints a line for each secret: its name, a space, its bytes in
// hex; besides, as salt-NAME, what a derived key is made with, which is no secret.
#include <sodium.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "core/encoding.h"
#include "tests/system/opened_state.h"

namespace keyward::testing_support {
namespace {

constexpr std::array<std::pair<const char*, Subkey>, 7> kSubkeys = {
    {{"store-mac", Subkey::kStoreMac},
     {"wrapping", Subkey::kWrapping},
     {"token", Subkey::kToken},
     {"audit", Subkey::kAudit},
     {"transport", Subkey::kTransport},
     {"backup", Subkey::kBackup},
     {"second-seal", Subkey::kSecondSeal}}};

void Print(const std::string& name, const SecretBytes& secret) {
  std::printf("%s %s\n", name.c_str(), ToHex(secret.RevealSecret()).c_str());
}

Result<void> RevealSeed(OpenedState& opened, const KeyRecord& key, const VersionRecord& version) {
  if (key.custody == Custody::kHardware) return {};
  KEYWARD_ASSIGN(const SecretBytes seed, SeedOf(opened, key, version));
  if (key.custody == Custody::kDerived) {
    std::printf("salt-%s %s\n", key.name.c_str(), ToHex(version.reference).c_str());
  }
  Print("seed-" + key.name, seed);
  return {};
}

Result<void> Reveal(const std::string& config, const std::string& directory) {
  SystemRng rng;
  KEYWARD_ASSIGN(OpenedState opened, OpenState(config, directory, rng));
  Print("master", opened.master.bytes());
  for (const auto& [name, subkey] : kSubkeys) {
    KEYWARD_ASSIGN(const SecretBytes bytes, opened.master.Derive(subkey));
    Print(name, bytes);
  }
  for (const VersionRecord& version : opened.state.versions) {
    for (const KeyRecord& key : opened.state.keys) {
      if (key.name != version.key || version.reference.empty()) continue;
      KEYWARD_TRY(RevealSeed(opened, key, version));
    }
  }
  return {};
}

}  // namespace
}  // namespace keyward::testing_support

int main(int argc, char** argv) {
  if (argc != 3 || sodium_init() < 0) return 2;
  const keyward::Result<void> revealed = keyward::testing_support::Reveal(argv[1], argv[2]);
  if (revealed) return 0;
  static_cast<void>(std::fprintf(stderr, "%s %s\n", revealed.error().message().c_str(),
                                 revealed.error().cause().c_str()));
  return 1;
}
