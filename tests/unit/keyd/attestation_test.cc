#include "keyd/attestation.h"

#include <optional>

#include "core/encoding.h"
#include "keyd/ask.h"
#include "tests/fakes/fake_custodian.h"
#include "tests/support/matchers.h"
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/run_posted.h"

namespace keyward {
namespace {

using audit::EventKind;
using testing_support::FailsWith;
using testing_support::RunPostedUntil;

constexpr uint32_t kCaller = 1000;

PublicKey SomeKey() {
  // RFC 8032, 7.1, test 1.
  return PublicKey::FromEd25519(
             FromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").value())
      .value();
}

// A TPM that says of its PCRs whatever the test has set.
class AttestingCustodian final : public Custodian, private Attester {
 public:
  AttestingCustodian(std::unique_ptr<Custodian> base, const PcrValues& pcrs)
      : base_(std::move(base)), pcrs_(pcrs) {}

  Signer& signer() override { return base_->signer(); }
  Sealer& sealer() override { return base_->sealer(); }
  Counter& counter() override { return base_->counter(); }
  MasterSealer& master_sealer() override { return base_->master_sealer(); }
  Attester* attester() override { return this; }
  Result<void> CheckHealth() override { return base_->CheckHealth(); }
  HardwareNotes Notes() const override { return base_->Notes(); }
  std::string Describe() const override { return base_->Describe(); }

 private:
  Result<Quote> MakeQuote(ByteView nonce, const PcrSelection& pcrs) override {
    KEYWARD_ASSIGN(PcrValues values, ReadPcrs(pcrs));
    Bytes message = ToBytes(nonce);
    for (const auto& [pcr, value] : values) Append(message, value);
    return Quote{std::move(message), {1, 2}, std::move(values), SomeKey()};
  }
  Result<PcrValues> ReadPcrs(const PcrSelection& pcrs) override {
    KEYWARD_TRY(base_->CheckHealth());
    PcrValues values;
    for (const uint32_t pcr : pcrs) values[pcr] = pcrs_.at(pcr);
    return values;
  }

  const std::unique_ptr<Custodian> base_;
  const PcrValues& pcrs_;
};

class AttestationTest : public testing_support::AuditTest {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(posts_, PostQueue::Create());
    ASSERT_OK_AND_ASSIGN(channels_, ChannelServer::Create(1));
    for (uint32_t pcr = 0; pcr < kPcrCount; ++pcr) pcrs_[pcr] = PcrValue{};
    pools_["tpm"] = std::make_unique<CustodianPool>(
        "tpm",
        [this]() -> Result<std::unique_ptr<Custodian>> {
          KEYWARD_ASSIGN(std::unique_ptr<Custodian> base, hardware_.Make());
          return std::make_unique<AttestingCustodian>(std::move(base), pcrs_);
        },
        1, clock_);
    ASSERT_OK(trail_.Open(disk_.Open(), {.limits = limits_, .expected_head = {}, .signers = {}}));
    daemon_.emplace(Daemon{.clock = clock_,
                           .rng = rng_,
                           .pools = pools_,
                           .sessions = sessions_,
                           .channels = *channels_,
                           .audit = trail_,
                           .tokens = tokens_,
                           .post = [this](auto work) { posts_->Post(std::move(work)); },
                           .policy = nullptr,
                           .boot = Boot::Begin(PcrSelection{0, 7}, rng_)});
    attestation_.emplace(*daemon_);
    attestation_->Begin();
    Settle();
    ASSERT_EQ(boot().state(), BootState::kAttested);
  }
  void TearDown() override { pools_.at("tpm")->Stop(); }

  // What the TPM was asked for is done, and this thread knows.
  void Settle() {
    bool settled = false;
    Ask<void>(
        *pools_.at("tpm"), kDaemonItself, daemon_->post, [](Custodian&) { return Result<void>(); },
        [&settled](const Result<void>&) { settled = true; });
    ASSERT_TRUE(RunPostedUntil(*posts_, [&] { return settled; }));
  }
  // As something does that is measured late, and as keyd finds it.
  void Extend(uint32_t pcr) {
    Settle();
    ++pcrs_.at(pcr)[0];
    daemon_->boot.Compare(pcrs_);
  }
  // A signed policy for the values of now.
  SignedPcrPolicy PolicyFor(const PcrSelection& pcrs) const {
    PcrValues values;
    for (const uint32_t pcr : pcrs) values[pcr] = pcrs_.at(pcr);
    return {pcrs, DigestOfPcrPolicy(values).value(), {}};
  }
  BootState StateAfter(const std::function<void(Attestation&)>& what) {
    what(*attestation_);
    Settle();
    return boot().state();
  }
  std::vector<audit::Record> Told(EventKind kind) const {
    std::vector<audit::Record> records = testing_support::RecordsOf(disk_.Contents());
    std::erase_if(records, [kind](const audit::Record& record) { return record.event != kind; });
    return records;
  }
  const Boot& boot() const { return daemon_->boot; }
  Result<Quote> Attest(Bytes nonce) {
    std::optional<Result<Quote>> answer;
    attestation_->Attest(std::move(nonce), kCaller,
                         [&answer](Result<Quote> quote) { answer = std::move(quote); });
    if (!RunPostedUntil(*posts_, [&] { return answer.has_value(); })) {
      return Fail(ErrorCode::kInternal, "no answer came");
    }
    return *answer;
  }

  fakes::FakeHardware hardware_;
  PcrValues pcrs_;
  SessionTable sessions_;
  SessionTokens tokens_{sessions_, clock_};
  AuditTrail trail_{clock_, rng_};
  std::unique_ptr<PostQueue> posts_;
  std::unique_ptr<ChannelServer> channels_;
  KeyRingPools pools_;
  std::optional<Daemon> daemon_;
  std::optional<Attestation> attestation_;
};

TEST_F(AttestationTest, EachQuoteOfTheBootIsTold) {
  Extend(7);
  const std::string former = boot().Name().quote;
  EXPECT_EQ(boot().state(), BootState::kChanged);
  EXPECT_EQ(StateAfter([](Attestation& it) { it.Renew(); }), BootState::kAttested);
  const std::vector<audit::Record> told = Told(EventKind::kBootQuote);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told.front().Text("quote"), former);
  EXPECT_EQ(told.back().Text("quote"), boot().Name().quote);
  EXPECT_EQ(told.back().Text("boot"), boot().Name().id);
  EXPECT_EQ(told.back().Number("pcrs"), 0x81U);
}

TEST_F(AttestationTest, ASignedStateThatCoversWhatChangedIsAttestedAnew) {
  Extend(7);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.RenewIn(PolicyFor({7, 9})); }),
            BootState::kAttested);
}

TEST_F(AttestationTest, ASignedStateWithoutThePcrThatChangedLeavesTheQuote) {
  Extend(0);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.RenewIn(PolicyFor({7})); }), BootState::kChanged);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.RenewIn(PolicyFor({9})); }), BootState::kChanged);
  EXPECT_EQ(Told(EventKind::kBootQuote).size(), 1U);
}

TEST_F(AttestationTest, ASignedStateThatIsNotTheOneOfNowLeavesTheQuote) {
  const SignedPcrPolicy before = PolicyFor({7});
  Extend(7);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.RenewIn(before); }), BootState::kChanged);
  const SignedPcrPolicy other = PolicyFor({7, 9});
  Extend(9);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.RenewIn(other); }), BootState::kChanged);
}

TEST_F(AttestationTest, ARenewalThatFailsIsDoneWhenTheTpmServes) {
  Extend(7);
  hardware_.SetAvailable(false);
  EXPECT_EQ(StateAfter([](Attestation& it) { it.Renew(); }), BootState::kChanged);
  hardware_.SetAvailable(true);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.OnHealthy(*pools_.at("tpm")); }),
            BootState::kAttested);
  Extend(7);
  EXPECT_EQ(StateAfter([&](Attestation& it) { it.OnHealthy(*pools_.at("tpm")); }),
            BootState::kChanged)
      << "nobody asked for another";
}

TEST_F(AttestationTest, WhoIsGivenAQuoteIsToldBefore) {
  ASSERT_OK(Attest({}));
  ASSERT_OK(Attest({1}));
  const std::vector<audit::Record> told = Told(EventKind::kBootAttest);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].object, "boot");
  EXPECT_EQ(told[1].caller, kCaller);
  disk_.FailAfter(0, testing_support::FaultyDisk::Fault::kIo);
  EXPECT_THAT(Attest({}), FailsWith(ErrorCode::kIo));
}

TEST_F(AttestationTest, QuotesThatAreGivenWhileTheLogIsClosedLeaveRoomForWhatAdminsDo) {
  trail_.Close();
  for (int i = 0; i < 40; ++i) ASSERT_OK(Attest({}));
  EXPECT_OK(trail_.RecordOrWait(testing_support::SomeEvent("change")));
  ASSERT_OK(trail_.Open(disk_.Open(), {.limits = limits_, .expected_head = {}, .signers = {}}));
  EXPECT_EQ(Told(EventKind::kBootAttest).size(), 16U);
  EXPECT_EQ(Told(EventKind::kBootAttest).front().Number("unrecorded"), 24U);
}

}  // namespace
}  // namespace keyward
