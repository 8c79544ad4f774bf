#include "session/aico_handshake.h"

#include <sodium.h>

#include <algorithm>

#include "core/encoding.h"

namespace keyward::session {
namespace {

constexpr std::string_view kHelloMagic = "AICO-HS1";
constexpr std::string_view kReplyMagic = "AICO-HS2";
constexpr std::string_view kConfirmationMagic = "AICO-HS3";
constexpr std::string_view kKeyDomain = "AICO-KEY-V1";
constexpr uint8_t kVersion = 1;

Result<void> ReadMagic(Reader& reader, std::string_view magic) {
  const Result<ByteView> bytes = reader.Raw(magic.size());
  if (!bytes || AsText(*bytes) != magic) {
    return Fail(ErrorCode::kMalformed, "not the AICO handshake message that is due");
  }
  return {};
}

template <size_t N>
Result<std::array<uint8_t, N>> ReadArray(Reader& reader) {
  KEYWARD_ASSIGN(const ByteView bytes, reader.Raw(N));
  std::array<uint8_t, N> out{};
  std::ranges::copy(bytes, out.begin());
  return out;
}

Result<std::string> ReadName(Reader& reader) {
  KEYWARD_ASSIGN(const ByteView name, reader.Field<uint8_t>());
  if (name.empty() || name.size() > kAicoMaxName) {
    return Fail(ErrorCode::kMalformed, "an AICO name has 1 to 64 bytes");
  }
  return std::string(AsText(name));
}

Result<AicoParty> ReadParty(Reader& reader) {
  AicoParty party{};
  KEYWARD_ASSIGN(party.identity, ReadArray<32>(reader));
  KEYWARD_ASSIGN(party.ephemeral, ReadArray<32>(reader));
  KEYWARD_ASSIGN(party.challenge, ReadArray<32>(reader));
  KEYWARD_ASSIGN(party.timestamp_ms, reader.Integer<uint64_t>());
  return party;
}

void WriteParty(Writer& writer, const AicoParty& party) {
  writer.Raw(party.identity).Raw(party.ephemeral).Raw(party.challenge).Integer(party.timestamp_ms);
}

Result<SecretBytes> Bind(const SecretBytes& key, ByteView transcript_hash) {
  KEYWARD_ASSIGN(SecretBytes bound, SecretBytes::Create(crypto_kx_SESSIONKEYBYTES));
  const Bytes input = Writer().Raw(AsBytes(kKeyDomain)).Raw(transcript_hash).Take();
  if (crypto_generichash(bound.RevealSecretForWriting().data(), bound.size(), input.data(),
                         input.size(), key.RevealSecret().data(), key.size()) != 0) {
    return Fail(ErrorCode::kInternal, "deriving session keys failed");
  }
  return bound;
}

}  // namespace

Bytes EncodeHello(const AicoHello& hello) {
  Writer writer;
  writer.Raw(AsBytes(kHelloMagic))
      .Integer(kVersion)
      .Field<uint8_t>(AsBytes(hello.initiator))
      .Field<uint8_t>(AsBytes(hello.responder))
      .Field<uint8_t>(AsBytes(hello.context));
  WriteParty(writer, hello.party);
  return writer.Take();
}

Result<AicoHello> DecodeHello(ByteView message) {
  Reader reader(message);
  KEYWARD_TRY(ReadMagic(reader, kHelloMagic));
  KEYWARD_ASSIGN(const uint8_t version, reader.Integer<uint8_t>());
  if (version != kVersion) return Fail(ErrorCode::kMalformed, "unknown AICO version");
  AicoHello hello;
  KEYWARD_ASSIGN(hello.initiator, ReadName(reader));
  KEYWARD_ASSIGN(hello.responder, ReadName(reader));
  KEYWARD_ASSIGN(hello.context, ReadName(reader));
  KEYWARD_ASSIGN(hello.party, ReadParty(reader));
  KEYWARD_TRY(reader.End());
  return hello;
}

Bytes EncodeReplyHead(const AicoParty& party) {
  Writer writer;
  writer.Raw(AsBytes(kReplyMagic));
  WriteParty(writer, party);
  return writer.Take();
}

Result<AicoReply> DecodeReply(ByteView message) {
  Reader reader(message);
  KEYWARD_TRY(ReadMagic(reader, kReplyMagic));
  AicoReply reply{};
  KEYWARD_ASSIGN(reply.party, ReadParty(reader));
  KEYWARD_ASSIGN(reply.signature, ReadArray<64>(reader));
  KEYWARD_TRY(reader.End());
  return reply;
}

Bytes EncodeConfirmation(ByteView signature) {
  return Writer().Raw(AsBytes(kConfirmationMagic)).Raw(signature).Take();
}

Result<AicoSignature> DecodeConfirmation(ByteView message) {
  Reader reader(message);
  KEYWARD_TRY(ReadMagic(reader, kConfirmationMagic));
  KEYWARD_ASSIGN(const AicoSignature signature, ReadArray<64>(reader));
  KEYWARD_TRY(reader.End());
  return signature;
}

Bytes SignedTranscript(Role signer, ByteView transcript) {
  return Writer()
      .Raw(AsBytes(kAicoSignatureDomain))
      .Integer(static_cast<uint8_t>(signer))
      .Raw(transcript)
      .Take();
}

Result<AicoKeys> DeriveKeys(Role role, const SecretBytes& own_ephemeral,
                            const AicoPoint& own_public, const AicoPoint& peer_public,
                            ByteView transcript) {
  KEYWARD_ASSIGN(SecretBytes receiving, SecretBytes::Create(crypto_kx_SESSIONKEYBYTES));
  KEYWARD_ASSIGN(SecretBytes sending, SecretBytes::Create(crypto_kx_SESSIONKEYBYTES));
  const auto exchange =
      role == Role::kInitiator ? crypto_kx_client_session_keys : crypto_kx_server_session_keys;
  if (exchange(receiving.RevealSecretForWriting().data(), sending.RevealSecretForWriting().data(),
               own_public.data(), own_ephemeral.RevealSecret().data(), peer_public.data()) != 0) {
    return Fail(ErrorCode::kAuthenticationFailed, "the peer's ephemeral key is of low order");
  }
  std::array<uint8_t, crypto_generichash_BYTES_MAX> hash{};
  if (crypto_generichash(hash.data(), hash.size(), transcript.data(), transcript.size(), nullptr,
                         0) != 0) {
    return Fail(ErrorCode::kInternal, "hashing failed");
  }
  AicoKeys keys;
  KEYWARD_ASSIGN(keys.sending, Bind(sending, hash));
  KEYWARD_ASSIGN(keys.receiving, Bind(receiving, hash));
  return keys;
}

}  // namespace keyward::session
