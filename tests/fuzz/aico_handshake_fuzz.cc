// Whoever holds no identity key gets no session, whatever it sends. The messages that do parse have
// one form only.
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
using keyward::session::Role;

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

// A responder that gets `message` first and then once more; an initiator that gets it as the reply.
void CheckEngine(Role role, ByteView message) {
  const keyward::fuzz::FixedClock clock;
  keyward::fuzz::FixedRng rng;
  const auto sign = [](ByteView transcript) { return kOwn.Sign(transcript); };
  auto engine =
      AicoEngine::Create({.role = role,
                          .self = "own",
                          .peer = "peer",
                          .own_identity = PublicKey::FromEd25519(kOwn.public_key).value(),
                          .peer_identity = PublicKey::FromEd25519(kPeer.public_key).value(),
                          .context = "fuzz"},
                         clock, rng)
          .value();
  if (role == Role::kInitiator) {
    Require(engine->Step({}, sign).has_value());
    Require(!engine->Step(message, sign));
  } else {
    const auto answered = engine->Step(message, sign);
    Require(!answered || !answered->established);
    Require(!engine->Step(message, sign));
  }
  Require(!engine->established());
  Bytes frame;
  Require(!engine->Seal(message, {}, frame));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckForms({data, size});
  CheckEngine(Role::kInitiator, {data, size});
  CheckEngine(Role::kResponder, {data, size});
  return 0;
}
