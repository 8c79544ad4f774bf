"""A second seal of the master key: made, used when the hardware is lost, and destroyed."""

import json
import os
import shutil
import subprocess
import time
import unittest

from harness import BACKEND, BIN, FRONTEND, TIMEOUT, SystemTest
from test_backup import Recovery

TLS_PAYLOAD = bytes([32] * 64) + b"TLS 1.3, server CertificateVerify\0" + bytes(32)


class SecondSealTest(SystemTest):
    """A service whose master key is in the TPM, and that has an HSM too."""

    MASTER = "tpm"
    PAIR = ("hsm", "hsm")

    def setUp(self):
        super().setUp()
        # Beside the keyd of its user.
        shutil.copy(BIN / "keyctl", self.service.root)

    def run_keyctl(self, *arguments, status=0):
        said = subprocess.run([self.service.root / "keyctl", *map(str, arguments)],
                              env=self.service.environment(), capture_output=True, text=True, timeout=120,
                              check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stdout + said.stderr)
        return said

    def keyctl(self, *arguments, status=0):
        said = self.run_keyctl(*arguments, status=status)
        return said.stdout + said.stderr

    def places(self):
        return ["--config", self.service.root / "security.yaml", "--state", self.service.state]

    def reseal(self, *arguments, status=0):
        return self.keyctl("master", "reseal", *self.places(), *arguments, status=status)

    def reseal_report(self, *arguments):
        return json.loads(self.run_keyctl("master", "reseal", *self.places(), *arguments, "--yes",
                                          "--json").stdout)

    def seals(self):
        return json.loads(self.run_keyctl("master", "show", "--json").stdout)

    def second_file(self):
        return self.service.state / "master-key.second"

    def put(self, name, contents):
        target = self.service.state / name
        target.write_bytes(contents)
        os.chmod(target, 0o600)
        if os.geteuid() == 0:
            shutil.chown(target, self.service.state.owner())

    def lose_tpm(self):
        """The chip dies, with all that it held; a new one is in its place."""
        self.service.kill_tpm()
        shutil.rmtree(self.service.root / "tpm")
        self.service.start_tpm()

    def assert_signs(self, name):
        self.assertTrue(self.service.module(BACKEND).bytes_call(
            f"/org/keyward/Keyd1/key/{name}", "Key", "SignHandshake", "tls13-server", TLS_PAYLOAD))

    def assert_audit_verifies(self, *events):
        self.keyctl("audit", "sign")
        self.assertIn("The log is valid", self.keyctl("audit", "verify"))
        written = "".join(path.read_text() for path in sorted((self.service.state / "audit").iterdir()))
        for event in events:
            self.assertIn(f'"event":"{event}"', written)


class LostTpmTest(SecondSealTest):
    def test_the_hsm_takes_over_when_the_tpm_dies(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        self.service.admin_call("GenerateKey", "old-id", "ed25519", "sealed", "tpm")
        said = self.keyctl("master", "seal", "--custodian", "hsm")
        self.assertIn("A second seal is in the HSM", said)
        self.keyctl("audit", "sign")  # by the service key, in the TPM
        self.service.admin_call("RotateKey", "frontend-id")
        self.service.stop_keyd()
        self.lose_tpm()
        said = self.reseal("--custodian", "hsm", status=9)
        self.assertIn("The TPM that had the master key does not answer", said)
        self.assertIn("Lost with the TPM: old-id version 1", said)
        report = self.reseal_report("--custodian", "hsm")
        self.assertEqual([(row["name"], row["version"], row["custody"]) for row in report["lost"]],
                         [("old-id", 1, "sealed")])
        self.assertEqual((report["former"], report["former_answers"], report["second"]), ("tpm", False, ""))
        self.assertGreater(report["epoch"], 0)
        self.service.master = "hsm"
        self.service.start()
        self.assertEqual(self.seals()["custodian"], "hsm")
        self.assertIsNone(self.seals()["second"])
        self.assert_serving()
        self.assert_signs("web")
        self.assert_audit_verifies("master.seal", "master.reseal")
        # What came before holds: the rotation, and the counter of the new home.
        shown = json.loads(self.keyctl("key", "show", "frontend-id", "--json"))
        self.assertEqual([v["version"] for v in shown["versions"] if v["state"] == "active"], [2])
        self.service.restart_keyd()
        self.assert_serving()

    def test_an_old_copy_is_refused_while_the_tpm_answers(self):
        self.service.enrol_pair(*self.PAIR)
        self.keyctl("master", "seal", "--custodian", "hsm")
        self.service.stop_keyd()
        old = (self.service.state / "state.db").read_bytes()
        self.service.start()
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        self.service.stop_keyd()
        latest = (self.service.state / "state.db").read_bytes()
        self.put("state.db", old)
        self.assertIn("state.db is an old copy", self.reseal("--custodian", "hsm", "--yes", status=1))
        self.put("state.db", latest)
        report = self.reseal_report("--custodian", "hsm")
        self.assertTrue(report["former_answers"])
        self.assertEqual(report["leftovers"], [])
        self.service.start()
        self.assertIsNone(self.seals()["former"])
        frontend = self.service.module(FRONTEND)
        self.assert_refused("Revoked", frontend.open_session, "s", "frontend-id", "initiator", "backend")
        # The former home is destroyed, in the TPM too.
        self.service.stop_keyd()
        self.assertFalse((self.service.state / "master-key.former").exists())
        handles = subprocess.run(["tpm2_getcap", "-T", f"swtpm:path={self.service.root}/tpm/tpm.sock",
                                  "handles-nv-index"], check=True, capture_output=True, text=True,
                                 timeout=60).stdout
        self.assertEqual(handles.count("0x1"), 0, handles)

    def test_zeroizing_destroys_the_second_seal_too(self):
        self.keyctl("master", "seal", "--custodian", "hsm")
        self.service.stop_keyd()
        copy = self.service.root / "copy"
        shutil.copytree(self.service.state, copy)
        self.service.start()
        self.keyctl("seal", "--zeroize-all", "--yes")
        self.assertFalse(self.second_file().exists())
        self.service.stop_keyd()
        self.lose_tpm()
        self.put("master-key.second", (copy / "master-key.second").read_bytes())
        self.put("state.db", (copy / "state.db").read_bytes())
        self.assertIn("does not hold", self.reseal("--custodian", "hsm", "--yes", status=5))

    def test_refusals(self):
        self.assertIn("a second seal goes elsewhere",
                      self.keyctl("master", "seal", "--custodian", "tpm", "--pcr-authority",
                                  self.service.root / "authority.pub.pem", status=2))
        self.keyctl("master", "seal", status=2)
        self.keyctl("master", "seal", "--custodian", "hsm")
        self.assertIn("there is a second seal already",
                      self.keyctl("master", "seal", "--custodian", "hsm", status=6))
        self.assertIn("another keyd uses", self.reseal("--custodian", "hsm", "--yes", status=6))
        self.assertIn("--yes", self.keyctl("master", "forget", status=9))
        whole = self.second_file().read_bytes()
        self.service.stop_keyd()
        for place in (0, 7, 60, len(whole) // 2, len(whole) - 1):
            flipped = bytearray(whole)
            flipped[place] ^= 1
            self.put("master-key.second", bytes(flipped))
            self.reseal("--custodian", "hsm", "--yes", status=1)
        self.put("master-key.second", whole)
        self.service.start()
        self.keyctl("master", "forget", "--yes")
        self.assertFalse(self.second_file().exists())
        self.service.stop_keyd()
        self.put("master-key.second", whole)
        self.assertIn("does not hold", self.reseal("--custodian", "hsm", "--yes", status=5))
        self.second_file().unlink()
        self.assertIn("has no second seal", self.reseal("--custodian", "hsm", "--yes", status=5))


class LostHsmTest(SecondSealTest):
    """A service whose master key is in the HSM, and that has a TPM too."""

    MASTER = "hsm"

    def test_the_tpm_takes_over_in_a_signed_state_of_the_boot(self):
        self.service.enrol_pair("hsm", "tpm")
        self.assertIn("needs an authority", self.keyctl("master", "seal", "--custodian", "tpm", status=2))
        authority = self.service.make_authority()
        said = self.keyctl("master", "seal", "--custodian", "tpm", "--pcr-authority", authority)
        self.assertIn("A second seal is in the TPM", said)
        self.assertEqual(self.seals()["second"]["place"], "tpm")
        self.service.stop_keyd()
        os.rename(self.service.root / "token/tokens", self.service.root / "token/away")
        there = ("--custodian", "tpm", "--pcr-authority", authority, "--yes")
        self.assertIn("no state that a signed policy allows", self.reseal(*there, status=7))
        # keyd waits for the HSM, and takes the signature meanwhile.
        self.service.start(serves=False)
        self.service.sign_boot()
        self.service.stop_keyd()
        said = self.reseal(*there)
        self.assertIn("Lost with the HSM: frontend-id version 1", said)
        self.service.write_policy(hsm=False)
        self.service.start()
        self.assertEqual(self.seals(), {"custodian": "tpm", "second": None, "former": "hsm"})
        self.assert_audit_verifies("master.seal", "master.reseal")
        # The HSM was not dead after all: what it holds of the master key is destroyed.
        self.service.stop_keyd()
        os.rename(self.service.root / "token/away", self.service.root / "token/tokens")
        self.service.write_policy(hsm=True)
        self.service.start()
        deadline = time.monotonic() + TIMEOUT
        while self.seals()["former"] is not None:
            self.assertLess(time.monotonic(), deadline, self.service.log())
        self.assert_serving()  # with the keys that the HSM has


class RecoveryKeyTest(SecondSealTest):
    """A service that has an HSM alone."""

    TPM, MASTER = False, "hsm"

    def setUp(self):
        super().setUp()
        self.recovery = Recovery(self.service.root, "ec", passphrase="open sesame")

    def open_with(self, recovery):
        return ("--recovery-key", recovery.key, "--passphrase-file", recovery.passphrase_file)

    def test_a_recovery_key_moves_the_service_to_a_new_token(self):
        self.service.enrol_pair(*self.PAIR)
        said = self.keyctl("master", "seal", "--to", self.recovery.certificate)
        self.assertIn("A second seal is for the recovery certificate", said)
        self.keyctl("audit", "sign")
        self.service.stop_keyd()
        shutil.rmtree(self.service.root / "token")
        self.service.script("make-token", self.service.root / "token", "keyward", "--user",
                            self.service.state.owner())
        (self.service.state / "hsm-token-serial").unlink()
        said = self.reseal("--custodian", "hsm", *self.open_with(self.recovery), "--yes")
        self.assertIn("Lost with the HSM: frontend-id version 1", said)
        self.assertIn("Lost with the HSM: backend-id version 1", said)
        self.service.start()
        self.assertEqual(self.seals()["second"]["place"], "recovery")
        self.keyctl("key", "destroy", "frontend-id", "--yes")
        self.keyctl("key", "generate", "frontend-id", "--custodian", "hsm")
        self.assert_audit_verifies("master.seal", "master.reseal")

    def test_other_keys_open_nothing_and_zeroizing_tells_of_the_recovery_key(self):
        self.keyctl("master", "seal", "--to", self.recovery.certificate)
        other = Recovery(self.service.root, "ec", "other", passphrase="another")
        rsa = Recovery(self.service.root, "rsa", "rsa", passphrase="another")
        self.service.stop_keyd()
        for wrong in (other, rsa):
            said = self.reseal("--custodian", "hsm", *self.open_with(wrong), "--yes", status=1)
            self.assertIn("not the one that the second seal was made for", said)
        self.assertIn("--recovery-key", self.reseal("--custodian", "hsm", "--yes", status=2))
        self.reseal("--custodian", "tpm", *self.open_with(self.recovery), "--yes", status=8)
        whole = self.second_file().read_bytes()
        for place in range(0, len(whole), 37):
            flipped = bytearray(whole)
            flipped[place] ^= 1
            self.put("master-key.second", bytes(flipped))
            self.reseal("--custodian", "hsm", *self.open_with(self.recovery), "--yes", status=1)
        self.put("master-key.second", whole)
        self.service.start()
        said = self.keyctl("seal", "--zeroize-all", status=9)
        self.assertIn("would still open what is stored", said)
        self.keyctl("seal", "--zeroize-all", "--yes")
        self.assertFalse(self.second_file().exists())


if __name__ == "__main__":
    unittest.main()
