#include "keyd/backup/backup_service.h"

#include <algorithm>
#include <atomic>

#include "core/encoding.h"
#include "core/file.h"
#include "core/secret_memory.h"
#include "keyd/audit_events.h"
#include "keyd/backup/restore.h"
#include "policy/name_rules.h"
#include "tests/unit/keyd/backup/recovery_pair.h"
#include "tests/unit/keyd/key_ring_fixture.h"
#include "tests/unit/keyd/silent_hardware.h"

namespace keyward::backup {
namespace {

using testing_support::FailsWith;
using testing_support::RecoveryPair;

// Answers are shared, as what is in them moves only.
template <class T>
using Shared = std::shared_ptr<T>;

class BackupServiceTest : public KeyRingFixture {
 protected:
  void SetUp() override {
    KeyRingFixture::SetUp();
    ASSERT_OK_AND_ASSIGN(channels_, ChannelServer::Create(1));
    daemon_.emplace(Daemon{.clock = clock_,
                           .rng = rng_,
                           .pools = pools_,
                           .sessions = sessions_,
                           .channels = *channels_,
                           .audit = stored_.trail(),
                           .tokens = tokens_,
                           .post = [this](auto work) { posts_->Post(std::move(work)); },
                           .policy = nullptr,
                           .boot = Boot::Begin(std::nullopt, rng_)});
    service_.emplace(*daemon_, folder_.path());
  }
  void TearDown() override {
    daemon_->vault.reset();
    KeyRingFixture::TearDown();
  }
  void OpenVault() {
    stored_.Close();
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Store> store, stored_.TryOpen());
    const uint64_t epoch = store->epoch();
    ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
    stored_.MoveAudit(disk_);
    const auto confirm = [](uint64_t, const auto& done) { done({}); };
    ASSERT_OK_AND_ASSIGN(
        daemon_->vault, Vault::Create({std::move(store),
                                       state,
                                       stored_.trail(),
                                       std::chrono::hours(1),
                                       epoch,
                                       confirm,
                                       "hsm",
                                       pools_,
                                       clock_,
                                       rng_,
                                       daemon_->post,
                                       [](std::string_view) { return policy::RotationRules(); },
                                       [](const VersionChange&) {},
                                       {SecretBytes::Random(32, rng_).value(), Bytes(32, 4), "hsm"},
                                       nullptr,
                                       transport_key_}));
    ring_ = &daemon_->vault->keys();
  }
  // Bytes of secrets that there are without a vault; another is opened.
  size_t SecretsWhenSealed() {
    daemon_->vault.reset();
    const size_t used = GetSecretMemoryUse().used;
    OpenVault();
    return used;
  }
  // What the hardware and the journal have still to say.
  template <class T>
  Result<Shared<T>> Wait(const std::function<void(std::function<void(Result<T>)>)>& ask) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    ask([answer](Result<T> result) { answer->emplace(std::move(result)); });
    if (!RunUntil([&] { return answer->has_value(); })) {
      return Fail(ErrorCode::kInternal, "no answer came");
    }
    if (!**answer) return Fail((*answer)->error());
    return std::make_shared<T>(std::move(***answer));
  }
  Result<Shared<MadeBackup>> Create(const std::function<void()>& meanwhile = [] {}) {
    return Wait<MadeBackup>([&](const auto& done) {
      service_->Create(AsBytes(recovery_.CertificatePem()), kCaller, done);
      meanwhile();
    });
  }
  Result<Content> Open(const MadeBackup& backup) {
    KEYWARD_ASSIGN(OpenEnvelope envelope, OpenEnvelope::Open(backup.der, recovery_.Key()));
    KEYWARD_ASSIGN(Content content, ReadContent(envelope.header(), [&](MutableBytes out) {
                     return envelope.Read(out);
                   }));
    KEYWARD_TRY(envelope.End());
    return content;
  }
  Result<Shared<BackupStanding>> Check(const BackupClaim& claim) {
    return Wait<BackupStanding>([&](const auto& done) { service_->Check(claim, kCaller, done); });
  }

  const RecoveryPair recovery_ = RecoveryPair::Ec();
  testing_support::TempDir folder_;
  SessionTable sessions_;
  SessionTokens tokens_{sessions_, clock_};
  std::unique_ptr<ChannelServer> channels_;
  testing_support::FaultyDisk disk_;  // of the audit log
  std::optional<Daemon> daemon_;
  std::optional<BackupService> service_;
};

TEST_F(BackupServiceTest, HoldsEachSealedKeyThatCanSignAndTheRestWithoutPrivateHalf) {
  OpenVault();
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Generate(Sealed("frontend")));
  ASSERT_OK(Rotate("frontend"));
  ASSERT_OK(Generate(Sealed("old")));
  ASSERT_OK(Revoke("old", 0));
  const uint64_t epoch = daemon_->vault->epoch();
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> backup, Create());
  ASSERT_OK_AND_ASSIGN(const Content content, Open(*backup));
  EXPECT_OK(CheckPairs(content.manifest, content.secrets));
  EXPECT_EQ(content.secrets.size(), 2U);
  EXPECT_EQ(content.manifest.epoch, epoch);
  EXPECT_FALSE(content.seal.signer.empty());
  EXPECT_EQ(content.manifest.service, Bytes(32, 4));
  for (const VersionRecord& version : content.manifest.state.versions) {
    EXPECT_EQ(version.reference.empty(), version.key != "web") << version.key;
  }
}

TEST_F(BackupServiceTest, HoldsTheSeedOfADerivedKeyAndNoSalt) {
  OpenVault();
  ASSERT_OK(Generate(Derived("frontend")));
  ASSERT_OK(Rotate("frontend"));
  ASSERT_OK(Generate(Derived("old")));
  ASSERT_OK(Revoke("old", 0));
  ASSERT_OK(Generate(Sealed("backend")));
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> backup, Create());
  ASSERT_OK_AND_ASSIGN(const Content content, Open(*backup));
  EXPECT_OK(CheckPairs(content.manifest, content.secrets));
  EXPECT_EQ(content.secrets.size(), 3U);
  for (const VersionRecord& version : content.manifest.state.versions) {
    EXPECT_EQ(version.reference.empty(), version.key != policy::kServiceKeyName) << version.key;
  }
}

TEST_F(BackupServiceTest, ASealedServiceMakesAndChecksNone) {
  EXPECT_THAT(Create(), FailsWith(ErrorCode::kSealed));
  EXPECT_THAT(Check({}), FailsWith(ErrorCode::kSealed));
}

TEST_F(BackupServiceTest, ABackupThatWouldLackAKeyIsNone) {
  OpenVault();
  ASSERT_OK(Generate(Sealed("frontend")));
  hardware_.SetAvailable(false);
  const auto made = Create();
  ASSERT_THAT(made, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(made.error().message(), ::testing::HasSubstr("'frontend' version 1"));
  hardware_.SetAvailable(true);
}

TEST_F(BackupServiceTest, OneThatWasOvertakenByAChangeIsNone) {
  OpenVault();
  ASSERT_OK(Generate(Sealed("frontend")));
  EXPECT_THAT(
      Create([this] { ring_->Revoke("frontend", 0, kCaller, [](const Result<void>&) {}).value(); }),
      FailsWith(ErrorCode::kBusy));
  EXPECT_THAT(Create([this] { daemon_->vault.reset(); }), FailsWith(ErrorCode::kSealed));
}

TEST_F(BackupServiceTest, ASealWipesWhatWasGatheredAndNoFurtherKeyIsOpened) {
  OpenVault();
  for (const char* name : {"one", "two", "three"}) ASSERT_OK(Generate(Sealed(name)));
  const size_t sealed = SecretsWhenSealed();
  std::atomic<int> opened = 0;
  testing_support::SilentHardware silent;
  hooks_.unsealing = [&] {
    if (++opened != 2) return;
    posts_->Post([] {});  // for who waits for it
    silent.Hold();
  };
  EXPECT_THAT(Create([&] {
                EXPECT_TRUE(RunUntil([&] { return opened == 2; }));
                daemon_->vault.reset();
                EXPECT_EQ(GetSecretMemoryUse().used, sealed);
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(opened, 2);
  EXPECT_EQ(GetSecretMemoryUse().used, sealed);
}

TEST_F(BackupServiceTest, ASealWipesTheKeysOfABackupThatWaitsForItsSignature) {
  OpenVault();
  ASSERT_OK(Create());  // which makes the service key
  const size_t sealed = SecretsWhenSealed();
  testing_support::SilentHardware silent;
  hooks_.signed_ = [&silent] { silent.Hold(); };
  EXPECT_THAT(Create([&] {
                silent.AwaitReached();
                daemon_->vault.reset();
                EXPECT_EQ(GetSecretMemoryUse().used, sealed);
                OpenVault();
                silent.Answer();
              }),
              FailsWith(ErrorCode::kSealed));
}

TEST_F(BackupServiceTest, ABadCertificateIsRefusedBeforeAnyKeyIsOpened) {
  OpenVault();
  hardware_.SetAvailable(false);
  EXPECT_THAT(Wait<MadeBackup>([&](const auto& done) {
                service_->Create(AsBytes("no certificate"), kCaller, done);
              }),
              FailsWith(ErrorCode::kMalformed));
  hardware_.SetAvailable(true);
}

TEST_F(BackupServiceTest, KnowsItsOwnAndTheLatestOne) {
  OpenVault();
  ASSERT_OK(Generate(Sealed("frontend")));
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> first, Create());
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> second, Create());
  ASSERT_OK_AND_ASSIGN(const Content content, Open(*first));
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> standing,
                       Check({content.digest, content.origin}));
  EXPECT_TRUE(standing->is_own);
  ASSERT_TRUE(standing->latest);
  EXPECT_EQ(standing->latest->id, second->manifest.id);
  EXPECT_NE(standing->latest->id, first->manifest.id);
  ASSERT_EQ(standing->proofs.size(), 1U);
  ASSERT_TRUE(standing->proofs[0].sealed);
  EXPECT_OK(*standing->proofs[0].sealed);
  BackupDigest other = content.origin;
  other[0] ^= 1U;
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> foreign, Check({content.digest, other}));
  EXPECT_FALSE(foreign->is_own);
}

TEST_F(BackupServiceTest, HardwareThatHasSealedNothingIsNotMadeTo) {
  OpenVault();
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Generate(Sealed("revoked")));
  ASSERT_OK(Revoke("revoked", 0));
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> standing, Check({}));
  ASSERT_EQ(standing->proofs.size(), 1U);
  EXPECT_FALSE(standing->proofs[0].sealed);
}

TEST_F(BackupServiceTest, ASealKeepsACheckFromOpeningAnything) {
  OpenVault();
  ASSERT_OK(Generate(Sealed("frontend")));
  std::atomic<int> opened = 0;
  hooks_.unsealing = [&opened] { ++opened; };
  testing_support::SilentHardware silent;
  ASSERT_OK(pool().Submit(kCaller, [&silent](const Result<Custodian*>&) {
    silent.Hold();
    return Result<void>();
  }));
  silent.AwaitReached();
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> standing,
                       Wait<BackupStanding>([&](const auto& done) {
                         service_->Check({}, kCaller, done);
                         daemon_->vault.reset();
                         silent.Answer();
                       }));
  ASSERT_TRUE(standing->proofs[0].sealed);
  EXPECT_THAT(*standing->proofs[0].sealed, FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(opened, 0);
}

TEST_F(BackupServiceTest, OneThatCannotBeToldIsNeitherGivenNorTheLatest) {
  OpenVault();
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> first, Create());
  disk_.SetCapacity(disk_.Used());
  Result<void> recorded;
  while (recorded) {
    recorded = stored_.trail().Record(MakeEvent(audit::EventKind::kPolicyReload, kCaller, ""));
  }
  EXPECT_THAT(Create(), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_THAT(Check({}), FailsWith(ErrorCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const std::optional<LatestBackup> latest, service_->Latest());
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->id, first->manifest.id);
}

TEST_F(BackupServiceTest, WhoHasABackupCheckedIsTold) {
  OpenVault();
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> backup, Create());
  ASSERT_OK_AND_ASSIGN(const Content content, Open(*backup));
  ASSERT_OK(Check({content.digest, content.origin}));
  EXPECT_THAT(disk_.Contents(),
              ::testing::HasSubstr(R"("event":"backup.check","caller":1000,"module":"",)"
                                   R"("object":"","outcome":"ok","detail":{"digest":")" +
                                   ToHex(content.digest) + R"(","own":1})"));
}

TEST_F(BackupServiceTest, TellsHardwareThatCannotSeal) {
  OpenVault();
  ASSERT_OK(Generate(Sealed("frontend")));
  ASSERT_OK_AND_ASSIGN(const Shared<MadeBackup> backup, Create());
  ASSERT_OK_AND_ASSIGN(const Content content, Open(*backup));
  hardware_.SetAvailable(false);
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> standing,
                       Check({content.digest, content.origin}));
  ASSERT_TRUE(standing->proofs[0].sealed);
  EXPECT_THAT(*standing->proofs[0].sealed, FailsWith(ErrorCode::kCustodianUnavailable));
  hardware_.SetAvailable(true);
}

TEST_F(BackupServiceTest, WhatSomebodyElseWroteAsTheLatestIsNotBelieved) {
  OpenVault();
  ASSERT_OK(Create());
  const std::filesystem::path file = folder_.path() / "last-backup";
  ASSERT_OK_AND_ASSIGN(std::optional<Bytes> bytes, ReadFile(file, 1000));
  for (size_t bit = 0; bit < 8 * bytes->size(); ++bit) {
    (*bytes)[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    ASSERT_OK(ReplaceFile(file, *bytes));
    EXPECT_THAT(ReadLatest(folder_.path(), daemon_->vault->backup().key),
                FailsWith(ErrorCode::kDataCorrupt))
        << bit;
    (*bytes)[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
  }
  ASSERT_OK(ReplaceFile(file, AsBytes("of another service")));
  ASSERT_OK_AND_ASSIGN(const Shared<BackupStanding> standing, Check({}));
  EXPECT_FALSE(standing->latest);
}

}  // namespace
}  // namespace keyward::backup
