// The stored state of a keyd that does not run, opened as keyd opens it: for the programs that look
// into it for a test.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/custodian.h"
#include "core/rng.h"
#include "keyd/master_key.h"
#include "keyd/store.h"

namespace keyward::testing_support {

struct OpenedState {
  std::map<std::string, std::unique_ptr<Custodian>> custodians;  // that the settings name
  MasterKey master;
  std::unique_ptr<Store> store;
  StoredState state;
};

// `config` is a security.yaml, `directory` the state directory; `rng` outlives what is given.
Result<OpenedState> OpenState(const std::string& config, const std::string& directory, Rng& rng);

// Of a version whose custody is sealed or derived. Errors: those of the custodian.
Result<SecretBytes> SeedOf(OpenedState& opened, const KeyRecord& key, const VersionRecord& version);

}  // namespace keyward::testing_support
