#include "keyd/backup/manifest.h"

#include <algorithm>
#include <set>

#include "core/encoding.h"
#include "core/public_key.h"
#include "core/signer.h"
#include "policy/name_rules.h"

namespace keyward::backup {
namespace {

constexpr size_t kServiceSize = 32;

std::unexpected<Error> NoManifest(const char* what) {
  return Fail(Error(ErrorCode::kMalformed, "the backup holds something that no keyd has stored")
                  .WithCause(what));
}

uint64_t Number(WallTime time) { return static_cast<uint64_t>(time.time_since_epoch().count()); }

void WriteKey(Writer& out, const KeyRecord& key) {
  out.Field<uint8_t>(AsBytes(key.name))
      .Field<uint8_t>(AsBytes(Name(key.algorithm)))
      .Field<uint8_t>(AsBytes(Name(key.custody)))
      .Field<uint8_t>(AsBytes(key.custodian))
      .Integer(key.next_version);
}

void WriteVersion(Writer& out, const VersionRecord& version) {
  out.Field<uint8_t>(AsBytes(version.key))
      .Integer(version.number)
      .Raw(version.id)
      .Integer(static_cast<uint8_t>(version.state))
      .Integer(Number(version.created))
      .Integer(version.activated ? Number(*version.activated) : 0)
      .Integer(version.retire_at ? Number(*version.retire_at) : 0)
      .Integer(version.uses)
      .Integer(version.revoked ? Number(*version.revoked) : 0)
      .Field<uint16_t>(version.spki)
      .Field<uint16_t>(version.reference);
}

void WriteRevocation(Writer& out, const RevocationRecord& record) {
  const Revocation& revocation = record.revocation;
  out.Raw(revocation.fingerprint)
      .Field<uint8_t>(AsBytes(revocation.name))
      .Integer(revocation.version)
      .Integer(Number(revocation.at))
      .Field<uint8_t>(record.issuer);
}

Result<std::string> ReadText(Reader& in) {
  KEYWARD_ASSIGN(const ByteView text, in.Field<uint8_t>());
  return std::string(AsText(text));
}

Result<std::string> ReadName(Reader& in) {
  KEYWARD_ASSIGN(std::string name, ReadText(in));
  if (!policy::IsName(name)) return NoManifest("a name");
  return name;
}

Result<std::string> ReadCustodian(Reader& in) {
  KEYWARD_ASSIGN(std::string name, ReadText(in));
  if (name != "hsm" && name != "tpm") return NoManifest("a custodian");
  return name;
}

// A derived key has none.
Result<std::string> ReadCustodianOf(Reader& in, Custody custody) {
  if (custody != Custody::kDerived) return ReadCustodian(in);
  KEYWARD_ASSIGN(std::string name, ReadText(in));
  if (!name.empty()) return NoManifest("the custodian of a derived key");
  return name;
}

Result<WallTime> ReadTime(Reader& in) {
  KEYWARD_ASSIGN(const uint64_t time, in.Integer<uint64_t>());
  constexpr uint64_t kYear9999 = 253'402'300'800'000;  // whatever prints it has four digits
  if (time >= kYear9999) return NoManifest("a time");
  return WallTime(std::chrono::milliseconds(time));
}

Result<std::optional<WallTime>> ReadTimeOrNone(Reader& in) {
  KEYWARD_ASSIGN(const WallTime time, ReadTime(in));
  if (time == WallTime()) return std::nullopt;
  return time;
}

Result<KeyId> ReadId(Reader& in) {
  KeyId id{};
  KEYWARD_ASSIGN(const ByteView bytes, in.Raw(id.size()));
  std::ranges::copy(bytes, id.begin());
  return id;
}

Result<KeyRecord> ReadKey(Reader& in) {
  KeyRecord key{};
  KEYWARD_ASSIGN(key.name, ReadName(in));
  KEYWARD_ASSIGN(const std::string algorithm, ReadText(in));
  KEYWARD_ASSIGN(const std::string custody, ReadText(in));
  const std::optional<Algorithm> known_algorithm = AlgorithmFromName(algorithm);
  const std::optional<Custody> known_custody = CustodyFromName(custody);
  if (!known_algorithm || !known_custody) return NoManifest("an algorithm or custody");
  key.algorithm = *known_algorithm;
  key.custody = *known_custody;
  KEYWARD_ASSIGN(key.custodian, ReadCustodianOf(in, key.custody));
  KEYWARD_ASSIGN(key.next_version, in.Integer<uint32_t>());
  if (key.custody != Custody::kHardware && key.algorithm != Algorithm::kEd25519) {
    return NoManifest("a sealed or derived key of another algorithm");
  }
  return key;
}

Result<VersionRecord> ReadVersion(Reader& in) {
  VersionRecord version{};
  KEYWARD_ASSIGN(version.key, ReadName(in));
  KEYWARD_ASSIGN(version.number, in.Integer<uint32_t>());
  KEYWARD_ASSIGN(version.id, ReadId(in));
  KEYWARD_ASSIGN(const uint8_t state, in.Integer<uint8_t>());
  KEYWARD_ASSIGN(version.created, ReadTime(in));
  KEYWARD_ASSIGN(version.activated, ReadTimeOrNone(in));
  KEYWARD_ASSIGN(version.retire_at, ReadTimeOrNone(in));
  KEYWARD_ASSIGN(version.uses, in.Integer<uint64_t>());
  KEYWARD_ASSIGN(version.revoked, ReadTimeOrNone(in));
  KEYWARD_ASSIGN(const ByteView spki, in.Field<uint16_t>());
  KEYWARD_ASSIGN(const ByteView reference, in.Field<uint16_t>());
  version.spki = ToBytes(spki);
  version.reference = ToBytes(reference);
  const std::optional<VersionState> known = VersionStateFromNumber(state);
  if (!known) return NoManifest("a version's state");
  version.state = *known;
  if (version.reference.size() > kMaxKeyReference) return NoManifest("a reference");
  return version;
}

Result<ModuleRecord> ReadModule(Reader& in) {
  ModuleRecord module;
  KEYWARD_ASSIGN(module.name, ReadName(in));
  KEYWARD_ASSIGN(module.key, ReadName(in));
  return module;
}

Result<PeerRecord> ReadPeer(Reader& in) {
  PeerRecord peer;
  KEYWARD_ASSIGN(peer.name, ReadName(in));
  KEYWARD_ASSIGN(const ByteView spki, in.Field<uint16_t>());
  peer.spki = ToBytes(spki);
  const Result<PublicKey> key = PublicKey::FromSpki(spki);
  if (!key || key->algorithm() != Algorithm::kEd25519) return NoManifest("a peer's key");
  return peer;
}

Result<RevocationRecord> ReadRevocation(Reader& in) {
  RevocationRecord record{};
  Revocation& revocation = record.revocation;
  KEYWARD_ASSIGN(const ByteView fingerprint, in.Raw(revocation.fingerprint.size()));
  std::ranges::copy(fingerprint, revocation.fingerprint.begin());
  KEYWARD_ASSIGN(revocation.name, ReadName(in));
  KEYWARD_ASSIGN(revocation.version, in.Integer<uint32_t>());
  KEYWARD_ASSIGN(revocation.at, ReadTime(in));
  KEYWARD_ASSIGN(const ByteView issuer, in.Field<uint8_t>());
  if (!issuer.empty() && issuer.size() != revocation.fingerprint.size()) {
    return NoManifest("the issuer of a revocation");
  }
  record.issuer = ToBytes(issuer);
  return record;
}

// u32 count, records. No room is taken for records that are not there.
template <class Record>
Result<std::vector<Record>> ReadAll(Reader& in, Result<Record> (*read)(Reader&)) {
  KEYWARD_ASSIGN(const uint32_t count, in.Integer<uint32_t>());
  std::vector<Record> records;
  for (uint32_t i = 0; i < count; ++i) {
    KEYWARD_ASSIGN(Record record, read(in));
    records.push_back(std::move(record));
  }
  return records;
}

template <class Record>
Result<void> CheckUnique(const std::vector<Record>& records) {
  std::set<std::string> names;
  for (const Record& record : records) {
    if (!names.insert(record.name).second) return NoManifest("one name twice");
  }
  return {};
}

Result<void> CheckVersion(const VersionRecord& version, const KeyRecord& key) {
  if (version.number == 0 || version.number >= key.next_version) {
    return NoManifest("a version's number");
  }
  const Result<PublicKey> public_key = PublicKey::FromSpki(version.spki);
  if (!public_key) return NoManifest("a public key");
  // A destroyed key's name may have been given to one of another kind.
  if (version.state == VersionState::kDestroyed) {
    return version.reference.empty() ? Result<void>() : NoManifest("a reference");
  }
  const bool has_reference = !version.reference.empty();
  if (public_key->algorithm() != key.algorithm ||
      has_reference != (key.custody == Custody::kHardware)) {
    return NoManifest("a version of another kind than its key");
  }
  return {};
}

bool IsOfOne(VersionState state) {
  return state == VersionState::kActive || state == VersionState::kPending;
}

Result<void> CheckVersions(const StoredState& state) {
  std::map<std::string, const KeyRecord*> keys;
  for (const KeyRecord& key : state.keys) keys[key.name] = &key;
  std::set<KeyId> ids;
  std::set<std::pair<std::string, uint32_t>> numbers;
  std::set<std::pair<std::string, VersionState>> once;  // states that one version at most is in
  for (const VersionRecord& version : state.versions) {
    const auto key = keys.find(version.key);
    if (key == keys.end()) return NoManifest("a version of no key");
    KEYWARD_TRY(CheckVersion(version, *key->second));
    const bool is_new =
        ids.insert(version.id).second && numbers.emplace(version.key, version.number).second &&
        (!IsOfOne(version.state) || once.emplace(version.key, version.state).second);
    if (!is_new) return NoManifest("one version twice");
  }
  for (const ModuleRecord& module : state.modules) {
    if (!keys.contains(module.key)) return NoManifest("a module of no key");
  }
  return {};
}

Result<StoredState> ReadState(Reader& in) {
  StoredState state;
  KEYWARD_ASSIGN(state.keys, ReadAll(in, ReadKey));
  KEYWARD_ASSIGN(state.versions, ReadAll(in, ReadVersion));
  KEYWARD_ASSIGN(state.modules, ReadAll(in, ReadModule));
  KEYWARD_ASSIGN(state.peers, ReadAll(in, ReadPeer));
  KEYWARD_ASSIGN(state.revocations, ReadAll(in, ReadRevocation));
  KEYWARD_TRY(in.End());
  KEYWARD_TRY(CheckUnique(state.keys));
  KEYWARD_TRY(CheckUnique(state.modules));
  KEYWARD_TRY(CheckUnique(state.peers));
  KEYWARD_TRY(CheckVersions(state));
  return state;
}

}  // namespace

Result<Bytes> EncodeManifest(const Manifest& manifest) {
  const StoredState& state = manifest.state;
  Writer out;
  out.Raw(manifest.id)
      .Integer(Number(manifest.created))
      .Integer(manifest.epoch)
      .Raw(manifest.service)
      .Field<uint8_t>(AsBytes(manifest.host))
      .Field<uint8_t>(AsBytes(manifest.keyd))
      .Field<uint8_t>(AsBytes(manifest.master));
  out.Integer(static_cast<uint32_t>(state.keys.size()));
  for (const KeyRecord& key : state.keys) WriteKey(out, key);
  out.Integer(static_cast<uint32_t>(state.versions.size()));
  for (const VersionRecord& version : state.versions) WriteVersion(out, version);
  out.Integer(static_cast<uint32_t>(state.modules.size()));
  for (const ModuleRecord& module : state.modules) {
    out.Field<uint8_t>(AsBytes(module.name)).Field<uint8_t>(AsBytes(module.key));
  }
  out.Integer(static_cast<uint32_t>(state.peers.size()));
  for (const PeerRecord& peer : state.peers) {
    out.Field<uint8_t>(AsBytes(peer.name)).Field<uint16_t>(peer.spki);
  }
  out.Integer(static_cast<uint32_t>(state.revocations.size()));
  for (const RevocationRecord& record : state.revocations) WriteRevocation(out, record);
  Bytes bytes = out.Take();
  if (bytes.size() > kMaxManifest) {
    return Fail(ErrorCode::kTooLarge, "there are more keys than one backup can hold");
  }
  return bytes;
}

Result<Manifest> DecodeManifest(ByteView bytes) {
  Reader in(bytes);
  Manifest manifest{};
  KEYWARD_ASSIGN(manifest.id, ReadId(in));
  KEYWARD_ASSIGN(manifest.created, ReadTime(in));
  KEYWARD_ASSIGN(manifest.epoch, in.Integer<uint64_t>());
  KEYWARD_ASSIGN(const ByteView service, in.Raw(kServiceSize));
  manifest.service = ToBytes(service);
  KEYWARD_ASSIGN(manifest.host, ReadText(in));
  KEYWARD_ASSIGN(manifest.keyd, ReadText(in));
  KEYWARD_ASSIGN(manifest.master, ReadCustodian(in));
  KEYWARD_ASSIGN(manifest.state, ReadState(in));
  return manifest;
}

Result<void> CheckReadable(const Manifest& manifest) {
  KEYWARD_ASSIGN(const Bytes encoded, EncodeManifest(manifest));
  const Result<Manifest> read = DecodeManifest(encoded);
  if (read) return {};
  return Fail(Error(ErrorCode::kInternal,
                    "no backup can be made of what is stored: " + read.error().message())
                  .WithCause(read.error().cause()));
}

}  // namespace keyward::backup
