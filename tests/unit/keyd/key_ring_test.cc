#include "keyd/key_ring.h"

#include <atomic>

#include "tests/unit/keyd/key_ring_fixture.h"
#include "tests/unit/keyd/silent_hardware.h"
#include "tests/unit/keyd/write_lock.h"

namespace keyward {
namespace {

using ::testing::SizeIs;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

class KeyRingTest : public KeyRingFixture {};

// Behaviours that all custodies share.
class KeyRingCustodyTest : public KeyRingFixture, public ::testing::WithParamInterface<Custody> {
 protected:
  static KeyRecord Record() {
    if (GetParam() == Custody::kDerived) return Derived("web");
    return GetParam() == Custody::kHardware ? Hardware("web") : Sealed("web");
  }
};

INSTANTIATE_TEST_SUITE_P(Custodies, KeyRingCustodyTest,
                         ::testing::Values(Custody::kHardware, Custody::kSealed, Custody::kDerived),
                         [](const auto& custody) { return std::string(Name(custody.param)); });

// Of those whose making takes the hardware's time, in which something else can come.
class KeyMadeByHardwareTest : public KeyRingCustodyTest {};

INSTANTIATE_TEST_SUITE_P(Custodies, KeyMadeByHardwareTest,
                         ::testing::Values(Custody::kHardware, Custody::kSealed),
                         [](const auto& custody) { return std::string(Name(custody.param)); });

TEST_P(KeyRingCustodyTest, AGeneratedKeySigns) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Record()));
  EXPECT_EQ(version->number(), 1U);
  EXPECT_EQ(version->state(), VersionState::kActive);
  EXPECT_OK(SignAndVerify(version));
  EXPECT_EQ(hardware_.KeyCount(), GetParam() == Custody::kHardware ? 1U : 0U);
}

TEST_P(KeyRingCustodyTest, RotationRetiresTheOldVersionAndSignsWithTheNew) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Rotate("web"));
  EXPECT_EQ(second->number(), 2U);
  EXPECT_EQ(first->state(), VersionState::kRetiring);
  EXPECT_EQ(ring_->Find("web")->active->Get().value(), second);
  EXPECT_NE(first->public_key(), second->public_key());
  EXPECT_OK(SignAndVerify(first));  // what runs goes on
  EXPECT_OK(SignAndVerify(second));
}

TEST_P(KeyRingCustodyTest, ARevokedVersionSignsNothing) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Record()));
  ASSERT_OK(SignAndVerify(version));  // a sealed key is unsealed from here on
  EXPECT_THAT(Revoke("web", 0), IsOkAndHolds(::testing::ElementsAre(version->id())));
  EXPECT_THAT(SignAndVerify(version), FailsWith(ErrorCode::kRevoked));
  EXPECT_THAT(ring_->Find("web")->active->Get(), FailsWith(ErrorCode::kRevoked));
}

TEST_P(KeyRingCustodyTest, ADestroyedKeyIsGoneFromTheHardwareAndTheStore) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Record()));
  ASSERT_OK(Rotate("web"));
  ASSERT_OK(Destroy("web"));
  EXPECT_TRUE(ring_->Find("web")->IsDestroyed());
  EXPECT_EQ(hardware_.KeyCount(), 0U);
  for (const VersionRecord& stored : Stored().versions) {
    EXPECT_EQ(stored.state, VersionState::kDestroyed);
    EXPECT_TRUE(stored.reference.empty());
  }
  EXPECT_THAT(SignAndVerify(version), FailsWith(ErrorCode::kRevoked));
}

TEST_P(KeyRingCustodyTest, ANameWhoseKeyWasDestroyedIsFreeAndItsNumbersAreNot) {
  ASSERT_OK(Generate(Record()));
  ASSERT_OK(Destroy("web"));
  EXPECT_THAT(Rotate("web"), FailsWith(ErrorCode::kNotFound));
  Restart();
  ASSERT_OK_AND_ASSIGN(const VersionPtr again, Generate(Sealed("web")));
  EXPECT_EQ(again->number(), 2U);
  EXPECT_EQ(ring_->Find("web")->record.custody, Custody::kSealed);
  EXPECT_OK(SignAndVerify(again));
  Restart();
  EXPECT_OK(SignAndVerify(ring_->Find("web")->active->Get().value()));
}

TEST_P(KeyRingCustodyTest, OneVersionIsDestroyedAndTheOthersStay) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Rotate("web"));
  ASSERT_OK(Destroy("web", 1));
  EXPECT_EQ(first->state(), VersionState::kDestroyed);
  EXPECT_OK(SignAndVerify(second));
  EXPECT_EQ(hardware_.KeyCount(), GetParam() == Custody::kHardware ? 1U : 0U);
  Restart();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kDestroyed);
  EXPECT_OK(SignAndVerify(ring_->Find("web")->active->Get().value()));
}

TEST_P(KeyRingCustodyTest, APreparedVersionWaitsAndSignsOnceItIsActive) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Prepare("web"));
  EXPECT_EQ(second->state(), VersionState::kPending);
  EXPECT_THAT(SignAndVerify(second), FailsWith(ErrorCode::kWrongState));
  EXPECT_EQ(ring_->Find("web")->active->Get().value(), first);
  EXPECT_THAT(Prepare("web"), FailsWith(ErrorCode::kAlreadyExists));
  Restart();
  ASSERT_OK_AND_ASSIGN(const VersionPtr active, Activate("web"));
  EXPECT_EQ(active->number(), 2U);
  EXPECT_OK(SignAndVerify(active));
  EXPECT_THAT(Activate("web"), FailsWith(ErrorCode::kNotFound));
  Restart();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRetiring);
  EXPECT_EQ(ring_->Find("web")->active->Get().value()->number(), 2U);
}

TEST_F(KeyRingTest, ARotationTakesThePreparedVersion) {
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Prepare("web"));
  ASSERT_OK_AND_ASSIGN(const VersionPtr rotated, Rotate("web"));
  EXPECT_EQ(rotated->number(), 2U);
  EXPECT_EQ(hardware_.KeyCount(), 2U);
}

TEST_P(KeyRingCustodyTest, TheGracePeriodEndsByItself) {
  rules_.grace_period = std::chrono::seconds(100);
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  ASSERT_OK(Rotate("web"));
  EXPECT_THAT(ring_->Find("web")->Provable(), SizeIs(2));
  clock_.Advance(std::chrono::seconds(99));
  schedule_->Tick();
  EXPECT_OK(SignAndVerify(first));
  clock_.Advance(std::chrono::seconds(1));
  schedule_->Tick();
  EXPECT_EQ(first->state(), VersionState::kRetired);
  EXPECT_THAT(SignAndVerify(first), FailsWith(ErrorCode::kExpired));
  EXPECT_THAT(ring_->Find("web")->Provable(), SizeIs(1));
  Restart();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRetired);
}

TEST_F(KeyRingTest, AGracePeriodEndsThroughARestart) {
  rules_.grace_period = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Rotate("web"));
  Restart();
  clock_.Advance(std::chrono::seconds(100));
  schedule_->Tick();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRetired);
}

TEST_F(KeyRingTest, WhatIsRevokedInItsGracePeriodStaysSo) {
  rules_.grace_period = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Rotate("web"));
  ASSERT_OK(Revoke("web", 0));
  Restart();
  clock_.Advance(std::chrono::seconds(100));
  const uint64_t epoch = stored_.store().epoch();
  for (int tick = 0; tick < 3; ++tick) schedule_->Tick();
  EXPECT_EQ(stored_.store().epoch(), epoch) << "an end that is none wears the hardware's counter";
  for (const VersionRecord& version : Stored().versions) {
    EXPECT_EQ(version.state, VersionState::kRevoked);
  }
}

// The end of a grace period waits for the counter while an admin revokes.
TEST_F(KeyRingTest, ARevocationOutlivesTheEndOfAGracePeriod) {
  rules_.grace_period = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Rotate("web"));
  stored_.SetAvailable(false);
  ASSERT_THAT(Revoke("web", 2), FailsWith(ErrorCode::kCustodianUnavailable));  // now one is owed
  clock_.Advance(std::chrono::seconds(100));
  schedule_->Tick();
  ASSERT_THAT(Revoke("web", 1), FailsWith(ErrorCode::kCustodianUnavailable));
  stored_.SetAvailable(true);
  schedule_->Tick();
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRevoked);
}

TEST_F(KeyRingTest, AGracePeriodEndsWhereNothingCanBeWritten) {
  rules_.grace_period = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Rotate("web"));
  stored_.SetAvailable(false);
  ASSERT_THAT(Revoke("web", 2), FailsWith(ErrorCode::kCustodianUnavailable));  // now one is owed
  clock_.Advance(std::chrono::seconds(100));
  schedule_->Tick();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRetired);
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRetiring);
  stored_.SetAvailable(true);
  schedule_->Tick();
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRetired);
}

TEST_F(KeyRingTest, ARevocationOvertakesAnActivation) {
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Prepare("web"));
  stored_.HoldAnswers();
  const Answer<void> enrolled;
  stored_.journal().Commit([](StoreWriter&) -> Result<void> { return {}; }, std::nullopt,
                           [&](const Journal::Outcome& outcome) { enrolled(outcome.result); });
  const Answer<VersionPtr> activated;  // which waits for the commit before it
  ring_->Activate("web", kCaller, activated);
  const Answer<void> revoked;
  ASSERT_OK(ring_->Revoke("web", 2, kCaller, revoked));
  while (stored_.Answer()) {
  }
  EXPECT_THAT(Await(activated), FailsWith(ErrorCode::kRevoked));
  EXPECT_OK(Await(revoked));
  EXPECT_EQ(second->state(), VersionState::kRevoked);
  EXPECT_EQ(ring_->Find("web")->active->Get().value()->number(), 1U);
  EXPECT_EQ(Stored().versions[1].state, VersionState::kRevoked);
}

TEST_F(KeyRingTest, OnlyARetiringVersionIsRetired) {
  ASSERT_OK(Generate(Hardware("web")));
  EXPECT_THAT(Retire("web", 1), FailsWith(ErrorCode::kWrongState));
  EXPECT_THAT(Retire("web", 2), FailsWith(ErrorCode::kNotFound));
  ASSERT_OK(Rotate("web"));
  ASSERT_OK(Retire("web", 1));
  EXPECT_THAT(Retire("web", 1), FailsWith(ErrorCode::kWrongState));
}

TEST_F(KeyRingTest, AKeyRotatesByAge) {
  rules_.max_age = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  clock_.Advance(std::chrono::seconds(99));
  schedule_->Tick();
  clock_.Advance(std::chrono::seconds(1));
  schedule_->Tick();
  ASSERT_TRUE(RunUntil([this] { return ring_->Find("web")->versions.size() == 2; }));
  EXPECT_EQ(ring_->Find("web")->active->Get().value()->number(), 2U);
}

TEST_F(KeyRingTest, AClockThatIsSetBackHoldsNoRotationUp) {
  rules_.max_age = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  clock_.SetBack(std::chrono::hours(1000));
  clock_.Advance(std::chrono::seconds(100));
  schedule_->Tick();
  EXPECT_TRUE(RunUntil([this] { return ring_->Find("web")->versions.size() == 2; }));
}

TEST_P(KeyRingCustodyTest, AKeyRotatesByItsUses) {
  rules_.max_uses = 3;
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  for (int i = 0; i < 2; ++i) ASSERT_OK(SignAndVerify(first));
  schedule_->Tick();
  Restart();  // the count was written down
  EXPECT_EQ(ring_->Find("web")->versions[0]->uses(), 2U);
  ASSERT_OK(SignAndVerify(ring_->Find("web")->versions[0]));
  schedule_->Tick();
  EXPECT_TRUE(RunUntil([this] { return ring_->Find("web")->versions.size() == 2; }));
}

TEST_F(KeyRingTest, ARotationByScheduleThatFailsIsTriedAgainLater) {
  rules_.max_age = std::chrono::seconds(100);
  ASSERT_OK(Generate(Hardware("web")));
  clock_.Advance(std::chrono::seconds(100));
  hardware_.SetAvailable(false);
  schedule_->Tick();
  FinishTasks();
  hardware_.SetAvailable(true);
  schedule_->Tick();
  EXPECT_THAT(ring_->Find("web")->versions, SizeIs(1));
  clock_.Advance(std::chrono::seconds(60));
  schedule_->Tick();
  EXPECT_TRUE(RunUntil([this] { return ring_->Find("web")->versions.size() == 2; }));
}

TEST_F(KeyRingTest, EveryChangeOfAVersionIsTold) {
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Prepare("web"));
  ASSERT_OK(Activate("web"));
  ASSERT_OK(Retire("web", 1));
  ASSERT_OK(Revoke("web", 2));
  ASSERT_OK(Destroy("web"));
  EXPECT_THAT(changes_, ::testing::ElementsAre("web 1 active", "web 2 pending", "web 1 retiring",
                                               "web 2 active", "web 1 retired", "web 2 revoked",
                                               "web 1 revoked", "web 2 revoked", "web 1 destroyed",
                                               "web 2 destroyed"));
}

TEST_P(KeyRingCustodyTest, ARestartFindsEverything) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  ASSERT_OK(Rotate("web"));
  ASSERT_OK_AND_ASSIGN(const VersionPtr third, Rotate("web"));
  ASSERT_OK(Revoke("web", 1));
  Restart();
  const Key* key = ring_->Find("web");
  ASSERT_NE(key, nullptr);
  ASSERT_THAT(key->versions, SizeIs(3));
  EXPECT_EQ(key->versions[0]->state(), VersionState::kRevoked);
  EXPECT_EQ(key->versions[1]->state(), VersionState::kRetiring);
  EXPECT_EQ(key->versions[2]->public_key(), third->public_key());
  EXPECT_OK(SignAndVerify(key->active->Get().value()));
  ASSERT_OK_AND_ASSIGN(const VersionPtr fourth, Rotate("web"));
  EXPECT_EQ(fourth->number(), 4U);
}

TEST_F(KeyRingTest, DestructionWithoutHardwareRevokesAndCanBeRepeated) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Hardware("web")));
  hardware_.SetAvailable(false);
  EXPECT_THAT(Destroy("web"), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(version->state(), VersionState::kRevoked);
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRevoked);
  hardware_.SetAvailable(true);
  EXPECT_OK(Destroy("web"));
  EXPECT_TRUE(ring_->Find("web")->IsDestroyed());
  EXPECT_EQ(hardware_.KeyCount(), 0U);
}

TEST_P(KeyMadeByHardwareTest, AChangeDuringAnotherIsBusy) {
  ASSERT_OK(Generate(Record()));
  const Answer<VersionPtr> first;
  ring_->Rotate("web", kCaller, first);  // ends when posted work is run
  EXPECT_THAT(Rotate("web"), FailsWith(ErrorCode::kBusy));
  EXPECT_OK(Await(first));
  EXPECT_OK(Rotate("web"));
}

TEST_P(KeyMadeByHardwareTest, ARevocationEndsARotationThatIsUnderWay) {
  ASSERT_OK(Generate(Record()));
  const Answer<VersionPtr> rotation;
  ring_->Rotate("web", kCaller, rotation);
  ASSERT_OK(Revoke("web", 0));
  EXPECT_THAT(Await(rotation), FailsWith(ErrorCode::kRevoked));
  EXPECT_THAT(ring_->Find("web")->active->Get(), FailsWith(ErrorCode::kRevoked));
  ASSERT_TRUE(RunUntil([this] { return NothingIsPending(); }));
  EXPECT_EQ(hardware_.KeyCount(), GetParam() == Custody::kHardware ? 1U : 0U);
  Restart();
  EXPECT_THAT(ring_->Find("web")->active->Get(), FailsWith(ErrorCode::kRevoked));
  EXPECT_OK(Rotate("web"));  // asked for after the revocation
  EXPECT_OK(SignAndVerify(ring_->Find("web")->active->Get().value()));
}

TEST_P(KeyRingCustodyTest, ARevocationThatCannotBeWrittenHoldsUntilRestart) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Record()));
  {
    const testing_support::WriteLock lock(stored_.path());
    EXPECT_THAT(Revoke("web", 0), FailsWith(ErrorCode::kIo));
    EXPECT_THAT(SignAndVerify(version), FailsWith(ErrorCode::kRevoked));
    EXPECT_THAT(Destroy("web"), FailsWith(ErrorCode::kIo));
  }
  EXPECT_OK(Revoke("web", 0));
  EXPECT_OK(Destroy("web"));
}

TEST_F(KeyRingTest, ARevocationThatCouldNotBeWrittenIsWrittenOnceItCanBe) {
  ASSERT_OK(Generate(Hardware("web")));
  ASSERT_OK(Rotate("web"));
  {
    const testing_support::WriteLock lock(stored_.path());
    const Result<std::vector<KeyId>> revoked = Revoke("web", 1);
    ASSERT_THAT(revoked, FailsWith(ErrorCode::kIo));
    EXPECT_THAT(revoked.error().message(), ::testing::HasSubstr("keyd tries again"));
    schedule_->Tick();
  }
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRetiring);
  schedule_->Tick();
  EXPECT_EQ(Stored().versions[0].state, VersionState::kRevoked);
  EXPECT_EQ(Stored().versions[1].state, VersionState::kActive);
  const uint64_t epoch = stored_.store().epoch();
  schedule_->Tick();
  EXPECT_EQ(stored_.store().epoch(), epoch);
}

// The list was written, and the revocation of the version it names was not.
TEST_F(KeyRingTest, WhatAnImportedListNamesIsRevokedAfterARestart) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr named, Generate(Hardware("web")));
  ASSERT_OK_AND_ASSIGN(const VersionPtr peer, Generate(Hardware("peer")));
  const auto record = [](const VersionPtr& version, Bytes issuer) {
    return RevocationRecord{{.fingerprint = version->public_key().Fingerprint(),
                             .name = "theirs",
                             .version = 1,
                             .at = WallTime(std::chrono::milliseconds(1234))},
                            std::move(issuer)};
  };
  ASSERT_OK(stored_.Commit([&](StoreWriter& store) -> Result<void> {
    KEYWARD_TRY(store.PutRevocation(record(peer, {})));  // of a remote peer's key
    return store.PutRevocation(record(named, Bytes(32, 7)));
  }));
  stored_.Sync();
  Restart();
  EXPECT_EQ(ring_->Find("peer")->versions[0]->state(), VersionState::kActive);
  const VersionPtr version = ring_->Find("web")->versions[0];
  EXPECT_EQ(version->state(), VersionState::kRevoked);
  EXPECT_EQ(version->revoked(), WallTime(std::chrono::milliseconds(1234)));
  EXPECT_THAT(SignAndVerify(version), FailsWith(ErrorCode::kRevoked));
  EXPECT_THAT(ring_->Find("web")->active->Get(), FailsWith(ErrorCode::kRevoked));
  schedule_->Tick();
  const std::vector<VersionRecord> stored = Stored().versions;
  const auto written = std::ranges::find(stored, "web", &VersionRecord::key);
  EXPECT_EQ(written->state, VersionState::kRevoked);
}

TEST_P(KeyRingCustodyTest, ARevocationOfTheOldVersionLeavesARotationAlone) {
  ASSERT_OK(Generate(Record()));
  const Answer<VersionPtr> rotation;
  ring_->Rotate("web", kCaller, rotation);
  ASSERT_OK(Revoke("web", 1));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Await(rotation));
  EXPECT_EQ(ring_->Find("web")->active->Get().value(), second);
}

TEST_P(KeyMadeByHardwareTest, ADestructionDuringARotationRevokesAndCanBeRepeated) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Record()));
  const Answer<VersionPtr> rotation;
  ring_->Rotate("web", kCaller, rotation);
  const Answer<void> destruction;
  EXPECT_THAT(ring_->Destroy("web", 0, kCaller, destruction),
              IsOkAndHolds(::testing::ElementsAre(first->id())));
  EXPECT_THAT(**destruction.slot, FailsWith(ErrorCode::kBusy));
  EXPECT_EQ(first->state(), VersionState::kRevoked);
  EXPECT_THAT(Await(rotation), FailsWith(ErrorCode::kRevoked));
  ASSERT_OK(Destroy("web"));
  EXPECT_EQ(hardware_.KeyCount(), 0U);
  EXPECT_TRUE(ring_->Find("web")->IsDestroyed());
}

TEST_F(KeyRingTest, ASignatureOvertakenByARevocationDoesNotLeave) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Hardware("web")));
  hooks_.signed_ = [&] { version->Revoke(clock_.Now()); };
  EXPECT_THAT(SignAndVerify(version), FailsWith(ErrorCode::kRevoked));
}

TEST_F(KeyRingTest, AfterASealNoKeyIsOpenedForWhoWaitedForHardware) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Sealed("web")));
  std::atomic<int> opened = 0;
  hooks_.unsealing = [&opened] { ++opened; };
  testing_support::SilentHardware silent;
  ASSERT_OK(pool().Submit(kCaller, [&silent](const Result<Custodian*>&) {
    silent.Hold();
    return Result<void>();
  }));
  const Answer<void> answer;
  ASSERT_OK(version->WithSigner(kCaller, [&](const Result<SignFunction>& sign) {
    posts_->Post([answer, result = sign ? Result<void>() : Fail(sign.error())] { answer(result); });
  }));
  version->Seal();
  silent.Answer();
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(opened, 0);
}

TEST_F(KeyRingTest, ANameIsTakenOnce) {
  ASSERT_OK(Generate(Hardware("web")));
  EXPECT_THAT(Generate(Sealed("web")), FailsWith(ErrorCode::kAlreadyExists));
}

TEST_F(KeyRingTest, TwoGenerationsOfOneNameAtOnceAreBusy) {
  const Answer<VersionPtr> first;
  ring_->Generate(Hardware("web"), kCaller, first);
  EXPECT_THAT(Generate(Hardware("web")), FailsWith(ErrorCode::kBusy));
  EXPECT_OK(Await(first));
}

TEST_F(KeyRingTest, OnlyEd25519IsSealed) {
  KeyRecord key = Sealed("web");
  key.algorithm = Algorithm::kEcdsaP256;
  EXPECT_THAT(Generate(key), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(Stored().keys, SizeIs(0));
}

TEST_F(KeyRingTest, AnUnknownCustodianIsNotSupported) {
  KeyRecord key = Hardware("web");
  key.custodian = "tpm";
  EXPECT_THAT(Generate(key), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(Stored().keys, SizeIs(0));
}

TEST_F(KeyRingTest, WhatIsNotThereIsNotFound) {
  EXPECT_THAT(Rotate("web"), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(Destroy("web"), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(Revoke("web", 0), FailsWith(ErrorCode::kNotFound));
  ASSERT_OK(Generate(Hardware("web")));
  EXPECT_THAT(Revoke("web", 2), FailsWith(ErrorCode::kNotFound));
}

// As after a start with a security.yaml that has lost a section.
class UnconfiguredCustodianTest : public KeyRingCustodyTest {
 protected:
  void SetUp() override {
    KeyRingCustodyTest::SetUp();
    ASSERT_OK(Generate(Record()));
    FinishTasks();
    configured_ = std::move(pools_.at("hsm"));
    pools_.clear();
    Reopen();
  }
  void Configure() {
    pools_["hsm"] = std::move(configured_);
    Reopen();
  }

  std::unique_ptr<CustodianPool> configured_;
};

INSTANTIATE_TEST_SUITE_P(Custodies, UnconfiguredCustodianTest,
                         ::testing::Values(Custody::kHardware, Custody::kSealed),
                         [](const auto& custody) { return std::string(Name(custody.param)); });

TEST_P(UnconfiguredCustodianTest, ItsKeysAreSeenAndUsedForNothing) {
  const Key* key = ring_->Find("web");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->versions[0]->state(), VersionState::kActive);
  const Result<void> refused = SignAndVerify(key->versions[0]);
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("security.yaml configures no 'hsm'"));
  EXPECT_EQ(pool().Status().failure->message(), refused.error().message());
  Configure();
  EXPECT_OK(SignAndVerify(ring_->Find("web")->versions[0]));
}

TEST_P(UnconfiguredCustodianTest, ItsKeysAreRevokedForGood) {
  ASSERT_OK(Revoke("web", 0));
  Configure();
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRevoked);
}

TEST_P(UnconfiguredCustodianTest, ItsKeysKeepTheirNames) {
  EXPECT_THAT(Generate(Record()), FailsWith(ErrorCode::kAlreadyExists));
}

TEST_P(UnconfiguredCustodianTest, ItMakesNoKeysAndAnnouncesNone) {
  EXPECT_THAT(Rotate("web"), FailsWith(ErrorCode::kNotSupported));
  KeyRecord other = Record();
  other.name = "other";
  EXPECT_THAT(Generate(other), FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(Stored().versions, SizeIs(1));
}

TEST_P(UnconfiguredCustodianTest, ADestructionRevokesAndCanBeRepeatedWhenItIsBack) {
  EXPECT_THAT(Destroy("web"), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(ring_->Find("web")->versions[0]->state(), VersionState::kRevoked);
  Configure();
  ASSERT_OK(Destroy("web"));
  EXPECT_EQ(hardware_.KeyCount(), 0U);
}

// Two sealed keys whose blobs somebody with the disk has exchanged.
TEST_F(KeyRingTest, ASealedBlobOfAnotherKeyIsRefused) {
  ASSERT_OK(Generate(Sealed("one")));
  ASSERT_OK(Generate(Sealed("two")));
  std::vector<VersionRecord> versions = Stored().versions;
  ASSERT_THAT(versions, SizeIs(2));
  std::swap(versions[0].reference, versions[1].reference);
  for (const VersionRecord& version : versions) {
    ASSERT_OK(stored_.Commit([&](StoreWriter& store) { return store.RecordMade(version); }));
  }
  stored_.Sync();
  Restart();
  for (const char* name : {"one", "two"}) {
    EXPECT_THAT(SignAndVerify(ring_->Find(name)->versions[0]),
                FailsWith(ErrorCode::kAuthenticationFailed));
  }
}

TEST_F(KeyRingTest, APublicKeyThatIsNotTheSealedOnesIsRefused) {
  ASSERT_OK(Generate(Sealed("one")));
  ASSERT_OK(Generate(Sealed("two")));
  std::vector<VersionRecord> versions = Stored().versions;
  ASSERT_THAT(versions, SizeIs(2));
  versions[0].spki = versions[1].spki;
  ASSERT_OK(stored_.Commit([&](StoreWriter& store) { return store.RecordMade(versions[0]); }));
  stored_.Sync();
  Restart();
  EXPECT_THAT(SignAndVerify(ring_->Find("one")->versions[0]), FailsWith(ErrorCode::kDataCorrupt));
}

}  // namespace
}  // namespace keyward
