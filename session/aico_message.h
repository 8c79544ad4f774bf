// AICO's messages after the handshake: frames, their order, and the keys of each direction.
//
//   "AICO-MSG" | nonce (24) | metadata length (u32) | metadata (JSON) | ciphertext | tag (16)
//
// The metadata is a JSON object, authenticated but not encrypted, whose members "seq" and "epoch"
// are AICO's: the number of the message in its direction, and the number of the key it is sealed
// with. All others are the application's.
#pragma once

#include <string>
#include <string_view>

#include "core/rng.h"
#include "session/xchacha.h"

namespace keyward::session {

inline constexpr size_t kAicoMaxMetadata = size_t{8} * 1024;             // bytes, as sent
inline constexpr size_t kAicoMaxApplicationMetadata = size_t{4} * 1024;  // bytes, as given
inline constexpr uint32_t kAicoMaxMessage = uint32_t{16} << 20;          // bytes of plaintext

// The sending direction. One thread at a time.
class AicoSender {
 public:
  // Errors: kResourceExhausted.
  static Result<AicoSender> Create(SecretBytes key, uint32_t max_message_size);

  // See Engine::Seal and Engine::Rekey.
  Result<void> Seal(ByteView plaintext, std::string_view metadata, Rng& rng, Bytes& frame);
  Result<void> Rekey();

 private:
  AicoSender(XChaCha cipher, uint32_t max) : cipher_(std::move(cipher)), max_message_size_(max) {}

  XChaCha cipher_;
  uint32_t max_message_size_;
  uint64_t sequence_ = 0;
  uint64_t epoch_ = 0;
  bool used_ = false;  // whether this epoch's key has sealed
};

// The receiving direction: takes exactly the next message. One thread at a time.
class AicoReceiver {
 public:
  // Errors: kResourceExhausted.
  static Result<AicoReceiver> Create(SecretBytes key, uint32_t max_message_size);

  // See Engine::Open.
  Result<void> Open(ByteView frame, Bytes& plaintext, std::string& metadata);

 private:
  Result<void> OpenNext(ByteView frame, Bytes& plaintext, std::string& metadata);

  AicoReceiver(XChaCha cipher, uint32_t max) : cipher_(std::move(cipher)), max_message_size_(max) {}

  XChaCha cipher_;
  uint32_t max_message_size_;
  uint64_t sequence_ = 0;
  uint64_t epoch_ = 0;
};

}  // namespace keyward::session
