#include "keyd/backup/envelope.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <utility>

namespace keyward::backup {
namespace {

std::unexpected<Error> OpensslFailed(const char* step) {
  const unsigned long code = ERR_get_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return Fail(Error(ErrorCode::kInternal, "the backup could not be encrypted")
                  .WithCause(std::string(step) + ": " + (reason == nullptr ? "?" : reason)));
}

Result<Bytes> DerOf(const CMS_ContentInfo* cms) {
  unsigned char* raw = nullptr;
  const int size = i2d_CMS_ContentInfo(cms, &raw);
  const OsslPtr<unsigned char, [](unsigned char* p) { OPENSSL_free(p); }> der(raw);
  if (size <= 0) return OpensslFailed("encoding");
  return Bytes(raw, raw + size);
}

// Of `cms` while its ciphertext is empty.
Result<HeaderDigest> HeaderOf(const CMS_ContentInfo* cms) {
  KEYWARD_ASSIGN(const Bytes der, DerOf(cms));
  return Blake2b(der);
}

Result<void> AddRecipient(CMS_ContentInfo* cms, const RecoveryCertificate& certificate) {
  CMS_RecipientInfo* info = CMS_add1_recipient_cert(cms, certificate.get(), CMS_KEY_PARAM);
  EVP_PKEY_CTX* context = info == nullptr ? nullptr : CMS_RecipientInfo_get0_pkey_ctx(info);
  if (context == nullptr) return OpensslFailed("a recipient");
  const bool set = certificate.IsRsa()
                       ? EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                             EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
                             EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1
                       : EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) == 1;
  if (!set) return OpensslFailed("a recipient's parameters");
  return {};
}

CmsPtr Parse(ByteView der) {
  const unsigned char* at = der.data();
  return CmsPtr(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
}

// Only DER, of which there is one form: nothing in the file is free to be changed.
Result<void> CheckForm(const CMS_ContentInfo* cms, ByteView der) {
  const Result<Bytes> canonical = DerOf(cms);
  if (canonical && std::ranges::equal(*canonical, der)) return {};
  return Fail(Altered("not DER"));
}

Result<HeaderDigest> HeaderOf(ByteView der) {
  const CmsPtr cms = Parse(der);
  ASN1_OCTET_STRING** ciphertext = cms ? CMS_get0_content(cms.get()) : nullptr;
  if (ciphertext == nullptr || *ciphertext == nullptr) return Fail(Altered("no ciphertext"));
  ASN1_STRING_set0(*ciphertext, nullptr, 0);
  const Result<HeaderDigest> header = HeaderOf(cms.get());
  if (!header) return Fail(Altered(header.error().cause()));
  return header;
}

bool DecryptAgreed(CMS_ContentInfo* cms, CMS_RecipientInfo* info, EVP_PKEY* key) {
  STACK_OF(CMS_RecipientEncryptedKey)* keys = CMS_RecipientInfo_kari_get0_reks(info);
  for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); ++i) {
    if (CMS_RecipientInfo_kari_set0_pkey(info, key) == 1 &&
        CMS_RecipientInfo_kari_decrypt(cms, info, sk_CMS_RecipientEncryptedKey_value(keys, i)) ==
            1) {
      return true;
    }
  }
  return false;
}

// Not CMS_decrypt, which answers a wrong RSA key with a random content key.
bool Decrypt(CMS_ContentInfo* cms, CMS_RecipientInfo* info, const RecoveryKey& key) {
  const int type = CMS_RecipientInfo_type(info);
  if (type == CMS_RECIPINFO_AGREE && !key.IsRsa()) return DecryptAgreed(cms, info, key.get());
  if (type != CMS_RECIPINFO_TRANS || !key.IsRsa()) return false;
  if (EVP_PKEY_up_ref(key.get()) != 1) return false;
  return CMS_RecipientInfo_set0_pkey(info, key.get()) == 1 &&
         CMS_RecipientInfo_decrypt(cms, info) == 1;
}

Result<void> Unlock(CMS_ContentInfo* cms, const RecoveryKey& key) {
  STACK_OF(CMS_RecipientInfo)* infos = CMS_get0_RecipientInfos(cms);
  for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); ++i) {
    const bool opened = Decrypt(cms, sk_CMS_RecipientInfo_value(infos, i), key);
    ERR_clear_error();
    if (opened) return {};
  }
  return Fail(ErrorCode::kAuthenticationFailed,
              "the recovery key opens none of the backup's recipients: it was made for another "
              "key, or was altered");
}

}  // namespace

Error Altered(std::string cause) {
  return Error(ErrorCode::kDataCorrupt,
               "the backup was altered or is damaged: use another copy of it")
      .WithCause(std::move(cause));
}

Result<NewEnvelope> NewEnvelope::Create(std::span<const RecoveryCertificate> recipients) {
  CmsPtr cms(
      CMS_encrypt(nullptr, nullptr, EVP_aes_256_cbc(), CMS_STREAM | CMS_BINARY | CMS_PARTIAL));
  if (!cms) return OpensslFailed("CMS_encrypt");
  for (const RecoveryCertificate& recipient : recipients) {
    KEYWARD_TRY(AddRecipient(cms.get(), recipient));
  }
  // Makes the content key, and encrypts it for each recipient.
  ChainPtr content(CMS_dataInit(cms.get(), nullptr));
  if (!content) return OpensslFailed("CMS_dataInit");
  KEYWARD_ASSIGN(const HeaderDigest header, HeaderOf(cms.get()));
  return NewEnvelope(std::move(cms), std::move(content), header);
}

Result<void> NewEnvelope::Write(ByteView plaintext) {
  size_t written = 0;
  if (plaintext.empty()) return {};
  if (BIO_write_ex(content_.get(), plaintext.data(), plaintext.size(), &written) == 1 &&
      written == plaintext.size()) {
    return {};
  }
  return OpensslFailed("encrypting");
}

Result<Bytes> NewEnvelope::Finish() {
  if (BIO_flush(content_.get()) != 1 || CMS_dataFinal(cms_.get(), content_.get()) != 1) {
    return OpensslFailed("CMS_dataFinal");
  }
  KEYWARD_ASSIGN(Bytes der, DerOf(cms_.get()));
  if (der.size() > kMaxBackup) {
    return Fail(ErrorCode::kTooLarge, "a backup has at most 16 MiB");
  }
  return der;
}

Result<OpenEnvelope> OpenEnvelope::Open(ByteView der, const RecoveryKey& key) {
  if (der.size() > kMaxBackup) return Fail(ErrorCode::kTooLarge, "a backup has at most 16 MiB");
  CmsPtr cms = Parse(der);
  ERR_clear_error();
  if (!cms || OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_enveloped) {
    return Fail(ErrorCode::kMalformed, "the file is no backup, or was cut short");
  }
  KEYWARD_TRY(CheckForm(cms.get(), der));
  KEYWARD_ASSIGN(const HeaderDigest header, HeaderOf(der));
  KEYWARD_TRY(Unlock(cms.get(), key));
  ChainPtr content(CMS_dataInit(cms.get(), nullptr));
  ERR_clear_error();
  if (!content) return Fail(Altered("CMS_dataInit"));
  return OpenEnvelope(std::move(cms), std::move(content), header);
}

Result<void> OpenEnvelope::Read(MutableBytes out) {
  while (!out.empty()) {
    size_t got = 0;
    if (BIO_read_ex(content_.get(), out.data(), out.size(), &got) != 1 || got == 0) {
      ERR_clear_error();
      return Fail(Altered("the content ends early"));
    }
    out = out.subspan(got);
  }
  return {};
}

Result<void> OpenEnvelope::End() {
  std::array<uint8_t, 1> more{};
  size_t got = 0;
  const bool ended = BIO_read_ex(content_.get(), more.data(), more.size(), &got) != 1;
  const bool padded = BIO_get_cipher_status(content_.get()) == 1;
  ERR_clear_error();
  if (ended && padded) return {};
  return Fail(Altered(ended ? "padding" : "more content than there should be"));
}

}  // namespace keyward::backup
