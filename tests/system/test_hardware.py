"""Tokens and TPMs that are missing, vanish, come back or refuse the PIN."""

import os
import unittest

from harness import FRONTEND, ME, SystemTest

ROOT = "/org/keyward/Keyd1"


class HardwareTest(SystemTest):
    def seal(self):
        """Why the service is sealed: a code."""
        return self.service.module(ME).property(ROOT, "Manager", "Seal")[0]


class TpmTest(HardwareTest):
    HSM = False
    PAIR = ("tpm", "tpm")

    def assert_log_is_keyds_own(self):
        """Libraries write no lines past keyd's log, which says what failed."""
        lines = self.service.log().splitlines()
        self.assertTrue(any("CustodianUnavailable" in line for line in lines), lines)
        for line in lines:
            self.assertRegex(line, "^<[3-6]>keyd: ")

    def test_a_tpm_that_vanishes_and_comes_back(self):
        frontend, backend = self.open_pair()
        self.service.kill_tpm()
        # What is unsealed and what runs goes on; what needs the chip says so.
        frame = frontend.channel("s", "seal", b"no chip", b"")
        self.assertEqual(backend.channel("s", "open", frame)[0], b"no chip")
        self.assert_refused("CustodianUnavailable", self.service.admin_call, "RotateKey",
                            "frontend-id")
        self.service.wait_health("degraded")
        self.service.start_tpm()
        self.service.wait_health("ok")
        self.assertEqual(self.service.admin_call("RotateKey", "frontend-id"), 3)
        self.assert_serving()

    def test_a_tpm_that_is_missing_at_start(self):
        self.open_pair()
        self.service.stop_keyd()
        self.service.kill_tpm()
        self.service.start(serves=False)
        frontend = self.service.module(FRONTEND)
        self.assert_refused("Sealed", frontend.open_session, "s", "frontend-id", "responder",
                            "backend")
        self.assertEqual(self.seal(), "CustodianUnavailable")
        self.assert_log_is_keyds_own()
        self.service.start_tpm()
        self.service.wait_health("ok")
        self.assert_serving()

    def test_another_tpm_is_refused(self):
        self.open_pair()
        self.service.stop_keyd()
        self.service.script("stop", self.service.root / "tpm")
        os.rename(self.service.root / "tpm", self.service.root / "first-tpm")
        self.service.start_tpm()
        self.service.start(serves=False)
        self.assertEqual(self.seal(), "CustodianReplaced")
        status = self.service.module(ME).property(ROOT, "Manager", "Custodians")
        self.assertEqual(status[0][2], "CustodianReplaced")
        self.service.script("stop", self.service.root / "tpm")
        os.rename(self.service.root / "tpm", self.service.root / "second-tpm")
        os.rename(self.service.root / "first-tpm", self.service.root / "tpm")
        self.service.start_tpm()
        self.service.wait_health("ok")
        self.assert_serving()


class HsmTest(HardwareTest):
    TPM = False
    PAIR = ("hsm", "hsm")

    def tokens(self):
        return self.service.root / "token/tokens"

    def write_pin(self, pin):
        path = self.service.root / "token/hsm.pin"
        path.write_text(pin)

    def test_a_token_that_vanishes_and_comes_back(self):
        self.open_pair()
        self.service.stop_keyd()
        hidden = self.tokens().with_name("hidden")
        os.rename(self.tokens(), hidden)
        self.service.start(serves=False)
        self.assertEqual(self.seal(), "CustodianUnavailable")
        self.assert_refused("Sealed", self.service.admin_call, "RotateKey", "frontend-id")
        os.rename(hidden, self.tokens())
        self.service.wait_health("ok")
        self.assert_serving()

    def test_a_token_that_vanishes_in_the_middle(self):
        frontend, backend = self.open_pair()
        hidden = self.tokens().with_name("hidden")
        os.rename(self.tokens(), hidden)
        self.service.wait_health("degraded")
        frame = frontend.channel("s", "seal", b"no token", b"")
        self.assertEqual(backend.channel("s", "open", frame)[0], b"no token")
        self.assert_refused("CustodianUnavailable", self.service.admin_call, "RotateKey",
                            "frontend-id")
        os.rename(hidden, self.tokens())
        self.service.wait_health("ok")
        self.assert_serving()

    def test_a_wrong_pin_is_tried_once(self):
        self.open_pair()
        self.service.stop_keyd()
        right = (self.service.root / "token/hsm.pin").read_text()
        self.write_pin("000000000000")
        self.service.start(serves=False)
        status = self.service.module(ME).property(ROOT, "Manager", "Custodians")
        self.assertEqual(status[0][2], "PinRejected")
        self.service.restart_keyd(serves=False)
        self.assertEqual(self.seal(), "PinRejected")
        self.assert_refused("Sealed", self.service.admin_call, "RotateKey", "frontend-id")
        self.write_pin(right)
        self.service.wait_health("ok")
        self.assert_serving()


class BothTest(SystemTest):
    def test_one_that_is_gone_leaves_the_other_serving(self):
        self.service.enrol_pair()
        self.service.kill_tpm()
        self.assertEqual(self.service.admin_call("RotateKey", "frontend-id"), 2)
        self.assert_refused("CustodianUnavailable", self.service.admin_call, "RotateKey",
                            "backend-id")
        self.service.start_tpm()
        self.service.wait_health("ok")
        self.assert_serving()


class UnconfiguredTest(SystemTest):
    MASTER = "tpm"

    def keys(self):
        """Custodian and state of every key."""
        return {key[0]: key[3:5] for key in self.service.module(ME).manager("ListKeys")}

    def test_keys_whose_custodian_is_not_configured_any_more(self):
        self.service.enrol_pair()
        self.service.write_policy(hsm=False)
        self.service.restart_keyd()
        self.service.wait_health("degraded")
        status = self.service.module(ME).property(ROOT, "Manager", "Custodians")
        self.assertEqual([(each[0], each[2]) for each in status],
                         [("hsm", "CustodianUnavailable"), ("tpm", "ok")])
        self.assertIn("security.yaml configures no 'hsm'", status[0][3])
        self.assertEqual(self.keys()["frontend-id"], ["hsm", "active"])
        self.assert_refused("AlreadyExists", self.service.admin_call, "GenerateKey",
                            "frontend-id", "ed25519", "sealed", "tpm")
        self.assertEqual(self.service.admin_call("RevokeKey", "frontend-id", 0), 0)
        self.service.write_policy(hsm=True)
        self.service.restart_keyd()
        self.service.wait_health("ok")
        self.assertEqual(self.keys(), {"frontend-id": ["hsm", "revoked"],
                                       "backend-id": ["tpm", "active"]})

    def test_the_custodian_of_the_master_key_is_not_configured_any_more(self):
        self.service.stop_keyd()
        self.service.write_policy(tpm=False)
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1)
        self.assertIn("the master key is in the 'tpm', which security.yaml does not configure",
                      said.stderr)


if __name__ == "__main__":
    unittest.main()
