"""A PKCS#11 token that misbehaves."""

import json
import os
import shutil
import subprocess
import unittest

from harness import (BIN, FRONTEND, IS_ROOT, KEYD_USER, SOFTHSM, TIMEOUT, Service, as_user)
from misbehaving import MisbehavingTest


# Just enough of PKCS#11 to change a PIN, in a process of its own.
CHANGE_PIN = """
import ctypes, sys
p = ctypes.CDLL(sys.argv[1])
assert p.C_Initialize(None) == 0
slots, count, session = (ctypes.c_ulong * 16)(), ctypes.c_ulong(16), ctypes.c_ulong()
assert p.C_GetSlotList(1, slots, ctypes.byref(count)) == 0
slot = ctypes.c_ulong(slots[0])
assert p.C_OpenSession(slot, ctypes.c_ulong(6), None, None, ctypes.byref(session)) == 0
old, new = sys.argv[2].encode(), sys.argv[3].encode()
assert p.C_Login(session, ctypes.c_ulong(1), old, ctypes.c_ulong(len(old))) == 0
assert p.C_SetPIN(session, old, ctypes.c_ulong(len(old)), new, ctypes.c_ulong(len(new))) == 0
assert p.C_Finalize(None) == 0
"""


class TokenTest(MisbehavingTest):
    TPM = False
    NAME = "hsm"
    PAIR = ("hsm", "hsm")
    OFFICER = "12345678"

    def tokens(self):
        return self.service.root / "token/tokens"

    def unplug(self):
        os.rename(self.tokens(), self.tokens().with_name("hidden"))

    def plug_in(self):
        os.rename(self.tokens().with_name("hidden"), self.tokens())

    def pin(self):
        return (self.service.root / "token/hsm.pin").read_text().strip()

    def write_pin(self, pin):
        (self.service.root / "token/hsm.pin").write_text(pin)

    def softhsm(self, *arguments):
        subprocess.run(as_user(KEYD_USER, ["softhsm2-util", *arguments]), check=True,
                       timeout=TIMEOUT, stdout=subprocess.DEVNULL, env=self.service.environment())

    def change_pin(self, old, new):
        subprocess.run(as_user(KEYD_USER, ["/usr/bin/python3", "-c", CHANGE_PIN, SOFTHSM, old, new]),
                       check=True, timeout=TIMEOUT, env=self.service.environment())

    def copy_token(self):
        copy = self.tokens().with_name("copy")
        subprocess.run(["cp", "-a", self.tokens(), copy], check=True)
        return copy


class HsmTest(TokenTest):
    def test_unplugged(self):
        self.unplug()
        self.assert_told("CustodianUnavailable", "plugged in")
        self.plug_in()
        self.assert_well(resets=1)

    def test_a_pin_that_somebody_changed(self):
        old, new = self.pin(), "1357924680"
        self.change_pin(old, new)
        self.unplug()  # keyd has to log in again
        self.wait_state("CustodianUnavailable")
        self.plug_in()
        self.assert_told("PinRejected", "write the right PIN")
        self.service.wait_log("hsm does not serve", "PinRejected")
        self.write_pin(new)
        self.assert_well(resets=1)

    def test_a_pin_that_is_set_back(self):
        old, new = self.pin(), "1357924680"
        self.change_pin(old, new)
        self.unplug()
        self.wait_state("CustodianUnavailable")
        self.plug_in()
        self.assert_told("PinRejected", "set the token's PIN to what that says")
        self.change_pin(new, old)  # and nobody touches the file
        self.assert_well(resets=1)

    def test_a_pin_file_that_is_gone_or_open_to_all(self):
        pin = self.service.root / "token/hsm.pin"
        os.rename(pin, self.service.root / "token/elsewhere")
        self.unplug()
        self.wait_state("CustodianUnavailable")
        self.plug_in()
        self.assert_told("Configuration", "security.yaml or the file that it names")
        self.assertEqual(self.doctor()["PIN file"]["verdict"], "attention")
        os.rename(self.service.root / "token/elsewhere", pin)
        self.assert_well(resets=1)
        os.chmod(pin, 0o644)
        self.assertEqual(self.doctor()["PIN file"]["remedy"], f"chmod 0600 {pin}")
        os.chmod(pin, 0o600)
        self.assertTrue(self.doctor(well=True))

    def test_another_token_under_its_label(self):
        self.unplug()
        self.tokens().mkdir(mode=0o700)
        if IS_ROOT:
            shutil.chown(self.tokens(), KEYD_USER)
        self.softhsm("--init-token", "--free", "--label", "keyward", "--so-pin", self.OFFICER,
                     "--pin", self.pin())
        self.assert_told("CustodianCleared", "hsm-token-serial")
        os.rename(self.tokens(), self.tokens().with_name("other"))
        self.plug_in()
        self.wait_state("ok")
        self.service.wait_health("ok")
        self.assert_serving()

    def test_an_old_store_put_back_while_it_is_sealed(self):
        state = self.service.state
        self.service.admin_call("Seal")
        old = (state / "state.db").read_bytes()
        self.service.admin_call("Unseal")
        for _ in range(2):
            self.service.admin_call("RotateKey", "frontend-id")
        self.service.admin_call("Seal")
        latest = (state / "state.db").read_bytes()
        self.put_store(old)
        self.assert_refused("RolledBack", self.service.admin_call, "Unseal")
        seal = self.doctor()["seal"]
        self.assertEqual(seal["code"], "RolledBack")
        self.assertIn("put the latest state.db back", seal["remedy"])
        self.put_store(latest)
        self.service.admin_call("Unseal")
        self.assert_well()

    def put_store(self, contents):
        for suffix in ("-wal", "-shm"):
            (self.service.state / ("state.db" + suffix)).unlink(missing_ok=True)
        (self.service.state / "state.db").write_bytes(contents)

    def test_doctor_without_a_keyd(self):
        state = self.service.state
        self.service.stop_keyd()
        old = (state / "state.db").read_bytes()
        self.assertIn("systemctl start", self.doctor()["keyd"]["remedy"])
        self.service.start()
        self.service.stop_keyd()
        self.put_store(old)
        self.assertEqual(self.service.run_keyd().returncode, 1)
        finding = self.doctor()["keyd"]
        self.assertEqual(finding["code"], "RolledBack")
        self.assertIn("old copy", finding["finding"])
        self.assertEqual(self.doctor()["state directory"]["verdict"], "ok")
        os.chmod(state / "state.db", 0o644)
        self.assertIn("state.db", self.doctor()["state directory"]["finding"])
        os.chmod(state, 0o755)
        self.assertEqual(self.doctor()["state directory"]["remedy"], f"chmod 0700 {state}")
        self.service.write_policy("version: 1\nmodulles: {}\n")
        self.assertEqual(self.doctor()["configuration"]["code"], "Configuration")

    def test_doctor_on_what_keyd_keeps_records_of(self):
        root, record = self.service.root, self.service.state / "last-backup"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                        root / "recovery.pem", "-out", root / "recovery.crt.pem", "-subj", "/CN=r"],
                       check=True, stderr=subprocess.DEVNULL)
        self.assertEqual(self.doctor(well=True)["backup"]["verdict"], "unknown")
        self.keyctl("backup", "create", "--to", root / "recovery.crt.pem", "--output",
                    root / "a.backup")
        os.utime(record, (0, 0))  # the time of the file is not what counts
        found = self.doctor(well=True)
        self.assertIn("by keyd's own record", found["backup"]["finding"])
        self.assertIn("signed up to", found["audit log"]["finding"])
        self.assertRegex(found["revocations"]["finding"], "^0 of this host, whose list [0-9a-f]{16}")
        self.service.admin_call("RevokeKey", "keyward-service", 0)
        found = self.doctor()["revocations"]
        self.assertEqual(found["verdict"], "attention")
        self.assertIn("keyctl key revocations --export", found["remedy"])
        self.keyctl("key", "revocations", "--export", root / "list")
        self.assertIn("1 of this host", self.doctor(well=True)["revocations"]["finding"])
        whole = record.read_bytes()
        record.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assertEqual(self.doctor()["backup"]["code"], "DataCorrupt")
        record.write_bytes(whole)
        self.service.admin_call("Seal")
        found = self.doctor()
        self.assertEqual(found["seal"]["remedy"], "keyctl unseal")
        self.assertIn("the time of the file", found["backup"]["finding"])
        self.assertEqual(found["backup"]["verdict"], "ok")
        self.assertEqual(found["audit log"]["verdict"], "unknown")

    @unittest.skipUnless(IS_ROOT, "needs another user")
    def test_doctor_as_an_ordinary_user(self):
        shutil.copy(BIN / "keyctl", self.service.root)
        said = subprocess.run(
            as_user(FRONTEND, [str(self.service.root / "keyctl"), "doctor", "--json", "--config",
                               str(self.service.root / "security.yaml"), "--state",
                               str(self.service.state)]),
            env=self.service.environment(), capture_output=True, text=True, timeout=TIMEOUT,
            check=False)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        checks = {each["check"]: each["verdict"] for each in json.loads(said.stdout)["checks"]}
        self.assertEqual({name for name, verdict in checks.items() if verdict == "unknown"},
                         {"PIN file", "state directory", "PCR policy", "second seal", "revocations",
                          "backup"})
        self.assertEqual(checks["custodian hsm"], "ok")


class ReinitialisedTokenTest(TokenTest):
    """A token that is initialised in its slot keeps its serial: what is missing tells."""

    LOST = "lost the counter"

    def setUp(self):
        self.service = Service(tpm=self.TPM, master=self.MASTER)
        self.addCleanup(self.service.close)
        shutil.rmtree(next(self.tokens().iterdir()))
        self.initialise_token("--free")
        self.service.start()
        self.service.enrol_pair(*self.PAIR)
        self.keyd_pid = self.service.keyd.pid

    def initialise_token(self, *where):
        self.softhsm("--init-token", *where, "--label", "keyward", "--so-pin", self.OFFICER,
                     "--pin", self.pin())

    def test_initialised_anew_under_keyd(self):
        copy = self.copy_token()
        self.initialise_token("--token", "keyward")
        row = self.assert_told("CustodianCleared", "restore a backup")
        self.assertIn(self.LOST, row[3])
        os.rename(self.tokens(), self.tokens().with_name("emptied"))
        self.wait_state("CustodianUnavailable")
        os.rename(copy, self.tokens())
        self.assert_well(resets=1)


class ReinitialisedBesideATpmTest(ReinitialisedTokenTest):
    """The TPM has the master key and its counter; the token has nothing but keys."""

    TPM = True
    MASTER = "tpm"
    LOST = "lost a key"

    def test_initialised_anew_while_keyd_is_away(self):
        copy = self.copy_token()
        self.service.stop_keyd()
        self.initialise_token("--token", "keyward")
        self.service.start()
        self.keyd_pid = self.service.keyd.pid
        self.assert_told("CustodianCleared", "restore a backup")
        os.rename(self.tokens(), self.tokens().with_name("emptied"))
        self.wait_state("CustodianUnavailable")
        os.rename(copy, self.tokens())
        self.assert_well(resets=1)


class ReinitialisedSealingTokenTest(ReinitialisedTokenTest):
    """The token has nothing but what opens a sealed key."""

    TPM = True
    MASTER = "tpm"
    PAIR = ("tpm", "tpm")
    LOST = "lost a key"

    def setUp(self):
        super().setUp()
        self.service.admin_call("GenerateKey", "k", "ed25519", "sealed", "hsm")


if __name__ == "__main__":
    unittest.main()
