#include "keyd/store_rows.h"

#include <algorithm>
#include <limits>

#include "keyd/store_statement.h"

namespace keyward {
namespace {

std::unexpected<Error> Corrupt(const char* what) {
  return Fail(Error(ErrorCode::kDataCorrupt, kStoreDamaged).WithCause(what));
}

// SQLite holds references while it writes, and believes what it reads.
Result<void> CheckReferences(sqlite3* database) {
  Statement rows(database, "PRAGMA foreign_key_check");
  KEYWARD_ASSIGN(const bool row, rows.Step());
  if (row) return Corrupt("a version of no key");
  return {};
}

Result<uint32_t> SmallNumber(const Statement& row, int column) {
  const int64_t number = row.Integer(column);
  if (number < 1 || number > std::numeric_limits<uint32_t>::max()) return Corrupt("a number");
  return static_cast<uint32_t>(number);
}

Result<std::vector<KeyRecord>> ReadKeys(sqlite3* database) {
  std::vector<KeyRecord> keys;
  Statement rows(database,
                 "SELECT name, algorithm, custody, custodian, next_version FROM key ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return keys;
    const std::optional<Algorithm> algorithm = AlgorithmFromName(rows.Text(1));
    const std::optional<Custody> custody = CustodyFromName(rows.Text(2));
    if (!algorithm || !custody) return Corrupt("unknown algorithm or custody");
    KEYWARD_ASSIGN(const uint32_t next_version, SmallNumber(rows, 4));
    keys.push_back({rows.Text(0), *algorithm, *custody, rows.Text(3), next_version});
  }
}

std::optional<WallTime> TimeOrNone(int64_t number) {
  if (number == 0) return std::nullopt;
  return WallTime(std::chrono::milliseconds(number));
}

Result<VersionRecord> ReadVersion(const Statement& row) {
  VersionRecord version{};
  const Bytes id = row.Blob(2);
  const std::optional<VersionState> state =
      VersionStateFromNumber(static_cast<int>(row.Integer(3)));
  if (id.size() != version.id.size() || !state) return Corrupt("key id or state");
  std::ranges::copy(id, version.id.begin());
  version.key = row.Text(0);
  KEYWARD_ASSIGN(version.number, SmallNumber(row, 1));
  version.state = *state;
  version.spki = row.Blob(4);
  version.reference = row.Blob(5);
  version.created = WallTime(std::chrono::milliseconds(row.Integer(6)));
  version.activated = TimeOrNone(row.Integer(7));
  // Of what was revoked in its grace period, earlier stores tell the end of that still.
  if (*state == VersionState::kRetiring) version.retire_at = TimeOrNone(row.Integer(8));
  version.uses = static_cast<uint64_t>(row.Integer(9));
  version.revoked = TimeOrNone(row.Integer(10));
  return version;
}

Result<std::vector<VersionRecord>> ReadVersions(sqlite3* database, const UnwrapFunction& unwrap) {
  std::vector<VersionRecord> versions;
  Statement rows(database,
                 "SELECT key, number, id, state, spki, reference, created, activated, retire_at, "
                 "uses, revoked FROM version ORDER BY key, number");
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return versions;
    KEYWARD_ASSIGN(VersionRecord version, ReadVersion(rows));
    if (!version.reference.empty()) {
      KEYWARD_ASSIGN(version.reference, unwrap(version));
    }
    versions.push_back(std::move(version));
  }
}

Result<void> ReadAuditHead(sqlite3* database, StoredState& state) {
  Statement row(database, "SELECT seq, hash, tail FROM audit_head");
  KEYWARD_ASSIGN(const bool found, row.Step());
  if (!found) return {};
  audit::Head head{.seq = static_cast<uint64_t>(row.Integer(0)), .hash = {}};
  const Bytes hash = row.Blob(1);
  if (hash.size() != head.hash.size()) return Corrupt("the head of the audit log");
  std::ranges::copy(hash, head.hash.begin());
  state.audit_head = head;
  state.audit_tail = row.Integer(2) != 0;
  return {};
}

Result<std::optional<WallTime>> ReadLifecycleTime(sqlite3* database) {
  Statement row(database, "SELECT time FROM lifecycle");
  KEYWARD_ASSIGN(const bool found, row.Step());
  if (!found) return std::nullopt;
  return WallTime(std::chrono::milliseconds(row.Integer(0)));
}

Result<std::vector<RevocationRecord>> ReadRevocations(sqlite3* database) {
  std::vector<RevocationRecord> records;
  Statement rows(database, "SELECT fingerprint, name, version, at, issuer FROM revocation");
  while (true) {
    KEYWARD_ASSIGN(const bool row, rows.Step());
    if (!row) return records;
    RevocationRecord& record = records.emplace_back();
    const Bytes fingerprint = rows.Blob(0);
    const int64_t version = rows.Integer(2);
    if (fingerprint.size() != record.revocation.fingerprint.size() || version < 0 ||
        version > std::numeric_limits<uint32_t>::max()) {
      return Corrupt("a revocation");
    }
    std::ranges::copy(fingerprint, record.revocation.fingerprint.begin());
    record.revocation.name = rows.Text(1);
    record.revocation.version = static_cast<uint32_t>(version);
    record.revocation.at = WallTime(std::chrono::milliseconds(rows.Integer(3)));
    record.issuer = rows.Blob(4);
  }
}

}  // namespace

Result<StoredState> ReadRows(sqlite3* database, const UnwrapFunction& unwrap) {
  KEYWARD_TRY(CheckReferences(database));
  StoredState state;
  KEYWARD_ASSIGN(state.keys, ReadKeys(database));
  KEYWARD_ASSIGN(state.versions, ReadVersions(database, unwrap));
  Statement modules(database, "SELECT name, key FROM module ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, modules.Step());
    if (!row) break;
    state.modules.push_back({modules.Text(0), modules.Text(1)});
  }
  Statement peers(database, "SELECT name, spki FROM peer ORDER BY name");
  while (true) {
    KEYWARD_ASSIGN(const bool row, peers.Step());
    if (!row) break;
    state.peers.push_back({peers.Text(0), peers.Blob(1)});
  }
  KEYWARD_TRY(ReadAuditHead(database, state));
  KEYWARD_ASSIGN(state.revocations, ReadRevocations(database));
  KEYWARD_ASSIGN(state.lifecycle_time, ReadLifecycleTime(database));
  return state;
}

}  // namespace keyward
