#include "session/aico_engine.h"

#include <sodium.h>

#include <algorithm>

namespace keyward::session {
namespace {

bool IsName(std::string_view name) { return !name.empty() && name.size() <= kAicoMaxName; }

Role Other(Role role) { return role == Role::kInitiator ? Role::kResponder : Role::kInitiator; }

}  // namespace

Result<std::unique_ptr<AicoEngine>> AicoEngine::Create(AicoOptions options, const Clock& clock,
                                                       Rng& rng) {
  if (!IsName(options.self) || !IsName(options.peer) || !IsName(options.context) ||
      options.max_message_size > kAicoMaxMessage || options.peer_identities.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "AICO names have 1 to 64 bytes, messages at most 16 MiB, peers an identity");
  }
  KEYWARD_TRY(options.own_identity.RawEd25519());
  for (const PublicKey& identity : options.peer_identities) KEYWARD_TRY(identity.RawEd25519());
  return std::unique_ptr<AicoEngine>(new AicoEngine(std::move(options), clock, rng));
}

AicoEngine::AicoEngine(AicoOptions options, const Clock& clock, Rng& rng)
    : options_(std::move(options)), clock_(clock), rng_(rng) {}

Result<StepResult> AicoEngine::Step(ByteView input, const SignTranscript& sign) {
  Result<StepResult> result = Advance(input, sign);
  // One wrong message ends a handshake: the peer has to begin anew, with fresh randomness.
  if (!result && state_ != State::kEstablished) {
    state_ = State::kFailed;
    ephemeral_.Wipe();
  }
  return result;
}

Result<StepResult> AicoEngine::Advance(ByteView input, const SignTranscript& sign) {
  switch (state_) {
    case State::kStart:
      return options_.role == Role::kInitiator ? SendHello(input) : AnswerHello(input, sign);
    case State::kAwaitReply:
      return AnswerReply(input, sign);
    case State::kAwaitConfirmation:
      return TakeConfirmation(input);
    case State::kEstablished:
      return Fail(ErrorCode::kWrongState, "the handshake is over");
    case State::kFailed:
      break;
  }
  return Fail(
      Error(ErrorCode::kWrongState, "the handshake has failed").WithAction(Action::kReconnect));
}

Result<StepResult> AicoEngine::SendHello(ByteView input) {
  if (!input.empty()) return Fail(ErrorCode::kWrongState, "the initiator speaks first");
  KEYWARD_ASSIGN(const AicoParty self, Introduce());
  transcript_ = EncodeHello({options_.self, options_.peer, options_.context, self});
  state_ = State::kAwaitReply;
  return StepResult{transcript_, false};
}

Result<StepResult> AicoEngine::AnswerHello(ByteView input, const SignTranscript& sign) {
  KEYWARD_ASSIGN(const AicoHello hello, DecodeHello(input));
  KEYWARD_TRY(CheckHello(hello));
  KEYWARD_TRY(CheckParty(hello.party));
  KEYWARD_ASSIGN(const AicoParty self, Introduce());
  transcript_ = ToBytes(input);
  peer_ephemeral_ = hello.party.ephemeral;
  StepResult result{EncodeReplyHead(self), false};
  Append(transcript_, result.output);
  KEYWARD_ASSIGN(const Bytes signature, Sign(sign));
  Append(result.output, signature);
  Append(transcript_, signature);
  state_ = State::kAwaitConfirmation;
  return result;
}

Result<StepResult> AicoEngine::AnswerReply(ByteView input, const SignTranscript& sign) {
  KEYWARD_ASSIGN(const AicoReply reply, DecodeReply(input));
  KEYWARD_TRY(CheckParty(reply.party));
  Append(transcript_, input.first(input.size() - reply.signature.size()));
  KEYWARD_TRY(VerifyPeer(reply.signature));
  Append(transcript_, reply.signature);
  peer_ephemeral_ = reply.party.ephemeral;
  KEYWARD_ASSIGN(const Bytes signature, Sign(sign));
  StepResult result{EncodeConfirmation(signature), true};
  Append(transcript_, result.output);
  KEYWARD_TRY(Establish());
  return result;
}

Result<StepResult> AicoEngine::TakeConfirmation(ByteView input) {
  KEYWARD_ASSIGN(const AicoSignature signature, DecodeConfirmation(input));
  KEYWARD_TRY(VerifyPeer(signature));
  Append(transcript_, input);
  KEYWARD_TRY(Establish());
  return StepResult{{}, true};
}

Result<AicoParty> AicoEngine::Introduce() {
  KEYWARD_ASSIGN(ephemeral_, SecretBytes::Random(crypto_kx_SECRETKEYBYTES, rng_));
  AicoParty party{};
  if (crypto_scalarmult_base(ephemeral_public_.data(), ephemeral_.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "making an ephemeral key failed");
  }
  KEYWARD_ASSIGN(const Bytes identity, options_.own_identity.RawEd25519());
  std::ranges::copy(identity, party.identity.begin());
  party.ephemeral = ephemeral_public_;
  rng_.Fill(party.challenge);
  party.timestamp_ms = static_cast<uint64_t>(clock_.Now().time_since_epoch().count());
  return party;
}

Result<void> AicoEngine::CheckHello(const AicoHello& hello) const {
  if (hello.initiator != options_.peer || hello.responder != options_.self ||
      hello.context != options_.context) {
    return Fail(ErrorCode::kPeerNotAllowed, "the handshake is meant for another pair of modules");
  }
  return {};
}

Result<void> AicoEngine::CheckParty(const AicoParty& party) {
  for (const PublicKey& identity : options_.peer_identities) {
    KEYWARD_ASSIGN(const Bytes expected, identity.RawEd25519());
    if (std::ranges::equal(party.identity, expected)) peer_identity_ = identity;
  }
  if (!peer_identity_) {
    return Fail(ErrorCode::kPeerNotAllowed, "the peer shows another identity than is enrolled");
  }
  const auto now = static_cast<uint64_t>(clock_.Now().time_since_epoch().count());
  const uint64_t apart = std::max(now, party.timestamp_ms) - std::min(now, party.timestamp_ms);
  constexpr auto kTolerance =
      static_cast<uint64_t>(std::chrono::milliseconds(kAicoClockTolerance).count());
  if (apart > kTolerance) {
    return Fail(ErrorCode::kStaleTimestamp,
                "the clocks differ by more than 30 seconds; set them, then try again");
  }
  return {};
}

Result<Bytes> AicoEngine::Sign(const SignTranscript& sign) const {
  KEYWARD_ASSIGN(Bytes signature, sign(SignedTranscript(options_.role, transcript_)));
  if (signature.size() != AicoSignature().size()) {
    return Fail(ErrorCode::kInternal, "the identity key does not make Ed25519 signatures");
  }
  return signature;
}

Result<void> AicoEngine::VerifyPeer(ByteView signature) const {
  return peer_identity_->Verify(SignedTranscript(Other(options_.role), transcript_), signature);
}

Result<void> AicoEngine::Establish() {
  KEYWARD_ASSIGN(AicoKeys keys, DeriveKeys(options_.role, ephemeral_, ephemeral_public_,
                                           peer_ephemeral_, transcript_));
  ephemeral_.Wipe();
  KEYWARD_ASSIGN(sender_, AicoSender::Create(std::move(keys.sending), options_.max_message_size));
  KEYWARD_ASSIGN(receiver_,
                 AicoReceiver::Create(std::move(keys.receiving), options_.max_message_size));
  Bytes().swap(transcript_);
  state_ = State::kEstablished;
  return {};
}

Result<void> AicoEngine::CheckEstablished() const {
  if (established()) return {};
  return Fail(ErrorCode::kWrongState, "the handshake is not finished");
}

Result<void> AicoEngine::Seal(ByteView plaintext, std::string_view metadata, Bytes& frame) {
  KEYWARD_TRY(CheckEstablished());
  return sender_->Seal(plaintext, metadata, rng_, frame);
}

Result<void> AicoEngine::Open(ByteView frame, Bytes& plaintext, std::string& metadata) {
  KEYWARD_TRY(CheckEstablished());
  return receiver_->Open(frame, plaintext, metadata);
}

Result<void> AicoEngine::Rekey() {
  KEYWARD_TRY(CheckEstablished());
  return sender_->Rekey();
}

}  // namespace keyward::session
