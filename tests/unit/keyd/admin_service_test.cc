#include "keyd/admin_service.h"

#include <gmock/gmock.h>

#include "keyd/initialise.h"
#include "keyd/revocation_exchange.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/keyd/service_fixture.h"
#include "tests/unit/keyd/write_lock.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::FailsWith;
using testing_support::IsOkAndHolds;
using testing_support::WriteLock;

class AdminServiceTest : public ServiceFixture {
 protected:
  static constexpr uint32_t kAdmin = 0;
  static constexpr uint32_t kAll = 0;

  void SetUp() override {
    ServiceFixture::SetUp();
    ASSERT_OK(
        Initialise({.custodian = "hsm", .authority = std::nullopt}, pools_, home_.path(), rng_));
    ASSERT_OK_AND_ASSIGN(unsealer_, Unsealer::Create(*daemon_, home_.path()));
    attestation_.emplace(*daemon_);
    admin_.emplace(*daemon_, *service_, *unsealer_, *attestation_,
                   []() -> Result<policy::Policy> { return ThePolicy(); });
    EnrolBoth();
  }
  void TearDown() override {
    unsealer_->Stop();
    ServiceFixture::TearDown();
  }

  Result<uint32_t> RevokeModule(const std::string& name) {
    const Answer<uint32_t> answer;
    admin_->RevokeModule(name, kAdmin, answer);
    return Await(answer);
  }
  Result<uint32_t> RevokeKey(const std::string& name) {
    const Answer<uint32_t> answer;
    admin_->RevokeKey(name, kAll, kAdmin, answer);
    return Await(answer);
  }
  Result<uint32_t> DestroyKey(const std::string& name, uint32_t version = kAll) {
    const Answer<uint32_t> answer;
    admin_->DestroyKey(name, version, kAdmin, answer);
    return Await(answer);
  }
  void TakeTheCounterAway() {
    confirm_with_ = []() -> Result<void> {
      return Fail(ErrorCode::kCustodianUnavailable, "switched off");
    };
  }
  // A session of "a" that rests on "a-id".
  std::shared_ptr<LiveSession> Session() {
    return opened_.emplace_back(OpenSession("a-id", "c").value()).session;
  }
  VersionState StateOf(const std::string& key) {
    return ring_->Find(key)->versions.front()->state();
  }
  StoredState OnDisk() { return daemon_->vault->Load().value(); }
  VersionState StoredStateOf(const std::string& key) {
    for (const VersionRecord& version : OnDisk().versions) {
      if (version.key == key) return version.state;
    }
    return VersionState::kPending;
  }
  size_t Told(audit::EventKind kind) const {
    const std::vector<audit::Record> records = testing_support::RecordsOf(disk_.Contents());
    return static_cast<size_t>(std::ranges::count(records, kind, &audit::Record::event));
  }

  // A list of another host that names the key "a-id", which is kept here too.
  struct SignedList {
    std::string text;
    PublicKey signer;
  };
  Result<SignedList> ListOfOthers() {
    const VersionPtr signer = ring_->Find("b-id")->versions.front();
    RevocationList list{.issued = clock_.Now(), .epoch = 1, .revocations = {}};
    list.revocations.push_back(
        {.fingerprint = ring_->Find("a-id")->versions.front()->public_key().Fingerprint(),
         .name = "theirs",
         .version = 1,
         .at = clock_.Now()});
    const std::string composed = Compose(list);
    const Answer<Bytes> answer;
    KEYWARD_TRY(signer->WithSigner(kCaller, [&](Result<SignFunction> sign) {
      Result<Bytes> signature =
          sign ? (*sign)(AsBytes(composed)) : Result<Bytes>(Fail(sign.error()));
      posts_->Post([answer, signature] { answer(signature); });
    }));
    KEYWARD_ASSIGN(const Bytes signature, Await(answer));
    return SignedList{WithSignature(composed, signature, signer->public_key()),
                      signer->public_key()};
  }
  Result<RevocationExchange::Imported> Import() {
    KEYWARD_ASSIGN(const SignedList list, ListOfOthers());
    const Answer<RevocationExchange::Imported> answer;
    RevocationExchange(*daemon_, *admin_).Import(list.text, list.signer, kAdmin, answer);
    return Await(answer);
  }

  testing_support::TempDir home_;      // of the master key, which nothing here asks for
  std::vector<OpenedSession> opened_;  // with their channels
  std::unique_ptr<Unsealer> unsealer_;
  std::optional<Attestation> attestation_;
  std::optional<AdminService> admin_;
};

TEST_F(AdminServiceTest, AModuleIsRevokedAsAWhole) {
  const std::shared_ptr<LiveSession> session = Session();
  EXPECT_THAT(RevokeModule("a"), IsOkAndHolds(1U));
  EXPECT_TRUE(session->ended());
  EXPECT_EQ(registry_->IdentityOf("a"), nullptr);
  EXPECT_EQ(StoredStateOf("a-id"), VersionState::kRevoked);
  EXPECT_THAT(RevokeModule("a"), FailsWith(ErrorCode::kNotFound));
}

TEST_F(AdminServiceTest, AModuleIsRevokedWhereTheHardwareDoesNotConfirmIt) {
  const std::shared_ptr<LiveSession> session = Session();
  ASSERT_OK_AND_ASSIGN(const UniqueFd channel, service_->OpenKey(caller_, "web"));
  TakeTheCounterAway();
  const Result<uint32_t> revoked = RevokeModule("b");
  ASSERT_THAT(revoked, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_THAT(revoked.error().message(), HasSubstr("done, but"));
  EXPECT_THAT(RevokeModule("a"), FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_TRUE(session->ended());
  EXPECT_EQ(Told(audit::EventKind::kKeyClose), 1U);
  EXPECT_THAT(registry_->modules(), IsEmpty());
  EXPECT_THAT(service_->OpenKey(caller_, "web"), FailsWith(ErrorCode::kPermissionDenied));
  EXPECT_THAT(Sign("server"), FailsWith(ErrorCode::kPermissionDenied));
  EXPECT_THAT(OnDisk().modules, IsEmpty());
  for (const char* key : {"a-id", "b-id"}) EXPECT_EQ(StoredStateOf(key), VersionState::kRevoked);
}

TEST_F(AdminServiceTest, AModuleWhoseIdentityWasDestroyedIsWithdrawn) {
  ASSERT_OK(DestroyKey("a-id", 1));
  ASSERT_NE(registry_->IdentityOf("a"), nullptr);
  EXPECT_OK(RevokeModule("a"));
  EXPECT_EQ(registry_->IdentityOf("a"), nullptr);
  EXPECT_EQ(OnDisk().modules.size(), 1U);
}

TEST_F(AdminServiceTest, AModuleWhoseRevocationWasNotWrittenCanBeRevokedAgain) {
  {
    const WriteLock lock(stored_.path());
    const Result<uint32_t> revoked = RevokeModule("a");
    ASSERT_THAT(revoked, FailsWith(ErrorCode::kIo));
    EXPECT_THAT(revoked.error().message(), HasSubstr("not written"));
  }
  EXPECT_EQ(OnDisk().modules.size(), 2U);
  EXPECT_OK(RevokeModule("a"));
  EXPECT_EQ(OnDisk().modules.size(), 1U);
  EXPECT_EQ(StoredStateOf("a-id"), VersionState::kRevoked);
}

TEST_F(AdminServiceTest, SessionsEndBeforeAnyoneIsToldThatARevocationWasNotWritten) {
  const std::shared_ptr<LiveSession> session = Session();
  std::optional<bool> ended;
  const auto done = [&](const Result<uint32_t>& revoked) {
    EXPECT_THAT(revoked, FailsWith(ErrorCode::kIo));
    ended = session->ended().has_value();
  };
  const WriteLock lock(stored_.path());
  admin_->RevokeKey("a-id", kAll, kAdmin, done);
  EXPECT_EQ(ended, true);
}

TEST_F(AdminServiceTest, ADestructionIsToldAndCountedAsOneRevocationAndOneDestruction) {
  const std::shared_ptr<LiveSession> session = Session();
  const uint64_t epoch = daemon_->vault->epoch();
  EXPECT_THAT(DestroyKey("a-id"), IsOkAndHolds(1U));
  EXPECT_TRUE(session->ended());
  EXPECT_EQ(daemon_->vault->epoch(), epoch + 2);
  EXPECT_EQ(Told(audit::EventKind::kKeyRevoke), 1U);
  EXPECT_EQ(Told(audit::EventKind::kKeyDestroy), 1U);
  EXPECT_EQ(registry_->IdentityOf("a"), nullptr);
  EXPECT_THAT(DestroyKey("unknown"), FailsWith(ErrorCode::kNotFound));
}

TEST_F(AdminServiceTest, AListThatNamesAKeyOfThisHostEndsItHereToo) {
  const std::shared_ptr<LiveSession> session = Session();
  ASSERT_OK_AND_ASSIGN(const RevocationExchange::Imported imported, Import());
  EXPECT_EQ(imported.added, 1U);
  EXPECT_EQ(imported.sessions_ended, 1U);
  EXPECT_TRUE(session->ended());
  EXPECT_EQ(StoredStateOf("a-id"), VersionState::kRevoked);
}

// The list itself is written, the revocation of the version is not.
TEST_F(AdminServiceTest, AListIsAcknowledgedOnceTheVersionsThatItNamesAreRecorded) {
  ASSERT_OK_AND_ASSIGN(const SignedList list, ListOfOthers());
  std::optional<WriteLock> lock;
  confirm_with_ = [&] {
    lock.emplace(stored_.path());
    return Result<void>();
  };
  const Answer<RevocationExchange::Imported> answer;
  RevocationExchange(*daemon_, *admin_).Import(list.text, list.signer, kAdmin, answer);
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(StateOf("a-id"), VersionState::kRevoked);
  confirm_with_ = [] { return Result<void>(); };
  lock.reset();
  EXPECT_EQ(OnDisk().revocations.size(), 1U);
  EXPECT_EQ(StoredStateOf("a-id"), VersionState::kActive);
  daemon_->vault->schedule().Tick();
  EXPECT_EQ(StoredStateOf("a-id"), VersionState::kRevoked);
}

// Between two of the schedule's notes.
TEST_F(AdminServiceTest, ASealForgetsNoUsesAndNoTime) {
  daemon_->vault->schedule().Tick();
  ASSERT_OK(Sign("server"));
  clock_.Advance(std::chrono::seconds(5));
  const WallTime now = ring_->Now();
  ASSERT_OK(admin_->Seal(kAdmin));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Store> store, stored_.TryOpen());
  ASSERT_OK_AND_ASSIGN(const StoredState state, store->Load());
  const auto web = std::ranges::find(state.versions, "web", &VersionRecord::key);
  ASSERT_NE(web, state.versions.end());
  EXPECT_EQ(web->uses, 1U);
  EXPECT_EQ(state.lifecycle_time, now);
}

}  // namespace
}  // namespace keyward
