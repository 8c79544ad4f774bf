// The rows of the store, as the rest of keyd sees them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/chain.h"
#include "core/algorithm.h"
#include "core/clock.h"
#include "core/public_key.h"
#include "core/revocation_list.h"
#include "core/signer.h"
#include "keyd/version_state.h"

namespace keyward {

struct KeyRecord {
  std::string name;
  Algorithm algorithm;
  Custody custody;
  std::string custodian;  // "hsm", "tpm"; custody derived: empty
  uint32_t next_version;  // the number that the next version gets
};

struct VersionRecord {
  std::string key;
  uint32_t number;  // from 1, never used again
  KeyId id;
  VersionState state;
  Bytes spki;  // empty until the custodian has made it
  // Custody hardware: the KeyReference; sealed: the Sealer's blob; derived: the salt.
  Bytes reference;
  WallTime created;
  std::optional<WallTime> activated = std::nullopt;  // when it became the active one
  std::optional<WallTime> retire_at = std::nullopt;  // retiring: when its grace period ends
  uint64_t uses = 0;  // signatures, as of the last time that they were written down
  std::optional<WallTime> revoked = std::nullopt;  // also of one that was destroyed afterwards
};

struct VersionUses {
  KeyId id;
  uint64_t uses;
};

struct ModuleRecord {
  std::string name;
  std::string key;
};

struct PeerRecord {
  std::string name;
  Bytes spki;
};

// A public key that nothing is enrolled with, and no session made with, any more.
struct RevocationRecord {
  Revocation revocation;
  Bytes issuer;  // fingerprint of who signed the list it came with; empty when it was revoked here
};

struct StoredState {
  std::vector<KeyRecord> keys;
  std::vector<VersionRecord> versions;
  std::vector<ModuleRecord> modules;
  std::vector<PeerRecord> peers;
  std::vector<RevocationRecord> revocations;  // but for the versions' own
  // A record that the audit log had; nothing before its first.
  std::optional<audit::Head> audit_head = std::nullopt;
  bool audit_tail = false;  // that log has a tail on disk: see audit_tail.h
  // That keys had aged by when it was written down last.
  std::optional<WallTime> lifecycle_time = std::nullopt;
};

}  // namespace keyward
