#include "keyd/backup/restore.h"

#include <algorithm>
#include <set>
#include <utility>

#include "keyd/ask.h"
#include "keyd/ed25519_seed.h"
#include "policy/name_rules.h"

namespace keyward::backup {
namespace {

using VersionsByKey = std::map<std::string, std::vector<const VersionRecord*>>;

VersionsByKey ByKey(const StoredState& state) {
  VersionsByKey versions;
  for (const VersionRecord& version : state.versions) versions[version.key].push_back(&version);
  return versions;
}

Result<void> CheckPair(const VersionRecord& version, const SecretBytes& secret) {
  const Result<Ed25519Pair> pair = PairOfSeed(secret);
  if (pair && pair->public_key.spki() == version.spki) return {};
  return Fail(ErrorCode::kDataCorrupt, "the private half of key '" + version.key + "' version " +
                                           std::to_string(version.number) +
                                           " is another key's: the backup cannot be restored");
}

Result<CustodianPool*> PoolOf(KeyRingPools& pools, const std::string& custodian) {
  const auto found = pools.find(custodian);
  if (found != pools.end() && found->second->configured()) return found->second.get();
  return Fail(ErrorCode::kConfiguration, "security.yaml configures no '" + custodian + "'");
}

// Whether this hardware signs with that very key. Errors: those that may pass.
Result<bool> IsHere(CustodianPool& pool, const VersionRecord& version) {
  const Bytes probe = ToBytes(AsBytes("keyward probe of a restored key"));
  const Result<Bytes> signature = AskAndWait<Bytes>(pool, [&](Custodian& custodian) {
    return custodian.signer().Sign(version.reference, probe);
  });
  if (signature) {
    KEYWARD_ASSIGN(const PublicKey key, PublicKey::FromSpki(version.spki));
    return key.Verify(probe, *signature).has_value();
  }
  const ErrorCode code = signature.error().code();
  if (code == ErrorCode::kNotFound || code == ErrorCode::kDataCorrupt) return false;
  return Fail(signature.error());
}

class Restorer {
 public:
  Restorer(const Content& content, KeyRingPools& pools, CustodianPool& master)
      : content_(content), pools_(pools), master_(master) {}

  Result<Restoration> Run() {
    const StoredState& from = content_.manifest.state;
    const VersionsByKey versions = ByKey(from);
    for (const KeyRecord& key : from.keys) {
      const auto found = versions.find(key.name);
      if (found == versions.end()) continue;
      KEYWARD_TRY(key.custody == Custody::kHardware ? AddHardware(key, found->second)
                                                    : AddSealed(key, found->second));
    }
    AddModules();
    to_.state.peers = from.peers;
    to_.state.revocations = from.revocations;
    return std::move(to_);
  }

 private:
  Result<void> AddSealed(KeyRecord key, const std::vector<const VersionRecord*>& versions) {
    const Result<CustodianPool*> same = PoolOf(pools_, key.custodian);
    CustodianPool& pool = same ? **same : master_;
    key.custodian = pool.name();
    key.custody = Custody::kSealed;
    for (const VersionRecord* from : versions) {
      VersionRecord version = *from;
      const auto secret = content_.secrets.find(version.id);
      if (secret != content_.secrets.end()) {
        KEYWARD_ASSIGN(version.reference, AskAndWait<Bytes>(pool, [&](Custodian& custodian) {
                         return SealAndOpen(custodian, secret->second,
                                            SealContext(version.key, version.id));
                       }));
      }
      to_.state.versions.push_back(std::move(version));
    }
    to_.state.keys.push_back(std::move(key));
    return {};
  }

  // A key comes back with its active version, or as destroyed.
  Result<void> AddHardware(KeyRecord key, const std::vector<const VersionRecord*>& versions) {
    const Result<CustodianPool*> pool = PoolOf(pools_, key.custodian);
    std::set<KeyId> gone;
    bool comes_back = pool.has_value();
    for (const VersionRecord* version : versions) {
      if (!pool || !CanSign(*version)) continue;
      KEYWARD_ASSIGN(const bool here, IsHere(**pool, *version));
      if (here) continue;
      gone.insert(version->id);
      comes_back = comes_back && version->state != VersionState::kActive;
    }
    for (const VersionRecord* version : versions) {
      if (comes_back && !gone.contains(version->id)) {
        to_.state.versions.push_back(*version);
      } else {
        AddDestroyed(*version);
      }
    }
    if (!comes_back) destroyed_.insert(key.name);
    if (!pool) key.custodian = master_.name();  // whichever keeps nothing of it
    to_.state.keys.push_back(std::move(key));
    return {};
  }

  void AddDestroyed(VersionRecord version) {
    const bool comes_anew = version.key == policy::kServiceKeyName;  // when keyd needs it
    if (CanSign(version) && !comes_anew) to_.left_out.push_back(version);
    version.state = VersionState::kDestroyed;
    version.reference.clear();
    version.retire_at.reset();
    to_.state.versions.push_back(std::move(version));
  }

  // As when an identity is destroyed: a key that is made later under its name must not become
  // anybody's identity by itself.
  void AddModules() {
    for (const ModuleRecord& module : content_.manifest.state.modules) {
      (destroyed_.contains(module.key) ? to_.unenrolled : to_.state.modules).push_back(module);
    }
  }

  const Content& content_;
  KeyRingPools& pools_;
  CustodianPool& master_;
  Restoration to_;
  std::set<std::string> destroyed_;  // keys
};

}  // namespace

bool CanSign(const VersionRecord& version) {
  return version.state == VersionState::kActive || version.state == VersionState::kRetiring ||
         version.state == VersionState::kPending;
}

Result<Bytes> SealAndOpen(Custodian& custodian, const SecretBytes& secret, const Bytes& context) {
  KEYWARD_ASSIGN(Bytes blob, custodian.sealer().Seal(secret, context));
  KEYWARD_ASSIGN(const SecretBytes opened, custodian.sealer().Unseal(blob, context));
  if (opened.Equals(secret.RevealSecret())) return blob;
  return Fail(ErrorCode::kDataCorrupt, "the hardware opens another secret than it has sealed");
}

Result<void> CheckPairs(const Manifest& manifest, const Secrets& secrets) {
  std::set<std::string> in_hardware;
  for (const KeyRecord& key : manifest.state.keys) {
    if (key.custody == Custody::kHardware) in_hardware.insert(key.name);
  }
  size_t pairs = 0;
  for (const VersionRecord& version : manifest.state.versions) {
    const auto secret = secrets.find(version.id);
    const bool needed = CanSign(version) && !in_hardware.contains(version.key);
    if (needed != (secret != secrets.end())) {
      return Fail(ErrorCode::kMalformed,
                  "the backup lacks the private half of key '" + version.key + "'");
    }
    if (!needed) continue;
    KEYWARD_TRY(CheckPair(version, secret->second));
    ++pairs;
  }
  if (pairs == secrets.size()) return {};
  return Fail(ErrorCode::kMalformed, "the backup holds a private half of no key");
}

Result<Restoration> SealAnew(const Content& content, KeyRingPools& pools,
                             const std::string& master) {
  KEYWARD_ASSIGN(CustodianPool* const pool, PoolOf(pools, master));
  KEYWARD_TRY(CheckPairs(content.manifest, content.secrets));
  return Restorer(content, pools, *pool).Run();
}

}  // namespace keyward::backup
