#include "keyd/backup/content.h"

#include <algorithm>
#include <limits>

#include "core/blake2b.h"
#include "core/encoding.h"
#include "core/public_key.h"
#include "keyd/backup/manifest.h"

namespace keyward::backup {
namespace {

constexpr std::string_view kMagic = "KWBK";
constexpr uint8_t kVersion = 1;
constexpr size_t kMacKeySize = 32;
constexpr std::string_view kMacLabel = "keyward backup mac 1";
constexpr std::string_view kOriginLabel = "keyward backup origin 1";

Bytes EncodeTrailer(const BackupDigest& origin, const Seal& seal) {
  return Writer().Raw(origin).Field<uint16_t>(seal.signer).Field<uint16_t>(seal.signature).Take();
}

Result<BackupDigest> MacOf(const BackupDigest& digest, ByteView trailer,
                           const SecretBytes& mac_key) {
  return Blake2bMac(mac_key).Add(AsBytes(kMacLabel)).Add(digest).Add(trailer).End();
}

// Reads pieces, and adds what it has read to a MAC.
class MacReader {
 public:
  MacReader(const Source& source, Blake2bMac& mac) : source_(source), mac_(mac) {}

  Result<void> Fill(MutableBytes out) {
    KEYWARD_TRY(source_(out));
    mac_.Add(out);
    return {};
  }
  template <std::unsigned_integral T>
  Result<T> Integer() {
    std::array<uint8_t, sizeof(T)> bytes{};
    KEYWARD_TRY(Fill(bytes));
    return Reader(bytes).Integer<T>();
  }
  Result<Bytes> PublicPart() {
    KEYWARD_ASSIGN(const uint32_t size, Integer<uint32_t>());
    if (size > kMaxManifest) return Fail(Altered("the manifest's size"));
    Bytes bytes(size);
    KEYWARD_TRY(Fill(bytes));
    return bytes;
  }
  Result<Secrets> SecretPart() {
    Secrets secrets;
    KEYWARD_ASSIGN(const uint32_t count, Integer<uint32_t>());
    if (count > kMaxSecrets) return Fail(Altered("the number of secrets"));
    for (uint32_t i = 0; i < count; ++i) {
      KeyId id{};
      KEYWARD_TRY(Fill(id));
      KEYWARD_ASSIGN(const uint8_t size, Integer<uint8_t>());
      if (size == 0) return Fail(Altered("a secret's size"));
      KEYWARD_ASSIGN(SecretBytes secret, SecretBytes::Create(size));
      KEYWARD_TRY(Fill(secret.RevealSecretForWriting()));
      if (!secrets.emplace(id, std::move(secret)).second) return Fail(Altered("a secret twice"));
    }
    return secrets;
  }

 private:
  const Source& source_;
  Blake2bMac& mac_;
};

Result<Bytes> ReadField(const Source& source) {
  std::array<uint8_t, 2> prefix{};
  KEYWARD_TRY(source(prefix));
  Bytes bytes(static_cast<size_t>(prefix[0]) << 8U | prefix[1]);
  KEYWARD_TRY(source(bytes));
  return bytes;
}

Result<void> ReadTrailer(const Source& source, Content& content) {
  KEYWARD_TRY(source(content.origin));
  KEYWARD_ASSIGN(content.seal.signer, ReadField(source));
  KEYWARD_ASSIGN(content.seal.signature, ReadField(source));
  return {};
}

// Who signed is for the reader to judge; that it holds is not.
Result<void> CheckSeal(const Seal& seal, const BackupDigest& digest) {
  if (seal.signer.empty() && seal.signature.empty()) return {};
  const Result<PublicKey> signer = PublicKey::FromSpki(seal.signer);
  if (signer && signer->Verify(StatementOf(digest), seal.signature)) return {};
  return Fail(ErrorCode::kMalformed, "the backup's signature does not hold");
}

Result<void> CheckHead(ByteView head) {
  if (AsText(head.first(kMagic.size())) != kMagic) return Fail(Altered("the beginning"));
  if (head.back() == kVersion) return {};
  return Fail(ErrorCode::kNotSupported,
              "the backup is of a newer Keyward, or was altered: use that version's keyd");
}

Result<void> WriteSecret(const KeyId& id, const SecretBytes& secret, const Sink& sink) {
  if (secret.empty() || secret.size() > std::numeric_limits<uint8_t>::max()) {
    return Fail(ErrorCode::kInternal, "a secret is of no size that a backup can hold");
  }
  KEYWARD_TRY(sink(Writer().Raw(id).Integer(static_cast<uint8_t>(secret.size())).Take()));
  return sink(secret.RevealSecret());
}

}  // namespace

Result<BackupDigest> OriginOf(const BackupDigest& digest, const SecretBytes& backup_key) {
  return Blake2bMac(backup_key).Add(AsBytes(kOriginLabel)).Add(digest).End();
}

Bytes StatementOf(const BackupDigest& digest) {
  Bytes statement = ToBytes(AsBytes("keyward backup 1\n"));
  Append(statement, AsBytes(ToHex(digest)));
  statement.push_back('\n');
  return statement;
}

Result<ContentWriter> ContentWriter::Create(Rng& rng) {
  KEYWARD_ASSIGN(SecretBytes mac_key, SecretBytes::Random(kMacKeySize, rng));
  return ContentWriter(std::move(mac_key));
}

Result<BackupDigest> ContentWriter::WriteBody(const Manifest& manifest, const Secrets& secrets,
                                              const HeaderDigest& header, const Sink& sink) {
  if (secrets.size() > kMaxSecrets) {
    return Fail(ErrorCode::kTooLarge, "there are more keys than one backup can hold");
  }
  KEYWARD_ASSIGN(const Bytes public_part, EncodeManifest(manifest));
  Blake2bMac mac(mac_key_);
  const Sink both = [&](ByteView bytes) {
    mac.Add(bytes);
    return sink(bytes);
  };
  mac.Add(header);
  KEYWARD_TRY(both(Writer().Raw(AsBytes(kMagic)).Integer(kVersion).Take()));
  KEYWARD_TRY(sink(mac_key_.RevealSecret()));
  KEYWARD_TRY(both(Writer().Field<uint32_t>(public_part).Take()));
  KEYWARD_TRY(both(Writer().Integer(static_cast<uint32_t>(secrets.size())).Take()));
  for (const auto& [id, secret] : secrets) KEYWARD_TRY(WriteSecret(id, secret, both));
  KEYWARD_ASSIGN(digest_, mac.End());
  return digest_;
}

Result<void> ContentWriter::WriteTrailer(const BackupDigest& origin, const Seal& seal,
                                         const Sink& sink) {
  const Bytes trailer = EncodeTrailer(origin, seal);
  KEYWARD_TRY(sink(trailer));
  KEYWARD_ASSIGN(const BackupDigest mac, MacOf(digest_, trailer, mac_key_));
  return sink(mac);
}

Result<Content> ReadContent(const HeaderDigest& header, const Source& source) {
  std::array<uint8_t, kMagic.size() + 1> head{};
  KEYWARD_TRY(source(head));
  KEYWARD_TRY(CheckHead(head));
  KEYWARD_ASSIGN(SecretBytes mac_key, SecretBytes::Create(kMacKeySize));
  KEYWARD_TRY(source(mac_key.RevealSecretForWriting()));
  Blake2bMac mac(mac_key);
  mac.Add(header).Add(head);
  MacReader in(source, mac);
  KEYWARD_ASSIGN(const Bytes public_part, in.PublicPart());
  Content content{};
  KEYWARD_ASSIGN(content.secrets, in.SecretPart());
  KEYWARD_ASSIGN(content.digest, mac.End());
  KEYWARD_TRY(ReadTrailer(source, content));
  BackupDigest written{};
  KEYWARD_TRY(source(written));
  const Bytes trailer = EncodeTrailer(content.origin, content.seal);
  KEYWARD_ASSIGN(const BackupDigest expected, MacOf(content.digest, trailer, mac_key));
  if (!EqualHashes(written, expected)) return Fail(Altered("the MAC"));
  KEYWARD_TRY(CheckSeal(content.seal, content.digest));
  KEYWARD_ASSIGN(content.manifest, DecodeManifest(public_part));
  return content;
}

}  // namespace keyward::backup
