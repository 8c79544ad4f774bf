"""A TPM that misbehaves."""

import os
import select
import shutil
import signal
import subprocess
import unittest

from harness import FRONTEND, IS_ROOT, KEYD_USER, ME, TIMEOUT
from misbehaving import ROOT, MisbehavingTest
from tpm_proxy import RC_RETRY


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

    def test_hangs(self):
        process = int((self.tpm_folder() / "swtpm.pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            # keyd asks every 10 seconds, and waits for 15.
            row = self.assert_told("CustodianBusy", "restart what hangs", patience=3 * TIMEOUT)
            self.assertIn("does not answer", row[3])
            self.service.wait_health("degraded")
            self.assert_refused("CustodianBusy", self.service.admin_call, "RotateKey",
                                "frontend-id")
        finally:
            os.kill(process, signal.SIGCONT)
        self.assert_well()

    def test_a_hang_does_not_hold_up_the_end(self):
        process = int((self.tpm_folder() / "swtpm.pid").read_text())
        os.kill(process, signal.SIGSTOP)
        try:
            self.service.keyd.send_signal(signal.SIGTERM)
            self.assertEqual(self.service.keyd.wait(TIMEOUT), 0)
        finally:
            os.kill(process, signal.SIGCONT)
        self.assertIn("without its hardware", self.service.log())

    def test_restarted_under_keyd(self):
        self.power_cycle()
        self.wait_row(lambda row: row[5] > 0)
        self.assert_well(resets=1)
        finding = self.doctor(well=True)["custodian tpm"]["finding"]
        self.assertIn("restarted or away 1 time", finding)
        self.assertIn("journalctl -k", finding)

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


if __name__ == "__main__":
    unittest.main()
