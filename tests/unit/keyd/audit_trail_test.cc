#include "keyd/audit_trail.h"

#include "keyd/audit_events.h"
#include "keyd/custodian_pool.h"
#include "keyd/custodian_watch.h"
#include "tests/unit/audit/audit_fixture.h"

namespace keyward {
namespace {

using audit::EventKind;
using testing_support::FailsWith;
using testing_support::FaultyDisk;
using testing_support::IsValid;

class AuditTrailTest : public testing_support::AuditTest {
 protected:
  void SetUp() override { OpenTrail(); }
  void OpenTrail() {
    ASSERT_OK(trail_.Open(disk_.Open(), {.limits = limits_, .expected_head = {}, .signers = {}}));
  }
  static audit::Event KeyMade(const std::string& name) {
    return MakeEvent(EventKind::kKeyGenerate, 1000, name);
  }
  std::vector<audit::Record> Records() const {
    return testing_support::RecordsOf(disk_.Contents());
  }
  void RefuseOften(uint32_t count, uint32_t caller = 1001) {
    for (uint32_t i = 0; i < count; ++i) {
      trail_.RecordRefusal(MakeEvent(EventKind::kKeyOpen, caller, "web"),
                           Error(ErrorCode::kPermissionDenied, "no"));
    }
  }

  AuditTrail trail_{clock_, rng_};
};

TEST_F(AuditTrailTest, WhatIsRecordedIsOnDisk) {
  ASSERT_OK(trail_.Record(KeyMade("web")));
  trail_.RecordDone(KeyMade("web-2"));
  EXPECT_THAT(ObjectsOnDisk(), ::testing::ElementsAre("web", "web-2"));
  EXPECT_THAT(VerifyChain(disk_.Contents()), IsValid());
}

TEST_F(AuditTrailTest, WhatCannotBeWrittenIsRefusedAndTheNextRecordCountsIt) {
  disk_.FailAfter(0, FaultyDisk::Fault::kIo);
  EXPECT_THAT(trail_.Record(KeyMade("lost")), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(trail_.unrecorded(), 1U);
  ASSERT_OK(trail_.Record(KeyMade("web")));
  EXPECT_EQ(Records().back().Number("unrecorded"), 1U);
  ASSERT_OK(trail_.Record(KeyMade("web")));
  EXPECT_EQ(Records().back().Number("unrecorded"), std::nullopt);
}

TEST_F(AuditTrailTest, OnAFullDiskWhatHasHappenedIsToldFromTheReserve) {
  disk_.SetCapacity(disk_.Used());
  EXPECT_OK(trail_.CheckRoom());  // set aside when the log was opened
  Result<void> recorded;
  while (recorded) recorded = trail_.Record(KeyMade("web"));
  EXPECT_THAT(recorded, FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_THAT(trail_.CheckRoom(), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_TRUE(trail_.log()->full());
  trail_.RecordDone(MakeEvent(EventKind::kKeyRevoke, 1000, "revoked"));
  EXPECT_EQ(Records().back().object, "revoked");
  EXPECT_EQ(CountOnDisk(EventKind::kAuditFull), 1U);
  disk_.SetCapacity(UINT64_MAX);
  EXPECT_OK(trail_.CheckRoom());
  EXPECT_EQ(Records().back().event, EventKind::kAuditSpace);
}

TEST_F(AuditTrailTest, RefusalsDoNotFillTheDisk) {
  RefuseOften(1000);
  const size_t records = Records().size();
  EXPECT_EQ(records, 1 + RefusalLimiter::kOfOneCaller);
  clock_.Advance(RefusalLimiter::kWindow);
  trail_.Tick();
  ASSERT_EQ(Records().size(), records + 1);
  EXPECT_EQ(Records().back().Number("refusals"), 1000 - RefusalLimiter::kOfOneCaller);
  EXPECT_EQ(Records().back().caller, 1001U);
}

TEST_F(AuditTrailTest, WhatWasCountedIsToldBeforeTheLogCloses) {
  RefuseOften(RefusalLimiter::kOfOneCaller + 1);
  trail_.Close();
  EXPECT_EQ(Records().back().Number("refusals"), 1U);
}

TEST_F(AuditTrailTest, WhatHappensWhileItIsClosedIsToldWhenItOpens) {
  trail_.Close();
  EXPECT_THAT(trail_.Record(KeyMade("web")), FailsWith(ErrorCode::kSealed));
  EXPECT_THAT(trail_.CheckRoom(), FailsWith(ErrorCode::kSealed));
  ASSERT_OK(trail_.RecordOrWait(MakeEvent(EventKind::kPolicyReload, 0, "")));
  for (int i = 0; i < 100; ++i) trail_.RecordDone(KeyMade("late"));
  const size_t before = Records().size();
  OpenTrail();
  const std::vector<audit::Record> records = Records();
  ASSERT_EQ(records.size(), before + 32);
  EXPECT_EQ(records[before].event, EventKind::kPolicyReload);
  EXPECT_EQ(records[before].Number("unrecorded"), 100 - 31);
}

TEST_F(AuditTrailTest, WhileItIsClosedRefusalsLeaveRoomForWhatAdminsDo) {
  trail_.Close();
  for (uint32_t caller = 1001; caller <= 1010; ++caller) RefuseOften(10, caller);
  const audit::Event reload = MakeEvent(EventKind::kPolicyReload, 0, "");
  for (int i = 0; i < 16; ++i) EXPECT_OK(trail_.RecordOrWait(reload));
  EXPECT_THAT(trail_.RecordOrWait(reload), FailsWith(ErrorCode::kResourceExhausted));
  OpenTrail();
  trail_.Flush();
  EXPECT_EQ(CountOnDisk(EventKind::kPolicyReload), 16U);
  uint64_t refusals = 0;
  for (const audit::Record& record : Records()) {
    EXPECT_EQ(record.Number("unrecorded"), std::nullopt);
    if (record.event == EventKind::kKeyOpen) refusals += record.Number("refusals").value_or(1);
  }
  EXPECT_EQ(refusals, 100U);
  // The next time that it is closed, there is as much room.
  trail_.Close();
  RefuseOften(10, 2000);
  OpenTrail();
  EXPECT_EQ(std::ranges::count(Records(), 2000U, &audit::Record::caller), 10);
}

TEST_F(AuditTrailTest, TheListenerGetsEachLine) {
  std::vector<std::string> lines;
  bool closed = false;
  trail_.OnLine([&](std::string_view line) { lines.emplace_back(line); }, [&] { closed = true; });
  ASSERT_OK(trail_.Record(KeyMade("web")));
  ASSERT_OK(trail_.Record(KeyMade("web-2")));
  EXPECT_EQ(testing_support::LinesOf(disk_.Contents()).size(), 3U);
  EXPECT_EQ(lines[1] + "\n",
            disk_.Contents().substr(disk_.Contents().size() - lines[1].size() - 1));
  EXPECT_FALSE(closed);
  trail_.Close();
  EXPECT_TRUE(closed);
}

TEST_F(AuditTrailTest, HardwareThatGoesAndComesBackIsToldOnce) {
  KeyRingPools pools;
  pools["tpm"] = std::make_unique<CustodianPool>("tpm", clock_);  // which is not configured
  CustodianWatch watch;
  for (int i = 0; i < 3; ++i) watch.Look(pools, trail_);
  EXPECT_EQ(CountOnDisk(EventKind::kCustodianLost), 1U);
  EXPECT_EQ(Records().back().failed, ErrorCode::kCustodianUnavailable);
  EXPECT_EQ(Records().back().object, "tpm");
  pools["tpm"] = std::make_unique<CustodianPool>("tpm", nullptr, 0, clock_);
  for (int i = 0; i < 3; ++i) watch.Look(pools, trail_);
  EXPECT_EQ(CountOnDisk(EventKind::kCustodianBack), 1U);
}

TEST_F(AuditTrailTest, EachKindOfTroubleWithHardwareIsTold) {
  KeyRingPools pools;
  pools["tpm"] = std::make_unique<CustodianPool>("tpm", nullptr, 0, clock_);
  CustodianWatch watch;
  const auto look = [&](const std::optional<ErrorCode>& concern) {
    pools["tpm"]->SetConcern(concern ? std::optional(Error(*concern, "as it is")) : std::nullopt);
    for (int i = 0; i < 2; ++i) watch.Look(pools, trail_);
  };
  look(std::nullopt);
  for (const ErrorCode code : {ErrorCode::kPcrMismatch, ErrorCode::kRolledBack}) {
    look(code);
    EXPECT_EQ(Records().back().event, EventKind::kCustodianConcern);
    EXPECT_EQ(Records().back().failed, code);
  }
  pools["tpm"] = std::make_unique<CustodianPool>("tpm", clock_);  // which is not configured
  look(ErrorCode::kPcrMismatch);
  EXPECT_EQ(Records().back().event, EventKind::kCustodianLost);
  pools["tpm"] = std::make_unique<CustodianPool>("tpm", nullptr, 0, clock_);
  look(std::nullopt);
  EXPECT_EQ(Records().back().event, EventKind::kCustodianBack);
  EXPECT_EQ(CountOnDisk(EventKind::kCustodianConcern), 2U);
  EXPECT_EQ(CountOnDisk(EventKind::kCustodianBack), 1U);
}

}  // namespace
}  // namespace keyward
