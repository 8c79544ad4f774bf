#include "session/aico_handshake.h"

#include <gmock/gmock.h>

#include "core/encoding.h"
#include "tests/unit/session/aico_fixture.h"

namespace keyward::session {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing_support::FailsWith;

class AicoHandshakeTest : public AicoFixture {
 protected:
  // A step that failed leaves an engine with which nothing can be done any more.
  void ExpectDead(AicoEngine& engine, ByteView next_message) const {
    EXPECT_FALSE(engine.established());
    const Result<StepResult> again = engine.Step(next_message, frontend_.signer());
    ASSERT_THAT(again, FailsWith(ErrorCode::kWrongState));
    EXPECT_EQ(again.error().action(), Action::kReconnect);
    Bytes frame;
    EXPECT_THAT(engine.Seal(AsBytes("x"), {}, frame), FailsWith(ErrorCode::kWrongState));
  }
};

TEST_F(AicoHandshakeTest, BothSidesGetEstablishedInThreeMessages) {
  const EnginePtr a = Initiator();
  const EnginePtr b = Responder();
  ASSERT_OK_AND_ASSIGN(const StepResult hello, StepFrontend(*a, {}));
  EXPECT_FALSE(hello.established);
  ASSERT_OK_AND_ASSIGN(const StepResult reply, StepBackend(*b, hello.output));
  EXPECT_FALSE(reply.established);
  EXPECT_EQ(reply.output.size(), 8U + 32 + 32 + 32 + 8 + 64);
  ASSERT_OK_AND_ASSIGN(const StepResult confirmation, StepFrontend(*a, reply.output));
  EXPECT_TRUE(confirmation.established);
  EXPECT_EQ(confirmation.output.size(), 8U + 64);
  ASSERT_OK_AND_ASSIGN(const StepResult done, StepBackend(*b, confirmation.output));
  EXPECT_TRUE(done.established);
  EXPECT_TRUE(done.output.empty());
  ExpectOpens(*b, SealWith(*a, "from a"), "from a");
  ExpectOpens(*a, SealWith(*b, "from b"), "from b");
}

TEST_F(AicoHandshakeTest, EachHandshakeHasRandomnessAndKeysOfItsOwn) {
  const EnginePtr a1 = Initiator();
  const EnginePtr a2 = Initiator();
  const EnginePtr b1 = Responder();
  const EnginePtr b2 = Responder();
  ASSERT_OK_AND_ASSIGN(const AicoHello first, DecodeHello(Frontend(*Initiator(), {})));
  ASSERT_OK_AND_ASSIGN(const AicoHello second, DecodeHello(Frontend(*Initiator(), {})));
  EXPECT_NE(first.party.ephemeral, second.party.ephemeral);
  EXPECT_NE(first.party.challenge, second.party.challenge);
  Connect(*a1, *b1);
  Connect(*a2, *b2);
  EXPECT_THAT(OpenWith(*b2, SealWith(*a1, "x")), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(AicoHandshakeTest, HelloHasTheDocumentedLayout) {
  const Bytes hello = Frontend(*Initiator(), {});
  const std::string head = std::string("AICO-HS1\x01\x08", 10) +
                           "frontend\x07"
                           "backend\x06"
                           "orders";
  ASSERT_EQ(hello.size(), head.size() + 104);
  EXPECT_EQ(AsText(ByteView(hello).first(head.size())), head);
  Reader party(ByteView(hello).subspan(head.size() + 96));
  EXPECT_THAT(party.Integer<uint64_t>(), testing_support::IsOkAndHolds(1'750'000'000'000U));
}

TEST_F(AicoHandshakeTest, SignaturesCoverDomainRoleAndTranscript) {
  const EnginePtr a = Initiator();
  const EnginePtr b = Responder();
  const Bytes hello = Frontend(*a, {});
  Bytes reply = Backend(*b, hello);
  const Bytes confirmation = Frontend(*a, reply);
  const auto expect_signed = [](const TestIdentity& by, uint8_t role, Bytes sent,
                                ByteView signature) {
    const Bytes message = Writer().Raw(AsBytes("AICO-SIG-V1")).Integer(role).Raw(sent).Take();
    EXPECT_OK(by.public_key().Verify(message, signature));
  };
  Bytes transcript = hello;
  Append(transcript, ByteView(reply).first(112));
  expect_signed(backend_, 2, transcript, ByteView(reply).subspan(112));
  Append(transcript, ByteView(reply).subspan(112));
  expect_signed(frontend_, 1, transcript, ByteView(confirmation).subspan(8));
}

TEST_F(AicoHandshakeTest, NoCorruptedHelloIsAnsweredWithASession) {
  const EnginePtr a = Initiator();
  const Bytes hello = Frontend(*a, {});
  ForEachCorruption(hello, [&](const Bytes& bad, size_t at) {
    const EnginePtr victim = Responder();
    const Result<StepResult> reply = StepBackend(*victim, bad);
    if (!reply) return ExpectDead(*victim, hello);
    // What the responder can't know to be wrong (ephemeral, challenge, timestamp) is in its
    // signature, and the initiator knows what it sent.
    EXPECT_FALSE(victim->established()) << at;
    const EnginePtr fooled = Initiator();
    Frontend(*fooled, {});
    EXPECT_THAT(StepFrontend(*fooled, reply->output), FailsWith(ErrorCode::kAuthenticationFailed))
        << at;
  });
}

TEST_F(AicoHandshakeTest, ChangedHelloBreaksTheInitiatorThatSentIt) {
  const size_t party = Frontend(*Initiator(), {}).size() - 104;
  for (size_t at = party + 32; at < party + 104; ++at) {
    const EnginePtr a = Initiator();
    Bytes hello = Frontend(*a, {});
    hello[at] ^= 1;
    const EnginePtr b = Responder();
    const Result<StepResult> reply = StepBackend(*b, hello);
    if (!reply) continue;  // the timestamp's high bytes
    EXPECT_THAT(StepFrontend(*a, reply->output), FailsWith(ErrorCode::kAuthenticationFailed)) << at;
  }
}

TEST_F(AicoHandshakeTest, NoCorruptedReplyEstablishes) {
  const size_t size = Backend(*Responder(), Frontend(*Initiator(), {})).size();
  ForEachCorruption(Bytes(size), [&](const Bytes& pattern, size_t at) {
    const EnginePtr a = Initiator();
    const Bytes reply = Backend(*Responder(), Frontend(*a, {}));
    // The corruption of the all-zero pattern, laid over this handshake's own bytes.
    Bytes bad = pattern;
    for (size_t i = 0; i < bad.size() && i < reply.size(); ++i) bad[i] ^= reply[i];
    EXPECT_FALSE(StepFrontend(*a, bad).has_value()) << at;
    ExpectDead(*a, reply);
  });
}

TEST_F(AicoHandshakeTest, NoCorruptedConfirmationEstablishes) {
  ForEachCorruption(Bytes(72), [&](const Bytes& pattern, size_t at) {
    const EnginePtr a = Initiator();
    const EnginePtr b = Responder();
    const Bytes confirmation = Frontend(*a, Backend(*b, Frontend(*a, {})));
    Bytes bad = pattern;
    for (size_t i = 0; i < bad.size() && i < confirmation.size(); ++i) bad[i] ^= confirmation[i];
    EXPECT_FALSE(StepBackend(*b, bad).has_value()) << at;
    ExpectDead(*b, confirmation);
  });
}

TEST_F(AicoHandshakeTest, ClocksMayDifferByThirtySecondsEitherWay) {
  for (testing_support::FakeClock* ahead : {&frontend_clock_, &backend_clock_}) {
    ahead->Advance(seconds(30));
    Connect(*Initiator(), *Responder());
    ahead->Advance(milliseconds(1));
    EXPECT_THAT(StepBackend(*Responder(), Frontend(*Initiator(), {})),
                FailsWith(ErrorCode::kStaleTimestamp));
    ahead->Advance(-seconds(30) - milliseconds(1));
  }
}

TEST_F(AicoHandshakeTest, InitiatorRefusesAStaleReply) {
  for (const seconds jump : {seconds(31), seconds(-31)}) {
    const EnginePtr a = Initiator();
    const Bytes reply = Backend(*Responder(), Frontend(*a, {}));
    frontend_clock_.Advance(jump);
    EXPECT_THAT(StepFrontend(*a, reply), FailsWith(ErrorCode::kStaleTimestamp));
    ExpectDead(*a, reply);
    frontend_clock_.Advance(-jump);
  }
}

TEST_F(AicoHandshakeTest, AnotherIdentityIsRefusedByBothSides) {
  AicoOptions other = OptionsOf(Role::kInitiator);
  other.own_identity = stranger_.public_key();
  const EnginePtr intruder = Make(other);
  ASSERT_OK_AND_ASSIGN(const StepResult hello, intruder->Step({}, stranger_.signer()));
  EXPECT_THAT(StepBackend(*Responder(), hello.output), FailsWith(ErrorCode::kPeerNotAllowed));

  other = OptionsOf(Role::kResponder);
  other.own_identity = stranger_.public_key();
  const EnginePtr impostor = Make(other);
  const EnginePtr a = Initiator();
  ASSERT_OK_AND_ASSIGN(const StepResult reply,
                       impostor->Step(Frontend(*a, {}), stranger_.signer()));
  EXPECT_THAT(StepFrontend(*a, reply.output), FailsWith(ErrorCode::kPeerNotAllowed));
}

TEST_F(AicoHandshakeTest, ClaimedIdentityWithoutItsKeyIsRefusedByBothSides) {
  const EnginePtr a = Initiator();
  const EnginePtr b = Responder();
  const Bytes hello = Frontend(*a, {});
  ASSERT_OK_AND_ASSIGN(const StepResult reply, b->Step(hello, stranger_.signer()));
  EXPECT_THAT(StepFrontend(*a, reply.output), FailsWith(ErrorCode::kAuthenticationFailed));

  const EnginePtr thief = Initiator();
  const EnginePtr victim = Responder();
  const Bytes answer = Backend(*victim, Frontend(*thief, {}));
  ASSERT_OK_AND_ASSIGN(const StepResult forged, thief->Step(answer, stranger_.signer()));
  EXPECT_THAT(StepBackend(*victim, forged.output), FailsWith(ErrorCode::kAuthenticationFailed));
}

TEST_F(AicoHandshakeTest, AnotherPairOrContextIsRefused) {
  for (const auto change : {&AicoOptions::self, &AicoOptions::peer, &AicoOptions::context}) {
    AicoOptions options = OptionsOf(Role::kInitiator);
    options.*change = "other";
    EXPECT_THAT(StepBackend(*Responder(), Frontend(*Make(options), {})),
                FailsWith(ErrorCode::kPeerNotAllowed));
  }
}

TEST_F(AicoHandshakeTest, ReplayedMessagesOpenNothing) {
  const EnginePtr a = Initiator();
  const EnginePtr b = Responder();
  const Bytes hello = Frontend(*a, {});
  const Bytes reply = Backend(*b, hello);
  const Bytes confirmation = Frontend(*a, reply);
  ASSERT_OK(StepBackend(*b, confirmation));

  // An old M1 gets an answer, but nobody can confirm it: M3 signs the fresh M2.
  const EnginePtr b2 = Responder();
  ASSERT_OK(StepBackend(*b2, hello));
  EXPECT_THAT(StepBackend(*b2, confirmation), FailsWith(ErrorCode::kAuthenticationFailed));
  // An old M2 signs an old M1.
  const EnginePtr a2 = Initiator();
  Frontend(*a2, {});
  EXPECT_THAT(StepFrontend(*a2, reply), FailsWith(ErrorCode::kAuthenticationFailed));
  // Handed to a live session, they change nothing.
  for (const Bytes& message : {hello, reply, confirmation}) {
    EXPECT_THAT(StepBackend(*b, message), FailsWith(ErrorCode::kWrongState));
  }
  ExpectOpens(*b, SealWith(*a, "still there"), "still there");
}

TEST_F(AicoHandshakeTest, OwnMessagesReflectedAreRefused) {
  const EnginePtr a = Initiator();
  EXPECT_THAT(StepFrontend(*a, Frontend(*a, {})), FailsWith(ErrorCode::kMalformed));
  const EnginePtr b = Responder();
  EXPECT_THAT(StepBackend(*b, Backend(*b, Frontend(*Initiator(), {}))),
              FailsWith(ErrorCode::kMalformed));
}

// Even where both ends share one identity, a responder's signature never counts as an initiator's.
TEST_F(AicoHandshakeTest, SignatureOfTheOtherRoleIsRefused) {
  AicoOptions first = OptionsOf(Role::kInitiator);
  AicoOptions second = OptionsOf(Role::kResponder);
  second.own_identity = first.own_identity;
  first.peer_identities = {first.own_identity};
  const EnginePtr a = Make(first);
  const EnginePtr b = Make(second);
  const Bytes reply = Frontend(*b, Frontend(*a, {}));
  EXPECT_THAT(StepFrontend(*b, EncodeConfirmation(ByteView(reply).last(64))),
              FailsWith(ErrorCode::kAuthenticationFailed));
}

// As in the grace period of a rotation: the peer may still be on its former identity.
TEST_F(AicoHandshakeTest, APeerMayShowAnyOfItsIdentitiesAndNoOther) {
  AicoOptions options = OptionsOf(Role::kInitiator);
  options.peer_identities.insert(options.peer_identities.begin(), stranger_.public_key());
  const EnginePtr a = Make(options);
  const EnginePtr b = Responder();
  Connect(*a, *b);
  ExpectOpens(*b, SealWith(*a, "hello"), "hello");
  options.peer_identities = {stranger_.public_key()};
  const EnginePtr c = Make(options);
  const EnginePtr d = Responder();
  EXPECT_THAT(StepFrontend(*c, Backend(*d, Frontend(*c, {}))),
              FailsWith(ErrorCode::kPeerNotAllowed));
  options.peer_identities.clear();
  EXPECT_THAT(AicoEngine::Create(options, frontend_clock_, rng_),
              FailsWith(ErrorCode::kInvalidArgument));
}

TEST_F(AicoHandshakeTest, StepsOutOfTurnFail) {
  const EnginePtr a = Initiator();
  EXPECT_THAT(StepFrontend(*a, AsBytes("hello?")), FailsWith(ErrorCode::kWrongState));
  ExpectDead(*a, {});
  const EnginePtr b = Responder();
  EXPECT_THAT(StepBackend(*b, {}), FailsWith(ErrorCode::kMalformed));
  ExpectDead(*b, {});
}

TEST_F(AicoHandshakeTest, FailureOfTheCustodianComesThroughAndEndsTheHandshake) {
  const SignTranscript broken = [](ByteView) -> Result<Bytes> {
    return Fail(ErrorCode::kCustodianUnavailable, "gone");
  };
  const SignTranscript other_algorithm = [](ByteView) -> Result<Bytes> { return Bytes(71); };
  const Bytes hello = Frontend(*Initiator(), {});
  const EnginePtr b = Responder();
  EXPECT_THAT(b->Step(hello, broken), FailsWith(ErrorCode::kCustodianUnavailable));
  ExpectDead(*b, hello);
  EXPECT_THAT(Responder()->Step(hello, other_algorithm), FailsWith(ErrorCode::kInternal));
}

TEST_F(AicoHandshakeTest, NothingIsSealedOrOpenedBeforeTheEnd) {
  const EnginePtr b = Responder();
  Backend(*b, Frontend(*Initiator(), {}));
  Bytes out;
  std::string metadata;
  EXPECT_THAT(b->Seal({}, {}, out), FailsWith(ErrorCode::kWrongState));
  EXPECT_THAT(b->Open({}, out, metadata), FailsWith(ErrorCode::kWrongState));
  EXPECT_THAT(b->Rekey(), FailsWith(ErrorCode::kWrongState));
}

TEST_F(AicoHandshakeTest, CreateRefusesWhatCannotWork) {
  const auto create = [&](const AicoOptions& options) {
    return AicoEngine::Create(options, frontend_clock_, rng_);
  };
  for (const auto name : {&AicoOptions::self, &AicoOptions::peer, &AicoOptions::context}) {
    AicoOptions options = OptionsOf(Role::kInitiator);
    options.*name = std::string(64, 'x');
    EXPECT_OK(create(options));
    options.*name = std::string(65, 'x');
    EXPECT_THAT(create(options), FailsWith(ErrorCode::kInvalidArgument));
    options.*name = "";
    EXPECT_THAT(create(options), FailsWith(ErrorCode::kInvalidArgument));
  }
  AicoOptions options = OptionsOf(Role::kInitiator);
  options.max_message_size = kAicoMaxMessage + 1;
  EXPECT_THAT(create(options), FailsWith(ErrorCode::kInvalidArgument));
}

// The points of order 1, 2, 4 and 8 of Curve25519 and its twist (RFC 7748, 6.1; cr.yp.to/ecdh).
TEST_F(AicoHandshakeTest, LowOrderEphemeralIsRefused) {
  const std::vector<std::string> points = {
      std::string(64, '0'),
      "01" + std::string(62, '0'),
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ec" + std::string(60, 'f') + "7f",
      "ed" + std::string(60, 'f') + "7f",
      "ee" + std::string(60, 'f') + "7f"};
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  for (const std::string& hex : points) {
    ASSERT_OK_AND_ASSIGN(const Bytes raw, FromHex(hex));
    AicoPoint point{};
    std::ranges::copy(raw, point.begin());
    for (const Role role : {Role::kInitiator, Role::kResponder}) {
      EXPECT_THAT(DeriveKeys(role, secret, {}, point, {}),
                  FailsWith(ErrorCode::kAuthenticationFailed))
          << hex;
    }
  }
}

// A peer that is who it says it is and still sends such a point gets no session.
TEST_F(AicoHandshakeTest, SignedLowOrderEphemeralEstablishesNothing) {
  const EnginePtr b = Responder();
  ASSERT_OK_AND_ASSIGN(AicoHello hello, DecodeHello(Frontend(*Initiator(), {})));
  hello.party.ephemeral = {};
  Bytes transcript = EncodeHello(hello);
  Append(transcript, Backend(*b, transcript));
  ASSERT_OK_AND_ASSIGN(const Bytes signature,
                       frontend_.signer()(SignedTranscript(Role::kInitiator, transcript)));
  EXPECT_THAT(StepBackend(*b, EncodeConfirmation(signature)),
              FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_FALSE(b->established());
}

}  // namespace
}  // namespace keyward::session
