#include "keyd/backup/latest.h"

#include <algorithm>

#include "core/blake2b.h"
#include "core/encoding.h"
#include "core/file.h"

namespace keyward::backup {
namespace {

constexpr const char* kFile = "last-backup";
constexpr std::string_view kMagic = "KWLB";
constexpr uint8_t kVersion = 1;
constexpr size_t kMaxFile = 256;
constexpr std::string_view kLabel = "keyward latest backup 1";

Bytes Encode(const LatestBackup& latest) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Raw(latest.id)
      .Integer(static_cast<uint64_t>(latest.created.time_since_epoch().count()))
      .Raw(latest.digest)
      .Take();
}

Result<Hash256> MacOf(ByteView encoded, const SecretBytes& key) {
  return Blake2bMac(key).Add(AsBytes(kLabel)).Add(encoded).End();
}

Result<LatestBackup> Parse(ByteView file, const SecretBytes& key) {
  Reader in(file);
  LatestBackup latest{};
  KEYWARD_TRY(in.Raw(kMagic.size() + sizeof(kVersion)));
  KEYWARD_ASSIGN(const ByteView id, in.Raw(latest.id.size()));
  KEYWARD_ASSIGN(const uint64_t created, in.Integer<uint64_t>());
  KEYWARD_ASSIGN(const ByteView digest, in.Raw(latest.digest.size()));
  std::ranges::copy(id, latest.id.begin());
  std::ranges::copy(digest, latest.digest.begin());
  latest.created = WallTime(std::chrono::milliseconds(created));
  const Bytes encoded = Encode(latest);
  KEYWARD_ASSIGN(const Hash256 mac, MacOf(encoded, key));
  if (file.size() > encoded.size() && std::ranges::equal(file.first(encoded.size()), encoded) &&
      EqualHashes(in.Rest(), mac)) {
    return latest;
  }
  return Fail(ErrorCode::kMalformed, "not a last-backup file of this service");
}

}  // namespace

Result<void> WriteLatest(const std::filesystem::path& state_directory, const LatestBackup& latest,
                         const SecretBytes& backup_key) {
  Bytes file = Encode(latest);
  KEYWARD_ASSIGN(const Hash256 mac, MacOf(file, backup_key));
  Append(file, mac);
  return ReplaceFile(state_directory / kFile, file);
}

Result<std::optional<LatestBackup>> ReadLatest(const std::filesystem::path& state_directory,
                                               const SecretBytes& backup_key) {
  KEYWARD_ASSIGN(const std::optional<Bytes> file, ReadFile(state_directory / kFile, kMaxFile));
  if (!file) return std::nullopt;
  const Result<LatestBackup> latest = Parse(*file, backup_key);
  if (latest) return *latest;
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file last-backup was changed by somebody else than keyd: remove it")
                  .WithCause(latest.error().message()));
}

}  // namespace keyward::backup
