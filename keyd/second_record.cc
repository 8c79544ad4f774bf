#include "keyd/second_record.h"

#include <sodium.h>

#include <algorithm>
#include <exception>

#include "core/encoding.h"
#include "core/file.h"

namespace keyward {
namespace {

constexpr std::string_view kMagic = "KWM2";
constexpr uint8_t kVersion = 1;
constexpr size_t kDigestSize = 32;  // of check, MAC and a certificate's fingerprint
constexpr std::string_view kMacLabel = "keyward second seal 1";
constexpr std::string_view kIdLabel = "keyward second seal id 1";

std::unexpected<Error> Damaged(std::string cause) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file master-key.second in the state directory is damaged, or of another "
                    "master key: remove it, and make a second seal anew with keyctl master seal")
                  .WithAction(Action::kProvision)
                  .WithCause(std::move(cause)));
}

Bytes EncodeWithoutMac(const SecondSeal& seal) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Field<uint8_t>(AsBytes(seal.place))
      .Integer(static_cast<uint64_t>(seal.made.time_since_epoch().count()))
      .Raw(seal.check)
      .Field<uint16_t>(seal.holder)
      .Field<uint16_t>(seal.sealed)
      .Take();
}

bool HolderFits(const SecondSeal& seal) {
  if (seal.place == "hsm") return seal.holder.empty();
  if (seal.place == "tpm") return !seal.holder.empty();
  return seal.place == kInRecovery && seal.holder.size() == kDigestSize;
}

Result<SecondSeal> Parse(ByteView bytes) {
  Reader in(bytes);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic || version != kVersion) {
    return Fail(ErrorCode::kMalformed, "not a master-key.second file of this version");
  }
  SecondSeal seal{};
  KEYWARD_ASSIGN(const ByteView place, in.Field<uint8_t>());
  seal.place = AsText(place);
  KEYWARD_ASSIGN(const uint64_t made, in.Integer<uint64_t>());
  seal.made = WallTime(std::chrono::milliseconds(made));
  KEYWARD_ASSIGN(const ByteView check, in.Raw(kDigestSize));
  seal.check = ToBytes(check);
  KEYWARD_ASSIGN(const ByteView holder, in.Field<uint16_t>());
  seal.holder = ToBytes(holder);
  KEYWARD_ASSIGN(const ByteView sealed, in.Field<uint16_t>());
  seal.sealed = ToBytes(sealed);
  KEYWARD_ASSIGN(const ByteView mac, in.Raw(kDigestSize));
  seal.mac = ToBytes(mac);
  KEYWARD_TRY(in.End());
  if (HolderFits(seal) && !seal.sealed.empty()) return seal;
  return Fail(ErrorCode::kMalformed, "a place that is none, or with another holder");
}

Result<Bytes> MacOf(const SecondSeal& seal, const MasterKey& master) {
  KEYWARD_ASSIGN(const SecretBytes key, master.Derive(Subkey::kSecondSeal));
  Bytes told = ToBytes(AsBytes(kMacLabel));
  Append(told, EncodeWithoutMac(seal));
  Bytes mac(kDigestSize);
  if (crypto_generichash(mac.data(), mac.size(), told.data(), told.size(),
                         key.RevealSecret().data(), key.size()) == 0) {
    return mac;
  }
  return Fail(ErrorCode::kInternal, "the MAC of the second seal could not be made");
}

}  // namespace

KeyId SecondSealId(ByteView check) {
  Bytes told = ToBytes(AsBytes(kIdLabel));
  Append(told, check);
  KeyId id{};
  static_assert(id.size() >= crypto_generichash_BYTES_MIN);
  // Fails only for sizes that these are not.
  if (crypto_generichash(id.data(), id.size(), told.data(), told.size(), nullptr, 0) != 0) {
    std::terminate();
  }
  return id;
}

Result<void> Authenticate(SecondSeal& seal, const MasterKey& master) {
  if (EncodeWithoutMac(seal).size() + kDigestSize > kMaxSecondFile) {
    return Fail(ErrorCode::kTooLarge, "the second seal has more than 16 KiB: take another key");
  }
  KEYWARD_ASSIGN(seal.mac, MacOf(seal, master));
  return {};
}

Result<void> CheckSecondSeal(const SecondSeal& seal, const MasterKey& master) {
  KEYWARD_ASSIGN(const SecretBytes check, master.Derive(Subkey::kCheck));
  if (!check.Equals(seal.check)) return Damaged("another master key");
  KEYWARD_ASSIGN(const Bytes expected, MacOf(seal, master));
  if (sodium_memcmp(expected.data(), seal.mac.data(), expected.size()) == 0) return {};
  return Damaged("MAC");
}

Bytes Encode(const SecondSeal& seal) {
  Bytes file = EncodeWithoutMac(seal);
  Append(file, seal.mac);
  return file;
}

Result<SecondSeal> DecodeSecondSeal(ByteView bytes) {
  Result<SecondSeal> seal = Parse(bytes);
  if (!seal) return Damaged(seal.error().message());
  return seal;
}

Result<std::optional<SecondSeal>> ReadSecondSeal(const std::filesystem::path& directory) {
  Result<std::optional<Bytes>> contents = ReadFile(directory / kSecondFile, kMaxSecondFile);
  if (!contents && contents.error().code() == ErrorCode::kTooLarge) return Damaged("too large");
  if (!contents) return Fail(contents.error());
  if (!*contents) return std::nullopt;
  return DecodeSecondSeal(**contents);
}

}  // namespace keyward
