#include "keyd/second_seal/reseal.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "policy/name_rules.h"
#include "tests/unit/keyd/second_seal/second_seal_fixture.h"

namespace keyward {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::FailsWith;
using testing_support::RecoveryPair;

const SecondSealRequest kInHsm = {"hsm", {}};

class ResealTest : public testing_support::SecondSealFixture {
 protected:
  // keyd has run, with keys in both custodians and a second seal.
  void HaveServed(const SecondSealRequest& second) {
    ASSERT_OK(Start());
    ASSERT_OK(Generate("web", Custody::kHardware, "hsm"));
    ASSERT_OK(Generate("old", Custody::kHardware, "tpm"));
    ASSERT_OK(Generate("frontend", Custody::kSealed, "tpm"));
    ASSERT_OK(SignAudit());
    ASSERT_OK(Make(second));
    Stop();
  }
  SecondSealRequest ForRecovery() const { return {kInRecovery, ToBytes(AsBytes(certificate_))}; }
  // As who may write to the disk can: the home that the file tells of is to be destroyed.
  void PlantFormer(const HardwareParts& parts) {
    Put(kMasterFormer, Encode(FormerHome{parts, Bytes(32, 1)}));
  }
  // What a start and the sweep of every custodian do has been done.
  void Sweep() {
    for (const auto& [name, pool] : pools_) unsealer_->OnHealthy(*pool);
    for (const auto& [name, pool] : pools_) Settle(name);
  }
  MasterRecord Record() { return ReadMasterRecord(Folder() / kMasterFile).value().value(); }
};

// They depend on the master key alone, and that stays.
TEST_F(ResealTest, DerivedKeysStayWhenTheirHardwareIsLost) {
  ASSERT_OK(Start());
  ASSERT_OK(Generate("frontend", Custody::kDerived, ""));
  ASSERT_OK(Make(kInHsm));
  Stop();
  tpm_.SetAvailable(false);
  ASSERT_OK_AND_ASSIGN(const Resealing done, ResealTo("hsm"));
  EXPECT_TRUE(done.lost.empty());
  ASSERT_OK(Start());
  const Key* const key = daemon_->vault->keys().Find("frontend");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->record.custody, Custody::kDerived);
  std::optional<Result<Bytes>> signature;
  ASSERT_OK(key->versions[0]->WithSigner(kCaller, [&](const Result<SignFunction>& sign) {
    signature = sign ? (*sign)(Bytes(3)) : Result<Bytes>(Fail(sign.error()));
  }));
  ASSERT_TRUE(signature.has_value());
  ASSERT_OK(*signature);
  EXPECT_OK(key->versions[0]->public_key().Verify(Bytes(3), **signature));
}

TEST_F(ResealTest, TheSecondCustodianTakesOverWhatTheDeadOneHad) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  ASSERT_OK_AND_ASSIGN(const Resealing done, ResealTo("hsm"));
  EXPECT_EQ(done.opened_by, "hsm");
  EXPECT_EQ(done.former, "tpm");
  EXPECT_FALSE(done.former_answers);
  EXPECT_GT(done.epoch, 1U);
  EXPECT_EQ(done.last_change, clock_.Now());
  EXPECT_GT(done.audit_record, 1U);
  ASSERT_EQ(done.lost.size(), 2U);
  EXPECT_EQ(done.lost[0].key, "frontend");
  EXPECT_EQ(done.lost[1].key, "old");
  EXPECT_EQ(done.second, "");
  EXPECT_EQ(Record().custodian, "hsm");
  EXPECT_EQ(hsm_.MasterCount(), 1U);  // the new one, and no second
  EXPECT_FALSE(IsThere(kSecondFile));
  ASSERT_OK(Start());
  ASSERT_OK(Generate("more", Custody::kHardware, "hsm"));
  ASSERT_OK(SignAudit());  // with a service key of the new custodian
  const StoredState state = daemon_->vault->Load().value();
  EXPECT_EQ(state.keys.size(), 5U);
  EXPECT_THAT(AuditLog(), HasSubstr("master.reseal"));
}

TEST_F(ResealTest, WhatItWouldDoIsFoundOutWithoutDoingIt) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  const Bytes before = Contents(kMasterFile);
  const std::string log = AuditLog();
  ASSERT_OK_AND_ASSIGN(const Resealing found, ResealTo("hsm", nullptr, false));
  EXPECT_EQ(found.lost.size(), 2U);
  EXPECT_EQ(Contents(kMasterFile), before);
  EXPECT_EQ(hsm_.MasterCount(), 1U);
  EXPECT_EQ(AuditLog(), log);
  tpm_.SetAvailable(true);
  EXPECT_OK(Start());
}

TEST_F(ResealTest, ARecoveryKeyOpensItsSealAndItStays) {
  HaveServed(ForRecovery());
  tpm_.SetAvailable(false);
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kInvalidArgument));
  const RecoveryPair other = RecoveryPair::Ec();
  EXPECT_THAT(ResealTo("hsm", &other), FailsWith(ErrorCode::kAuthenticationFailed));
  const RecoveryPair rsa = RecoveryPair::Rsa();
  EXPECT_THAT(ResealTo("hsm", &rsa), FailsWith(ErrorCode::kAuthenticationFailed));
  ASSERT_OK_AND_ASSIGN(const Resealing done, ResealTo("hsm", &recovery_));
  EXPECT_EQ(done.second, kInRecovery);
  ASSERT_OK(Start());
  EXPECT_EQ(service_->Show()->second->place, kInRecovery);
}

TEST_F(ResealTest, NoBitOfARecoverySealCanBeFlipped) {
  HaveServed(ForRecovery());
  tpm_.SetAvailable(false);
  const Bytes whole = Contents(kSecondFile);
  for (size_t at = 0; at < whole.size(); at += 5) {
    Bytes altered = whole;
    altered[at] ^= 1;
    Put(kSecondFile, altered);
    EXPECT_FALSE(ResealTo("hsm", &recovery_, false)) << at;
  }
  Put(kSecondFile, whole);
  EXPECT_OK(ResealTo("hsm", &recovery_, false));
}

TEST_F(ResealTest, HardwareThatAnswersHasToConfirmTheEpochAndIsLeftEmpty) {
  HaveServed(kInHsm);
  const Bytes old = Contents(kStateFile);
  ASSERT_OK(Start());
  Stop();
  const Bytes latest = Contents(kStateFile);
  Put(kStateFile, old);
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kRolledBack));
  Put(kStateFile, latest);
  ASSERT_OK_AND_ASSIGN(const Resealing done, ResealTo("hsm"));
  EXPECT_TRUE(done.former_answers);
  EXPECT_THAT(done.lost, IsEmpty());
  EXPECT_THAT(done.leftovers, IsEmpty());
  EXPECT_EQ(tpm_.MasterCount(), 0U);
  EXPECT_FALSE(IsThere(kMasterFormer));
  ASSERT_OK(Start());
  ASSERT_OK(SignAudit());  // the service key is where it was
  EXPECT_EQ(hsm_.KeyCount(), 1U);
}

TEST_F(ResealTest, TheAuditLogKeepsItsEnd) {
  HaveServed(kInHsm);
  const Bytes tail = Contents(kAuditTailFile);
  Put(kAuditTailFile, {});
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_EQ(Record().custodian, "tpm");
  Put(kAuditTailFile, tail);
  ASSERT_OK(ResealTo("hsm"));
  EXPECT_NE(Contents(kAuditTailFile), tail);
  std::filesystem::remove(Folder() / kAuditTailFile);
  EXPECT_THAT(Start(), FailsWith(ErrorCode::kRolledBack));
}

TEST_F(ResealTest, WhatComesBackLaterIsDestroyed) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  ASSERT_OK(ResealTo("hsm"));
  EXPECT_TRUE(IsThere(kMasterFormer));
  ASSERT_OK(Start());
  tpm_.SetAvailable(true);
  EXPECT_TRUE(testing_support::RunPostedUntil(*posts_, [&] {
    unsealer_->OnHealthy(*pools_.at("tpm"));
    return tpm_.MasterCount() == 0 && !IsThere(kMasterFormer);
  }));
}

TEST_F(ResealTest, WhoMayWriteToTheDiskHasNothingDestroyed) {
  HaveServed(kInHsm);
  const MasterRecord now = Record();
  const KeyId other = {9};
  for (const HardwareParts& parts :
       std::vector<HardwareParts>{{"tpm", other, now.counter},
                                  {"tpm", now.seal, other},
                                  {"hsm", SecondSealId(now.check), other},
                                  {"tpm", now.seal, now.counter}}) {
    PlantFormer(parts);
    const Bytes planted = Contents(kMasterFormer);
    ASSERT_OK(Start());
    Sweep();
    EXPECT_EQ(tpm_.MasterCount(), 1U);
    EXPECT_EQ(hsm_.MasterCount(), 1U);
    EXPECT_EQ(Contents(kMasterFormer), planted);
    EXPECT_EQ(service_->Show()->former, kRefusedFormer);
    Stop();
  }
  Put(kMasterFormer, {1, 2, 3});
  ASSERT_OK(Start());  // with the counter that it always had
  EXPECT_EQ(service_->Show()->former, kRefusedFormer);
}

TEST_F(ResealTest, AFormerHomeThatNobodyVouchesForIsNotBelievedByAReseal) {
  HaveServed(ForRecovery());
  const MasterRecord now = Record();
  for (const HardwareParts& parts :
       std::vector<HardwareParts>{{"tpm", {9}, now.counter}, {"hsm", {9}, {8}}}) {
    PlantFormer(parts);
    EXPECT_THAT(ResealTo("hsm", &recovery_, false), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_THAT(ResealTo("hsm", &recovery_), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_TRUE(IsThere(kMasterFormer));
  }
  ASSERT_OK(RemoveFile(Folder() / kMasterFormer));
  ASSERT_OK(ResealTo("hsm", &recovery_));
  EXPECT_OK(Start());
}

TEST_F(ResealTest, ADraftThatNamesWhatIsInUseIsNone) {
  HaveServed(ForRecovery());
  const MasterRecord now = Record();
  for (const HardwareParts& parts : std::vector<HardwareParts>{
           {"tpm", {9}, now.counter}, {"tpm", SecondSealId(now.check), {9}}}) {
    MasterRecord draft = now;
    draft.record.clear();
    draft.seal = parts.seal;
    draft.counter = parts.counter;
    Put(kMasterDraft, Encode(draft));
    EXPECT_THAT(ResealTo("hsm", &recovery_), FailsWith(ErrorCode::kDataCorrupt));
    EXPECT_TRUE(IsThere(kMasterDraft));
  }
  ASSERT_OK(RemoveFile(Folder() / kMasterDraft));
  ASSERT_OK(Start());
}

TEST_F(ResealTest, ASealedKeydThatIsZeroizedTakesTheFormerHomeAtItsWord) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  ASSERT_OK(ResealTo("hsm"));
  tpm_.SetAvailable(true);
  Put("sealed", {});
  EXPECT_THAT(Start(), FailsWith(ErrorCode::kSealed));
  EXPECT_EQ(service_->Show()->former, "tpm");
  ASSERT_OK(Zeroize());
  EXPECT_TRUE(testing_support::RunPostedUntil(*posts_, [&] { return tpm_.MasterCount() == 0; }));
  EXPECT_EQ(hsm_.MasterCount(), 0U);
}

TEST_F(ResealTest, TheOldBindingOpensTheNewStoreNoMore) {
  HaveServed(kInHsm);
  const Bytes old_record = Contents(kMasterFile);
  ASSERT_OK(ResealTo("hsm", nullptr, false));
  tpm_.SetAvailable(false);
  ASSERT_OK(ResealTo("hsm"));
  tpm_.SetAvailable(true);
  ASSERT_OK(RemoveFile(Folder() / kMasterFormer));
  Put(kMasterFile, old_record);
  EXPECT_THAT(Start(), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(ResealTest, AKillBeforeTheNewHomeIsMadeLeavesTheOldOne) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  const Bytes old_record = Contents(kMasterFile);
  const Bytes old_store = Contents(kStateFile);
  const Bytes second = Contents(kSecondFile);
  ASSERT_OK(ResealTo("hsm"));
  // As it was just before master-key was replaced; the second seal is made anew by hand.
  MasterRecord draft = Record();
  draft.record.clear();
  Put(kMasterDraft, Encode(draft));
  Put(kStateDraft, Contents(kStateFile));
  Put(kMasterFile, old_record);
  Put(kStateFile, old_store);
  tpm_.SetAvailable(true);
  ASSERT_OK(Start());
  ASSERT_OK(MakeInHsm());
  Stop();
  EXPECT_EQ(hsm_.MasterCount(), 2U);  // the draft's, and the second
  tpm_.SetAvailable(false);
  ASSERT_OK(ResealTo("hsm"));
  EXPECT_EQ(hsm_.MasterCount(), 1U);
  EXPECT_FALSE(IsThere(kMasterDraft));
  EXPECT_FALSE(IsThere(kStateDraft));
  EXPECT_OK(Start());
}

TEST_F(ResealTest, AKillAfterTheNewHomeIsMadeIsFinishedByTheNextStart) {
  HaveServed(kInHsm);
  tpm_.SetAvailable(false);
  const Bytes old_store = Contents(kStateFile);
  ASSERT_OK(ResealTo("hsm"));
  MasterRecord draft = Record();
  draft.record.clear();
  Put(kMasterDraft, Encode(draft));
  Put(kStateDraft, Contents(kStateFile));
  Put(kStateFile, old_store);
  ASSERT_OK(Start());
  EXPECT_EQ(daemon_->vault->Load()->keys.size(), 4U);
  EXPECT_FALSE(IsThere(kMasterDraft));
}

TEST_F(ResealTest, HardwareThatFailsOnTheWayChangesNothing) {
  HaveServed(ForRecovery());
  hsm_.SetAvailable(false);
  EXPECT_THAT(ResealTo("hsm", &recovery_), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(Record().custodian, "tpm");
  EXPECT_THAT(AuditLog(), HasSubstr(R"("outcome":"CustodianUnavailable")"));
  ASSERT_OK(Start());
  EXPECT_FALSE(IsThere(kMasterFormer));
  Stop();
  hsm_.SetAvailable(true);
  ASSERT_OK(ResealTo("hsm", &recovery_));
  EXPECT_OK(Start());
}

TEST_F(ResealTest, NeedsASecondSealOfThisMasterKeyAndAStoreOfIt) {
  HaveServed(kInHsm);
  const Bytes second = Contents(kSecondFile);
  EXPECT_THAT(ResealTo("disk"), FailsWith(ErrorCode::kConfiguration));
  EXPECT_THAT(ResealTo("hsm", &recovery_), FailsWith(ErrorCode::kInvalidArgument));
  ASSERT_OK(RemoveFile(Folder() / kSecondFile));
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kNotFound));
  Put(kSecondFile, second);
  MasterRecord other = Record();
  other.check[0] ^= 1;
  const Bytes record = Contents(kMasterFile);
  Put(kMasterFile, Encode(other));
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kDataCorrupt));
  other = DecodeMasterRecord(record).value();
  other.counter[0] ^= 1;
  Put(kMasterFile, Encode(other));
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kDataCorrupt));  // the store is bound to it
  ASSERT_OK(RemoveFile(Folder() / kMasterFile));
  EXPECT_THAT(ResealTo("hsm"), FailsWith(ErrorCode::kNotInitialised));
  Put(kMasterFile, record);
  EXPECT_OK(ResealTo("hsm"));
}

TEST(ResealReportTest, HasNoSecretAndWhatPeopleNeedToKnow) {
  Resealing resealing;
  resealing.opened_by = "hsm";
  resealing.lost.push_back({"web", 3, Custody::kHardware, "tpm", {}});
  resealing.leftovers = {"this"};
  const nlohmann::json report = nlohmann::json::parse(ReportOf(resealing));
  EXPECT_EQ(report.at("lost")[0].at("version"), 3);
  EXPECT_EQ(report.at("lost")[0].at("custody"), "hardware");
  EXPECT_THAT(report.at("leftovers").get<std::vector<std::string>>(), ElementsAre("this"));
  EXPECT_EQ(report.at("last_change_ms"), 0);
}

}  // namespace
}  // namespace keyward
