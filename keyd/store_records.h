// The rows of the store, as the rest of keyd sees them.
#pragma once

#include <string>
#include <vector>

#include "core/algorithm.h"
#include "core/clock.h"
#include "core/public_key.h"
#include "core/signer.h"
#include "keyd/version_state.h"

namespace keyward {

struct KeyRecord {
  std::string name;
  Algorithm algorithm;
  Custody custody;
  std::string custodian;  // "hsm", "tpm"
  uint32_t next_version;  // the number that the next version gets
};

struct VersionRecord {
  std::string key;
  uint32_t number;  // from 1, never used again
  KeyId id;
  VersionState state;
  Bytes spki;       // empty while pending
  Bytes reference;  // custody hardware: the KeyReference; sealed: the Sealer's blob
  WallTime created;
};

struct ModuleRecord {
  std::string name;
  std::string key;
};

struct PeerRecord {
  std::string name;
  Bytes spki;
};

struct StoredState {
  std::vector<KeyRecord> keys;
  std::vector<VersionRecord> versions;
  std::vector<ModuleRecord> modules;
  std::vector<PeerRecord> peers;
};

}  // namespace keyward
