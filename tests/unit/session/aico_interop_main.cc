// One end of an AICO session on stdin and stdout, for an implementation that is not ours to talk
// to.
//
// Arguments: role ("initiator" or "responder"), own Ed25519 seed and the peer's public key, in hex.
// After the handshake it takes commands of one letter and answers each:
//   S  -> a frame with the text of the command, with metadata {"from":"keyward"}
//   O  opens the frame that follows -> its application metadata | '\n' | its text
//   R  moves to the next key -> empty
// What fails is answered with '!' and the error's name. Everything is framed by a u32 length.
#include <sodium.h>

#include <array>
#include <cstdio>
#include <optional>

#include "core/encoding.h"
#include "session/aico_engine.h"

namespace {

using keyward::AsBytes;
using keyward::Bytes;
using keyward::ByteView;
using keyward::Result;
using keyward::session::AicoEngine;
using keyward::session::Role;
using keyward::session::StepResult;

std::optional<Bytes> Receive() {
  std::array<uint8_t, 4> head{};
  if (std::fread(head.data(), 1, head.size(), stdin) != head.size()) return std::nullopt;
  Bytes message(keyward::Reader(head).Integer<uint32_t>().value());
  if (std::fread(message.data(), 1, message.size(), stdin) != message.size()) return std::nullopt;
  return message;
}

bool Send(ByteView message) {
  const Bytes framed = keyward::Writer().Field<uint32_t>(message).Take();
  return std::fwrite(framed.data(), 1, framed.size(), stdout) == framed.size() &&
         std::fflush(stdout) == 0;
}

bool SendError(const keyward::Error& error) {
  return Send(AsBytes("!" + std::string(keyward::Name(error.code()))));
}

class Identity {
 public:
  static Result<Identity> FromSeed(ByteView seed) {
    Identity identity;
    if (seed.size() != crypto_sign_SEEDBYTES ||
        crypto_sign_seed_keypair(identity.public_.data(), identity.secret_.data(), seed.data()) !=
            0) {
      return keyward::Fail(keyward::ErrorCode::kInvalidArgument, "a seed has 32 bytes");
    }
    return identity;
  }
  ByteView public_key() const { return public_; }
  Result<Bytes> Sign(ByteView message) const {
    Bytes signature(crypto_sign_BYTES);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret_.data());
    return signature;
  }

 private:
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret_{};
};

bool Handshake(AicoEngine& engine, Role role, const Identity& identity) {
  bool waits = role == Role::kResponder;
  while (!engine.established()) {
    const std::optional<Bytes> input = waits ? Receive() : Bytes();
    if (!input) return false;
    const Result<StepResult> step =
        engine.Step(*input, [&](ByteView message) { return identity.Sign(message); });
    if (!step) return SendError(step.error()) && false;
    if (!step->output.empty() && !Send(step->output)) return false;
    waits = true;
  }
  return true;
}

Result<Bytes> Obey(AicoEngine& engine, ByteView command) {
  Bytes out;
  if (command.empty()) return keyward::Fail(keyward::ErrorCode::kInvalidArgument, "no command");
  const ByteView rest = command.subspan(1);
  switch (command.front()) {
    case 'S':
      KEYWARD_TRY(engine.Seal(rest, R"({"from":"keyward"})", out));
      return out;
    case 'O': {
      std::string answer;
      KEYWARD_TRY(engine.Open(rest, out, answer));
      answer += '\n';
      answer += keyward::AsText(out);
      return keyward::ToBytes(AsBytes(answer));
    }
    case 'R':
      KEYWARD_TRY(engine.Rekey());
      return out;
    default:
      return keyward::Fail(keyward::ErrorCode::kInvalidArgument, "no such command");
  }
}

Result<std::unique_ptr<AicoEngine>> MakeEngine(Role role, const Identity& identity,
                                               std::string_view peer_hex,
                                               const keyward::Clock& clock, keyward::Rng& rng) {
  KEYWARD_ASSIGN(const Bytes peer, keyward::FromHex(peer_hex));
  KEYWARD_ASSIGN(const keyward::PublicKey own_key,
                 keyward::PublicKey::FromEd25519(identity.public_key()));
  KEYWARD_ASSIGN(const keyward::PublicKey peer_key, keyward::PublicKey::FromEd25519(peer));
  return AicoEngine::Create({.role = role,
                             .self = "keyward",
                             .peer = "python",
                             .own_identity = own_key,
                             .peer_identities = {peer_key},
                             .context = "interop"},
                            clock, rng);
}

Result<bool> Run(std::string_view role_name, std::string_view seed_hex, std::string_view peer_hex) {
  const keyward::SystemClock clock;
  keyward::SystemRng rng;
  const Role role = role_name == "initiator" ? Role::kInitiator : Role::kResponder;
  KEYWARD_ASSIGN(const Bytes seed, keyward::FromHex(seed_hex));
  KEYWARD_ASSIGN(const Identity identity, Identity::FromSeed(seed));
  KEYWARD_ASSIGN(const std::unique_ptr<AicoEngine> engine,
                 MakeEngine(role, identity, peer_hex, clock, rng));
  if (!Handshake(*engine, role, identity)) return false;
  while (const std::optional<Bytes> command = Receive()) {
    const Result<Bytes> answer = Obey(*engine, *command);
    if (!(answer ? Send(*answer) : SendError(answer.error()))) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 || sodium_init() < 0) return 2;
  const Result<bool> done = Run(argv[1], argv[2], argv[3]);
  if (!done) static_cast<void>(std::fprintf(stderr, "%s\n", done.error().ToString().c_str()));
  return done && *done ? 0 : 1;
}
