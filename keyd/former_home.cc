#include "keyd/former_home.h"

#include <algorithm>

#include "core/blake2b.h"
#include "core/encoding.h"
#include "core/file.h"
#include "keyd/second_record.h"

namespace keyward {
namespace {

constexpr std::string_view kMagic = "KWMF";
constexpr uint8_t kVersion = 1;
constexpr std::string_view kMacLabel = "keyward former home 1";

std::unexpected<Error> NotOurs(std::string cause) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file master-key.former in the state directory is not as keyd wrote it: "
                    "nothing is destroyed by it; find out who wrote it, and move it away")
                  .WithAction(Action::kProvision)
                  .WithCause(std::move(cause)));
}

Bytes EncodeWithoutMac(const HardwareParts& parts) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Field<uint8_t>(AsBytes(parts.custodian))
      .Raw(parts.seal)
      .Raw(parts.counter)
      .Take();
}

Result<Hash256> MacOf(const HardwareParts& parts, const MasterKey& master) {
  KEYWARD_ASSIGN(const SecretBytes key, master.Derive(Subkey::kSecondSeal));
  return Blake2bMac(key).Add(AsBytes(kMacLabel)).Add(EncodeWithoutMac(parts)).End();
}

Result<FormerHome> Parse(ByteView bytes) {
  Reader in(bytes);
  FormerHome former{};
  KEYWARD_TRY(in.Raw(kMagic.size() + sizeof(kVersion)));
  KEYWARD_ASSIGN(const ByteView custodian, in.Field<uint8_t>());
  KEYWARD_ASSIGN(const ByteView seal, in.Raw(former.parts.seal.size()));
  KEYWARD_ASSIGN(const ByteView counter, in.Raw(former.parts.counter.size()));
  former.parts.custodian = AsText(custodian);
  std::ranges::copy(seal, former.parts.seal.begin());
  std::ranges::copy(counter, former.parts.counter.begin());
  former.mac = ToBytes(in.Rest());
  const bool known = former.parts.custodian == "hsm" || former.parts.custodian == "tpm";
  if (known && former.mac.size() == sizeof(Hash256) && std::ranges::equal(Encode(former), bytes)) {
    return former;
  }
  return Fail(ErrorCode::kMalformed, "not a master-key.former file of this version");
}

}  // namespace

Result<FormerHome> MakeFormerHome(const HardwareParts& parts, const MasterKey& master) {
  KEYWARD_ASSIGN(const Hash256 mac, MacOf(parts, master));
  return FormerHome{parts, ToBytes(mac)};
}

Result<void> CheckFormerHome(const FormerHome& former, const MasterRecord& now,
                             const MasterKey& master) {
  KEYWARD_ASSIGN(const Hash256 expected, MacOf(former.parts, master));
  if (!EqualHashes(expected, former.mac)) return NotOurs("MAC");
  if (CameToNothing(former, now)) return {};
  if (NamesAnyOf(former.parts, {now.seal, now.counter, SecondSealId(now.check)})) {
    return NotOurs("it names what is in use");
  }
  return {};
}

bool CameToNothing(const FormerHome& former, const MasterRecord& now) {
  return former.parts == PartsOf(now);
}

Bytes Encode(const FormerHome& former) {
  Bytes file = EncodeWithoutMac(former.parts);
  Append(file, former.mac);
  return file;
}

Result<FormerHome> DecodeFormerHome(ByteView bytes) {
  Result<FormerHome> former = Parse(bytes);
  if (!former) return NotOurs(former.error().message());
  return former;
}

Result<std::optional<FormerHome>> ReadFormerHome(const std::filesystem::path& directory) {
  Result<std::optional<Bytes>> contents = ReadFile(directory / kMasterFormer, kMaxFormerFile);
  if (!contents && contents.error().code() == ErrorCode::kTooLarge) return NotOurs("too large");
  if (!contents) return Fail(contents.error());
  if (!*contents) return std::nullopt;
  return DecodeFormerHome(**contents);
}

}  // namespace keyward
