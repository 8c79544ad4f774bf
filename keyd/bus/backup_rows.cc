#include "keyd/bus/backup_rows.h"

#include <algorithm>
#include <map>

#include "core/encoding.h"
#include "core/public_key.h"
#include "keyd/backup/restore.h"

namespace keyward::bus {
namespace {

constexpr std::string_view kUntried = "untried";

std::map<std::string, const KeyRecord*> KeysOf(const backup::Manifest& manifest) {
  std::map<std::string, const KeyRecord*> keys;
  for (const KeyRecord& key : manifest.state.keys) keys[key.name] = &key;
  return keys;
}

}  // namespace

HeldRows HeldBy(const backup::Manifest& manifest) {
  const auto keys = KeysOf(manifest);
  HeldRows rows;
  for (const VersionRecord& version : manifest.state.versions) {
    if (!backup::CanSign(version) || keys.at(version.key)->custody == Custody::kHardware) continue;
    rows.emplace_back(version.key, version.number);
  }
  return rows;
}

LeftOutRows LeftOutOf(const backup::Manifest& manifest) {
  const auto keys = KeysOf(manifest);
  LeftOutRows rows;
  for (const VersionRecord& version : manifest.state.versions) {
    const KeyRecord& key = *keys.at(version.key);
    const Result<PublicKey> public_key = PublicKey::FromSpki(version.spki);
    if (!backup::CanSign(version) || key.custody != Custody::kHardware || !public_key) continue;
    rows.emplace_back(version.key, version.number, key.custodian, ToHex(public_key->Fingerprint()));
  }
  return rows;
}

ProofRows ToRows(const std::vector<backup::CustodianProof>& proofs) {
  ProofRows rows;
  for (const auto& [custodian, sealed] : proofs) {
    if (!sealed) {
      rows.emplace_back(custodian, std::string(kUntried),
                        std::string("it has sealed no key so far, and nothing is made to try it"));
      continue;
    }
    const Result<void>& proof = *sealed;
    rows.emplace_back(custodian,
                      std::string(proof ? std::string_view("ok") : Name(proof.error().code())),
                      proof ? std::string() : proof.error().message());
  }
  return rows;
}

Result<backup::BackupDigest> ToDigest(ByteView bytes) {
  backup::BackupDigest digest{};
  if (bytes.size() != digest.size()) {
    return Fail(ErrorCode::kInvalidArgument, "a backup's digest has 32 bytes");
  }
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

}  // namespace keyward::bus
