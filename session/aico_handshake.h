// The three handshake messages of AICO: their bytes, and what is signed and derived from them.
//
//   M1  initiator -> responder  "AICO-HS1" | version | names, context | identity, ephemeral,
//                               challenge, timestamp
//   M2  responder -> initiator  "AICO-HS2" | identity, ephemeral, challenge, timestamp | signature
//   M3  initiator -> responder  "AICO-HS3" | signature
//
// Both signatures cover everything sent before them, behind a domain string and the signer's role;
// the keys come from the ephemerals alone and are bound to the whole transcript. docs/PROTOCOLS.md
// has the exact bytes.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"
#include "core/secret_bytes.h"
#include "session/engine.h"

namespace keyward::session {

inline constexpr std::string_view kAicoSignatureDomain = "AICO-SIG-V1";
inline constexpr size_t kAicoMaxName = 64;  // bytes, of each name and of the context

using AicoPoint = std::array<uint8_t, 32>;
using AicoSignature = std::array<uint8_t, 64>;

// What each side says of itself.
struct AicoParty {
  AicoPoint identity;     // Ed25519 public key
  AicoPoint ephemeral;    // X25519 public key, for this handshake alone
  AicoPoint challenge;    // 32 random bytes
  uint64_t timestamp_ms;  // Unix time
};

struct AicoHello {
  std::string initiator;
  std::string responder;
  std::string context;
  AicoParty party;
};

struct AicoReply {
  AicoParty party;
  AicoSignature signature;
};

Bytes EncodeHello(const AicoHello& hello);
// Errors of all three: kMalformed.
Result<AicoHello> DecodeHello(ByteView message);
// M2 up to its signature.
Bytes EncodeReplyHead(const AicoParty& party);
Result<AicoReply> DecodeReply(ByteView message);
Bytes EncodeConfirmation(ByteView signature);
Result<AicoSignature> DecodeConfirmation(ByteView message);

// What the side `signer` signs: domain, role, and all messages up to its signature.
Bytes SignedTranscript(Role signer, ByteView transcript);

struct AicoKeys {
  SecretBytes sending;    // 32 bytes
  SecretBytes receiving;  // 32 bytes
};

// crypto_kx on the ephemerals, each key then bound to `transcript` (M1 | M2 | M3) with keyed
// BLAKE2b. Errors: kAuthenticationFailed (a point of low order), kResourceExhausted.
Result<AicoKeys> DeriveKeys(Role role, const SecretBytes& own_ephemeral,
                            const AicoPoint& own_public, const AicoPoint& peer_public,
                            ByteView transcript);

}  // namespace keyward::session
