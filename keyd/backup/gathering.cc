#include "keyd/backup/gathering.h"

#include <set>
#include <utility>

#include "keyd/ask.h"
#include "keyd/backup/restore.h"

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
    if (secrets_.size() == sealed_.size()) return done_(std::move(secrets_));
    const Sealed& next = sealed_[secrets_.size()];
    Ask<SecretBytes>(
        next.pool, parts_.caller, parts_.post,
        [version = next.version](Custodian& custodian) {
          return custodian.sealer().Unseal(version.reference, SealContext(version.key, version.id));
        },
        [self = shared_from_this()](Result<SecretBytes> secret) { self->Take(std::move(secret)); });
  }

 private:
  void Take(Result<SecretBytes> secret) {
    const VersionRecord& version = sealed_[secrets_.size()].version;
    if (!secret) return done_(Fail(CannotOpen(version, secret.error())));
    secrets_.emplace(version.id, std::move(*secret));
    Next();
  }

  const GatheringParts parts_;
  const std::vector<Sealed> sealed_;
  const std::function<void(Result<Secrets>)> done_;
  Secrets secrets_;
};

}  // namespace

void GatherSecrets(const GatheringParts& parts, const StoredState& state,
                   std::function<void(Result<Secrets>)> done) {
  std::map<std::string, CustodianPool*> pools;  // of sealed keys
  for (const KeyRecord& key : state.keys) {
    if (key.custody == Custody::kSealed) pools[key.name] = parts.pools.at(key.custodian).get();
  }
  std::vector<Sealed> sealed;
  for (const VersionRecord& version : state.versions) {
    const auto pool = pools.find(version.key);
    if (pool == pools.end() || !CanSign(version) || version.spki.empty()) continue;
    sealed.push_back({version, *pool->second});
  }
  std::make_shared<Gathering>(parts, std::move(sealed), std::move(done))->Next();
}

}  // namespace keyward::backup
