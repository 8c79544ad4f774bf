"""keyd starts on a store of each earlier schema version. Such a store is made here of a keyd's own: its rows in the
tables that the earlier keyd had, under the MAC that docs/STORE_FORMAT.md describes, which is made here too."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import unittest

from nacl import bindings

from faults import FaultyService, verifies
from harness import BIN, IS_ROOT, KEYD_USER, TIMEOUT, as_user
from kill_scenarios import PEER_SPKI

REVEAL = BIN.parent / "tests/keyward-reveal-secrets"
LATEST = 7
REVOKED = 4  # a version's state

# What each version did to the one before, as keyd has it; version 3 and 5 changed rows as well, which here are
# written afterwards.
STEPS = {
    1: """
  CREATE TABLE key (
    name TEXT PRIMARY KEY, algorithm TEXT NOT NULL, custody TEXT NOT NULL,
    custodian TEXT NOT NULL, next_version INTEGER NOT NULL) STRICT;
  CREATE TABLE version (
    id BLOB PRIMARY KEY, key TEXT NOT NULL REFERENCES key(name) ON DELETE CASCADE,
    number INTEGER NOT NULL, state INTEGER NOT NULL, spki BLOB NOT NULL,
    reference BLOB NOT NULL, created INTEGER NOT NULL, UNIQUE (key, number)) STRICT;
  CREATE TABLE module (name TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT;
  CREATE TABLE peer (name TEXT PRIMARY KEY, spki BLOB NOT NULL) STRICT;
""",
    2: """
  CREATE TABLE integrity (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;
""",
    3: """
  ALTER TABLE version ADD COLUMN activated INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN retire_at INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE version ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
""",
    4: """
  CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
""",
    5: """
  ALTER TABLE version ADD COLUMN revoked INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE revocation (
    fingerprint BLOB NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL,
    issuer BLOB NOT NULL, PRIMARY KEY (fingerprint, issuer)) STRICT;
""",
    6: """
  ALTER TABLE audit_head ADD COLUMN tail INTEGER NOT NULL DEFAULT 0;
"""}


def value(kind, data):
    return kind + len(data).to_bytes(8, "big") + data


def typed(cell):
    if cell is None:
        return value(b"N", b"")
    if isinstance(cell, int):
        return value(b"I", cell.to_bytes(8, "big"))
    return value(b"T", cell.encode()) if isinstance(cell, str) else value(b"B", cell)


def mac_of(database, key, bound_to, epoch):
    """docs/STORE_FORMAT.md, "The MAC"."""
    version, = database.execute("PRAGMA user_version").fetchone()
    mac = hashlib.blake2b(b"keyward store 1" + value(b"B", bound_to) + typed(version) + typed(epoch),
                          key=key, digest_size=32)
    for kind, name, sql in database.execute(
            "SELECT type, name, coalesce(sql, '') FROM sqlite_master ORDER BY type, name").fetchall():
        mac.update(typed(kind) + typed(name) + typed(sql))
        if kind != "table" or name == "integrity":
            continue
        columns = len(database.execute(f"PRAGMA table_info({name})").fetchall())
        order = ", ".join(str(column + 1) for column in range(columns))
        for row in database.execute(f"SELECT * FROM {name} ORDER BY {order}"):
            mac.update(value(b"R", b"") + b"".join(map(typed, row)))
        mac.update(value(b"E", b""))
    return mac.digest()


class StoreVersionTest(unittest.TestCase):
    KEYS = ("web", "soft", "gone")

    def setUp(self):
        self.service = FaultyService("hsm", self.KEYS)
        self.addCleanup(self.service.close)
        client = self.service.serve()
        self.service.enrol_identity()
        client.admin("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        client.admin("GenerateKey", "soft", "ed25519", "sealed", "hsm")
        client.admin("GenerateKey", "gone", "ed25519", "sealed", "hsm")
        client.admin("RotateKey", "web")
        client.admin("RevokeKey", "gone", 0)
        client.admin("EnrolPeer", "far", PEER_SPKI)
        self.snapshot = client.snapshot()
        self.stop()
        self.store = self.service.state / "state.db"
        self.secrets = self.reveal()

    def stop(self):
        self.service.drop_client()
        self.assertEqual(self.service.stop_keyd(), 0)

    def reveal(self):
        shutil.copy(REVEAL, self.service.root)
        command = [str(self.service.root / REVEAL.name), str(self.service.root / "security.yaml"),
                   str(self.service.state)]
        said = subprocess.run(as_user(KEYD_USER, command), env=self.service.environment(), check=True,
                              capture_output=True, text=True, timeout=TIMEOUT)
        return {name: bytes.fromhex(secret) for name, secret in map(str.split, said.stdout.splitlines())}

    def bound_to(self):
        """Of the file `master-key`: custodian, ids of the seal and the counter, SPKI of the authority."""
        contents = (self.service.state / "master-key").read_bytes()
        custodian = contents[5:6 + contents[5]]
        ids = contents[5 + len(custodian):][:32]
        authority = contents[5 + len(custodian) + 32 + 32:]
        return custodian + ids + authority[2:2 + int.from_bytes(authority[:2], "big")]

    def write_old(self, version, change_mac=0):
        """In the place of the store: the same as a keyd of that version had it."""
        rows = {}
        old = sqlite3.connect(self.store)
        for table in ("key", "version", "module", "peer", "audit_head", "revocation", "integrity"):
            rows[table] = old.execute(f"SELECT * FROM {table}").fetchall()
        old.close()
        for path in self.service.state.glob("state.db*"):
            path.unlink()
        database = sqlite3.connect(self.store)
        database.execute("PRAGMA journal_mode = WAL")
        for step in range(1, version + 1):
            database.executescript(STEPS[step])
        database.execute(f"PRAGMA user_version = {version}")
        for table in ("key", "version", "module", "peer", "audit_head", "revocation"):
            columns = len(database.execute(f"PRAGMA table_info({table})").fetchall())
            for row in rows[table] if columns else []:
                if table == "version" and version == 1:
                    row = self.unwrapped(row)
                database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})", row[:columns])
        if version > 1:
            epoch = rows["integrity"][0][1]
            mac = bytearray(mac_of(database, self.secrets["store-mac"], self.bound_to(), epoch))
            mac[0] ^= change_mac
            database.execute("INSERT INTO integrity VALUES (1, ?, ?)", (epoch, bytes(mac)))
        database.commit()
        database.close()
        os.chmod(self.store, 0o600)
        if IS_ROOT:
            shutil.chown(self.store, KEYD_USER)
        if version < 4:  # before there was a log
            shutil.rmtree(self.service.state / "audit")
        if version < 6:  # before the log had a tail
            (self.service.state / "audit-tail").unlink()

    def unwrapped(self, row):
        id_, key, number, state, spki, reference, *times = row
        if reference:
            reference = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                reference[24:], b"keyward reference 1" + id_ + key.encode(), reference[:24],
                self.secrets["wrapping"])
        return id_, key, number, state, spki, reference, *times

    def assert_serves(self):
        client = self.service.serve()
        self.assertEqual(client.snapshot(), self.snapshot)
        for key, versions in self.snapshot["keys"].items():
            for state, spki in versions.values():
                if state == "active":
                    self.assertTrue(verifies(spki, b"message", client.sign(key, b"message")), key)
        client.admin("RotateKey", "soft")
        self.snapshot = client.snapshot()
        self.stop()
        signing = {(key, number, state) for key, versions in self.snapshot["keys"].items()
                   for number, (state, _) in versions.items() if state in ("active", "retiring")}
        self.assertEqual(self.service.signing_versions(), signing)
        self.secrets = self.reveal()
        database = sqlite3.connect(self.store)
        self.addCleanup(database.close)
        self.assertEqual(database.execute("PRAGMA user_version").fetchone(), (LATEST,))
        (epoch, mac), = database.execute("SELECT epoch, mac FROM integrity").fetchall()
        self.assertEqual(mac_of(database, self.secrets["store-mac"], self.bound_to(), epoch), mac)
        for retire_at, revoked, state in database.execute("SELECT retire_at, revoked, state FROM version"):
            self.assertEqual(retire_at > 0, state == 3)
            self.assertEqual(revoked > 0, state == REVOKED)

    def assert_refused(self, words):
        self.service.launch()
        self.assertEqual(self.service.wait_end(), 1)
        self.assertIn(words, self.service.log())

    def test_a_start_takes_over_what_has_a_mac(self):
        for version in range(LATEST - 1, 1, -1):
            with self.subTest(version=version):
                self.write_old(version)
                self.assert_serves()

    def test_no_version_gets_by_without_its_mac(self):
        for version in range(2, LATEST):
            with self.subTest(version=version):
                kept = self.service.root / "kept"
                subprocess.run(["cp", "-a", self.service.state, kept], check=True)
                self.write_old(version, change_mac=1)
                self.assert_refused("DataCorrupt: state.db was changed by somebody else than keyd")
                shutil.rmtree(self.service.state)
                kept.rename(self.service.state)

    def test_the_first_version_is_adopted_and_not_taken_over(self):
        self.write_old(1)
        self.assert_refused("state.db is of an earlier Keyward, without a master key, and there is one")
        (self.service.state / "master-key").unlink()
        said = self.service.run_keyd(None, *self.service.init_arguments())
        self.assertEqual(said.returncode, 1, said.stdout)
        said = self.service.run_keyd(None, *self.service.init_arguments(), "--adopt")
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assert_serves()

    def test_a_crash_after_the_start_loses_nothing(self):
        self.write_old(2)
        self.service.serve()
        self.service.drop_client()
        self.service.kill_keyd()
        self.assert_serves()


if __name__ == "__main__":
    unittest.main()
