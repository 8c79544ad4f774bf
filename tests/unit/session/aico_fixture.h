// Two AICO engines with identities and clocks of their own, and nobody between them but the test.
#pragma once

#include <sodium.h>

#include <array>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/rng.h"
#include "session/aico_engine.h"
#include "tests/support/fake_clock.h"
#include "tests/support/matchers.h"

namespace keyward::session {

// An Ed25519 identity that stands in for a custodian's key.
class TestIdentity {
 public:
  TestIdentity() { crypto_sign_keypair(public_.data(), secret_.data()); }

  PublicKey public_key() const { return PublicKey::FromEd25519(public_).value(); }
  SignTranscript signer() const {
    return [this](ByteView transcript) -> Result<Bytes> {
      Bytes signature(crypto_sign_BYTES);
      crypto_sign_detached(signature.data(), nullptr, transcript.data(), transcript.size(),
                           secret_.data());
      return signature;
    };
  }

 private:
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_{};
};

struct Opened {
  Bytes plaintext;
  std::string metadata;
};

class AicoFixture : public ::testing::Test {
 protected:
  using EnginePtr = std::unique_ptr<AicoEngine>;

  AicoOptions OptionsOf(Role role) const {
    const bool first = role == Role::kInitiator;
    return {.role = role,
            .self = first ? "frontend" : "backend",
            .peer = first ? "backend" : "frontend",
            .own_identity = first ? frontend_.public_key() : backend_.public_key(),
            .peer_identities = {first ? backend_.public_key() : frontend_.public_key()},
            .context = "orders"};
  }
  EnginePtr Make(AicoOptions options) {
    const Clock& clock = options.role == Role::kInitiator ? frontend_clock_ : backend_clock_;
    return AicoEngine::Create(std::move(options), clock, rng_).value();
  }
  EnginePtr Initiator() { return Make(OptionsOf(Role::kInitiator)); }
  EnginePtr Responder() { return Make(OptionsOf(Role::kResponder)); }

  Result<StepResult> StepFrontend(AicoEngine& engine, ByteView input) const {
    return engine.Step(input, frontend_.signer());
  }
  Result<StepResult> StepBackend(AicoEngine& engine, ByteView input) const {
    return engine.Step(input, backend_.signer());
  }
  // The output of a step that has to go well.
  Bytes Frontend(AicoEngine& engine, ByteView input) const {
    return StepFrontend(engine, input).value().output;
  }
  Bytes Backend(AicoEngine& engine, ByteView input) const {
    return StepBackend(engine, input).value().output;
  }
  void Connect(AicoEngine& initiator, AicoEngine& responder) const {
    const Bytes reply = Backend(responder, Frontend(initiator, {}));
    Backend(responder, Frontend(initiator, reply));
    ASSERT_TRUE(initiator.established());
    ASSERT_TRUE(responder.established());
  }

  static Bytes SealWith(AicoEngine& engine, std::string_view text, std::string_view metadata = {}) {
    Bytes frame;
    EXPECT_OK(engine.Seal(AsBytes(text), metadata, frame));
    return frame;
  }
  static Result<Opened> OpenWith(AicoEngine& engine, ByteView frame) {
    Opened opened;
    KEYWARD_TRY(engine.Open(frame, opened.plaintext, opened.metadata));
    return opened;
  }
  static void ExpectOpens(AicoEngine& engine, ByteView frame, std::string_view text) {
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenWith(engine, frame));
    EXPECT_EQ(AsText(opened.plaintext), text);
  }

  TestIdentity frontend_;
  TestIdentity backend_;
  TestIdentity stranger_;
  testing_support::FakeClock frontend_clock_;
  testing_support::FakeClock backend_clock_;
  SystemRng rng_;
};

// Every proper prefix, then every single-byte change and one byte too many: none of them is what
// was sent.
template <class Visit>
void ForEachCorruption(const Bytes& message, Visit visit) {
  for (size_t size = 0; size < message.size(); ++size) {
    visit(Bytes(message.begin(), message.begin() + static_cast<ptrdiff_t>(size)), size);
  }
  for (size_t at = 0; at < message.size(); ++at) {
    Bytes changed = message;
    changed[at] ^= static_cast<uint8_t>(1U << (at % 8));
    visit(changed, at);
  }
  Bytes longer = message;
  longer.push_back(0);
  visit(longer, message.size());
}

}  // namespace keyward::session
