// A receiver takes any bytes, as a stranger's frame and as what a peer that holds the key sealed.
// The input of the second is a length of one byte, so much metadata, and the plaintext.
#include "core/encoding.h"
#include "session/aico_message.h"
#include "session/aico_metadata.h"
#include "tests/fuzz/require.h"

namespace {

using keyward::AsBytes;
using keyward::Bytes;
using keyward::ByteView;
using keyward::SecretBytes;
using keyward::fuzz::Require;
using keyward::session::AicoReceiver;
using keyward::session::XChaCha;

constexpr uint32_t kMaxMessage = 1 << 16;
const Bytes kKey(keyward::session::kXChaChaKeySize, 0x42);

SecretBytes Key() { return SecretBytes::CopyOf(kKey).value(); }

Bytes SealAsPeer(ByteView metadata, ByteView plaintext) {
  const Bytes nonce(keyward::session::kXChaChaNonceSize, 0x24);
  Bytes sealed(plaintext.size() + keyward::session::kXChaChaTagSize);
  XChaCha cipher = XChaCha::Create(Key()).value();
  Require(cipher.Seal(nonce, metadata, plaintext, sealed).has_value());
  return keyward::Writer()
      .Raw(AsBytes("AICO-MSG"))
      .Raw(nonce)
      .Field<uint32_t>(metadata)
      .Raw(sealed)
      .Take();
}

void FromStranger(ByteView frame) {
  AicoReceiver receiver = AicoReceiver::Create(Key(), kMaxMessage).value();
  Bytes plaintext;
  std::string metadata;
  Require(!receiver.Open(frame, plaintext, metadata));
  Require(plaintext.empty() && metadata.empty());
}

void FromPeer(ByteView input) {
  keyward::Reader reader(input);
  const auto metadata = reader.Field<uint8_t>();
  if (!metadata) return;
  const Bytes frame = SealAsPeer(*metadata, reader.Rest());
  AicoReceiver receiver = AicoReceiver::Create(Key(), kMaxMessage).value();
  Bytes plaintext;
  std::string application;
  const auto parsed = keyward::session::ParseMetadata(keyward::AsText(*metadata));
  // The first message of the first key, and no other.
  const bool due =
      parsed && parsed->sequence == 0 && parsed->epoch == 0 && reader.Rest().size() <= kMaxMessage;
  Require(receiver.Open(frame, plaintext, application).has_value() == due);
  if (!due) return;
  Require(plaintext == keyward::ToBytes(reader.Rest()));
  Require(application == parsed->application);
  Require(!receiver.Open(frame, plaintext, application));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FromStranger({data, size});
  FromPeer({data, size});
  return 0;
}
