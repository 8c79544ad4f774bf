#include "tests/system/opened_state.h"

#include "hsm/hsm_factory.h"
#include "keyd/derived_key.h"
#include "keyd/key_version.h"
#include "keyd/master_home.h"
#include "keyd/master_record.h"
#include "keyd/pcr_policies.h"
#include "keyd/process.h"
#include "policy/security_yaml.h"
#include "policy/system_names.h"
#include "tpm/tpm_custodian.h"

namespace keyward::testing_support {
namespace {

Result<std::map<std::string, std::unique_ptr<Custodian>>> Connect(const policy::Policy& settings,
                                                                  const std::string& directory,
                                                                  Rng& rng) {
  std::map<std::string, std::unique_ptr<Custodian>> custodians;
  if (settings.hsm()) {
    hsm::HsmFactory factory({.module_path = settings.hsm()->module,
                             .token_label = settings.hsm()->token,
                             .pin_file = settings.hsm()->pin_file.value_or(""),
                             .pin_credential = {},
                             .state_directory = directory},
                            rng);
    KEYWARD_ASSIGN(custodians["hsm"], factory.Make());
  }
  if (settings.tpm()) {
    KEYWARD_ASSIGN(custodians["tpm"],
                   tpm::TpmCustodian::Create({settings.tpm()->tcti, directory}, rng));
  }
  return custodians;
}

}  // namespace

Result<OpenedState> OpenState(const std::string& config, const std::string& directory, Rng& rng) {
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(config, policy::kMaxSecurityYaml));
  KEYWARD_ASSIGN(const policy::Policy settings,
                 policy::ReadSecurityYaml(text, policy::SystemNames()));
  KEYWARD_ASSIGN(const std::optional<MasterRecord> record,
                 ReadMasterRecord(directory + "/" + kMasterFile));
  if (!record) return Fail(ErrorCode::kNotInitialised, "there is no master key");
  KEYWARD_ASSIGN(auto custodians, Connect(settings, directory, rng));
  if (!custodians.contains(record->custodian)) {
    return Fail(ErrorCode::kConfiguration, "the master key is in no custodian that is configured");
  }
  KEYWARD_ASSIGN(const PcrPolicies policies, PcrPolicies::Read(directory + "/pcr-policies"));
  KEYWARD_ASSIGN(SecretBytes bytes,
                 custodians.at(record->custodian)
                     ->master_sealer()
                     .UnsealMaster(record->seal, record->record, policies.all()));
  KEYWARD_ASSIGN(MasterKey master, CheckedMaster(std::move(bytes), *record));
  KEYWARD_ASSIGN(StoreKeys keys, StoreKeysOf(master, *record));
  KEYWARD_ASSIGN(std::unique_ptr<Store> store,
                 Store::Open(directory + "/state.db", std::move(keys), rng));
  KEYWARD_ASSIGN(StoredState state, store->Load());
  return OpenedState{std::move(custodians), std::move(master), std::move(store), std::move(state)};
}

Result<SecretBytes> SeedOf(OpenedState& opened, const KeyRecord& key,
                           const VersionRecord& version) {
  if (key.custody == Custody::kDerived) {
    KEYWARD_ASSIGN(const SecretBytes transport, opened.master.Derive(Subkey::kTransport));
    return DeriveSeed(transport, key.name, version.number, version.reference);
  }
  const auto custodian = opened.custodians.find(key.custodian);
  if (custodian == opened.custodians.end()) {
    return Fail(ErrorCode::kConfiguration, "no custodian of key '" + key.name + "' is configured");
  }
  return custodian->second->sealer().Unseal(version.reference, SealContext(key.name, version.id));
}

}  // namespace keyward::testing_support
