#include "keyd/store_writer.h"

#include "keyd/reference_wrapping.h"
#include "keyd/store_statement.h"

namespace keyward {
namespace {

int64_t Number(VersionState state) { return static_cast<int64_t>(state); }

// Unix time in milliseconds; 0 stands for none.
int64_t Number(WallTime time) { return time.time_since_epoch().count(); }
int64_t Number(const std::optional<WallTime>& time) { return time ? Number(*time) : 0; }

}  // namespace

Result<void> StoreWriter::PutKey(const KeyRecord& key) {
  return Statement(database_,
                   "INSERT INTO key (name, algorithm, custody, custodian, next_version) "
                   "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                   "algorithm = excluded.algorithm, custody = excluded.custody, "
                   "custodian = excluded.custodian, next_version = excluded.next_version")
      .Bind(key.name)
      .Bind(std::string(Name(key.algorithm)))
      .Bind(std::string(Name(key.custody)))
      .Bind(key.custodian)
      .Bind(int64_t{key.next_version})
      .Run();
}

Result<Bytes> StoreWriter::Wrapped(const VersionRecord& version) {
  if (version.reference.empty()) return Bytes();
  return WrapReference(version.reference, version.key, version.id, wrapping_key_, rng_);
}

Result<void> StoreWriter::InsertVersion(const VersionRecord& version) {
  KEYWARD_ASSIGN(const Bytes reference, Wrapped(version));
  return Statement(database_,
                   "INSERT INTO version (id, key, number, state, spki, reference, created, "
                   "activated, retire_at, uses, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .Bind(ByteView(version.id))
      .Bind(version.key)
      .Bind(int64_t{version.number})
      .Bind(Number(version.state))
      .Bind(ByteView(version.spki))
      .Bind(ByteView(reference))
      .Bind(Number(version.created))
      .Bind(Number(version.activated))
      .Bind(Number(version.retire_at))
      .Bind(static_cast<int64_t>(version.uses))
      .Bind(Number(version.revoked))
      .Run();
}

Result<void> StoreWriter::AnnounceVersion(const KeyRecord& key, const VersionRecord& version) {
  KEYWARD_TRY(PutKey(key));
  VersionRecord pending = version;
  pending.state = VersionState::kPending;
  pending.spki.clear();
  pending.reference.clear();
  return InsertVersion(pending);
}

Result<void> StoreWriter::RecordMade(const VersionRecord& version) {
  KEYWARD_ASSIGN(const Bytes reference, Wrapped(version));
  return Statement(database_, "UPDATE version SET spki = ?, reference = ? WHERE id = ?")
      .Bind(ByteView(version.spki))
      .Bind(ByteView(reference))
      .Bind(ByteView(version.id))
      .Run();
}

Result<void> StoreWriter::ActivateVersion(const VersionRecord& version, WallTime now,
                                          WallTime retire_at) {
  KEYWARD_TRY(Statement(database_,
                        "UPDATE version SET state = ?, retire_at = ? WHERE key = ? AND state = ?")
                  .Bind(Number(VersionState::kRetiring))
                  .Bind(Number(retire_at))
                  .Bind(version.key)
                  .Bind(Number(VersionState::kActive))
                  .Run());
  return Statement(database_, "UPDATE version SET state = ?, activated = ? WHERE id = ?")
      .Bind(Number(VersionState::kActive))
      .Bind(Number(now))
      .Bind(ByteView(version.id))
      .Run();
}

Result<void> StoreWriter::RetireVersion(const KeyId& id) {
  return Statement(database_,
                   "UPDATE version SET state = ?, retire_at = 0 WHERE id = ? AND state = ?")
      .Bind(Number(VersionState::kRetired))
      .Bind(ByteView(id))
      .Bind(Number(VersionState::kRetiring))
      .Run();
}

Result<void> StoreWriter::PutUses(std::span<const VersionUses> uses) {
  for (const VersionUses& each : uses) {
    KEYWARD_TRY(Statement(database_, "UPDATE version SET uses = ? WHERE id = ?")
                    .Bind(static_cast<int64_t>(each.uses))
                    .Bind(ByteView(each.id))
                    .Run());
  }
  return {};
}

Result<void> StoreWriter::PutLifecycleTime(WallTime now) {
  return Statement(database_, "INSERT OR REPLACE INTO lifecycle (one, time) VALUES (1, ?)")
      .Bind(Number(now))
      .Run();
}

Result<void> StoreWriter::ForgetPending(const KeyId& id) {
  // What is pending and has a public half was made: it is no mere announcement.
  KEYWARD_TRY(Statement(database_, "DELETE FROM version WHERE id = ? AND state = ? AND spki = x''")
                  .Bind(ByteView(id))
                  .Bind(Number(VersionState::kPending))
                  .Run());
  return Statement(database_, "DELETE FROM key WHERE name NOT IN (SELECT key FROM version)").Run();
}

Result<void> StoreWriter::RevokeVersion(const KeyId& id, WallTime now) {
  return Statement(database_,
                   "UPDATE version SET state = ?, retire_at = 0, "
                   "revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END "
                   "WHERE id = ? AND state <> ?")
      .Bind(Number(VersionState::kRevoked))
      .Bind(Number(now))
      .Bind(ByteView(id))
      .Bind(Number(VersionState::kDestroyed))
      .Run();
}

Result<void> StoreWriter::RevokeKey(const std::string& name, WallTime now) {
  // What is announced has no key yet that could be revoked, and what is destroyed none any more.
  return Statement(database_,
                   "UPDATE version SET state = ?, retire_at = 0, "
                   "revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END "
                   "WHERE key = ? AND state <> ? AND spki <> x''")
      .Bind(Number(VersionState::kRevoked))
      .Bind(Number(now))
      .Bind(name)
      .Bind(Number(VersionState::kDestroyed))
      .Run();
}

Result<void> StoreWriter::DestroyVersion(const KeyId& id) {
  return Statement(database_, "UPDATE version SET state = ?, reference = x'' WHERE id = ?")
      .Bind(Number(VersionState::kDestroyed))
      .Bind(ByteView(id))
      .Run();
}

Result<void> StoreWriter::DestroyKey(const std::string& name) {
  KEYWARD_TRY(Statement(database_, "DELETE FROM module WHERE key = ?").Bind(name).Run());
  KEYWARD_TRY(
      Statement(database_, "DELETE FROM version WHERE key = ? AND spki = x''").Bind(name).Run());
  return Statement(database_, "UPDATE version SET state = ?, reference = x'' WHERE key = ?")
      .Bind(Number(VersionState::kDestroyed))
      .Bind(name)
      .Run();
}

Result<void> StoreWriter::PutModule(const ModuleRecord& module) {
  return Statement(database_, "INSERT OR REPLACE INTO module (name, key) VALUES (?, ?)")
      .Bind(module.name)
      .Bind(module.key)
      .Run();
}

Result<void> StoreWriter::DeleteModule(const std::string& name) {
  return Statement(database_, "DELETE FROM module WHERE name = ?").Bind(name).Run();
}

Result<void> StoreWriter::PutPeer(const PeerRecord& peer) {
  return Statement(database_, "INSERT OR REPLACE INTO peer (name, spki) VALUES (?, ?)")
      .Bind(peer.name)
      .Bind(ByteView(peer.spki))
      .Run();
}

Result<void> StoreWriter::DeletePeer(const std::string& name) {
  return Statement(database_, "DELETE FROM peer WHERE name = ?").Bind(name).Run();
}

Result<void> StoreWriter::PutAuditHead(const audit::Head& head, bool has_tail) {
  return Statement(database_,
                   "INSERT OR REPLACE INTO audit_head (one, seq, hash, tail) VALUES (1, ?, ?, ?)")
      .Bind(static_cast<int64_t>(head.seq))
      .Bind(ByteView(head.hash))
      .Bind(int64_t{has_tail ? 1 : 0})
      .Run();
}

Result<void> StoreWriter::PutRevocation(const RevocationRecord& record) {
  return Statement(database_,
                   "INSERT OR IGNORE INTO revocation (fingerprint, name, version, at, issuer) "
                   "VALUES (?, ?, ?, ?, ?)")
      .Bind(ByteView(record.revocation.fingerprint))
      .Bind(record.revocation.name)
      .Bind(int64_t{record.revocation.version})
      .Bind(Number(record.revocation.at))
      .Bind(ByteView(record.issuer))
      .Run();
}

Result<void> StoreWriter::PutState(const StoredState& state) {
  for (const KeyRecord& key : state.keys) KEYWARD_TRY(PutKey(key));
  for (const VersionRecord& version : state.versions) KEYWARD_TRY(InsertVersion(version));
  for (const ModuleRecord& module : state.modules) KEYWARD_TRY(PutModule(module));
  for (const PeerRecord& peer : state.peers) KEYWARD_TRY(PutPeer(peer));
  for (const RevocationRecord& record : state.revocations) KEYWARD_TRY(PutRevocation(record));
  if (state.lifecycle_time) KEYWARD_TRY(PutLifecycleTime(*state.lifecycle_time));
  return state.audit_head ? PutAuditHead(*state.audit_head, state.audit_tail) : Result<void>();
}

}  // namespace keyward
