// What keyd keeps secret, for a test that looks for it where it must not be.
//
// Usage: keyward-reveal-secrets SECURITY_YAML STATE_DIRECTORY
// Opens the master key and every sealed key, and derives every derived one, as keyd does, while no
// keyd uses them, and prints a line for each secret: its name, a space, its bytes in hex; besides,
// as salt-NAME, what a derived key is made with, which is no secret.
#include <sodium.h>

#include <cstdio>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/encoding.h"
#include "hsm/hsm_factory.h"
#include "keyd/derived_key.h"
#include "keyd/key_version.h"
#include "keyd/master_key.h"
#include "keyd/master_record.h"
#include "keyd/pcr_policies.h"
#include "keyd/process.h"
#include "keyd/store.h"
#include "policy/security_yaml.h"
#include "policy/system_names.h"
#include "tpm/tpm_custodian.h"

namespace keyward {
namespace {

void Print(const std::string& name, const SecretBytes& secret) {
  std::printf("%s %s\n", name.c_str(), ToHex(secret.RevealSecret()).c_str());
}

// Of the one custodian that `settings` names.
Result<std::unique_ptr<Custodian>> Connect(const policy::Policy& settings,
                                           const std::string& directory, Rng& rng) {
  if (settings.hsm()) {
    hsm::HsmFactory factory({.module_path = settings.hsm()->module,
                             .token_label = settings.hsm()->token,
                             .pin_file = settings.hsm()->pin_file.value_or(""),
                             .pin_credential = {},
                             .state_directory = directory},
                            rng);
    return factory.Make();
  }
  KEYWARD_ASSIGN(std::unique_ptr<Custodian> tpm,
                 tpm::TpmCustodian::Create({settings.tpm()->tcti, directory}, rng));
  return tpm;
}

struct Subkeys {
  StoreKeys store;
  SecretBytes transport;
};

Result<Subkeys> RevealMaster(Custodian& custodian, const std::string& directory,
                             const MasterRecord& record) {
  KEYWARD_ASSIGN(const PcrPolicies policies, PcrPolicies::Read(directory + "/pcr-policies"));
  KEYWARD_ASSIGN(SecretBytes bytes, custodian.master_sealer().UnsealMaster(
                                        record.seal, record.record, policies.all()));
  Print("master", bytes);
  KEYWARD_ASSIGN(const MasterKey master, MasterKey::FromBytes(std::move(bytes)));
  Subkeys keys;
  KEYWARD_ASSIGN(keys.store.mac, master.Derive(Subkey::kStoreMac));
  KEYWARD_ASSIGN(keys.store.wrapping, master.Derive(Subkey::kWrapping));
  KEYWARD_ASSIGN(keys.transport, master.Derive(Subkey::kTransport));
  keys.store.bound_to = BindingOf(record);
  KEYWARD_ASSIGN(const SecretBytes audit, master.Derive(Subkey::kAudit));
  Print("audit", audit);
  Print("store-mac", keys.store.mac);
  Print("wrapping", keys.store.wrapping);
  Print("transport", keys.transport);
  return keys;
}

Result<void> RevealSeed(Custodian& custodian, const SecretBytes& transport, const KeyRecord& key,
                        const VersionRecord& version) {
  if (key.custody == Custody::kHardware) return {};
  const bool derived = key.custody == Custody::kDerived;
  KEYWARD_ASSIGN(
      const SecretBytes seed,
      derived ? DeriveSeed(transport, key.name, version.number, version.reference)
              : custodian.sealer().Unseal(version.reference, SealContext(key.name, version.id)));
  if (derived) std::printf("salt-%s %s\n", key.name.c_str(), ToHex(version.reference).c_str());
  Print("seed-" + key.name, seed);
  return {};
}

Result<void> RevealSeeds(Custodian& custodian, const SecretBytes& transport, Store& store) {
  KEYWARD_ASSIGN(const StoredState state, store.Load());
  for (const VersionRecord& version : state.versions) {
    for (const KeyRecord& key : state.keys) {
      if (key.name != version.key || version.reference.empty()) continue;
      KEYWARD_TRY(RevealSeed(custodian, transport, key, version));
    }
  }
  return {};
}

Result<void> Reveal(const std::string& config, const std::string& directory) {
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(config, policy::kMaxSecurityYaml));
  KEYWARD_ASSIGN(const policy::Policy settings,
                 policy::ReadSecurityYaml(text, policy::SystemNames()));
  KEYWARD_ASSIGN(const std::optional<MasterRecord> record,
                 ReadMasterRecord(directory + "/" + kMasterFile));
  if (!record) return Fail(ErrorCode::kNotInitialised, "there is no master key");
  SystemRng rng;
  KEYWARD_ASSIGN(const std::unique_ptr<Custodian> custodian, Connect(settings, directory, rng));
  KEYWARD_ASSIGN(Subkeys keys, RevealMaster(*custodian, directory, *record));
  KEYWARD_ASSIGN(const std::unique_ptr<Store> store,
                 Store::Open(directory + "/state.db", std::move(keys.store), rng));
  return RevealSeeds(*custodian, keys.transport, *store);
}

}  // namespace
}  // namespace keyward

int main(int argc, char** argv) {
  if (argc != 3 || sodium_init() < 0) return 2;
  const keyward::Result<void> revealed = keyward::Reveal(argv[1], argv[2]);
  if (revealed) return 0;
  static_cast<void>(std::fprintf(stderr, "%s %s\n", revealed.error().message().c_str(),
                                 revealed.error().cause().c_str()));
  return 1;
}
