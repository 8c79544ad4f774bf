#include <sodium.h>

#include "api/keyward.h"
#include "bench/measure.h"
#include "bench/session_pair.h"
#include "bench/workloads.h"
#include "hsm/hsm_factory.h"
#include "session/aico_engine.h"

namespace keyward::bench {
namespace {

constexpr size_t kMessageSize = size_t{16} * 1024;

Result<std::unique_ptr<session::AicoEngine>> MakeEngine(session::Role role, const PublicKey& own,
                                                        const PublicKey& peer, const Clock& clock,
                                                        Rng& rng) {
  const bool initiates = role == session::Role::kInitiator;
  return session::AicoEngine::Create({.role = role,
                                      .self = initiates ? "frontend" : "backend",
                                      .peer = initiates ? "backend" : "frontend",
                                      .own_identity = own,
                                      .peer_identities = {peer},
                                      .context = "keyward"},
                                     clock, rng);
}

}  // namespace

Result<double> SealOverChannel() {
  KEYWARD_ASSIGN(Client client, Client::Connect());
  KEYWARD_ASSIGN(Pair pair, OpenPair(client));
  KEYWARD_TRY(Shake(pair));
  const Bytes message(kMessageSize, 0x5a);
  return MeasureRate([&]() -> Result<void> {
    KEYWARD_TRY(pair.initiator.Seal(message));
    return {};
  });
}

Result<double> SealWithSodium() {
  SystemRng rng;
  KEYWARD_ASSIGN(const SecretBytes key, SecretBytes::Random(32, rng));
  const Bytes message(kMessageSize, 0x5a);
  const ByteView metadata = AsBytes(R"({"seq":0,"epoch":0})");
  Bytes nonce(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  Bytes out(kMessageSize + crypto_aead_xchacha20poly1305_ietf_ABYTES);
  return MeasureRate([&]() -> Result<void> {
    rng.Fill(nonce);
    if (crypto_aead_xchacha20poly1305_ietf_encrypt(
            out.data(), nullptr, message.data(), message.size(), metadata.data(), metadata.size(),
            nullptr, nonce.data(), key.RevealSecret().data()) != 0) {
      return Fail(ErrorCode::kInternal, "libsodium does not seal");
    }
    return {};
  });
}

Result<double> HandshakeThroughKeyd() {
  KEYWARD_ASSIGN(Client client, Client::Connect());
  return MeasureMedian([&]() -> Result<void> {
    KEYWARD_ASSIGN(Pair pair, OpenPair(client));
    return Shake(pair);
  });
}

Result<double> HandshakeInProcess(const TokenKey& token, const std::string& state_directory) {
  SystemRng rng;
  hsm::HsmFactory factory({.module_path = token.module,
                           .token_label = token.label,
                           .pin_file = token.pin_file,
                           .pin_credential = "",
                           .state_directory = state_directory},
                          rng);
  KEYWARD_ASSIGN(const std::unique_ptr<Custodian> custodian, factory.Make());
  const SystemClock clock;
  KeyId id{};
  rng.Fill(id);
  KEYWARD_ASSIGN(const GeneratedKey key, custodian->signer().GenerateKey(Algorithm::kEd25519, id));
  const auto sign = [&](ByteView message) {
    return custodian->signer().Sign(key.reference, message);
  };
  const Result<double> median = MeasureMedian([&]() -> Result<void> {
    KEYWARD_ASSIGN(const auto initiator, MakeEngine(session::Role::kInitiator, key.public_key,
                                                    key.public_key, clock, rng));
    KEYWARD_ASSIGN(const auto responder, MakeEngine(session::Role::kResponder, key.public_key,
                                                    key.public_key, clock, rng));
    return Shake([&](ByteView input) { return initiator->Step(input, sign); },
                 [&](ByteView input) { return responder->Step(input, sign); });
  });
  KEYWARD_TRY(custodian->signer().DestroyKey(key.reference));
  return median;
}

}  // namespace keyward::bench
