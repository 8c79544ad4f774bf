#include "tpm/tpm_counter.h"

#include "tests/unit/tpm/tpm_fixture.h"
#include "tpm/nv_index.h"

namespace keyward::tpm {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

constexpr KeyId kId = {1, 2, 3};
constexpr KeyId kOther = {1, 2, 4};

class TpmCounterTest : public TpmTest {
 protected:
  Counter& counter() { return custodian_->counter(); }

  // What is at `handle`, and a link that may change it.
  struct Seen {
    std::unique_ptr<Link> link;
    std::optional<NvIndex> index;
  };
  Result<Seen> Look(TPM2_HANDLE handle) {
    Seen seen;
    KEYWARD_ASSIGN(seen.link, Link::Connect(tpm_->tcti(), state_.path()));
    KEYWARD_ASSIGN(seen.index, NvIndex::Find(*seen.link, handle));
    return seen;
  }
  // Puts an index in the place of the counter `id`, as its own but for what `change` does to it.
  template <class Change>
  void ReplaceCounter(const KeyId& id, Change change) {
    ASSERT_OK_AND_ASSIGN(Seen seen, Look(NvHandleOf(id, NvUse::kCounter)));
    ASSERT_TRUE(seen.index);
    TPMS_NV_PUBLIC area = seen.index->area();
    area.attributes &= ~TPMA_NV_WRITTEN;
    change(area);
    ASSERT_OK(seen.index->Undefine());
    ASSERT_OK(NvIndex::Define(*seen.link, area, {}));
  }
};

TEST_F(TpmCounterTest, CountsUpByOne) {
  ASSERT_OK_AND_ASSIGN(const uint64_t first, counter().Create(kId));
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first));
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_THAT(counter().Increment(kId), IsOkAndHolds(first + i));
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first + 5));
}

TEST_F(TpmCounterTest, KeepsItsValueWhenTheTpmIsKilled) {
  ASSERT_OK_AND_ASSIGN(const uint64_t first, counter().Create(kId));
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(counter().Increment(kId), IsOkAndHolds(first + 1));
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first + 1));
  ASSERT_OK_AND_ASSIGN(custodian_, Connect());
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first + 1));
}

TEST_F(TpmCounterTest, CountersOfTwoIdsAreTwo) {
  ASSERT_OK_AND_ASSIGN(const uint64_t first, counter().Create(kId));
  EXPECT_THAT(counter().Read(kOther), FailsWith(ErrorCode::kNotFound));
  ASSERT_OK(counter().Create(kOther));
  ASSERT_OK(counter().Increment(kOther));
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first));
}

TEST_F(TpmCounterTest, IsMadeOnce) {
  ASSERT_OK_AND_ASSIGN(const uint64_t first, counter().Create(kId));
  EXPECT_THAT(counter().Create(kId), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_THAT(counter().Read(kId), IsOkAndHolds(first));
}

TEST_F(TpmCounterTest, IsGoneOnceDestroyed) {
  ASSERT_OK(counter().Create(kId));
  ASSERT_OK(counter().Destroy(kId));
  EXPECT_THAT(counter().Read(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Increment(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(counter().Destroy(kId));
}

TEST_F(TpmCounterTest, MadeAgainItBeginsAboveItsFormerSelf) {
  ASSERT_OK_AND_ASSIGN(uint64_t last, counter().Create(kId));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {
      ASSERT_OK_AND_ASSIGN(last, counter().Increment(kId));
    }
    ASSERT_OK(counter().Destroy(kId));
    ASSERT_OK(RestartTpm());
    ASSERT_OK_AND_ASSIGN(const uint64_t again, counter().Create(kId));
    EXPECT_GT(again, last);
    last = again;
  }
}

TEST_F(TpmCounterTest, AForeignIndexInItsPlaceIsLeftAlone) {
  ASSERT_OK(counter().Create(kId));
  ASSERT_NO_FATAL_FAILURE(ReplaceCounter(kId, [](TPMS_NV_PUBLIC& area) {
    area.attributes &= ~TPMA_NV_TPM2_NT_MASK;  // an ordinary one, of whatever value one writes
  }));
  EXPECT_THAT(counter().Create(kId), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_THAT(counter().Read(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Increment(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(counter().Destroy(kId));
  ASSERT_OK_AND_ASSIGN(const Seen seen, Look(NvHandleOf(kId, NvUse::kCounter)));
  EXPECT_TRUE(seen.index);
}

TEST_F(TpmCounterTest, ACounterOfAnotherIdIsForeignEvenAtTheSameHandle) {
  ASSERT_OK(counter().Create(kId));
  ASSERT_NO_FATAL_FAILURE(
      ReplaceCounter(kId, [](TPMS_NV_PUBLIC& area) { area.authPolicy.buffer[0] ^= 1; }));
  EXPECT_THAT(counter().Read(kId), FailsWith(ErrorCode::kNotFound));
}

TEST_F(TpmCounterTest, OneWhoseMakingWasCutShortIsNone) {
  ASSERT_OK(counter().Create(kId));
  ASSERT_NO_FATAL_FAILURE(ReplaceCounter(kId, [](TPMS_NV_PUBLIC&) {}));
  EXPECT_THAT(counter().Read(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Increment(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(counter().Create(kId), FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK(counter().Destroy(kId));
  EXPECT_OK(counter().Create(kId));
}

TEST_F(TpmCounterTest, AFullTpmSaysSoAndTheOthersCountOn) {
  ASSERT_OK(counter().Create(kId));
  {
    ASSERT_OK_AND_ASSIGN(const auto link, Link::Connect(tpm_->tcti(), state_.path()));
    TPMS_NV_PUBLIC area{};
    area.nvIndex = 0x01c00000;
    area.nameAlg = TPM2_ALG_SHA256;
    area.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA;
    for (area.dataSize = 2048; area.dataSize > 0; area.dataSize /= 2) {
      while (NvIndex::Define(*link, area, {})) ++area.nvIndex;
    }
  }
  constexpr uint8_t kReserve = 30;  // TPMs keep room for a few counters more
  KeyId id{};
  Result<uint64_t> made = counter().Create(id);
  while (made && id[0]++ < kReserve) made = counter().Create(id);
  EXPECT_THAT(made, FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_THAT(counter().Read(id), FailsWith(ErrorCode::kNotFound));
  EXPECT_OK(counter().Increment(kId));
}

TEST_F(TpmCounterTest, NothingOfItLocksTheTpmOrLeaks) {
  ASSERT_OK(counter().Create(kId));
  for (int i = 0; i < 5; ++i) {
    EXPECT_OK(counter().Increment(kId));
    EXPECT_THAT(counter().Read(kOther), FailsWith(ErrorCode::kNotFound));
  }
  ExpectNothingLeaked();
  // A counter that looks like ours and has another authorization value.
  ASSERT_OK_AND_ASSIGN(Seen seen, Look(NvHandleOf(kId, NvUse::kCounter)));
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(seen.index->Increment(), FailsWith(ErrorCode::kAuthenticationFailed));
  }
  ASSERT_OK(RestartTpm());
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

TEST_F(TpmCounterTest, AnOwnerPasswordSetMeanwhileIsSaidWithItsRemedy) {
  {
    ASSERT_OK_AND_ASSIGN(const auto connection, Connection::Open(tpm_->tcti()));
    const TPM2B_AUTH password = {.size = 4, .buffer = {'p', 'a', 's', 's'}};
    ASSERT_EQ(Esys_HierarchyChangeAuth(connection->get(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
                                       ESYS_TR_NONE, ESYS_TR_NONE, &password),
              TSS2_RC_SUCCESS);
  }
  const auto refused = counter().Create(kId);
  ASSERT_THAT(refused, FailsWith(ErrorCode::kPinRejected));
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("tpm2_changeauth"));
  EXPECT_THAT(FailedTries(), IsOkAndHolds(0));
}

// Other programs' wrong passwords lock their own objects, and none of ours.
TEST_F(TpmCounterTest, CountsWhileTheTpmIsLockedOut) {
  ASSERT_OK_AND_ASSIGN(const uint64_t first, counter().Create(kId));
  {
    ASSERT_OK_AND_ASSIGN(Seen seen, Look(NvHandleOf(kId, NvUse::kCounter)));
    TPMS_NV_PUBLIC area = seen.index->area();
    area.nvIndex = NvHandleOf(kOther, NvUse::kCounter);
    area.attributes &= ~(TPMA_NV_NO_DA | TPMA_NV_WRITTEN);
    ASSERT_OK_AND_ASSIGN(NvIndex theirs, NvIndex::Define(*seen.link, area, {{1}}));
    ASSERT_OK(theirs.UseAuth({{2}}));
    Result<void> outcome = theirs.Increment();
    EXPECT_THAT(outcome, FailsWith(ErrorCode::kAuthenticationFailed));
    for (int i = 0; i < 10; ++i) outcome = theirs.Increment();
    ASSERT_THAT(outcome, FailsWith(ErrorCode::kLockedOut));
    EXPECT_EQ(outcome.error().action(), Action::kProvision);
  }
  ASSERT_OK_AND_ASSIGN(custodian_, Connect());
  EXPECT_THAT(counter().Increment(kId), IsOkAndHolds(first + 1));
  EXPECT_OK(custodian_->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
}

TEST(NvHandleTest, IsInTheOwnersRangeAndAnotherForEachUse) {
  for (uint8_t i = 0; i < 200; ++i) {
    const TPM2_HANDLE counter = NvHandleOf({i}, NvUse::kCounter);
    const TPM2_HANDLE master = NvHandleOf({i}, NvUse::kMaster);
    EXPECT_NE(counter, master);
    for (const TPM2_HANDLE handle : {counter, master}) {
      EXPECT_GE(handle, 0x01800000U);
      EXPECT_LE(handle, 0x01bfffffU);
    }
  }
}

}  // namespace
}  // namespace keyward::tpm
