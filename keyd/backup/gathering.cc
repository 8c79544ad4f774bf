#include "keyd/backup/gathering.h"

#include <set>
#include <utility>

#include "keyd/ask.h"
#include "keyd/backup/restore.h"
#include "keyd/derived_key.h"

namespace keyward::backup {
namespace {

Error CannotOpen(const VersionRecord& version, const Error& why) {
  return Error(why.code(), "key '" + version.key + "' version " + std::to_string(version.number) +
                               " cannot be opened for the backup: " + why.message())
      .WithAction(why.action())
      .WithCause(why.cause());
}

struct Sealed {
  VersionRecord version;
  CustodianPool& pool;
};

// Keeps itself alive until it has told its outcome.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  Gathering(const GatheringParts& parts, std::vector<Sealed> sealed, Secrets secrets,
            std::function<void(Result<Secrets>)> done)
      : post_(parts.post),
        caller_(parts.caller),
        sealed_(std::move(sealed)),
        secrets_(std::move(secrets)),
        done_(std::move(done)) {}

  void Next() {
    if (next_ == sealed_.size()) return done_(std::move(secrets_));
    const Sealed& next = sealed_[next_];
    Ask<SecretBytes>(
        next.pool, caller_, post_,
        [version = next.version](Custodian& custodian) {
          return custodian.sealer().Unseal(version.reference, SealContext(version.key, version.id));
        },
        [self = shared_from_this()](Result<SecretBytes> secret) { self->Take(std::move(secret)); });
  }

 private:
  void Take(Result<SecretBytes> secret) {
    const VersionRecord& version = sealed_[next_++].version;
    if (!secret) return done_(Fail(CannotOpen(version, secret.error())));
    secrets_.emplace(version.id, std::move(*secret));
    Next();
  }

  const KeyRing::Post post_;
  const uint32_t caller_;
  const std::vector<Sealed> sealed_;
  size_t next_ = 0;
  Secrets secrets_;
  const std::function<void(Result<Secrets>)> done_;
};

// Those of `state` that can sign, of keys of that custody.
std::vector<std::pair<const VersionRecord*, const KeyRecord*>> VersionsOf(const StoredState& state,
                                                                          Custody custody) {
  std::map<std::string, const KeyRecord*> keys;
  for (const KeyRecord& key : state.keys) keys[key.name] = &key;
  std::vector<std::pair<const VersionRecord*, const KeyRecord*>> versions;
  for (const VersionRecord& version : state.versions) {
    const KeyRecord* const key = keys.at(version.key);
    if (key->custody != custody || !CanSign(version) || version.spki.empty()) continue;
    versions.emplace_back(&version, key);
  }
  return versions;
}

Result<Secrets> DeriveSecrets(const SecretBytes& transport_key, const StoredState& state) {
  Secrets secrets;
  for (const auto& [version, key] : VersionsOf(state, Custody::kDerived)) {
    Result<SecretBytes> seed =
        DeriveSeed(transport_key, key->name, version->number, version->reference);
    if (!seed) return Fail(CannotOpen(*version, seed.error()));
    secrets.emplace(version->id, std::move(*seed));
  }
  return secrets;
}

}  // namespace

void GatherSecrets(const GatheringParts& parts, const StoredState& state,
                   std::function<void(Result<Secrets>)> done) {
  Result<Secrets> derived = DeriveSecrets(parts.transport_key, state);
  if (!derived) return done(Fail(derived.error()));
  std::vector<Sealed> sealed;
  for (const auto& [version, key] : VersionsOf(state, Custody::kSealed)) {
    sealed.push_back({*version, *parts.pools.at(key->custodian)});
  }
  std::make_shared<Gathering>(parts, std::move(sealed), std::move(*derived), std::move(done))
      ->Next();
}

}  // namespace keyward::backup
