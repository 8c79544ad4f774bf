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
  Gathering(GatheringParts parts, std::vector<Sealed> sealed,
            std::function<void(Result<Secrets>)> done)
      : parts_(std::move(parts)), sealed_(std::move(sealed)), done_(std::move(done)) {}

  void Next() {
    if (gathered_ == sealed_.size()) {
      return done_(
          parts_.secrets->With([](Secrets& all) -> Result<Secrets> { return std::move(all); }));
    }
    const Sealed& next = sealed_[gathered_];
    Ask<SecretBytes>(
        next.pool, parts_.caller, parts_.post,
        [version = next.version,
         held = parts_.secrets](Custodian& custodian) -> Result<SecretBytes> {
          KEYWARD_TRY(held->CheckHeld());
          return custodian.sealer().Unseal(version.reference, SealContext(version.key, version.id));
        },
        [self = shared_from_this()](Result<SecretBytes> secret) { self->Take(std::move(secret)); });
  }

 private:
  void Take(Result<SecretBytes> secret) {
    const VersionRecord& version = sealed_[gathered_++].version;
    if (!secret) return done_(Fail(CannotOpen(version, secret.error())));
    const Result<void> taken = parts_.secrets->With([&](Secrets& all) -> Result<void> {
      all.emplace(version.id, std::move(*secret));
      return {};
    });
    if (!taken) return done_(Fail(taken.error()));
    Next();
  }

  const GatheringParts parts_;
  const std::vector<Sealed> sealed_;
  const std::function<void(Result<Secrets>)> done_;
  size_t gathered_ = 0;
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

}  // namespace

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

void GatherSecrets(const GatheringParts& parts, const StoredState& state,
                   std::function<void(Result<Secrets>)> done) {
  std::vector<Sealed> sealed;
  for (const auto& [version, key] : VersionsOf(state, Custody::kSealed)) {
    sealed.push_back({*version, *parts.pools.at(key->custodian)});
  }
  std::make_shared<Gathering>(parts, std::move(sealed), std::move(done))->Next();
}

}  // namespace keyward::backup
