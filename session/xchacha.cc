#include "session/xchacha.h"

#include <sodium.h>

#include <algorithm>
#include <array>

namespace keyward::session {
namespace {

// Below this libsodium's single call beats OpenSSL's set-up.
constexpr size_t kOpensslFrom = 1024;  // bytes
constexpr size_t kInputNonce = crypto_core_hchacha20_INPUTBYTES;

std::unexpected<Error> WrongTag() {
  return Fail(ErrorCode::kAuthenticationFailed, "the message was changed or is for another key");
}

int Size(ByteView bytes) { return static_cast<int>(bytes.size()); }

}  // namespace

Result<XChaCha> XChaCha::Create(SecretBytes key) {
  if (key.size() != kXChaChaKeySize) return Fail(ErrorCode::kInvalidArgument, "not a 32-byte key");
  KEYWARD_ASSIGN(SecretBytes subkey, SecretBytes::Create(kXChaChaKeySize));
  Context context(EVP_CIPHER_CTX_new());
  if (!context || EVP_CipherInit_ex2(context.get(), EVP_chacha20_poly1305(), nullptr, nullptr, 1,
                                     nullptr) != 1) {
    return Fail(ErrorCode::kResourceExhausted, "OpenSSL has no ChaCha20-Poly1305");
  }
  return XChaCha(std::move(key), std::move(subkey), std::move(context));
}

Result<void> XChaCha::Seal(ByteView nonce, ByteView associated, ByteView plaintext,
                           MutableBytes out) {
  if (plaintext.size() >= kOpensslFrom) return SealWithOpenssl(nonce, associated, plaintext, out);
  if (crypto_aead_xchacha20poly1305_ietf_encrypt(
          out.data(), nullptr, plaintext.data(), plaintext.size(), associated.data(),
          associated.size(), nullptr, nonce.data(), key_.RevealSecret().data()) != 0) {
    return Fail(ErrorCode::kInternal, "sealing failed");
  }
  return {};
}

Result<void> XChaCha::Open(ByteView nonce, ByteView associated, ByteView sealed, MutableBytes out) {
  if (sealed.size() < kXChaChaTagSize) return WrongTag();
  if (sealed.size() >= kOpensslFrom) return OpenWithOpenssl(nonce, associated, sealed, out);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          out.data(), nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
          associated.size(), nonce.data(), key_.RevealSecret().data()) != 0) {
    return WrongTag();
  }
  return {};
}

Result<void> XChaCha::Begin(ByteView nonce, ByteView associated, bool encrypt) {
  std::array<uint8_t, 12> short_nonce{};
  std::ranges::copy(nonce.subspan(kInputNonce), short_nonce.begin() + 4);
  int written = 0;
  if (crypto_core_hchacha20(subkey_.RevealSecretForWriting().data(), nonce.data(),
                            key_.RevealSecret().data(), nullptr) != 0 ||
      EVP_CipherInit_ex2(context_.get(), nullptr, subkey_.RevealSecret().data(), short_nonce.data(),
                         encrypt ? 1 : 0, nullptr) != 1 ||
      EVP_CipherUpdate(context_.get(), nullptr, &written, associated.data(), Size(associated)) !=
          1) {
    ForgetMessageKey();
    return Fail(ErrorCode::kInternal, "ChaCha20-Poly1305 does not start");
  }
  return {};
}

void XChaCha::ForgetMessageKey() {
  static constexpr std::array<uint8_t, kXChaChaKeySize> kNoKey{};
  // Overwrites the key schedule in place. It can only fail for want of a cipher, which Create set.
  static_cast<void>(
      EVP_CipherInit_ex2(context_.get(), nullptr, kNoKey.data(), kNoKey.data(), -1, nullptr));
  sodium_memzero(subkey_.RevealSecretForWriting().data(), subkey_.size());
}

Result<void> XChaCha::SealWithOpenssl(ByteView nonce, ByteView associated, ByteView plaintext,
                                      MutableBytes out) {
  KEYWARD_TRY(Begin(nonce, associated, true));
  int written = 0;
  int rest = 0;
  uint8_t* const tag = out.data() + plaintext.size();
  const bool sealed =
      EVP_CipherUpdate(context_.get(), out.data(), &written, plaintext.data(), Size(plaintext)) ==
          1 &&
      EVP_CipherFinal_ex(context_.get(), tag, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kXChaChaTagSize, tag) == 1;
  ForgetMessageKey();
  if (!sealed) return Fail(ErrorCode::kInternal, "sealing failed");
  return {};
}

Result<void> XChaCha::OpenWithOpenssl(ByteView nonce, ByteView associated, ByteView sealed,
                                      MutableBytes out) {
  if (sealed.size() < kXChaChaTagSize) return WrongTag();
  KEYWARD_TRY(Begin(nonce, associated, false));
  const ByteView ciphertext = sealed.first(sealed.size() - kXChaChaTagSize);
  std::array<uint8_t, kXChaChaTagSize> tag{};
  std::ranges::copy(sealed.last(kXChaChaTagSize), tag.begin());
  int written = 0;
  int rest = 0;
  const bool opened =
      EVP_CipherUpdate(context_.get(), out.data(), &written, ciphertext.data(), Size(ciphertext)) ==
          1 &&
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kXChaChaTagSize, tag.data()) ==
          1 &&
      EVP_CipherFinal_ex(context_.get(), out.data() + ciphertext.size(), &rest) == 1;
  ForgetMessageKey();
  if (opened) return {};
  sodium_memzero(out.data(), ciphertext.size());
  return WrongTag();
}

}  // namespace keyward::session
