// Sealing, unsealing and zeroizing as admins ask for it: in which order, and what is told of it.
#include <gmock/gmock.h>

#include <string_view>

#include "keyd/admin_service.h"
#include "keyd/revocation_exchange.h"
#include "tests/unit/keyd/fake_engine.h"
#include "tests/unit/keyd/second_seal/second_seal_fixture.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::SilentHardware;

constexpr uint32_t kRoot = 0;

class SealingTest : public testing_support::SecondSealFixture {
 protected:
  void SetUp() override {
    SecondSealFixture::SetUp();
    ASSERT_OK(Start());
    modules_.emplace(*daemon_);
    attestation_.emplace(*daemon_);
    admin_.emplace(*daemon_, *modules_, *unsealer_, *attestation_, [] {
      return Result<policy::Policy>(Fail(ErrorCode::kConfiguration, "there is no file"));
    });
    ASSERT_OK(Generate("web", Custody::kHardware, "tpm"));
  }
  void TearDown() override {
    sessions_.EndWhere([](const SessionInfo&) { return true; }, Error(ErrorCode::kExpired, "over"));
    trail_.OnLine({}, {});
    Stop();
  }

  // Established or not is all one; `ending` is told when its keys are gone.
  std::shared_ptr<LiveSession> OpenSession(std::function<void()> ending = [] {}) {
    const MonotonicTime later = clock_.Monotonic() + std::chrono::hours(1);
    const uint64_t id = sessions_.NextId();
    auto session = std::make_shared<LiveSession>(
        SessionInfo{.id = id,
                    .caller = {kCaller, {}},
                    .module = "frontend",
                    .key = daemon_->vault->keys().Find("web")->active->Get().value(),
                    .peer = "backend",
                    .peer_keys = {},
                    .protocol = "aico",
                    .role = session::Role::kInitiator,
                    .handshake_deadline = later,
                    .deadline = later},
        std::make_unique<testing_support::FakeEngine>(script_));
    session->OnEnd([this, id, ending = std::move(ending)](const Error&) {
      ending();
      sessions_.Remove(id);
    });
    EXPECT_OK(sessions_.Add(session, 10));
    return session;
  }
  Result<void> Unseal() {
    return Wait([this](const auto& done) { admin_->Unseal(kCaller, done); });
  }
  Result<void> ZeroizeByAdmin() {
    return Wait([this](const auto& done) {
      admin_->ZeroizeAll(kCaller, [done](const Result<uint32_t>& ended) {
        done(ended ? Result<void>() : Fail(ended.error()));
      });
    });
  }
  // As many requests of one user as may wait.
  void FillQueueOfRoot(const std::string& custodian) {
    const auto nothing = [](const Result<Custodian*>&) { return Result<void>(); };
    Result<void> queued;
    while (queued) queued = pools_.at(custodian)->Submit(kRoot, nothing);
    ASSERT_THAT(queued, FailsWith(ErrorCode::kBusy));
  }
  // The lines of the log that hold `words`.
  int CountInLog(std::string_view words) const {
    int count = 0;
    const std::string log = AuditLog();
    for (size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) {
      ++count;
    }
    return count;
  }

  testing_support::EngineScript script_;
  std::optional<Service> modules_;
  std::optional<Attestation> attestation_;
  std::optional<AdminService> admin_;
};

TEST_F(SealingTest, ARootThatAsksForMuchKeepsNoChangeFromBeingConfirmed) {
  SilentHardware silent;
  Silence("tpm", silent);
  FillQueueOfRoot("tpm");
  EXPECT_OK(Wait([&](const auto& done) {
    ASSERT_OK(daemon_->vault->keys().Revoke("web", 0, kCaller, done));
    silent.Answer();
  }));
}

TEST_F(SealingTest, ARootThatAsksForMuchKeepsNobodyFromUnsealing) {
  ASSERT_OK(admin_->Seal(kCaller));
  SilentHardware silent;
  Silence("tpm", silent);
  FillQueueOfRoot("tpm");
  EXPECT_OK(Wait([&](const auto& done) {
    admin_->Unseal(kCaller, done);
    silent.Answer();
  }));
}

TEST_F(SealingTest, ARootThatAsksForMuchKeepsNobodyFromZeroizing) {
  SilentHardware silent;
  Silence("tpm", silent);
  FillQueueOfRoot("tpm");
  EXPECT_OK(Wait([&](const auto& done) {
    unsealer_->ZeroizeAll(done);
    silent.Answer();
  }));
  EXPECT_EQ(tpm_.MasterCount(), 0U);
}

TEST_F(SealingTest, ASealIsToldThenEndsTheSessionsThenLeavesItsMark) {
  bool told_first = false;
  bool marked_first = true;
  OpenSession([&] {
    told_first = CountInLog(R"("event":"service.seal","caller":1000)") == 1;
    marked_first = IsThere("sealed");
  });
  EXPECT_THAT(admin_->Seal(kCaller), IsOkAndHolds(1U));
  EXPECT_TRUE(told_first);
  EXPECT_FALSE(marked_first);
  EXPECT_TRUE(IsThere("sealed"));
  EXPECT_TRUE(script_.destroyed);
}

TEST_F(SealingTest, AnEmergencyWipesMemoryBeforeTheDiskIsWrittenTo) {
  const size_t sealed = SecretsWhenSealed();
  const auto session = OpenSession();
  std::optional<size_t> secrets;
  bool ended = false;
  bool marked = true;
  trail_.OnLine(
      [&](std::string_view) {
        if (secrets) return;
        ended = session->ended().has_value();
        marked = IsThere("sealed");
        secrets = GetSecretMemoryUse().used;
      },
      [] {});
  ASSERT_OK(ZeroizeByAdmin());
  EXPECT_TRUE(ended);
  EXPECT_FALSE(marked);
  EXPECT_EQ(secrets, sealed);  // with the key of the log's tail, which the record has to have
  EXPECT_LT(GetSecretMemoryUse().used, sealed);
}

TEST_F(SealingTest, AnEmergencyIsToldBeforeTheHardwareIsAskedAndSoIsWhatItCameTo) {
  SilentHardware silent;
  Silence("tpm", silent);
  EXPECT_OK(Wait([&](const auto& done) {
    admin_->ZeroizeAll(kCaller, [done](const Result<uint32_t>& ended) {
      done(ended ? Result<void>() : Fail(ended.error()));
    });
    EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.seal","caller":1000,"module":"",)"
                                      R"("object":"zeroize","outcome":"ok")"));
    EXPECT_EQ(CountInLog("service.zeroize"), 0);
    silent.Answer();
  }));
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.zeroize","caller":1000,"module":"",)"
                                    R"("object":"","outcome":"ok")"));
  EXPECT_FALSE(trail_.is_open());
}

TEST_F(SealingTest, AnEmergencyThatIsNotDoneIsToldAsThat) {
  tpm_.SetAvailable(false);
  EXPECT_THAT(ZeroizeByAdmin(), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.zeroize","caller":1000,"module":"",)"
                                    R"("object":"","outcome":"CustodianUnavailable")"));
  tpm_.SetAvailable(true);
  ASSERT_OK(Unseal()) << "what was not destroyed still opens, with the log that tells of it";
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.unseal","caller":1000)"));
}

TEST_F(SealingTest, WhoUnsealsIsToldThoughTheHardwareComesLater) {
  ASSERT_OK(admin_->Seal(kCaller));
  tpm_.SetAvailable(false);
  const Result<void> refused = Unseal();
  ASSERT_THAT(refused, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(refused.error().message(), HasSubstr("keyd unseals by itself as soon as it can"));
  EXPECT_FALSE(IsThere("sealed"));
  tpm_.SetAvailable(true);
  unsealer_->OnHealthy(*pools_.at("tpm"));
  ASSERT_TRUE(testing_support::RunPostedUntil(*posts_, [&] { return daemon_->vault != nullptr; }));
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.unseal","caller":1000,"module":"",)"
                                    R"("object":"tpm","outcome":"ok","detail":{"asked":1})"));
  EXPECT_EQ(CountInLog(R"("event":"service.unseal","caller":1000)"), 2);
  EXPECT_EQ(CountInLog(R"("event":"service.unseal","caller":"keyd")"), 0);
}

TEST_F(SealingTest, OneWhoSealsAgainHasNotUnsealed) {
  ASSERT_OK(admin_->Seal(kCaller));
  tpm_.SetAvailable(false);
  ASSERT_THAT(Unseal(), FailsWith(ErrorCode::kCustodianUnavailable));
  ASSERT_OK(admin_->Seal(kCaller));
  tpm_.SetAvailable(true);
  ASSERT_OK(Wait([this](const auto& done) { admin_->Unseal(kCaller + 1, done); }));
  EXPECT_EQ(CountInLog(R"("event":"service.unseal","caller":1001)"), 2);
}

TEST_F(SealingTest, WhatServesIsNotUnsealed) {
  ASSERT_OK(Unseal());
  EXPECT_EQ(CountInLog("service.unseal"), 0);
}

TEST_F(SealingTest, EachBeginningTellsItsBoot) {
  const std::string boot = R"("detail":{"boot":")" + daemon_->boot.Name().id + "\"";
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"service.start","caller":"keyd","module":"",)"
                                    R"("object":"tpm","outcome":"ok",)" +
                                    boot));
  ASSERT_OK(admin_->Seal(kCaller));
  ASSERT_OK(Unseal());
  EXPECT_EQ(CountInLog(boot), 2);
}

TEST_F(SealingTest, AnAdminsEndOfSessionsIsToldFirst) {
  bool told_first = false;
  OpenSession([&] {
    told_first = CountInLog(R"("event":"session.end","caller":1000,"module":"frontend",)"
                            R"("object":"","outcome":"ok","detail":{"sessions":1})") == 1;
  });
  EXPECT_THAT(admin_->EndSessions(std::nullopt, "frontend", kCaller), IsOkAndHolds(1U));
  EXPECT_TRUE(told_first);
}

TEST_F(SealingTest, AnEndOfSessionsThatCannotBeToldIsRefused) {
  const auto session = OpenSession();
  trail_.Close();
  EXPECT_THAT(admin_->EndSessions(std::nullopt, "", kCaller), FailsWith(ErrorCode::kSealed));
  EXPECT_FALSE(session->ended());
}

TEST_F(SealingTest, WhoHasTheLogSignedIsTold) {
  const auto sign = [this] {
    return Wait([this](const auto& done) { admin_->SignAudit(kCaller, done); });
  };
  ASSERT_OK(sign());  // which makes the service key, and that is told
  ASSERT_OK(sign());
  EXPECT_EQ(CountInLog(R"("event":"audit.sign","caller":1000)"), 2);
  EXPECT_EQ(CountInLog("audit.checkpoint"), 2);
  ASSERT_OK(sign());
  EXPECT_EQ(CountInLog("audit.checkpoint"), 2) << "there was nothing more to sign";
  EXPECT_EQ(CountInLog("audit.sign"), 2);
}

TEST_F(SealingTest, WhoIsGivenARevocationListIsTold) {
  RevocationExchange exchange(*daemon_, *admin_);
  EXPECT_OK(Wait([&](const auto& done) {
    exchange.Export(kCaller, [this, done](const Result<RevocationExchange::Exported>& exported) {
      EXPECT_EQ(CountInLog(R"("event":"list.export","caller":1000)"), 1);
      done(exported ? Result<void>() : Fail(exported.error()));
    });
  }));
}

TEST_F(SealingTest, WhatMayNotBeForgottenIsTold) {
  ASSERT_OK(admin_->Seal(kCaller));
  EXPECT_THAT(Forget(), FailsWith(ErrorCode::kSealed));
  ASSERT_OK(Unseal());
  EXPECT_THAT(AuditLog(), HasSubstr(R"("event":"master.forget","caller":1000,"module":"",)"
                                    R"("object":"","outcome":"Sealed")"));
}

}  // namespace
}  // namespace keyward
