#include "keyd/backup/recovery_input.h"

#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "keyd/backup/recovery_key.h"
#include "keyd/backup/restore.h"

namespace keyward::backup {
namespace {

constexpr size_t kSecureHeap = size_t{128} * 1024;
constexpr int kSecureHeapUnit = 32;
constexpr size_t kChunk = size_t{64} * 1024;

std::unexpected<Error> CannotRead(const char* what) {
  return Fail(ErrorCode::kIo, std::string(what) + " cannot be read: " + std::strerror(errno));
}

// Up to out.size() bytes; fewer at the end alone.
Result<size_t> ReadUpTo(int fd, MutableBytes out, const char* what) {
  size_t size = 0;
  while (size < out.size()) {
    const ssize_t got = read(fd, out.data() + size, out.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(what);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  return size;
}

Result<Bytes> ReadBackup(int fd) {
  Bytes file;
  for (size_t got = kChunk; got == kChunk;) {
    const size_t before = file.size();
    file.resize(before + kChunk);
    KEYWARD_ASSIGN(got, ReadUpTo(fd, MutableBytes(file).subspan(before), "the backup"));
    file.resize(before + got);
    if (file.size() > kMaxBackup) return Fail(ErrorCode::kTooLarge, "a backup has at most 16 MiB");
  }
  if (file.empty()) return Fail(ErrorCode::kMalformed, "the file is empty, and so no backup");
  return file;
}

// Trailing bytes of a `SecretBytes` that is too long are never copied elsewhere.
Result<SecretBytes> ReadSecret(int fd, size_t max_size, const char* what) {
  KEYWARD_ASSIGN(SecretBytes buffer, SecretBytes::Create(max_size + 1));
  KEYWARD_ASSIGN(const size_t size, ReadUpTo(fd, buffer.RevealSecretForWriting(), what));
  if (size > max_size) return Fail(ErrorCode::kTooLarge, std::string(what) + " is too large");
  if (size == 0) return Fail(ErrorCode::kInvalidArgument, std::string(what) + " is empty");
  return SecretBytes::CopyOf(buffer.RevealSecret().first(size));
}

Result<SecretBytes> ReadPassphrase(int fd) {
  if (fd < 0) return SecretBytes();
  KEYWARD_ASSIGN(const SecretBytes line, ReadSecret(fd, kMaxPassphrase, "the passphrase"));
  ByteView text = line.RevealSecret();
  const auto drop = [&text](char last) {
    if (!text.empty() && text.back() == static_cast<uint8_t>(last))
      text = text.first(text.size() - 1);
  };
  drop('\n');
  drop('\r');
  if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "the passphrase is empty");
  return SecretBytes::CopyOf(text);
}

Result<void> LockOpensslsSecrets() {
  if (CRYPTO_secure_malloc_initialized() == 1 ||
      CRYPTO_secure_malloc_init(kSecureHeap, kSecureHeapUnit) != 0) {
    return {};
  }
  return Fail(ErrorCode::kResourceExhausted, "no memory can be locked for the recovery key");
}

}  // namespace

Result<RecoveryKey> ReadRecoveryKey(const RecoveryInput& input) {
  KEYWARD_TRY(LockOpensslsSecrets());
  KEYWARD_ASSIGN(const SecretBytes text,
                 ReadSecret(input.key, kMaxRecoveryKeyFile, "the recovery key"));
  KEYWARD_ASSIGN(const SecretBytes passphrase, ReadPassphrase(input.passphrase));
  return RecoveryKey::FromPem(text, passphrase);
}

Result<Content> OpenBackup(const RecoveryInput& input) {
  KEYWARD_ASSIGN(const Bytes file, ReadBackup(input.backup));
  KEYWARD_ASSIGN(const RecoveryKey key, ReadRecoveryKey(input));
  KEYWARD_ASSIGN(OpenEnvelope envelope, OpenEnvelope::Open(file, key));
  KEYWARD_ASSIGN(Content content, ReadContent(envelope.header(), [&](MutableBytes out) {
                   return envelope.Read(out);
                 }));
  KEYWARD_TRY(envelope.End());
  KEYWARD_TRY(CheckPairs(content.manifest, content.secrets));
  return content;
}

}  // namespace keyward::backup
