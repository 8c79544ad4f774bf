#include "session/aico_message.h"

#include <sodium.h>

#include "core/encoding.h"
#include "session/aico_metadata.h"

namespace keyward::session {
namespace {

constexpr std::string_view kMagic = "AICO-MSG";
constexpr std::string_view kRekeyDomain = "AICO-REKEY-V1";
constexpr size_t kFixedSize = kMagic.size() + kXChaChaNonceSize + sizeof(uint32_t);

std::unexpected<Error> TooLarge() {
  return Fail(ErrorCode::kTooLarge, "the message is longer than the policy allows");
}

Result<XChaCha> NextKey(const XChaCha& current) {
  KEYWARD_ASSIGN(SecretBytes next, SecretBytes::Create(kXChaChaKeySize));
  const ByteView domain = AsBytes(kRekeyDomain);
  if (crypto_generichash(next.RevealSecretForWriting().data(), next.size(), domain.data(),
                         domain.size(), current.key().RevealSecret().data(),
                         current.key().size()) != 0) {
    return Fail(ErrorCode::kInternal, "deriving the next key failed");
  }
  return XChaCha::Create(std::move(next));
}

struct ParsedFrame {
  ByteView nonce;
  ByteView metadata;
  ByteView sealed;
};

Result<ParsedFrame> ParseFrame(ByteView frame, uint32_t max_message_size) {
  Reader reader(frame);
  const Result<ByteView> magic = reader.Raw(kMagic.size());
  if (!magic || AsText(*magic) != kMagic) {
    return Fail(ErrorCode::kMalformed, "not an AICO message");
  }
  ParsedFrame parsed;
  KEYWARD_ASSIGN(parsed.nonce, reader.Raw(kXChaChaNonceSize));
  KEYWARD_ASSIGN(parsed.metadata, reader.Field<uint32_t>());
  parsed.sealed = reader.Rest();
  if (parsed.metadata.size() > kAicoMaxMetadata) return TooLarge();
  if (parsed.sealed.size() < kXChaChaTagSize) return Fail(ErrorCode::kMalformed, "truncated");
  if (parsed.sealed.size() - kXChaChaTagSize > max_message_size) return TooLarge();
  return parsed;
}

}  // namespace

Result<AicoSender> AicoSender::Create(SecretBytes key, uint32_t max_message_size) {
  KEYWARD_ASSIGN(XChaCha cipher, XChaCha::Create(std::move(key)));
  return AicoSender(std::move(cipher), max_message_size);
}

Result<void> AicoSender::Seal(ByteView plaintext, std::string_view metadata, Rng& rng,
                              Bytes& frame) {
  if (plaintext.size() > max_message_size_) return TooLarge();
  KEYWARD_ASSIGN(const std::string full, ComposeMetadata(sequence_, epoch_, metadata));
  const size_t head = kFixedSize + full.size();
  // Everything below is written over, so a buffer that is large enough is not cleared first.
  frame.resize(head + plaintext.size() + kXChaChaTagSize);
  const MutableBytes out(frame);
  const MutableBytes nonce = out.subspan(kMagic.size(), kXChaChaNonceSize);
  std::ranges::copy(kMagic, out.begin());
  rng.Fill(nonce);
  const Bytes length = Writer().Integer(static_cast<uint32_t>(full.size())).Take();
  std::ranges::copy(length, out.begin() + kMagic.size() + kXChaChaNonceSize);
  std::ranges::copy(full, out.begin() + kFixedSize);
  KEYWARD_TRY(cipher_.Seal(nonce, AsBytes(full), plaintext, out.subspan(head)));
  ++sequence_;
  used_ = true;
  return {};
}

Result<void> AicoSender::Rekey() {
  // The peer follows one epoch at a time: a key that sealed nothing is fresh already.
  if (!used_) return {};
  KEYWARD_ASSIGN(cipher_, NextKey(cipher_));
  ++epoch_;
  used_ = false;
  return {};
}

Result<AicoReceiver> AicoReceiver::Create(SecretBytes key, uint32_t max_message_size) {
  KEYWARD_ASSIGN(XChaCha cipher, XChaCha::Create(std::move(key)));
  return AicoReceiver(std::move(cipher), max_message_size);
}

Result<void> AicoReceiver::Open(ByteView frame, Bytes& plaintext, std::string& metadata) {
  Result<void> opened = OpenNext(frame, plaintext, metadata);
  if (!opened) {
    plaintext.clear();
    metadata.clear();
  }
  return opened;
}

Result<void> AicoReceiver::OpenNext(ByteView frame, Bytes& plaintext, std::string& metadata) {
  KEYWARD_ASSIGN(const ParsedFrame parsed, ParseFrame(frame, max_message_size_));
  KEYWARD_ASSIGN(ParsedMetadata meta, ParseMetadata(AsText(parsed.metadata)));
  const bool next_epoch = meta.epoch == epoch_ + 1;
  if (meta.epoch != epoch_ && !next_epoch) {
    return Fail(ErrorCode::kReplayed, "the message is sealed with a key that is not in use");
  }
  std::optional<XChaCha> next;
  if (next_epoch) {
    KEYWARD_ASSIGN(next, NextKey(cipher_));
  }
  XChaCha& cipher = next ? *next : cipher_;
  plaintext.resize(parsed.sealed.size() - kXChaChaTagSize);
  // The tag first: nothing that is not the peer's can learn or change where the numbers stand.
  KEYWARD_TRY(cipher.Open(parsed.nonce, parsed.metadata, parsed.sealed, plaintext));
  if (meta.sequence != sequence_) {
    sodium_memzero(plaintext.data(), plaintext.size());
    return Fail(ErrorCode::kReplayed, meta.sequence < sequence_
                                          ? "the message came before; it is a replay"
                                          : "a message before this one is missing");
  }
  if (next) {
    cipher_ = std::move(*next);
    ++epoch_;
  }
  ++sequence_;
  metadata = std::move(meta.application);
  return {};
}

}  // namespace keyward::session
