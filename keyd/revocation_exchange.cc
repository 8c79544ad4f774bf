#include "keyd/revocation_exchange.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "keyd/audit_events.h"
#include "keyd/log.h"
#include "policy/name_rules.h"

namespace keyward {
namespace {

RevocationRecord RecordOf(const KeyVersion& version, WallTime at) {
  return {{.fingerprint = version.public_key().Fingerprint(),
           .name = version.key().name,
           .version = version.number(),
           .at = at},
          {}};
}

bool IsOwn(Vault& vault, const PublicKey& signer) {
  const Key* own = vault.keys().Find(policy::kServiceKeyName);
  return own != nullptr && std::ranges::any_of(own->versions, [&](const auto& version) {
           return version->public_key().Fingerprint() == signer.Fingerprint();
         });
}

}  // namespace

Result<std::vector<RevocationRecord>> RevocationExchange::List() const {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  std::vector<RevocationRecord> records;
  for (const auto& [name, key] : vault->keys().keys()) {
    for (const std::shared_ptr<KeyVersion>& version : key.versions) {
      if (const auto at = version->revoked()) records.push_back(RecordOf(*version, *at));
    }
  }
  const std::vector<RevocationRecord>& others = vault->registry().revocations();
  records.insert(records.end(), others.begin(), others.end());
  return records;
}

void RevocationExchange::Export(uint32_t caller, const ExportDone& give) {
  const Result<std::vector<RevocationRecord>> records = List();
  if (!records) return give(Fail(records.error()));
  audit::Event event = MakeEvent(audit::EventKind::kListExport, caller, {});
  event.detail = {{"epoch", daemon_.vault->journal().epoch()}};
  const ExportDone done = [&trail = daemon_.audit, event, give](Result<Exported> exported) {
    if (!exported) {
      trail.RecordRefusal(event, exported.error());
    } else if (const Result<void> told = trail.Record(event); !told) {
      exported = Fail(told.error());
    }
    give(std::move(exported));
  };
  Vault& vault = *daemon_.vault;
  RevocationList list{
      .issued = vault.keys().Now(), .epoch = vault.journal().epoch(), .revocations = {}};
  for (const RevocationRecord& record : *records) {
    if (record.issuer.empty()) list.revocations.push_back(record.revocation);
  }
  std::string composed = Compose(list);
  Bytes statement = ToBytes(AsBytes(composed));
  vault.service_key().Sign(
      std::move(statement), [composed, done](const Result<ServiceKey::Signed>& made) {
        if (!made) return done(Fail(made.error()));
        std::string text = WithSignature(composed, made->signature, made->key);
        if (text.size() > kMaxRevocationList) {
          return done(Fail(ErrorCode::kTooLarge, "the revocation list is over 4 MiB"));
        }
        done(Exported{std::move(text), made->key});
      });
}

void RevocationExchange::Import(std::string_view text, const PublicKey& signer, uint32_t caller,
                                const ImportDone& done) {
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  const auto refuse = [&](const Error& why) {
    daemon_.audit.RecordRefusal(ListImport(caller, signer.Fingerprint()), why);
    done(Fail(why));
  };
  const Result<RevocationList> list = ReadRevocationList(text, signer);
  if (!list) return refuse(list.error());
  if (IsOwn(**vault, signer)) {
    return refuse({ErrorCode::kInvalidArgument,
                   "this service signed the list itself, and has what is in it: it is for other "
                   "hosts to import"});
  }
  Registry& registry = (*vault)->registry();
  const auto added = std::make_shared<uint32_t>(0);
  const auto tell = [added, done](const Result<uint32_t>& ended) {
    if (!ended) return done(Fail(ended.error()));
    Log(LogLevel::kNotice, "{} revocations imported", *added);
    done(Imported{*added, *ended});
  };
  JointOutcome::Of(tell, [&](JointOutcome& joint) {
    const size_t before = registry.revocations().size();
    registry.Import(list->revocations, signer.Fingerprint(), caller, joint.Part());
    *added = static_cast<uint32_t>(registry.revocations().size() - before);
    joint.CountEnded(EndWithRevokedPeers(registry));
    RevokeVersions((*vault)->keys(), registry, caller, joint);
  });
}

uint32_t RevocationExchange::EndWithRevokedPeers(const Registry& registry) {
  uint32_t ended = 0;
  for (const auto& [name, key] : registry.peers()) {
    if (!registry.IsRevoked(key)) continue;
    ended += admin_.EndSessionsWith(name, Error(ErrorCode::kRevoked, "the peer's key was revoked"));
  }
  return ended;
}

// A key that a list names may be kept here too: restored from the same backup, say.
void RevocationExchange::RevokeVersions(const KeyRing& keys, const Registry& registry,
                                        uint32_t caller, JointOutcome& joint) {
  std::vector<std::pair<std::string, uint32_t>> listed;
  for (const auto& [name, key] : keys.keys()) {
    for (const std::shared_ptr<KeyVersion>& version : key.versions) {
      if (!version->revoked() && registry.IsRevoked(version->public_key())) {
        listed.emplace_back(name, version->number());
      }
    }
  }
  for (const auto& [name, number] : listed) {
    admin_.RevokeKey(name, number, caller, joint.PartThatEnds());
  }
}

}  // namespace keyward
