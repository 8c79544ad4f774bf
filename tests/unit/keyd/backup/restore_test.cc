#include "keyd/backup/restore.h"

#include "keyd/key_version.h"
#include "tests/fakes/fake_custodian.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/keyd/backup/backup_fixture.h"

namespace keyward::backup {
namespace {

using enum VersionState;
using testing_support::FailsWith;
using testing_support::SampleBackup;

class RestoreTest : public ::testing::Test {
 protected:
  void Configure(const std::string& name, fakes::FakeHardware& hardware) {
    pools_[name] =
        std::make_unique<CustodianPool>(name, [&hardware] { return hardware.Make(); }, 1, clock_);
  }
  GeneratedKey MakeIn(fakes::FakeHardware& hardware, uint8_t id,
                      Algorithm algorithm = Algorithm::kEcdsaP256) {
    return hardware.Make().value()->signer().GenerateKey(algorithm, SampleBackup::Id(id)).value();
  }
  Result<Restoration> Restore(const std::string& master = "hsm") {
    KEYWARD_ASSIGN(const Content content, sample_.Content());
    return SealAnew(content, pools_, master);
  }
  // What the sealed version opens to in that hardware.
  Result<SecretBytes> Opened(fakes::FakeHardware& hardware, const VersionRecord& version) {
    KEYWARD_ASSIGN(const std::unique_ptr<Custodian> custodian, hardware.Make());
    return custodian->sealer().Unseal(version.reference, SealContext(version.key, version.id));
  }

  testing_support::FakeClock clock_;
  fakes::FakeHardware here_;
  fakes::FakeHardware elsewhere_;
  KeyRingPools pools_;
  SampleBackup sample_;
};

TEST_F(RestoreTest, SealsWithTheNewHardwareUnderTheSameNameAndId) {
  Configure("hsm", here_);
  sample_.AddSealed("frontend", 10, {kRevoked, kRetiring, kActive, kPending})
      .AddModule("web", "frontend");
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  ASSERT_EQ(restored.state.versions.size(), 4U);
  EXPECT_TRUE(restored.state.versions[0].reference.empty());
  for (const size_t at : {1U, 2U, 3U}) {
    const VersionRecord& version = restored.state.versions[at];
    ASSERT_OK_AND_ASSIGN(const SecretBytes seed, Opened(here_, version));
    EXPECT_TRUE(seed.Equals(sample_.secrets().at(version.id).RevealSecret()));
    EXPECT_EQ(version.state, sample_.manifest().state.versions[at].state);
  }
  EXPECT_EQ(restored.state.keys[0].next_version, 5U);
  EXPECT_EQ(restored.state.modules.size(), 1U);
  EXPECT_EQ(restored.state.peers.size(), 1U);
  EXPECT_TRUE(restored.left_out.empty());
}

TEST_F(RestoreTest, WithoutItsKindOfHardwareAKeyGoesWhereTheMasterKeyGoes) {
  Configure("tpm", here_);
  sample_.AddSealed("frontend", 10, {kActive});
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore("tpm"));
  EXPECT_EQ(restored.state.keys[0].custodian, "tpm");
  EXPECT_OK(Opened(here_, restored.state.versions[0]));
}

TEST_F(RestoreTest, AKeyStaysWithItsKindOfHardware) {
  Configure("tpm", elsewhere_);
  Configure("hsm", here_);
  sample_.AddSealed("frontend", 10, {kActive});
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore("tpm"));
  EXPECT_EQ(restored.state.keys[0].custodian, "hsm");
  EXPECT_OK(Opened(here_, restored.state.versions[0]));
}

// Another master key makes other seeds of any salt.
TEST_F(RestoreTest, ADerivedKeyBecomesASealedOneOfTheMasterKeysHardware) {
  Configure("tpm", elsewhere_);
  Configure("hsm", here_);
  sample_.AddDerived("frontend", 10, {kDestroyed, kRetiring, kActive}).AddModule("web", "frontend");
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore("tpm"));
  ASSERT_EQ(restored.state.keys.size(), 1U);
  EXPECT_EQ(restored.state.keys[0].custody, Custody::kSealed);
  EXPECT_EQ(restored.state.keys[0].custodian, "tpm");
  EXPECT_EQ(restored.state.keys[0].next_version, 4U);
  ASSERT_EQ(restored.state.versions.size(), 3U);
  EXPECT_TRUE(restored.state.versions[0].reference.empty());
  for (const size_t at : {1U, 2U}) {
    const VersionRecord& version = restored.state.versions[at];
    EXPECT_EQ(version.spki, sample_.manifest().state.versions[at].spki);
    ASSERT_OK_AND_ASSIGN(const SecretBytes seed, Opened(elsewhere_, version));
    EXPECT_TRUE(seed.Equals(sample_.secrets().at(version.id).RevealSecret()));
  }
  EXPECT_EQ(restored.state.modules.size(), 1U);
  EXPECT_TRUE(restored.left_out.empty());
}

TEST_F(RestoreTest, ADerivedKeyWithoutItsSeedIsRefused) {
  Configure("hsm", here_);
  sample_.AddDerived("frontend", 10, {kActive});
  sample_.secrets().clear();
  EXPECT_THAT(Restore(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(RestoreTest, AHardwareKeyOfOtherHardwareComesBackAsDestroyedAndNobodysIdentity) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 30, MakeIn(elsewhere_, 30))
      .AddSealed("frontend", 10, {kActive})
      .AddModule("nginx", "web")
      .AddModule("agent", "frontend");
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  ASSERT_EQ(restored.left_out.size(), 1U);
  EXPECT_EQ(restored.left_out[0].key, "web");
  EXPECT_EQ(restored.left_out[0].state, kActive);
  ASSERT_EQ(restored.state.versions.size(), 2U);
  EXPECT_EQ(restored.state.versions[0].state, kDestroyed);
  EXPECT_TRUE(restored.state.versions[0].reference.empty());
  EXPECT_EQ(restored.state.versions[1].state, kActive);
  ASSERT_EQ(restored.unenrolled.size(), 1U);
  EXPECT_EQ(restored.unenrolled[0].name, "nginx");
  ASSERT_EQ(restored.state.modules.size(), 1U);
  EXPECT_EQ(restored.state.modules[0].name, "agent");
}

TEST_F(RestoreTest, AKeyOfHardwareThatIsNotConfiguredWaitsForNoHardware) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 30, MakeIn(elsewhere_, 30), "tpm");
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  EXPECT_EQ(restored.state.keys[0].custodian, "hsm");
  EXPECT_EQ(restored.state.versions[0].state, kDestroyed);
}

TEST_F(RestoreTest, AHardwareKeyThatThisHardwareHasComesBack) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 30, MakeIn(here_, 30)).AddModule("nginx", "web");
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  EXPECT_TRUE(restored.left_out.empty());
  ASSERT_EQ(restored.state.versions.size(), 1U);
  EXPECT_FALSE(restored.state.versions[0].reference.empty());
  EXPECT_EQ(restored.state.modules.size(), 1U);
}

// Under the id of the backup's there may be any key.
TEST_F(RestoreTest, AnotherHardwareKeyUnderTheSameReferenceIsNotTakenForIt) {
  Configure("hsm", here_);
  GeneratedKey lost = MakeIn(elsewhere_, 30);
  lost.reference = MakeIn(here_, 31).reference;
  sample_.AddHardware("web", 30, lost);
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  EXPECT_EQ(restored.state.versions[0].state, kDestroyed);
  EXPECT_EQ(restored.left_out.size(), 1U);
}

TEST_F(RestoreTest, WhatCannotBeAskedIsNotTakenForLost) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 30, MakeIn(here_, 30));
  here_.SetAvailable(false);
  EXPECT_THAT(Restore(), FailsWith(ErrorCode::kCustodianUnavailable));
}

TEST_F(RestoreTest, AHardwareKeyWhoseActiveVersionIsGoneDoesNotComeBackAsItsOldOne) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 30, MakeIn(here_, 30));
  StoredState& state = sample_.manifest().state;
  state.versions[0].state = kRetiring;
  state.keys[0].next_version = 3;
  const GeneratedKey lost = MakeIn(elsewhere_, 31);
  state.versions.push_back({"web", 2, SampleBackup::Id(31), kActive, lost.public_key.spki(),
                            lost.reference, WallTime()});
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  ASSERT_EQ(restored.state.versions.size(), 2U);
  EXPECT_EQ(restored.state.versions[0].state, kDestroyed);
  EXPECT_EQ(restored.state.versions[1].state, kDestroyed);
  EXPECT_EQ(restored.left_out.size(), 2U);
}

TEST_F(RestoreTest, AHardwareVersionThatIsGoneDoesNotTakeTheActiveOneAlong) {
  Configure("hsm", here_);
  sample_.AddHardware("web", 31, MakeIn(here_, 31)).AddModule("nginx", "web");
  StoredState& state = sample_.manifest().state;
  state.keys[0].next_version = 3;
  const GeneratedKey lost = MakeIn(elsewhere_, 30);
  state.versions.push_back({"web", 2, SampleBackup::Id(30), kRetiring, lost.public_key.spki(),
                            lost.reference, WallTime()});
  ASSERT_OK_AND_ASSIGN(const Restoration restored, Restore());
  EXPECT_EQ(restored.state.versions[0].state, kActive);
  EXPECT_EQ(restored.state.versions[1].state, kDestroyed);
  EXPECT_EQ(restored.state.modules.size(), 1U);
}

TEST_F(RestoreTest, EachPrivateHalfBelongsToItsPublicHalf) {
  Configure("hsm", here_);
  sample_.AddSealed("frontend", 10, {kActive});
  sample_.secrets().begin()->second = SampleBackup::Seed(99);
  const Result<Restoration> restored = Restore();
  ASSERT_THAT(restored, FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(restored.error().message(), ::testing::HasSubstr("'frontend' version 1"));
}

TEST_F(RestoreTest, AMissingOrSupernumeraryPrivateHalfIsRefused) {
  Configure("hsm", here_);
  sample_.AddSealed("frontend", 10, {kRevoked, kActive});
  sample_.secrets().emplace(SampleBackup::Id(10), SampleBackup::Seed(10));  // of the revoked one
  EXPECT_THAT(Restore(), FailsWith(ErrorCode::kMalformed));
  sample_.secrets().erase(SampleBackup::Id(10));
  sample_.secrets().emplace(SampleBackup::Id(50), SampleBackup::Seed(50));  // of none
  EXPECT_THAT(Restore(), FailsWith(ErrorCode::kMalformed));
  sample_.secrets().clear();
  EXPECT_THAT(Restore(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(RestoreTest, NeedsTheHardwareThatItIsFor) {
  Configure("hsm", here_);
  EXPECT_THAT(Restore("tpm"), FailsWith(ErrorCode::kConfiguration));
}

}  // namespace
}  // namespace keyward::backup
