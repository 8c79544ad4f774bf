#include "keyd/backup/backup_service.h"

#include <unistd.h>

#include <array>
#include <map>
#include <set>
#include <utility>

#include "core/encoding.h"
#include "keyd/ask.h"
#include "keyd/audit_events.h"
#include "keyd/backup/gathering.h"
#include "keyd/backup/manifest.h"
#include "keyd/backup/restore.h"
#include "keyd/log.h"
#include "keyd/version.h"

namespace keyward::backup {
namespace {

constexpr size_t kProbeSize = 32;  // as the private half of an Ed25519 key

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

// What is still being made is in no backup, and neither is what a sealed version is sealed as, or a
// derived one derived with.
StoredState ForBackup(StoredState state) {
  std::set<std::string> in_hardware;
  for (const KeyRecord& key : state.keys) {
    if (key.custody == Custody::kHardware) in_hardware.insert(key.name);
  }
  std::erase_if(state.versions, [](const VersionRecord& version) {
    return version.spki.empty();  // announced, and not made yet
  });
  std::set<std::string> with_versions;
  for (VersionRecord& version : state.versions) {
    with_versions.insert(version.key);
    if (!in_hardware.contains(version.key)) version.reference.clear();
  }
  std::erase_if(state.keys,
                [&](const KeyRecord& key) { return !with_versions.contains(key.name); });
  return state;
}

// For each custodian that has sealed a key: a version that it can open.
std::map<std::string, VersionRecord> SealedBy(const StoredState& state) {
  std::map<std::string, std::string> custodians;  // by key
  for (const KeyRecord& key : state.keys) {
    if (key.custody == Custody::kSealed) custodians[key.name] = key.custodian;
  }
  std::map<std::string, VersionRecord> sealed;
  for (const VersionRecord& version : state.versions) {
    const auto custodian = custodians.find(version.key);
    if (custodian == custodians.end() || !CanSign(version) || version.spki.empty()) continue;
    sealed.emplace(custodian->second, version);
  }
  return sealed;
}

// Runs on a thread of the custodian. Hardware makes a key to seal with when it first seals, so it
// is asked to only once it has opened what it sealed before.
Result<void> ProveSealing(Custodian& custodian, const VersionRecord& known, Rng& rng) {
  KEYWARD_TRY(custodian.sealer().Unseal(known.reference, SealContext(known.key, known.id)));
  KEYWARD_ASSIGN(const SecretBytes probe, SecretBytes::Random(kProbeSize, rng));
  const Bytes context = ToBytes(AsBytes("keyward probe of a backup drill"));
  KEYWARD_TRY(SealAndOpen(custodian, probe, context));
  return {};
}

}  // namespace

// A backup on its way.
struct BackupService::Draft {
  // Has the keys of the content and of its MAC.
  struct Filling {
    NewEnvelope envelope;
    ContentWriter writer;

    Sink ToEnvelope() {
      return [this](ByteView plaintext) { return envelope.Write(plaintext); };
    }
  };

  std::vector<RecoveryCertificate> recipients;
  Manifest manifest;
  std::shared_ptr<HeldSecret<Filling>> filling = nullptr;  // while the service key signs
  BackupDigest digest{};
};

void BackupService::Create(ByteView pem, uint32_t caller,
                           const std::function<void(Result<MadeBackup>)>& give) {
  const Created done = [this, caller, give](Result<MadeBackup> made) {
    give(Told(caller, std::move(made)));
  };
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) return done(Fail(vault.error()));
  Result<std::vector<RecoveryCertificate>> parsed = RecoveryCertificate::FromPem(pem);
  if (!parsed) return done(Fail(parsed.error()));
  const Result<StoredState> state = (*vault)->Load();
  if (!state) return done(Fail(state.error()));
  auto draft = std::make_shared<Draft>(Draft{.recipients = std::move(*parsed),
                                             .manifest = {.id = {},
                                                          .created = daemon_.clock.Now(),
                                                          .epoch = (*vault)->epoch(),
                                                          .service = (*vault)->backup().service,
                                                          .host = HostName(),
                                                          .keyd = kVersionText,
                                                          .master = (*vault)->backup().master,
                                                          .state = ForBackup(*state)}});
  daemon_.rng.Fill(draft->manifest.id);
  Result<Secrets> derived = DeriveSecrets((*vault)->transport_key(), *state);
  if (!derived) return done(Fail(derived.error()));
  GatherSecrets({daemon_.pools, daemon_.post, caller, (*vault)->Hold(std::move(*derived))}, *state,
                [this, draft, done](const Result<Secrets>& secrets) {
                  if (!secrets) return done(Fail(secrets.error()));
                  Fill(draft, *secrets, done);
                });
}

Result<MadeBackup> BackupService::Told(uint32_t caller, Result<MadeBackup> made) {
  constexpr auto kKind = audit::EventKind::kBackupCreate;
  if (!made) {
    daemon_.audit.RecordRefusal(MakeEvent(kKind, caller, ""), made.error());
    return made;
  }
  const audit::Event event = MakeEvent(kKind, caller, ToHex(made->manifest.id));
  KEYWARD_TRY(daemon_.audit.Record(event));
  if (const Result<void> noted = NoteLatest(*made); !noted) {
    daemon_.audit.RecordDone(Failed(event, noted.error()));
    return Fail(noted.error());
  }
  return made;
}

Result<void> BackupService::NoteLatest(const MadeBackup& made) {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  return WriteLatest(directory_, {made.manifest.id, made.manifest.created, made.digest},
                     vault->backup().key);
}

Result<BackupDigest> BackupService::WriteBody(Draft& draft, const Secrets& secrets) {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  if (vault->epoch() != draft.manifest.epoch) {
    return Fail(Error(ErrorCode::kBusy, "keys were changed while the backup was made: repeat it")
                    .WithRetryAfter(100));
  }
  KEYWARD_TRY(CheckPairs(draft.manifest, secrets));
  KEYWARD_TRY(CheckReadable(draft.manifest));
  KEYWARD_ASSIGN(NewEnvelope envelope, NewEnvelope::Create(draft.recipients));
  KEYWARD_ASSIGN(ContentWriter writer, ContentWriter::Create(daemon_.rng));
  Draft::Filling filling{std::move(envelope), std::move(writer)};
  KEYWARD_ASSIGN(draft.digest,
                 filling.writer.WriteBody(draft.manifest, secrets, filling.envelope.header(),
                                          filling.ToEnvelope()));
  draft.filling = vault->Hold(std::move(filling));
  return draft.digest;
}

void BackupService::Fill(const std::shared_ptr<Draft>& draft, const Secrets& secrets,
                         const Created& done) {
  const Result<BackupDigest> digest = WriteBody(*draft, secrets);
  if (!digest) return done(Fail(digest.error()));
  daemon_.vault->service_key().Sign(StatementOf(*digest),
                                    [this, draft, done](const Result<ServiceKey::Signed>& made) {
                                      if (!made) return done(Fail(made.error()));
                                      done(Finish(*draft, {made->key.spki(), made->signature}));
                                    });
}

Result<MadeBackup> BackupService::Finish(Draft& draft, const Seal& seal) {
  KEYWARD_ASSIGN(Vault* const vault, daemon_.Unsealed());
  const SecretBytes& key = vault->backup().key;
  KEYWARD_ASSIGN(const BackupDigest origin, OriginOf(draft.digest, key));
  KEYWARD_ASSIGN(Bytes der, draft.filling->With([&](Draft::Filling& filling) -> Result<Bytes> {
    KEYWARD_TRY(filling.writer.WriteTrailer(origin, seal, filling.ToEnvelope()));
    return filling.envelope.Finish();
  }));
  for (const RecoveryCertificate& recipient : draft.recipients) {
    Log(LogLevel::kNotice, "backup {} made for certificate {}", ToHex(draft.manifest.id),
        ToHex(recipient.Fingerprint()));
  }
  return MadeBackup{std::move(der), std::move(draft.manifest), draft.digest};
}

// What can be said without the hardware.
Result<BackupStanding> BackupService::Judge(const BackupClaim& claim, uint32_t caller) {
  audit::Event event = MakeEvent(audit::EventKind::kBackupCheck, caller, "");
  event.detail = {{"digest", audit::SafeText(ToHex(claim.digest))}};
  const Result<Vault*> vault = daemon_.Unsealed();
  if (!vault) {
    daemon_.audit.RecordRefusal(event, vault.error());
    return Fail(vault.error());
  }
  KEYWARD_ASSIGN(const BackupDigest own, OriginOf(claim.digest, (*vault)->backup().key));
  BackupStanding standing{};
  standing.is_own = EqualHashes(own, claim.origin);
  event.detail.push_back({"own", uint64_t{standing.is_own ? 1U : 0U}});
  KEYWARD_TRY(daemon_.audit.Record(event));
  if (Result<std::optional<LatestBackup>> latest = Latest()) {
    standing.latest = *latest;
  } else {
    LogError("which backup is the latest is not known", latest.error());
  }
  return standing;
}

void BackupService::Check(const BackupClaim& claim, uint32_t caller,
                          const std::function<void(Result<BackupStanding>)>& done) {
  Result<BackupStanding> judged = Judge(claim, caller);
  if (!judged) return done(Fail(judged.error()));
  Vault& vault = *daemon_.vault;
  const Result<StoredState> state = vault.Load();
  if (!state) return done(Fail(state.error()));
  auto standing = std::make_shared<BackupStanding>(std::move(*judged));
  auto left = std::make_shared<size_t>(1);
  const auto one_done = [standing, left, done] {
    if (--*left == 0) done(std::move(*standing));
  };
  const std::map<std::string, VersionRecord> sealed = SealedBy(*state);
  for (const auto& [name, pool] : daemon_.pools) {
    if (!pool->configured()) continue;
    const auto version = sealed.find(name);
    if (version == sealed.end()) {
      standing->proofs.push_back({name, std::nullopt});
      continue;
    }
    ++*left;
    Ask<void>(
        *pool, caller, daemon_.post,
        [&rng = daemon_.rng, held = vault.Hold(version->second)](Custodian& custodian) {
          return held->With(
              [&](const VersionRecord& known) { return ProveSealing(custodian, known, rng); });
        },
        [standing, name = name, one_done](const Result<void>& proved) {
          standing->proofs.push_back({name, proved});
          one_done();
        });
  }
  one_done();
}

Result<std::optional<LatestBackup>> BackupService::Latest() const {
  KEYWARD_ASSIGN(const Vault* const vault, daemon_.Unsealed());
  return ReadLatest(directory_, vault->backup().key);
}

}  // namespace keyward::backup
