// Whoever holds no identity key gets no session, whatever it sends; a peer that holds its own, and
// sends what it likes under good signatures, gets a session or a refusal. The messages that do
// parse have one form only.
#include <sodium.h>

#include "session/aico_engine.h"
#include "tests/fuzz/aico_support.h"
#include "tests/fuzz/require.h"

namespace {

using keyward::Bytes;
using keyward::ByteView;
using keyward::PublicKey;
using keyward::Result;
using keyward::fuzz::Require;
using keyward::session::AicoEngine;
using keyward::session::AicoParty;
using keyward::session::Role;
using keyward::session::StepResult;

struct Identity {
  explicit Identity(uint8_t seed) {
    const Bytes seeds(crypto_sign_SEEDBYTES, seed);
    Require(crypto_sign_seed_keypair(public_key.data(), secret_key.data(), seeds.data()) == 0);
  }
  Result<Bytes> Sign(ByteView message) const {
    Bytes signature(crypto_sign_BYTES);
    Require(crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                                 secret_key.data()) == 0);
    return signature;
  }

  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_key{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_key{};
};

const Identity kOwn(1);
const Identity kPeer(2);

void CheckForms(ByteView message) {
  namespace session = keyward::session;
  const Bytes bytes = keyward::ToBytes(message);
  if (const auto hello = session::DecodeHello(message)) {
    Require(session::EncodeHello(*hello) == bytes);
  }
  if (const auto reply = session::DecodeReply(message)) {
    Bytes encoded = session::EncodeReplyHead(reply->party);
    keyward::Append(encoded, reply->signature);
    Require(encoded == bytes);
  }
  if (const auto signature = session::DecodeConfirmation(message)) {
    Require(session::EncodeConfirmation(*signature) == bytes);
  }
}

Result<Bytes> SignAsOwn(ByteView transcript) { return kOwn.Sign(transcript); }

// The engine under test, with the clock and the randomness that it needs.
class Victim {
 public:
  explicit Victim(Role role)
      : engine_(AicoEngine::Create(
                    {.role = role,
                     .self = "own",
                     .peer = "peer",
                     .own_identity = PublicKey::FromEd25519(kOwn.public_key).value(),
                     .peer_identities = {PublicKey::FromEd25519(kPeer.public_key).value()},
                     .context = "fuzz"},
                    clock_, rng_)
                    .value()) {}

  Result<StepResult> Step(ByteView input) { return engine_->Step(input, SignAsOwn); }
  // Whether a session came of it; what says so must then hold.
  bool Established() {
    Bytes frame;
    Require(engine_->Seal({}, {}, frame).has_value() == engine_->established());
    return engine_->established();
  }

 private:
  const keyward::fuzz::FixedClock clock_;
  keyward::fuzz::FixedRng rng_;
  std::unique_ptr<AicoEngine> engine_;
};

// The honest peer's hello; its ephemeral is any point.
Bytes PeerHello() {
  AicoParty party{.identity = kPeer.public_key,
                  .ephemeral = {9},
                  .challenge = {},
                  .timestamp_ms = 1'750'000'000'000};
  return keyward::session::EncodeHello({"peer", "own", "fuzz", party});
}

// `message` as hello, reply and confirmation of somebody who holds no key.
void CheckStranger(ByteView message) {
  Victim initiator(Role::kInitiator);
  Require(initiator.Step({}).has_value());
  Require(!initiator.Step(message) && !initiator.Established());

  Victim responder(Role::kResponder);
  const Result<StepResult> answered = responder.Step(message);
  Require(!answered || !answered->established);
  Require(!responder.Step(message) && !responder.Established());

  Victim waiting(Role::kResponder);
  Require(waiting.Step(PeerHello()).has_value());
  Require(!waiting.Step(message) && !waiting.Established());
}

// What the peer's good signature in `role` over all that was sent so far would be.
Bytes PeerSignature(Role role, Bytes transcript, ByteView last) {
  keyward::Append(transcript, last);
  return kPeer.Sign(keyward::session::SignedTranscript(role, transcript)).value();
}

// `message` as a reply whose last 64 bytes become a good signature.
void CheckHostileReply(ByteView message) {
  const size_t signature = keyward::session::AicoSignature().size();
  if (message.size() < signature) return;
  const ByteView head = message.first(message.size() - signature);
  Victim initiator(Role::kInitiator);
  const Bytes hello = initiator.Step({})->output;
  Bytes reply = keyward::ToBytes(head);
  keyward::Append(reply, PeerSignature(Role::kResponder, hello, head));
  Require(initiator.Step(reply).has_value() == initiator.Established());
}

// `message` as a hello that is followed by a good confirmation.
void CheckHostileHello(ByteView message) {
  Victim responder(Role::kResponder);
  const Result<StepResult> reply = responder.Step(message);
  if (!reply) return;
  const Bytes signature = PeerSignature(Role::kInitiator, keyward::ToBytes(message), reply->output);
  const auto done = responder.Step(keyward::session::EncodeConfirmation(signature));
  Require(done.has_value() == responder.Established());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckForms({data, size});
  CheckStranger({data, size});
  CheckHostileReply({data, size});
  CheckHostileHello({data, size});
  return 0;
}
