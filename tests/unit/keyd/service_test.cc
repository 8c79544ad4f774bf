#include "keyd/service.h"

#include "tests/unit/keyd/service_fixture.h"

namespace keyward {
namespace {

using testing_support::FailsWith;
using testing_support::IsOkAndHolds;

class ServiceTest : public ServiceFixture {};

TEST_F(ServiceTest, ASessionBelongsToTheModuleWhoseIdentityTheKeyIs) {
  EnrolBoth();
  EXPECT_THAT(Open("a-id", "c"), IsOkAndHolds("a"));
  EXPECT_THAT(Open("b-id", "c"), IsOkAndHolds("b"));  // which "a" may use as well
}

TEST_F(ServiceTest, SettingTheClockMovesNoSessionsEnd) {
  EnrolBoth();
  ASSERT_OK_AND_ASSIGN(const OpenedSession opened, OpenSession("a-id", "c"));
  const std::shared_ptr<LiveSession>& session = opened.session;
  const MonotonicTime deadline = session->NextDeadline();
  constexpr std::chrono::hours kYear{24 * 365};
  for (const std::chrono::hours back : {kYear, -2 * kYear}) {
    clock_.SetBack(back);
    EXPECT_EQ(sessions_.EndExpired(clock_.Monotonic()), deadline);
  }
  EXPECT_FALSE(session->ended());
  clock_.SetBack(kYear * 3);
  clock_.Advance(deadline - clock_.Monotonic());
  EXPECT_EQ(sessions_.EndExpired(clock_.Monotonic()), std::nullopt);
  EXPECT_EQ(session->ended()->code(), ErrorCode::kExpired);
}

TEST_F(ServiceTest, TheIdentityOfOneModuleDoesNotReachThePeersOfAnother) {
  EnrolBoth();
  EXPECT_THAT(Open("a-id", "d"), FailsWith(ErrorCode::kPeerNotAllowed));
}

TEST_F(ServiceTest, AKeyThatIsNoIdentityOfTheCallersOpensNoSession) {
  ASSERT_OK(EnrolModule("a", "a-id"));
  EXPECT_THAT(Open("b-id", "c"), FailsWith(ErrorCode::kPermissionDenied));
}

TEST_F(ServiceTest, AKeySignsForWhatAnyEnrolledModuleOfTheCallersIsGranted) {
  EXPECT_THAT(Sign("server"), FailsWith(ErrorCode::kPermissionDenied));
  ASSERT_OK(EnrolModule("b", "b-id"));
  EXPECT_OK(Sign("server"));  // "a" is granted this too, and is not enrolled
  EXPECT_OK(Sign("client"));
  ASSERT_OK(RemoveModule("b"));
  ASSERT_OK(EnrolModule("a", "a-id"));
  EXPECT_OK(Sign("server"));
  EXPECT_THAT(Sign("client"), FailsWith(ErrorCode::kPermissionDenied));
}

TEST_F(ServiceTest, WhatIsGivenIsInTheAuditLog) {
  EnrolBoth();
  ASSERT_OK(Open("a-id", "c"));
  EXPECT_EQ(Last().event, audit::EventKind::kSessionOpen);
  EXPECT_EQ(Last().caller, kCaller);
  EXPECT_EQ(Last().module, "a");
  EXPECT_EQ(Last().Text("peer"), "c");
  ASSERT_OK(Sign("server"));
  // The session, whose channel nobody holds, may have ended meanwhile.
  const std::vector<audit::Record> records = testing_support::RecordsOf(disk_.Contents());
  const auto sign = std::ranges::find(records, audit::EventKind::kKeySign, &audit::Record::event);
  ASSERT_NE(sign, records.end());
  EXPECT_EQ(sign->object, "web");
  EXPECT_EQ(sign->Text("purpose"), "tls13-server");
}

TEST_F(ServiceTest, WhatIsRefusedIsInTheAuditLog) {
  EnrolBoth();
  ASSERT_FALSE(Open("a-id", "d"));
  EXPECT_EQ(Last().event, audit::EventKind::kSessionOpen);
  EXPECT_EQ(Last().failed, ErrorCode::kPeerNotAllowed);
  ASSERT_FALSE(service_->OpenKey(caller_, "unknown"));
  EXPECT_EQ(Last().event, audit::EventKind::kKeyOpen);
  EXPECT_EQ(Last().failed, ErrorCode::kPermissionDenied);
}

TEST_F(ServiceTest, WhatCannotBeToldIsNotGiven) {
  EnrolBoth();
  disk_.FailAfter(0, testing_support::FaultyDisk::Fault::kPowerCut);
  EXPECT_THAT(Open("a-id", "c"), FailsWith(ErrorCode::kIo));
  EXPECT_EQ(sessions_.size(), 0U);
  EXPECT_THAT(Sign("server"), FailsWith(ErrorCode::kIo));
  EXPECT_THAT(service_->OpenKey(caller_, "web"), FailsWith(ErrorCode::kIo));
}

TEST_F(ServiceTest, TheEndOfASessionIsToldWithWhatItDid) {
  EnrolBoth();
  ASSERT_OK_AND_ASSIGN(const OpenedSession opened, OpenSession("a-id", "c"));
  opened.session->End(Error(ErrorCode::kExpired, "the session reached its timeout"));
  service_->endings().Record();
  EXPECT_EQ(Last().event, audit::EventKind::kSessionEnd);
  EXPECT_EQ(Last().failed, ErrorCode::kExpired);
  EXPECT_EQ(Last().Number("sealed"), 0U);
  EXPECT_EQ(Last().Text("why"), "the session reached its timeout");
}

TEST_F(ServiceTest, TheEndsOfManySessionsAreRecordedBeforeAnyoneIsTold) {
  EnrolBoth();
  constexpr size_t kMany = 100;
  std::vector<OpenedSession> opened;
  while (opened.size() < kMany) {
    ASSERT_OK_AND_ASSIGN(OpenedSession one, OpenSession("a-id", "c"));
    opened.push_back(std::move(one));
  }
  size_t told = 0;
  service_->endings().OnSessionEnded([&](uint64_t id, const Error& reason) {
    ++told;
    EXPECT_EQ(reason.code(), ErrorCode::kRevoked);
    const std::vector<audit::Record> records = testing_support::RecordsOf(disk_.Contents());
    EXPECT_TRUE(std::ranges::any_of(records, [id](const audit::Record& record) {
      return record.event == audit::EventKind::kSessionEnd && record.object == std::to_string(id);
    }));
  });
  EXPECT_EQ(sessions_.EndWhere([](const SessionInfo&) { return true; },
                               Error(ErrorCode::kRevoked, "the key was revoked")),
            kMany);
  EXPECT_EQ(told, 0U);
  EXPECT_TRUE(testing_support::RunPostedUntil(*posts_, [&told] { return told == kMany; }));
}

TEST_F(ServiceTest, TheEndOfAKeysChannelIsToldOnce) {
  EnrolBoth();
  ASSERT_OK_AND_ASSIGN(UniqueFd channel, service_->OpenKey(caller_, "web"));
  service_->CloseKeyChannels([](const KeyHandle&) { return true; },
                             Error(ErrorCode::kSealed, "the service was sealed"));
  channel.Reset();
  channels_->Stop();
  service_->endings().Record();
  EXPECT_EQ(Last().event, audit::EventKind::kKeyClose);
  EXPECT_EQ(Last().Number("signatures"), 0U);
  const std::vector<audit::Record> records = testing_support::RecordsOf(disk_.Contents());
  EXPECT_EQ(std::ranges::count(records, audit::EventKind::kKeyClose, &audit::Record::event), 1);
}

TEST_F(ServiceTest, ASignatureThatWaitsForTheBusIsOvertakenByARevocation) {
  EnrolBoth();
  const Answer<Bytes> answer = StartSigning("server");
  AwaitHardware();
  ASSERT_OK(Revoke("web", 0));
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kRevoked));
}

TEST_F(ServiceTest, ASignatureThatWaitsForTheBusIsOvertakenByARevocationOfItsVersion) {
  EnrolBoth();
  const Answer<Bytes> answer = StartSigning("server");
  AwaitHardware();
  ring_->Find("web")->versions[0]->Retire(clock_.Now());
  ASSERT_OK(Revoke("web", 1));
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kRevoked));
}

TEST_F(ServiceTest, ASignatureThatWaitsForTheBusIsOvertakenByTheRemovalOfItsModule) {
  EnrolBoth();
  const Answer<Bytes> answer = StartSigning("client");
  AwaitHardware();
  ASSERT_OK(RemoveModule("b"));
  EXPECT_THAT(Await(answer), FailsWith(ErrorCode::kPermissionDenied));
}

TEST_F(ServiceTest, ASignatureOfARevokedVersionIsNotReleased) {
  const KeyHandle handle(caller_, "web", {Purpose::kTls13Server}, ring_->Find("web")->active);
  const Answer<Signature> answer;
  handle.Sign("tls13-server", CertificateVerify("server"), [&](const Result<Signature>& made) {
    posts_->Post([answer, made] { answer(made); });
  });
  ASSERT_OK_AND_ASSIGN(const Signature signature, Await(answer));
  int released = 0;
  ASSERT_OK(signature.by->Release([&] { ++released; }));
  ASSERT_OK(Revoke("web", 0));
  EXPECT_THAT(signature.by->Release([&] { ++released; }), FailsWith(ErrorCode::kRevoked));
  EXPECT_EQ(released, 1);
}

}  // namespace
}  // namespace keyward
