#include "keyd/registry.h"

#include <cstring>

#include "core/encoding.h"
#include "tests/support/matchers.h"
#include "tests/unit/audit/audit_fixture.h"
#include "tests/unit/keyd/no_space.h"
#include "tests/unit/keyd/test_store.h"
#include "tests/unit/keyd/write_lock.h"

namespace keyward {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::FailsWith;

constexpr WallTime kNow(std::chrono::milliseconds(1234));

class RegistryTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kCaller = 1000;

  void SetUp() override { registry_ = Read(); }
  // What is on disk.
  std::unique_ptr<Registry> Read() {
    return Registry::Create(stored_.journal(), stored_.Load()).value();
  }
  // What a change came to; the counter answers at once.
  template <class Change>
  Result<void> Run(Change change) {
    Result<void> outcome = Fail(ErrorCode::kInternal, "no answer came");
    change([&](Result<void> done) { outcome = std::move(done); });
    return outcome;
  }
  Result<void> EnrolModule(const std::string& name, const std::string& key) {
    return Run([&](const auto& done) { registry_->EnrolModule(name, key, rules_, kCaller, done); });
  }
  Result<void> EnrolPeer(const std::string& name, const PublicKey& key) {
    return Run([&](const auto& done) { registry_->EnrolPeer(name, key, rules_, kCaller, done); });
  }
  Result<void> RemoveModule(const std::string& name) {
    return Run([&](const auto& done) { registry_->RemoveModule(name, kCaller, done); });
  }
  Result<void> RemovePeer(const std::string& name) {
    return Run([&](const auto& done) { registry_->RemovePeer(name, kCaller, done); });
  }
  // RFC 8032, 7.1: the public keys of TEST 1 and TEST 2.
  static PublicKey PeerKey(int test) {
    return PublicKey::FromEd25519(
               FromHex(test == 1
                           ? "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
                           : "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
                   .value())
        .value();
  }

  testing_support::TestStore stored_;
  Registry::Rules rules_ = [] { return Result<void>(); };
  std::unique_ptr<Registry> registry_;
};

TEST_F(RegistryTest, WhatIsEnrolledLasts) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  const std::unique_ptr<Registry> after = Read();
  ASSERT_NE(after->IdentityOf("frontend"), nullptr);
  EXPECT_EQ(*after->IdentityOf("frontend"), "frontend-id");
  ASSERT_NE(after->PeerKey("remote"), nullptr);
  EXPECT_EQ(*after->PeerKey("remote"), PeerKey(1));
}

TEST_F(RegistryTest, WhatIsRemovedIsGone) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(RemoveModule("frontend"));
  ASSERT_OK(RemovePeer("remote"));
  EXPECT_TRUE(registry_->modules().empty());
  EXPECT_TRUE(registry_->peers().empty());
  EXPECT_TRUE(Read()->modules().empty());
  EXPECT_TRUE(Read()->peers().empty());
}

TEST_F(RegistryTest, WhatIsNotEnrolledIsNotRemoved) {
  EXPECT_THAT(RemoveModule("frontend"), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(RemovePeer("remote"), FailsWith(ErrorCode::kNotFound));
}

TEST_F(RegistryTest, ARemovalThatCouldNotBeWrittenIsRepeated) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  {
    const testing_support::WriteLock lock(stored_.path());
    EXPECT_THAT(RemoveModule("frontend"), FailsWith(ErrorCode::kIo));
    EXPECT_THAT(RemovePeer("remote"), FailsWith(ErrorCode::kIo));
    EXPECT_TRUE(registry_->modules().empty());
  }
  EXPECT_OK(RemoveModule("frontend"));
  EXPECT_OK(RemovePeer("remote"));
  EXPECT_THAT(RemoveModule("frontend"), FailsWith(ErrorCode::kNotFound));
  EXPECT_TRUE(Read()->modules().empty());
  EXPECT_TRUE(Read()->peers().empty());
}

TEST_F(RegistryTest, ANameIsAModulesOrAPeers) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  EXPECT_THAT(EnrolPeer("frontend", PeerKey(1)), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_THAT(EnrolModule("remote", "key"), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(Read()->IdentityOf("remote"), nullptr);
}

TEST_F(RegistryTest, AnotherKeyTakesARemovalFirst) {
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  EXPECT_THAT(EnrolPeer("remote", PeerKey(2)), FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK(EnrolModule("frontend", "old-id"));
  ASSERT_OK(EnrolModule("frontend", "old-id"));
  EXPECT_THAT(EnrolModule("frontend", "new-id"), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(*Read()->PeerKey("remote"), PeerKey(1));
  EXPECT_EQ(*Read()->IdentityOf("frontend"), "old-id");
}

TEST_F(RegistryTest, TheRulesHoldWhenAModuleIsWritten) {
  int asked = 0;
  rules_ = [&asked]() -> Result<void> {
    if (++asked == 1) return {};
    return Fail(ErrorCode::kNotFound, "the key is gone");
  };
  EXPECT_THAT(EnrolModule("frontend", "frontend-id"), FailsWith(ErrorCode::kNotFound));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(registry_->IdentityOf("frontend"), nullptr);
  EXPECT_EQ(Read()->IdentityOf("frontend"), nullptr);
}

// A re-enrolment is on disk and waits for the counter, or waits for its turn, when it is removed.
TEST_F(RegistryTest, ARemovalWithdrawsTheEnrolmentsThatWait) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  stored_.HoldAnswers();
  std::vector<Result<void>> answers;
  const auto done = [&answers](Result<void> answer) { answers.push_back(std::move(answer)); };
  registry_->EnrolModule("frontend", "frontend-id", rules_, kCaller, done);
  registry_->EnrolModule("new", "new-id", rules_, kCaller, done);
  registry_->EnrolPeer("remote", PeerKey(1), rules_, kCaller, done);
  registry_->EnrolPeer("revoked", PeerKey(2), rules_, kCaller, done);
  const auto removed = [](const Result<void>& outcome) { EXPECT_OK(outcome); };
  registry_->RemoveModule("frontend", kCaller, removed);
  registry_->RemoveModule("new", kCaller, removed);
  registry_->RemovePeer("remote", kCaller, removed);
  registry_->RevokePeer("revoked", kNow, kCaller, removed);
  while (stored_.Answer()) continue;
  EXPECT_THAT(answers, ::testing::AllOf(SizeIs(4), Each(FailsWith(ErrorCode::kNotFound))));
  EXPECT_THAT(registry_->modules(), IsEmpty());
  EXPECT_THAT(registry_->peers(), IsEmpty());
  EXPECT_TRUE(registry_->IsRevoked(PeerKey(2)));
  EXPECT_THAT(Read()->modules(), IsEmpty());
  EXPECT_THAT(Read()->peers(), IsEmpty());
}

TEST_F(RegistryTest, APeersIdentityIsEd25519) {
  // SEC 2, 2.4.2: the base point of P-256 is a point like any other.
  const Bytes base = FromHex(
                         "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                         "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
                         .value();
  ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromEcPoint(Algorithm::kEcdsaP256, base));
  EXPECT_THAT(EnrolPeer("remote", key), FailsWith(ErrorCode::kNotSupported));
}

TEST_F(RegistryTest, RemovingAnIdentityRemovesItsModulesForGood) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolModule("backend", "backend-id"));
  ASSERT_OK(stored_.Commit([](StoreWriter& store) { return store.DestroyKey("frontend-id"); }));
  registry_->ForgetIdentity("frontend-id");
  EXPECT_EQ(registry_->IdentityOf("frontend"), nullptr);
  EXPECT_EQ(Read()->IdentityOf("frontend"), nullptr);
  EXPECT_NE(Read()->IdentityOf("backend"), nullptr);
}

TEST_F(RegistryTest, APeerWhoseStoredKeyIsNoneIsRefused) {
  ASSERT_OK(
      stored_.Commit([](StoreWriter& store) { return store.PutPeer({"remote", {1, 2, 3}}); }));
  EXPECT_FALSE(Registry::Create(stored_.journal(), stored_.Load()));
}

TEST_F(RegistryTest, ARevokedPeerIsGoneAndItsKeyNeverComesBack) {
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(Run([&](const auto& done) { registry_->RevokePeer("remote", kNow, kCaller, done); }));
  for (int restart = 0; restart < 2; ++restart) {
    EXPECT_EQ(registry_->PeerKey("remote"), nullptr);
    EXPECT_TRUE(registry_->IsRevoked(PeerKey(1)));
    EXPECT_THAT(EnrolPeer("remote", PeerKey(1)), FailsWith(ErrorCode::kRevoked));
    EXPECT_THAT(EnrolPeer("another", PeerKey(1)), FailsWith(ErrorCode::kRevoked));
    ASSERT_EQ(registry_->revocations().size(), 1U);
    EXPECT_EQ(registry_->revocations()[0].revocation.name, "remote");
    EXPECT_EQ(registry_->revocations()[0].revocation.at, kNow);
    EXPECT_TRUE(registry_->revocations()[0].issuer.empty());
    registry_ = Read();
  }
  EXPECT_OK(EnrolPeer("remote", PeerKey(2)));
}

TEST_F(RegistryTest, ARevocationHoldsAtOnceWhereNothingCanBeWritten) {
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  stored_.SetAvailable(false);
  EXPECT_THAT(Run([&](const auto& done) { registry_->RevokePeer("remote", kNow, kCaller, done); }),
              FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_TRUE(registry_->IsRevoked(PeerKey(1)));
  EXPECT_EQ(registry_->PeerKey("remote"), nullptr);
}

TEST_F(RegistryTest, AnImportedListAddsWhatIsNew) {
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  const std::vector<Revocation> list{
      {.fingerprint = PeerKey(1).Fingerprint(), .name = "theirs", .version = 2, .at = kNow}};
  const Fingerprint issuer{7};
  const auto import = [&] {
    return Run([&](const auto& done) { registry_->Import(list, issuer, kCaller, done); });
  };
  ASSERT_OK(import());
  ASSERT_OK(import());
  for (int restart = 0; restart < 2; ++restart) {
    ASSERT_EQ(registry_->revocations().size(), 1U);
    EXPECT_EQ(registry_->revocations()[0].revocation, list[0]);
    EXPECT_EQ(registry_->revocations()[0].issuer, ToBytes(issuer));
    EXPECT_TRUE(registry_->IsRevoked(PeerKey(1)));
    EXPECT_FALSE(registry_->IsRevoked(PeerKey(2)));
    registry_ = Read();
  }
}

TEST_F(RegistryTest, NoIssuerKeepsTheOthersOut) {
  std::vector<Revocation> list;
  const auto add = [&list](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      Fingerprint fingerprint{};
      const size_t number = list.size() + 1;
      std::memcpy(fingerprint.data(), &number, sizeof number);
      list.push_back({.fingerprint = fingerprint, .name = "theirs", .version = 2, .at = kNow});
    }
  };
  const auto import = [&](uint8_t issuer) {
    return Run(
        [&](const auto& done) { registry_->Import(list, Fingerprint{issuer}, kCaller, done); });
  };
  add(10);
  list.insert(list.end(), list.begin(), list.begin() + 10);  // each twice
  ASSERT_OK(import(1));
  EXPECT_EQ(registry_->revocations().size(), 10U);
  add(kMaxRevocationsOfIssuer);
  EXPECT_THAT(import(1), FailsWith(ErrorCode::kResourceExhausted));
  EXPECT_EQ(registry_->revocations().size(), 10U);
  EXPECT_OK(import(2));
  EXPECT_EQ(registry_->revocations().size(), 10U + kMaxRevocationsOfIssuer);
}

// What was revoked while nothing could be written is written when it is revoked again.
TEST_F(RegistryTest, ARevocationThatWasNotWrittenCanBeRepeated) {
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  const auto revoke = [&] {
    return Run([&](const auto& done) { registry_->RevokePeer("remote", kNow, kCaller, done); });
  };
  {
    const testing_support::NoSpace full;
    EXPECT_THAT(revoke(), FailsWith(ErrorCode::kIo));
  }
  EXPECT_TRUE(registry_->IsRevoked(PeerKey(1)));
  EXPECT_EQ(Read()->revocations().size(), 0U);
  EXPECT_OK(revoke());
  EXPECT_TRUE(Read()->IsRevoked(PeerKey(1)));
  EXPECT_EQ(Read()->PeerKey("remote"), nullptr);
  EXPECT_THAT(revoke(), FailsWith(ErrorCode::kNotFound));
}

TEST_F(RegistryTest, WhatCouldNotBeWrittenIsWrittenOnceItCanBe) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(EnrolModule("backend", "backend-id"));
  ASSERT_OK(EnrolPeer("removed", PeerKey(1)));
  ASSERT_OK(EnrolPeer("revoked", PeerKey(2)));
  const auto revoke = [&] {
    return Run([&](const auto& done) { registry_->RevokePeer("revoked", kNow, kCaller, done); });
  };
  {
    const testing_support::NoSpace full;
    for (const Result<void>& outcome :
         {RemoveModule("frontend"), RemoveModule("backend"), RemovePeer("removed"), revoke()}) {
      ASSERT_THAT(outcome, FailsWith(ErrorCode::kIo));
      EXPECT_THAT(outcome.error().message(), ::testing::HasSubstr("done, but not written"));
    }
    registry_->RecordUnrecorded();
  }
  EXPECT_EQ(*registry_->RemovedIdentityOf("backend"), "backend-id");
  ASSERT_OK(EnrolModule("backend", "backend-id"));  // whose removal is over
  registry_->RecordUnrecorded();
  EXPECT_EQ(registry_->RemovedIdentityOf("frontend"), nullptr);
  const std::unique_ptr<Registry> after = Read();
  EXPECT_THAT(after->modules(), SizeIs(1));
  EXPECT_NE(after->IdentityOf("backend"), nullptr);
  EXPECT_THAT(after->peers(), IsEmpty());
  EXPECT_TRUE(after->IsRevoked(PeerKey(2)));
  EXPECT_FALSE(after->IsRevoked(PeerKey(1)));
  const uint64_t epoch = stored_.store().epoch();
  registry_->RecordUnrecorded();
  EXPECT_EQ(stored_.store().epoch(), epoch);
}

// What waits for the counter is written already: its removal before is over.
TEST_F(RegistryTest, AnEnrolmentThatWaitsIsNotTakenForTheOneBeforeIt) {
  ASSERT_OK(EnrolModule("frontend", "frontend-id"));
  {
    const testing_support::NoSpace full;
    ASSERT_THAT(RemoveModule("frontend"), FailsWith(ErrorCode::kIo));
  }
  stored_.HoldAnswers();
  const auto enrolled = [](const Result<void>& outcome) { EXPECT_OK(outcome); };
  registry_->EnrolModule("frontend", "frontend-id", rules_, kCaller, enrolled);
  registry_->RecordUnrecorded();
  while (stored_.Answer()) continue;
  EXPECT_NE(registry_->IdentityOf("frontend"), nullptr);
  EXPECT_NE(Read()->IdentityOf("frontend"), nullptr);
}

TEST_F(RegistryTest, WhatTheHardwareDoesNotConfirmIsToldAsHolding) {
  stored_.SetAvailable(false);
  const Result<void> enrolled = EnrolModule("frontend", "frontend-id");
  const Result<void> removed = RemoveModule("frontend");
  const std::vector<Revocation> list{
      {.fingerprint = PeerKey(1).Fingerprint(), .name = "theirs", .version = 2, .at = kNow}};
  const Result<void> imported =
      Run([&](const auto& done) { registry_->Import(list, Fingerprint{7}, kCaller, done); });
  for (const Result<void>& outcome : {enrolled, removed, imported}) {
    ASSERT_THAT(outcome, FailsWith(ErrorCode::kCustodianUnavailable));
    EXPECT_THAT(outcome.error().message(), ::testing::StartsWith("done, but until"));
  }
}

TEST_F(RegistryTest, AListThatWasNotWrittenCanBeImportedAgain) {
  const std::vector<Revocation> list{
      {.fingerprint = PeerKey(1).Fingerprint(), .name = "theirs", .version = 2, .at = kNow}};
  const auto import = [&] {
    return Run([&](const auto& done) { registry_->Import(list, Fingerprint{7}, kCaller, done); });
  };
  {
    const testing_support::NoSpace full;
    EXPECT_THAT(import(), FailsWith(ErrorCode::kIo));
  }
  EXPECT_EQ(Read()->revocations().size(), 0U);
  EXPECT_OK(import());
  EXPECT_EQ(Read()->revocations().size(), 1U);
  EXPECT_OK(import());
  EXPECT_EQ(Read()->revocations().size(), 1U);
}

TEST_F(RegistryTest, WhatIsRevokedIsToldAsThat) {
  testing_support::FaultyDisk log;
  stored_.MoveAudit(log);
  const auto revoke = [&] {
    return Run([&](const auto& done) { registry_->RevokePeer("remote", kNow, kCaller, done); });
  };
  EXPECT_THAT(revoke(), FailsWith(ErrorCode::kNotFound));
  ASSERT_OK(EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(revoke());
  const std::vector<audit::Record> records = testing_support::RecordsOf(log.Contents());
  ASSERT_GE(records.size(), 3U);
  const audit::Record& refused = records[records.size() - 3];
  EXPECT_EQ(refused.event, audit::EventKind::kPeerRevoke);
  EXPECT_EQ(refused.failed, ErrorCode::kNotFound);
  const audit::Record& told = records.back();
  EXPECT_EQ(told.event, audit::EventKind::kPeerRevoke);
  EXPECT_EQ(told.caller, kCaller);
  EXPECT_EQ(told.object, "remote");
  EXPECT_EQ(told.failed, std::nullopt);
  EXPECT_EQ(told.Text("fingerprint"), ToHex(PeerKey(1).Fingerprint()));
}

}  // namespace
}  // namespace keyward
