"""The stored state against crashes and thieves: what was put back, edited or sealed."""

import os
import shutil
import sqlite3
import subprocess
import unittest

from harness import BIN, FRONTEND, ME, SystemTest

ROOT = "/org/keyward/Keyd1"


class SealedStateTest(SystemTest):
    """What holds wherever the master key is."""

    TPM = False
    PAIR = ("hsm", "hsm")

    def copy_state(self, name):
        """A copy of the whole state directory of a keyd that has stopped."""
        copy = self.service.root / name
        shutil.copytree(self.service.state, copy)
        return copy

    def put_back(self, copy, *names):
        """Puts files of the copy in the place of today's, as a thief of the disk would."""
        for name in names:
            for suffix in ("-wal", "-shm"):
                (self.service.state / (name + suffix)).unlink(missing_ok=True)
            self.write(name, (copy / name).read_bytes())

    def write(self, name, contents):
        """A file of keyd's, with other contents."""
        target = self.service.state / name
        target.write_bytes(contents)
        os.chmod(target, 0o600)
        if os.geteuid() == 0:
            shutil.chown(target, self.service.state.owner())

    def assert_start_refused(self, code, remedy):
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1, said.stderr)
        self.assertIn(f"cannot start: {code}", said.stderr)
        self.assertIn(remedy, said.stderr)

    def edit(self, sql):
        database = sqlite3.connect(self.service.state / "state.db")
        with database:
            database.execute(sql)
        database.close()

    def seal(self):
        return self.service.module(ME).property(ROOT, "Manager", "Seal")

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([BIN / "keyctl", *arguments], env=self.service.environment(),
                              capture_output=True, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stderr)
        return said.stdout + said.stderr

    def test_an_old_copy_is_refused_and_the_latest_serves(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.stop_keyd()
        old = self.copy_state("old")
        self.service.start()
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        self.service.stop_keyd()
        latest = self.copy_state("latest")
        self.put_back(old, "state.db")
        self.assert_start_refused("RolledBack", "state.db is an old copy")
        self.put_back(latest, "state.db")
        self.service.start()
        frontend = self.service.module(FRONTEND)
        self.assert_refused("Revoked", frontend.open_session, "s", "frontend-id", "initiator",
                            "backend")

    def test_a_copy_from_before_the_last_start_is_refused(self):
        self.service.stop_keyd()
        old = self.copy_state("old")
        self.service.start()
        self.service.stop_keyd()
        self.put_back(old, "state.db")
        self.assert_start_refused("RolledBack", "restore a backup")

    def test_an_edited_row_and_swapped_blobs_are_refused(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        self.service.stop_keyd()
        whole = self.copy_state("whole")
        for sql in ("UPDATE version SET state = 2 WHERE state = 4",
                    "UPDATE version SET reference = (SELECT reference FROM version LIMIT 1)",
                    "UPDATE module SET key = 'frontend-id'",
                    "DELETE FROM module",
                    "DROP TABLE peer"):
            with self.subTest(sql=sql):
                self.edit(sql)
                self.assert_start_refused("DataCorrupt", "put back the right one")
                self.put_back(whole, "state.db")
        self.service.start()

    def test_files_that_are_missing_damaged_or_of_another_keyd(self):
        self.service.stop_keyd()
        whole = self.copy_state("whole")
        state = self.service.state
        (state / "state.db").unlink()
        self.assert_start_refused("NotInitialised", "there is no state.db for the master key")
        self.write("state.db", (whole / "state.db").read_bytes()[:5000])
        self.assert_start_refused("DataCorrupt", "restore state.db from a backup")
        self.put_back(whole, "state.db")
        self.write("master-key", b"KWMK\x01")
        self.assert_start_refused("DataCorrupt", "master-key in the state directory is damaged")
        other = bytearray((whole / "master-key").read_bytes())
        other[-1] ^= 1  # in what the hardware sealed
        self.write("master-key", other)
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1, said.stderr)
        (state / "master-key").unlink()
        self.assert_start_refused("NotInitialised", "the file master-key of this state.db is missing")
        self.put_back(whole, "master-key")
        self.service.start()

    def test_there_is_one_master_key(self):
        self.service.stop_keyd()
        said = self.service.run_keyd(self.service.state, *self.service.init_arguments())
        self.assertEqual(said.returncode, 1)
        self.assertIn("AlreadyExists", said.stderr)
        self.assertEqual(said.stdout, "AlreadyExists there is a master key already\n")
        (self.service.state / "master-key").unlink()
        said = self.service.run_keyd(self.service.state, *self.service.init_arguments())
        self.assertEqual(said.returncode, 1)
        self.assertIn("there is a state.db already", said.stdout)

    def test_sealing_ends_everything_until_it_is_unsealed(self):
        frontend, backend = self.open_pair()
        said = self.keyctl("seal", "--yes")
        self.assertIn("2 sessions ended", said)
        for module in (frontend, backend):
            self.assertEqual(module.channel("s", "wait_closed"), "Sealed")
        self.assert_refused("Sealed", frontend.open_session, "t", "frontend-id", "initiator",
                            "backend")
        for call in (("RotateKey", "frontend-id"), ("RevokeKey", "frontend-id", 0),
                     ("GenerateKey", "k", "ed25519", "hardware", "hsm"), ("ListModules",)):
            self.assert_refused("Sealed", self.service.admin_call, *call)
        self.assertIn("an administrator has sealed the service", self.keyctl("status", status=10))
        self.assertIn("keyctl unseal", self.keyctl("key", "list", status=10))
        self.keyctl("unseal")
        self.assertEqual(self.seal(), ["", ""])
        self.assert_serving()

    def test_a_seal_outlives_a_restart(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("Seal")
        self.service.restart_keyd(serves=False)
        self.assertEqual(self.seal()[0], "Sealed")
        self.service.admin_call("Unseal")
        self.assert_serving()

    def test_zeroizing_makes_what_is_stored_useless(self):
        frontend, _ = self.open_pair()
        self.service.stop_keyd()
        before = self.copy_state("before")
        self.service.start()
        frontend = self.service.module(FRONTEND)
        frontend.open_session("s", "frontend-id", "initiator", "backend")
        self.assertIn("its master key destroyed; 1 session ended",
                      self.keyctl("seal", "--zeroize-all", "--yes"))
        self.assertEqual(frontend.channel("s", "wait_closed"), "Sealed")
        self.assertIn("was destroyed", self.keyctl("unseal", status=1))
        self.assertIn("its master key destroyed", self.keyctl("seal", "--zeroize-all", "--yes"))
        self.service.stop_keyd()
        (self.service.state / "sealed").unlink()
        self.assert_start_refused("NotInitialised", "it was destroyed")
        self.put_back(before, "state.db", "master-key")
        self.assert_start_refused("NotInitialised", "it was destroyed")

    def test_sealing_asks_first(self):
        self.assertIn("--yes", self.keyctl("seal", status=9))
        self.assertEqual(self.seal(), ["", ""])


class TpmSealedStateTest(SealedStateTest):
    HSM, TPM = False, True
    PAIR = ("tpm", "tpm")

    def extend_pcr(self, pcr):
        """As firmware does when it has changed; keyd is stopped, since swtpm has one client."""
        subprocess.run(["tpm2_pcrextend", "-T", f"swtpm:path={self.service.root}/tpm/tpm.sock",
                        f"{pcr}:sha256={'ab' * 32}"], check=True, timeout=60)

    def test_another_boot_needs_a_new_signature_and_no_new_key(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.stop_keyd()
        self.extend_pcr(7)
        self.service.start(serves=False)
        code, reason = self.seal()
        self.assertEqual(code, "PcrMismatch")
        self.assertIn("keyctl policy pcr sign", reason)
        self.assertIn("other", self.keyctl("policy", "pcr", "show"))
        self.service.sign_boot()
        self.service.wait_health("ok")
        self.assertIn("holds now", self.keyctl("policy", "pcr", "show"))
        self.assert_serving()

    def test_a_state_to_come_is_signed_beforehand(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.stop_keyd()
        self.extend_pcr(7)
        values = self.service.root / "values"
        with open(values, "w", encoding="ascii") as out:
            subprocess.run(["tpm2_pcrread", "-T", f"swtpm:path={self.service.root}/tpm/tpm.sock",
                            "sha256:7"], check=True, timeout=60, stdout=out)
        self.service.start(serves=False)
        self.service.sign_boot("--values", values)
        self.service.wait_health("ok")
        self.assert_serving()

    def test_a_signature_of_somebody_else_is_refused(self):
        other = self.service.root / "other.pem"
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-out", other], check=True)
        said = self.keyctl("policy", "pcr", "sign", "--key", other, "--yes", status=1)
        self.assertIn("not signed by the authority", said)


if __name__ == "__main__":
    unittest.main()
