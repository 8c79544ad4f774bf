#include "keyd/store_writer.h"

#include "keyd/reference_wrapping.h"
#include "keyd/store_statement.h"

namespace keyward {
namespace {

int64_t Number(VersionState state) { return static_cast<int64_t>(state); }

}  // namespace

Result<void> StoreWriter::PutKey(const KeyRecord& key) {
  return Statement(database_,
                   "INSERT INTO key (name, algorithm, custody, custodian, next_version) "
                   "VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                   "SET next_version = excluded.next_version")
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
                   "INSERT INTO version (id, key, number, state, spki, reference, created) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?)")
      .Bind(ByteView(version.id))
      .Bind(version.key)
      .Bind(int64_t{version.number})
      .Bind(Number(version.state))
      .Bind(ByteView(version.spki))
      .Bind(ByteView(reference))
      .Bind(int64_t{version.created.time_since_epoch().count()})
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

Result<void> StoreWriter::ActivateVersion(const VersionRecord& version) {
  KEYWARD_TRY(Statement(database_, "UPDATE version SET state = ? WHERE key = ? AND state = ?")
                  .Bind(Number(VersionState::kRetiring))
                  .Bind(version.key)
                  .Bind(Number(VersionState::kActive))
                  .Run());
  KEYWARD_ASSIGN(const Bytes reference, Wrapped(version));
  return Statement(database_, "UPDATE version SET state = ?, spki = ?, reference = ? WHERE id = ?")
      .Bind(Number(VersionState::kActive))
      .Bind(ByteView(version.spki))
      .Bind(ByteView(reference))
      .Bind(ByteView(version.id))
      .Run();
}

Result<void> StoreWriter::ForgetPending(const KeyId& id) {
  KEYWARD_TRY(Statement(database_, "DELETE FROM version WHERE id = ? AND state = ?")
                  .Bind(ByteView(id))
                  .Bind(Number(VersionState::kPending))
                  .Run());
  return Statement(database_, "DELETE FROM key WHERE name NOT IN (SELECT key FROM version)").Run();
}

Result<void> StoreWriter::RevokeVersion(const KeyId& id) {
  return Statement(database_, "UPDATE version SET state = ? WHERE id = ?")
      .Bind(Number(VersionState::kRevoked))
      .Bind(ByteView(id))
      .Run();
}

Result<void> StoreWriter::RevokeKey(const std::string& name) {
  // What is pending has no key yet that could be revoked.
  return Statement(database_, "UPDATE version SET state = ? WHERE key = ? AND state <> ?")
      .Bind(Number(VersionState::kRevoked))
      .Bind(name)
      .Bind(Number(VersionState::kPending))
      .Run();
}

Result<void> StoreWriter::DeleteKey(const std::string& name) {
  KEYWARD_TRY(Statement(database_, "DELETE FROM module WHERE key = ?").Bind(name).Run());
  return Statement(database_, "DELETE FROM key WHERE name = ?").Bind(name).Run();
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

Result<void> StoreWriter::PutState(const StoredState& state) {
  for (const KeyRecord& key : state.keys) KEYWARD_TRY(PutKey(key));
  for (const VersionRecord& version : state.versions) KEYWARD_TRY(InsertVersion(version));
  for (const ModuleRecord& module : state.modules) KEYWARD_TRY(PutModule(module));
  for (const PeerRecord& peer : state.peers) KEYWARD_TRY(PutPeer(peer));
  return {};
}

}  // namespace keyward
