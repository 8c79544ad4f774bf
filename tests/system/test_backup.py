"""Backups: made on one machine, proved there, and restored on another with other hardware."""

import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import unittest

import backup_reader
from backup_reader import Recovery
from faults import KILLED, TRACER
from harness import BACKEND, BIN, FRONTEND, ME, SOFTHSM, SOURCE, TIMEOUT, Refused, Service, handshake

IDENTITIES = ("frontend-id", "backend-id")


class Machine(Service):
    """A service that keyctl administers, from a copy beside keyd."""

    def __init__(self, kind):
        super().__init__(hsm=kind == "hsm", tpm=kind == "tpm")
        self.kind = kind
        shutil.copy(BIN / "keyctl", self.root)

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([self.root / "keyctl", *map(str, arguments)], env=self.environment(),
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
        if said.returncode != status:
            raise AssertionError(f"{arguments}: {said.returncode}\n{said.stdout}{said.stderr}")
        return said.stdout + said.stderr

    def places(self):
        return ["--config", self.root / "security.yaml", "--state", self.state]

    def new_hardware(self):
        """What --custodian and its like have to say here."""
        authority = ["--pcr-authority", self.make_authority()] if self.kind == "tpm" else []
        return ["--custodian", self.kind, *authority, *self.places()]

    def restore(self, backup, recovery, *arguments, status=0):
        said = self.keyctl("backup", "restore", backup, "--key", recovery.key, *self.new_hardware(),
                           *arguments, status=status)
        if status == 0:
            self.initialised, self.signed = True, self.kind == "hsm"
        return said

    def drill(self, backup, recovery, *arguments, status=0):
        return self.keyctl("backup", "drill", backup, "--key", recovery.key, *self.places(),
                           *arguments, status=status)

    def public_key(self, name):
        return self.keyctl("key", "show", name, "--pem")


class BackupTest(unittest.TestCase):
    KIND, ALGORITHM = "hsm", "rsa"

    def machine(self, kind):
        machine = Machine(kind)
        self.addCleanup(machine.close)
        return machine

    def setUp(self):
        self.source = self.machine(self.KIND).start()
        for name, custody, custodian in (("frontend-id", "sealed", self.KIND), ("backend-id", "derived", "")):
            self.source.admin_call("GenerateKey", name, "ed25519", custody, custodian)
            self.source.admin_call("EnrolModule", name.removesuffix("-id"), name)
        self.source.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", self.KIND)
        self.recovery = Recovery(self.source.root, self.ALGORITHM)
        self.backup = self.source.root / "keyward.backup"

    def create(self, *arguments, status=0):
        return self.source.keyctl("backup", "create", "--to", self.recovery.certificate, "--output",
                                  self.backup, *arguments, status=status)

    def assert_talks(self, machine):
        frontend, backend = machine.module(FRONTEND), machine.module(BACKEND)
        frontend.open_session("s", "frontend-id", "initiator", "backend", {})
        backend.open_session("s", "backend-id", "responder", "frontend", {})
        handshake(frontend, backend)
        frame = frontend.channel("s", "seal", b"as before", b"")
        self.assertEqual(backend.channel("s", "open", frame)[0], b"as before")

    def assert_restore_is_told(self, target):
        read = backup_reader.open_with(self.recovery.key, self.backup.read_bytes())
        records = [json.loads(line) for path in sorted((target.state / "audit").iterdir())
                   for line in path.read_text().splitlines()]
        # A policy that was signed before there was a log waits for it.
        records = [record for record in records if record["event"] != "policy.pcr"]
        self.assertEqual([record["event"] for record in records[:4]],
                         ["audit.begin", "service.init", "backup.restore", "service.start"])
        self.assertEqual(records[2]["object"], read["id"].hex())
        self.assertEqual(records[2]["detail"], {"created": read["created"], "epoch": read["epoch"]})
        self.assertFalse((target.state / "restored").exists())

    def assert_restores_on(self, kind):
        before = {name: self.source.public_key(name) for name in IDENTITIES}
        self.create()
        # It works while the old machine is there, and when it is gone.
        self.source.stop_keyd()
        target = self.machine(kind)
        said = target.restore(self.backup, self.recovery, "--yes")
        self.assertIn("Lost, as this hardware does not have it: web version 1", said)
        self.assertIn("becomes sealed by its hardware, with the same public keys: backend-id", said)
        self.assert_restore_is_told(target.start())
        self.assertEqual({name: target.public_key(name) for name in IDENTITIES}, before)
        self.assertIn(f"backend-id: ed25519, sealed in {kind}", target.keyctl("key", "show", "backend-id"))
        self.assert_talks(target)
        # The name of the lost key is free for a new one, whose number is new.
        target.keyctl("key", "generate", "web", "--algorithm", "ecdsa-p256", "--custodian", kind)
        shown = json.loads(target.keyctl("key", "show", "web", "--json"))
        self.assertEqual([(v["version"], v["state"]) for v in shown["versions"]],
                         [(1, "destroyed"), (2, "active")])
        target.restart_keyd()
        self.assert_talks(target)

    def test_restores_on_other_hardware_of_its_kind(self):
        self.assert_restores_on(self.KIND)

    def test_the_drill_tells_what_has_changed_since(self):
        said = self.create()
        self.assertIn(f"Not in it, as the {self.KIND} keeps it to itself: web version 1", said)
        said = self.source.drill(self.backup, self.recovery)
        self.assertIn("It is the latest one", said)
        self.assertIn("Nothing has changed", said)
        self.assertIn(f"no: stays in the {self.KIND}", said)
        self.source.admin_call("RotateKey", "frontend-id")
        self.source.admin_call("RemoveModule", "backend")
        report = json.loads(self.source.drill(self.backup, self.recovery, "--json", status=11))
        self.assertTrue(report["latest"])
        self.assertTrue(report["stale"])
        self.assertEqual(report["changes"], [
            "key 'frontend-id' version 1 is retiring; in the backup it is active",
            "key 'frontend-id' version 2 was made", "module 'backend' was removed"])
        self.assertEqual([row["name"] for row in report["not_in_backup"]], ["web"])
        self.create("--force")
        self.source.drill(self.backup, self.recovery)

    def assert_signed(self, read):
        files = {"signer": read["signer"], "signature": read["signature"],
                 "statement": f"keyward backup 1\n{read['digest'].hex()}\n".encode()}
        for name, contents in files.items():
            (self.source.root / name).write_bytes(contents)
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", "signer", "-keyform", "DER",
                        "-signature", "signature", "statement"], cwd=self.source.root, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        shown = json.loads(self.source.keyctl("key", "show", "keyward-service", "--json"))
        self.assertEqual(shown["versions"][0]["fingerprint"], hashlib.sha256(read["signer"]).hexdigest())

    def test_openssl_opens_it(self):
        self.create()
        self.assertEqual(stat.S_IMODE(os.stat(self.backup).st_mode), 0o600)
        read = backup_reader.open_with(self.recovery.key, self.backup.read_bytes())
        self.assert_signed(read)
        self.assertEqual([key[:4] for key in read["keys"]], [
            ["backend-id", "ed25519", "derived", ""],
            ["frontend-id", "ed25519", "sealed", self.KIND],
            ["web", "ecdsa-p256", "hardware", self.KIND]])
        versions = {version["key"]: version for version in read["versions"]}
        self.assertEqual(set(read["secrets"]), {versions[name]["id"] for name in IDENTITIES})
        # RFC 8410: what openssl makes of the seed is the public half that keyd shows.
        for name in IDENTITIES:
            private = bytes.fromhex("302e020100300506032b657004220420") + read["secrets"][versions[name]["id"]]
            public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout"], input=private,
                                    check=True, capture_output=True, timeout=60).stdout.decode()
            self.assertEqual(public.strip(), self.source.public_key(name).strip())


class DrillTest(unittest.TestCase):
    """A service that has sealed nothing so far."""

    def state(self):
        """What is stored, but for the audit log, how far that has come, and how often keys signed."""
        copy = self.source.root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.source.state, copy)
        database = sqlite3.connect(copy / "state.db")
        rows = [database.execute(f"SELECT {columns} ORDER BY 1, 2").fetchall() for columns in (
            "name, * FROM key", "id, key, number, state, spki, reference, revoked FROM version",
            "* FROM module", "* FROM peer", "* FROM revocation", "one, epoch FROM integrity")]
        database.close()
        files = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()
                 and not path.name.startswith(("state.db", "audit-tail"))}
        return rows, files

    def objects(self):
        said = subprocess.run(
            ["/usr/bin/python3", SOURCE / "tests/system/token_objects.py", SOFTHSM, "keyward",
             self.source.root / "token/hsm.pin"], env=self.source.environment(), check=True,
            capture_output=True, text=True, timeout=TIMEOUT)
        return sorted(json.loads(said.stdout), key=json.dumps)

    def test_leaves_what_is_stored_and_the_token_as_they_are(self):
        self.source = Machine("hsm")
        self.addCleanup(self.source.close)
        self.source.start()
        self.source.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        recovery, backup = Recovery(self.source.root, "ec"), self.source.root / "keyward.backup"
        self.source.keyctl("backup", "create", "--to", recovery.certificate, "--output", backup)
        before = self.state(), self.objects()
        said = self.source.drill(backup, recovery)
        self.assertIn("Whether the hsm can seal was not tried", said)
        self.assertEqual((self.state(), self.objects()), before)
        # One that has: it is tried, and nothing is made for that.
        self.source.admin_call("GenerateKey", "frontend-id", "ed25519", "sealed", "hsm")
        before = self.state(), self.objects()
        self.assertIn("The hsm can seal what is in it", self.source.drill(backup, recovery, status=11))
        self.assertEqual((self.state(), self.objects()), before)


class TpmBackupTest(BackupTest):
    KIND, ALGORITHM = "tpm", "ec"

    def test_restores_on_an_hsm(self):
        self.assert_restores_on("hsm")


class BackupRefusalTest(BackupTest):
    """What is the same for every kind of hardware; with an encrypted key."""

    ALGORITHM = "ec"
    test_restores_on_other_hardware_of_its_kind = None
    test_the_drill_tells_what_has_changed_since = None
    test_openssl_opens_it = None

    def setUp(self):
        super().setUp()
        self.recovery = Recovery(self.source.root, self.ALGORITHM, "locked", "open sesame")
        self.passphrase = ("--passphrase-file", self.recovery.passphrase_file)

    def test_a_disk_is_lost_and_its_hardware_has_its_keys(self):
        web = self.source.public_key("web")
        self.create()
        self.source.stop_keyd()
        shutil.rmtree(self.source.state / "audit")
        for file in self.source.state.iterdir():
            file.unlink()
        said = self.source.restore(self.backup, self.recovery, *self.passphrase, "--yes")
        self.assertNotIn("Lost", said)
        self.source.start()
        self.assertEqual(self.source.public_key("web"), web)
        self.assert_talks(self.source)
        backend = self.source.module(BACKEND)
        payload = bytes([32] * 64) + b"TLS 1.3, server CertificateVerify\0" + bytes(32)
        self.assertTrue(backend.bytes_call("/org/keyward/Keyd1/key/web", "Key", "SignHandshake",
                                           "tls13-server", payload))

    def test_an_older_backup_is_said_to_be_one(self):
        self.create()
        shutil.copy(self.backup, self.source.root / "first")
        self.create("--force")
        said = self.source.drill(self.source.root / "first", self.recovery, *self.passphrase, status=11)
        self.assertIn("A later one was made", said)
        self.source.drill(self.backup, self.recovery, *self.passphrase)

    def test_a_file_that_is_there_is_not_replaced_without_force(self):
        self.backup.write_text("somebody's")
        self.assertIn("--force", self.create(status=6))
        self.assertEqual(self.backup.read_text(), "somebody's")
        self.create("--force")
        self.source.drill(self.backup, self.recovery, *self.passphrase)

    def killed_at(self, folder, number, side):
        """Whether a keyctl that replaces the backup in `folder` came to be killed at so many of its changes there."""
        command = [TRACER, "--below", folder, "--log", self.source.root / "calls", f"--kill-{side}", str(number),
                   "--", self.source.root / "keyctl", "backup", "create", "--to", self.recovery.certificate,
                   "--output", folder / "keyward.backup", "--force"]
        status = subprocess.run(command, env=self.source.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, timeout=TIMEOUT, check=False).returncode
        self.assertIn(status, (0, KILLED))
        return status == KILLED

    def test_a_keyctl_that_is_killed_leaves_the_former_file_or_the_new_one(self):
        folder = self.source.root / "backups"
        folder.mkdir()
        self.backup = file = folder / "keyward.backup"
        self.recovery, self.passphrase = Recovery(self.source.root, "ec", "open"), ()
        self.create()
        former, found = file.read_bytes(), set()
        for number, side in itertools.product(range(1, 100), ("at", "after")):
            killed = self.killed_at(folder, number, side)
            backup_reader.open_with(self.recovery.key, file.read_bytes())
            found.add(file.read_bytes() == former)
            former = file.read_bytes()
            for draft in set(folder.iterdir()) - {file}:
                self.assertRegex(draft.name, r"^keyward\.backup\.draft\.[A-Za-z0-9]{6}$")
                draft.unlink()
            if not killed:
                break
        self.assertFalse(killed)
        self.assertGreater(number, 3)
        self.assertEqual(found, {True, False})
        self.source.drill(file, self.recovery)

    def test_only_admins_make_one(self):
        module = self.source.module(FRONTEND)
        if FRONTEND == ME:
            self.skipTest("one user is everybody here")
        with self.assertRaises(Refused) as caught:
            module.bytes_call("/org/keyward/Keyd1", "Admin", "CreateBackup",
                              self.recovery.certificate.read_bytes())
        self.assertIn("Denied", caught.exception.code)

    def test_what_is_no_backup_for_this_key_is_refused(self):
        self.create()
        der = self.backup.read_bytes()
        target = self.machine("hsm")
        other = Recovery(self.source.root, "ec", "other")
        rsa = Recovery(self.source.root, "rsa", "rsa")
        flipped = bytearray(der)
        flipped[-40] ^= 1
        bad = self.source.root / "bad"
        for contents, why in ((b"", "empty"), (der[:-7], "cut short"), (bytes(flipped), "altered"),
                              (b"x" * 1000, "no backup"), (bytes(17 * 1024 * 1024), "16 MiB")):
            bad.write_bytes(contents)
            self.assertIn(why, target.restore(bad, self.recovery, *self.passphrase, "--yes", status=1))
            self.assertIn(why, self.source.drill(bad, self.recovery, *self.passphrase, status=1))
        for wrong in (other, rsa):
            said = target.restore(self.backup, wrong, "--yes", status=1)
            self.assertIn("made for another key", said)
        self.assertIn("passphrase", target.restore(self.backup, self.recovery, "--yes",
                                                   "--passphrase-file", other.passphrase_file, status=2))
        self.assertIn("terminal", target.restore(self.backup, self.recovery, "--yes", status=2))
        self.assertEqual(list(target.state.iterdir()), [])

    def test_restoring_asks_and_needs_an_empty_state(self):
        self.create()
        target = self.machine("hsm")
        said = target.restore(self.backup, self.recovery, *self.passphrase, status=9)
        self.assertIn("frontend-id", said)
        self.assertEqual(list(target.state.iterdir()), [])
        target.start()
        said = target.restore(self.backup, self.recovery, *self.passphrase, "--yes", status=6)
        self.assertIn("another keyd", said)
        target.stop_keyd()
        said = target.restore(self.backup, self.recovery, *self.passphrase, "--yes", status=6)
        self.assertIn("there is a master key already", said)

    def test_a_drill_elsewhere_seals_with_that_hardware(self):
        self.create()
        target = self.machine("tpm")
        said = target.keyctl("backup", "drill", self.backup, "--key", self.recovery.key, *self.passphrase,
                             "--elsewhere", *target.new_hardware())
        self.assertIn("This hardware has sealed all that is in it", said)
        self.assertIn("This hardware does not have: web version 1", said)
        self.assertFalse((target.state / "state.db").exists())
        self.assertFalse((target.state / "master-key").exists())

    def test_a_backup_of_somebody_else_is_not_proved(self):
        other = self.machine("hsm").start()
        foreign = other.root / "foreign"
        other.keyctl("backup", "create", "--to", self.recovery.certificate, "--output", foreign)
        self.create()
        said = self.source.drill(foreign, self.recovery, *self.passphrase, status=1)
        self.assertIn("this service has not made it", said)

    def test_hardware_that_cannot_seal_fails_the_drill(self):
        self.create()
        token = self.source.root / "token"
        os.rename(token / "tokens", token / "away")
        try:
            said = self.source.drill(self.backup, self.recovery, *self.passphrase, status=7)
        finally:
            os.rename(token / "away", token / "tokens")
        self.assertIn("cannot seal what is in it", said)


if __name__ == "__main__":
    unittest.main()
