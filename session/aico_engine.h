// AICO: mutually authenticated sessions with forward secrecy over libsodium's primitives.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/public_key.h"
#include "core/rng.h"
#include "session/aico_handshake.h"
#include "session/aico_message.h"
#include "session/engine.h"

namespace keyward::session {

// How far the peer's clock may be off.
inline constexpr std::chrono::seconds kAicoClockTolerance{30};

struct AicoOptions {
  Role role;
  std::string self;  // names, 1..64 bytes
  std::string peer;
  PublicKey own_identity;                  // Ed25519, all of them
  std::vector<PublicKey> peer_identities;  // the peer has to prove one of these
  std::string context;                     // 1..64 bytes; both sides must have the same
  uint32_t max_message_size = kAicoMaxMessage;
};

class AicoEngine final : public Engine {
 public:
  // `clock` and `rng` outlive the engine. Errors: kInvalidArgument (also: no peer identity),
  // kNotSupported (an identity that is not Ed25519).
  static Result<std::unique_ptr<AicoEngine>> Create(AicoOptions options, const Clock& clock,
                                                    Rng& rng);

  Result<StepResult> Step(ByteView input, const SignTranscript& sign) override;
  Result<void> Seal(ByteView plaintext, std::string_view metadata, Bytes& frame) override;
  Result<void> Open(ByteView frame, Bytes& plaintext, std::string& metadata) override;
  Result<void> Rekey() override;
  bool established() const override { return state_ == State::kEstablished; }

 private:
  enum class State : uint8_t { kStart, kAwaitReply, kAwaitConfirmation, kEstablished, kFailed };

  AicoEngine(AicoOptions options, const Clock& clock, Rng& rng);

  Result<StepResult> Advance(ByteView input, const SignTranscript& sign);
  Result<StepResult> SendHello(ByteView input);
  Result<StepResult> AnswerHello(ByteView input, const SignTranscript& sign);
  Result<StepResult> AnswerReply(ByteView input, const SignTranscript& sign);
  Result<StepResult> TakeConfirmation(ByteView input);

  // Fresh ephemeral, challenge and timestamp.
  Result<AicoParty> Introduce();
  Result<void> CheckHello(const AicoHello& hello) const;
  Result<void> CheckParty(const AicoParty& party);
  Result<Bytes> Sign(const SignTranscript& sign) const;
  Result<void> VerifyPeer(ByteView signature) const;
  Result<void> Establish();
  Result<void> CheckEstablished() const;

  const AicoOptions options_;
  const Clock& clock_;
  Rng& rng_;
  State state_ = State::kStart;
  Bytes transcript_;  // the messages so far, in order
  SecretBytes ephemeral_;
  AicoPoint ephemeral_public_{};
  AicoPoint peer_ephemeral_{};
  std::optional<PublicKey> peer_identity_;  // the one that the peer shows
  std::optional<AicoSender> sender_;
  std::optional<AicoReceiver> receiver_;
};

}  // namespace keyward::session
