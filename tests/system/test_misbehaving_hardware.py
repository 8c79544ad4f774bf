"""Hardware that misbehaves: each state is told from the others, explained by keyctl doctor, and leaves when its
cause does, without a restart of keyd."""

import json
import os
import select
import shutil
import signal
import subprocess
import time
import unittest

from harness import (BIN, FRONTEND, IS_ROOT, KEYD_USER, ME, SOFTHSM, TIMEOUT, Service, SystemTest,
                     as_user)
from tpm_proxy import RC_RETRY, TpmProxy

ROOT = "/org/keyward/Keyd1"


class MisbehavingTest(SystemTest):
    """The custodian NAME is the one that misbehaves."""

    NAME = ""

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([BIN / "keyctl", *map(str, arguments)],
                              env=self.service.environment(), capture_output=True, text=True,
                              timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stdout + said.stderr)
        return said.stdout + said.stderr

    def wait_row(self, holds):
        """Waits until `holds` of the custodian's name, description, state, detail, since and resets; these."""
        module = self.service.module(FRONTEND)
        deadline = time.monotonic() + TIMEOUT
        while True:
            rows = module.property(ROOT, "Manager", "Custodians")
            row = next(row for row in rows if row[0] == self.NAME)
            if holds(row):
                module.kill()
                return row
            self.assertLess(time.monotonic(), deadline, f"{row}\n{self.service.log()}")
            select.select([], [], [], 0.05)

    def wait_state(self, state):
        return self.wait_row(lambda row: row[2] == state)

    def doctor(self, well=False):
        """Verdict, code, finding and remedy of each check of keyctl doctor."""
        said = self.keyctl("doctor", "--json", "--config", self.service.root / "security.yaml",
                           "--state", self.service.state, status=0 if well else 12)
        return {each["check"]: each for each in json.loads(said)["checks"]}

    def assert_told(self, state, *words):
        """The custodian's state is in status and doctor, with a remedy that has these words."""
        row = self.wait_state(state)
        self.assertLess(abs(row[4] - time.time()), 600)
        finding = self.doctor()[f"custodian {self.NAME}"]
        self.assertEqual((finding["verdict"], finding["code"]), ("attention", state))
        self.assertIn(row[3], finding["finding"])
        for word in words:
            self.assertIn(word, finding["remedy"])
        shown = json.loads(self.keyctl("status", "--json", status=self.status_code()))
        shown = next(each for each in shown["custodians"] if each["name"] == self.NAME)
        self.assertEqual((shown["state"], shown["resets"]), (state, row[5]))
        return row

    def status_code(self):
        health = self.service.module(ME).property(ROOT, "Manager", "Health")
        return {"ok": 0, "degraded": 7, "sealed": 10}[health]

    def assert_well(self, resets=0):
        """All is well again, in the same keyd."""
        self.assertEqual(self.wait_state("ok")[5], resets)
        self.service.wait_health("ok")
        self.assertTrue(self.doctor(well=True))
        self.assertEqual(self.service.keyd.pid, self.keyd_pid)
        self.assert_serving()

    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.keyd_pid = self.service.keyd.pid


class TpmTest(MisbehavingTest):
    HSM = False
    NAME = "tpm"
    PAIR = ("tpm", "tpm")

    POLICY = {"tpm_proxy": True}  # so that others can use the TPM beside keyd

    def setUp(self):
        super().setUp()
        self.proxy = self.service.proxy

    def tpm_folder(self):
        return self.service.root / "tpm"

    def tpm2(self, *command, ok=True):
        """A program of tpm2-tools beside keyd."""
        said = subprocess.run([command[0], "-T", self.proxy.tcti, *command[1:]],
                              capture_output=True, text=True, timeout=TIMEOUT, check=False,
                              cwd=self.service.root)
        self.assertEqual(said.returncode == 0, ok, said.stderr)
        return said.stdout

    def lockout_counter(self):
        for line in self.tpm2("tpm2_getcap", "properties-variable").splitlines():
            if line.startswith("TPM2_PT_LOCKOUT_COUNTER:"):
                return int(line.split(":")[1], 0)
        self.fail("the TPM tells of no lockout counter")

    def stop_tpm(self):
        self.service.kill_tpm()
        self.proxy.disconnect()

    def power_cycle(self):
        self.stop_tpm()
        self.service.start_tpm()

    def save(self, name):
        """A copy of the stopped TPM's memory."""
        shutil.copytree(self.tpm_folder(), self.service.root / name,
                        ignore=shutil.ignore_patterns("*.sock*", "*.pid", ".lock"))

    def restore(self, name):
        for file in (self.service.root / name).iterdir():
            target = self.tpm_folder() / file.name
            shutil.copy(file, target)
            if IS_ROOT:
                shutil.chown(target, KEYD_USER)

    def test_busy(self):
        self.proxy.answer = RC_RETRY
        self.assert_told("CustodianBusy", "wait")
        self.proxy.answer = None
        self.assert_well()

    def test_restarted_under_keyd(self):
        self.power_cycle()
        self.wait_row(lambda row: row[5] > 0)
        self.assert_well(resets=1)
        self.assertIn("restarted or away 1 time", self.doctor(well=True)["custodian tpm"]["finding"])

    def test_gone(self):
        self.stop_tpm()
        self.assert_told("CustodianUnavailable", "see that the TPM is there")
        self.service.start_tpm()
        self.assert_well(resets=1)

    def test_locked_by_another_program(self):
        index = "0x1500016"
        self.tpm2("tpm2_nvdefine", "-C", "o", "-s", "8", "-a", "authread|authwrite", "-p", "right",
                  index)
        self.tpm2("tpm2_nvwrite", "-C", index, "-P", "right", "-i", "/dev/zero", index, ok=False)
        while self.lockout_counter() < 3:
            self.tpm2("tpm2_nvread", "-C", index, "-P", "wrong", index, ok=False)
        self.assertTrue(self.proxy.refused)
        row = self.assert_told("LockedOut", "tpm2_dictionarylockout --clear-lockout")
        self.assertIn("go on working", row[3])
        self.assert_serving()
        self.assertEqual(self.service.admin_call("RotateKey", "frontend-id"), 2)
        self.service.admin_call("GenerateKey", "k", "ecdsa-p256", "hardware", "tpm")
        self.tpm2("tpm2_dictionarylockout", "--clear-lockout")
        self.assert_well()

    def test_cleared_by_its_owner(self):
        self.stop_tpm()
        self.save("before")
        self.service.start_tpm()
        self.wait_state("ok")
        self.tpm2("tpm2_clear", "-c", "p")
        self.assert_told("CustodianCleared", "restore a backup")
        self.assert_refused("CustodianCleared", self.service.admin_call, "RotateKey",
                            "frontend-id")
        self.stop_tpm()
        self.restore("before")
        self.service.start_tpm()
        self.wait_state("ok")
        self.service.wait_health("ok")
        self.assert_serving()

    def test_replaced_under_keyd(self):
        self.stop_tpm()
        os.rename(self.tpm_folder(), self.service.root / "first")
        self.service.start_tpm()
        self.assert_told("CustodianReplaced", "tpm-primary-name")
        self.stop_tpm()
        os.rename(self.tpm_folder(), self.service.root / "second")
        os.rename(self.service.root / "first", self.tpm_folder())
        self.service.start_tpm()
        self.wait_state("ok")
        self.assert_serving()
        self.assertTrue(self.doctor(well=True))

    def test_pcrs_that_drift(self):
        self.tpm2("tpm2_pcrextend", f"4:sha256={'ab' * 32}")  # attested, and in no signed state
        row = self.assert_told("PcrMismatch", "keyctl policy pcr show")
        self.assertIn("PCR 4 changed", row[3])
        self.assertEqual(self.doctor()["boot"]["code"], "PcrMismatch")
        self.assertEqual(self.doctor()["PCR policy"]["verdict"], "ok")
        self.assert_serving()
        self.power_cycle()
        self.assert_well(resets=1)
        self.tpm2("tpm2_pcrextend", f"7:sha256={'ab' * 32}")  # what the master key depends on
        row = self.assert_told("PcrMismatch", "keyctl policy pcr sign")
        self.assertIn("will not release the master key", row[3])
        self.assertEqual(self.doctor()["PCR policy"]["code"], "PcrMismatch")
        self.service.sign_boot()
        self.assert_well(resets=1)
        boot = self.service.module(FRONTEND).property(ROOT, "Manager", "Boot")
        self.assertEqual(boot[0], "attested")

    def test_an_old_state_of_the_tpm_is_brought_back(self):
        self.stop_tpm()
        self.save("old")
        self.service.start_tpm()
        self.wait_state("ok")
        for version in (2, 3, 4):
            self.assertEqual(self.service.admin_call("RotateKey", "frontend-id"), version)
        self.stop_tpm()
        self.save("latest")
        self.restore("old")
        self.service.start_tpm()
        row = self.assert_told("RolledBack", "undo that")
        self.assertIn("brought an old state of the hardware back", row[3])
        self.stop_tpm()
        self.restore("latest")
        self.service.start_tpm()
        self.wait_state("ok")
        self.assert_serving()
        self.assertTrue(self.doctor(well=True))

    def test_nothing_that_goes_wrong_in_keyd_counts_towards_lockout(self):
        state = self.service.state
        self.service.admin_call("GenerateKey", "k", "ecdsa-p256", "hardware", "tpm")
        self.service.stop_keyd()
        whole = {name: (state / name).read_bytes() for name in ("state.db", "master-key",
                                                                "tpm-primary-name")}
        self.assertEqual(self.lockout_counter(), 0)

        def assert_unlocked(what):
            self.service.stop_keyd(signal.SIGKILL)
            self.power_cycle()  # without TPM2_Shutdown, after which a TPM counts what it suspects
            self.assertEqual((self.lockout_counter(), self.proxy.refused), (0, []), what)

        for name, at in (("master-key", -1), ("master-key", 40), ("tpm-primary-name", 3),
                         ("state.db", 5000)):
            changed = bytearray(whole[name])
            changed[at] = changed[at] % 7 + ord("1")
            for _ in range(2):
                (state / name).write_bytes(changed)
                process = subprocess.Popen(self.service.keyd_command(), stdin=subprocess.DEVNULL,
                                           env=self.service.environment(), stderr=subprocess.PIPE)
                descriptor = os.pidfd_open(process.pid)
                # It ends, or it waits for what cannot come; nothing else is to be seen of it here.
                select.select([descriptor], [], [], 2)
                os.close(descriptor)
                process.kill()
                process.communicate()
            (state / name).write_bytes(whole[name])
            assert_unlocked(name)
        self.tpm2("tpm2_pcrextend", f"7:sha256={'ab' * 32}")
        self.service.start(serves=False)
        self.keyctl("unseal", status=7)
        assert_unlocked("PCRs")
        for _ in range(4):
            self.service.start()
            self.service.module(ME).send("admin", "RotateKey", "k")
            assert_unlocked("killed while it rotates")
        self.service.start()
        for handle in self.tpm2("tpm2_getcap", "handles-nv-index").split():
            if handle.startswith("0x"):
                self.assertRegex(self.tpm2("tpm2_nvreadpublic", handle), "no_?da", handle)
        self.assertEqual(self.proxy.refused, [])


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
        subprocess.run(as_user(KEYD_USER, ["/usr/bin/python3", "-c", CHANGE_PIN, SOFTHSM, old, new]),
                       check=True, timeout=TIMEOUT, env=self.service.environment())
        self.unplug()  # keyd has to log in again
        self.wait_state("CustodianUnavailable")
        self.plug_in()
        self.assert_told("PinRejected", "write the right PIN")
        self.write_pin(new)
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

    def setUp(self):
        self.service = Service(tpm=False)
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
        self.assertIn("lost the counter", row[3])
        os.rename(self.tokens(), self.tokens().with_name("emptied"))
        self.wait_state("CustodianUnavailable")
        os.rename(copy, self.tokens())
        self.assert_well(resets=1)


if __name__ == "__main__":
    unittest.main()
