// CMS EnvelopedData (RFC 5652): what is encrypted for recovery keys, so that any CMS program opens
// it. AES-256-CBC; RSA recipients by OAEP with SHA-256, EC ones by ECDH with a KDF on SHA-256 and
// AES key wrap.
//
// CBC does not authenticate. The content has to carry a MAC of its own, and that MAC has to cover
// the `header`: a digest of everything in the file but the ciphertext.
#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>

#include <span>

#include "core/blake2b.h"
#include "core/openssl_ptr.h"
#include "keyd/backup/recovery_key.h"

namespace keyward::backup {

inline constexpr size_t kMaxBackup = size_t{16} * 1024 * 1024;  // bytes

using CmsPtr = OsslPtr<CMS_ContentInfo, CMS_ContentInfo_free>;
using ChainPtr = OsslPtr<BIO, BIO_free_all>;
using HeaderDigest = Hash256;

// An envelope that is being filled. Plaintext that it takes goes into the cipher, and is kept
// nowhere.
class NewEnvelope {
 public:
  // Errors: kInternal.
  static Result<NewEnvelope> Create(std::span<const RecoveryCertificate> recipients);

  const HeaderDigest& header() const { return header_; }
  // Errors: kInternal.
  Result<void> Write(ByteView plaintext);
  // Gives the DER; nothing may be written any more. Errors: kTooLarge (over kMaxBackup), kInternal.
  Result<Bytes> Finish();

 private:
  NewEnvelope(CmsPtr cms, ChainPtr content, const HeaderDigest& header)
      : cms_(std::move(cms)), content_(std::move(content)), header_(header) {}

  CmsPtr cms_;
  ChainPtr content_;  // writes to cms_
  HeaderDigest header_;
};

// An envelope that a key has opened. Its plaintext goes nowhere but to where it is read to.
class OpenEnvelope {
 public:
  // `der` outlives it. Errors: kMalformed (no EnvelopedData), kTooLarge (over kMaxBackup),
  // kDataCorrupt, kAuthenticationFailed (none of the recipients is this key).
  static Result<OpenEnvelope> Open(ByteView der, const RecoveryKey& key);

  const HeaderDigest& header() const { return header_; }
  // Fills `out` with what comes next. Errors: kDataCorrupt (there is less).
  Result<void> Read(MutableBytes out);
  // Errors: kDataCorrupt (there is more).
  Result<void> End();

 private:
  OpenEnvelope(CmsPtr cms, ChainPtr content, const HeaderDigest& header)
      : cms_(std::move(cms)), content_(std::move(content)), header_(header) {}

  CmsPtr cms_;
  ChainPtr content_;  // reads from cms_
  HeaderDigest header_;
};

// "the backup was altered or is damaged: use another copy"
Error Altered(std::string cause);

}  // namespace keyward::backup
