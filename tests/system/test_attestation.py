"""What a boot is called, and the TPM's word for it, checked by tpm2_checkquote."""

import base64
import hashlib
import json
import subprocess
import unittest

from harness import BIN, FRONTEND, ME, TIMEOUT, SystemTest

ROOT = "/org/keyward/Keyd1"
NONCE = "5d1fa88c03b2d6e1"


class AttestationTest(SystemTest):
    HSM = False
    PAIR = ("tpm", "tpm")

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([BIN / "keyctl", *arguments], env=self.service.environment(),
                              capture_output=True, text=True, timeout=TIMEOUT, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stderr)
        return said.stdout if status == 0 else said.stderr

    def boot(self):
        """state, detail, id, quote, when, PCRs"""
        return self.service.module(FRONTEND).property(ROOT, "Manager", "Boot")

    def accepts(self, folder, nonce, pcrs="quote.pcrs"):
        said = subprocess.run(["tpm2_checkquote", "-u", "ak.pem", "-m", "quote.msg", "-s",
                               "quote.sig", "-f", pcrs, "-g", "sha256", "-q", nonce], cwd=folder,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIMEOUT,
                              check=False)
        return said.returncode == 0


class TpmTest(AttestationTest):
    def test_a_quote_for_somebody_elses_nonce(self):
        folder = self.service.root / "quote"
        said = self.keyctl("status", "--attest", NONCE, "--out", folder)
        self.assertIn("tpm2_checkquote", said)
        self.assertTrue(self.accepts(folder, NONCE))
        self.assertFalse(self.accepts(folder, NONCE[:-2] + "00"))
        changed = bytearray((folder / "quote.pcrs").read_bytes())
        changed[142] ^= 1  # in the first value
        (folder / "changed").write_bytes(changed)
        self.assertFalse(self.accepts(folder, NONCE, "changed"))

    def test_the_quote_of_the_boot_is_over_its_id(self):
        state, detail, boot_id, digest, when, pcrs = self.boot()
        self.assertEqual((state, detail, pcrs), ("attested", "", [0, 2, 4, 7]))
        self.assertGreater(when, 1_700_000_000)
        folder = self.service.root / "quote"
        self.keyctl("status", "--attest", "boot", "--out", folder)
        self.assertTrue(self.accepts(folder, boot_id))
        self.assertEqual(hashlib.sha256((folder / "quote.msg").read_bytes()).hexdigest(), digest)
        self.assertIn(f"boot {boot_id} is attested by quote {digest}", self.service.log())
        self.service.restart_keyd()
        self.assertNotEqual(self.boot()[2], boot_id)

    def test_as_json_it_is_the_same(self):
        shown = json.loads(self.keyctl("status", "--json", "--attest", NONCE))
        folder = self.service.root / "decoded"
        folder.mkdir()
        for field, name in (("message", "quote.msg"), ("signature", "quote.sig"),
                            ("pcrs", "quote.pcrs"), ("key", "ak.pem")):
            (folder / name).write_bytes(base64.b64decode(shown["attestation"][field]))
        self.assertTrue(self.accepts(folder, NONCE))
        self.assertEqual(sorted(shown["attestation"]["values"], key=int), ["0", "2", "4", "7"])
        self.assertEqual(shown["boot"]["state"], "attested")

    def test_a_session_belongs_to_its_boot(self):
        frontend, _ = self.open_pair()
        session = frontend.open_session("t", "frontend-id", "initiator", "backend")
        _, _, boot_id, digest, _, _ = self.boot()
        self.assertEqual(frontend.property(session, "Session", "Boot"), [boot_id, digest])

    def test_who_may_have_one_and_for_what(self):
        module = self.service.module(FRONTEND)
        if FRONTEND != ME:
            self.assert_refused("org.freedesktop.DBus.Error.AccessDenied", module.bytes_call, ROOT,
                                "Admin", "Attest", b"1")
        self.assertIn("2 to 64 hex digits", self.keyctl("status", "--attest", "xyz", "--json",
                                                        status=2))
        self.assertIn("--out", self.keyctl("status", "--attest", NONCE, status=2))
        admin = self.service.module(ME)
        self.assert_refused("TooLarge", admin.bytes_call, ROOT, "Admin", "Attest", bytes(33))

    def test_the_pcrs_are_those_of_the_policy(self):
        pcrs = [1, 3, 8, 9, 10, 11, 12, 13, 14, 23]
        self.service.write_policy(attest_pcrs=str(pcrs))
        self.service.restart_keyd()
        folder = self.service.root / "quote"
        self.keyctl("status", "--attest", NONCE, "--out", folder)
        self.assertTrue(self.accepts(folder, NONCE))
        self.assertEqual(self.boot()[5], pcrs)


class HsmTest(AttestationTest):
    HSM, TPM = True, False

    def test_an_hsm_has_nothing_to_attest(self):
        self.assertEqual(self.boot()[0], "no-tpm")
        self.assertRegex(self.boot()[2], "^[0-9a-f]{64}$")
        said = json.loads(self.keyctl("status", "--json", "--attest", NONCE, status=1))
        self.assertEqual(said["error"]["code"], "NotSupported")
        self.assertIn("an HSM knows nothing of the boot", said["error"]["message"])


class LateTpmTest(AttestationTest):
    HSM = True
    PAIR = ("hsm", "hsm")

    def test_a_tpm_that_comes_late_attests_late(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.stop_keyd()
        self.service.kill_tpm()
        self.service.start()
        state, detail, boot_id, digest, _, _ = self.boot()
        self.assertEqual((state, digest), ("waiting", ""))
        self.assertIn("the TPM does not answer", detail)
        self.assert_serving()
        self.assertIn("does not answer", self.keyctl("status", "--attest", "boot", "--json",
                                                     status=7))
        frontend = self.service.module(FRONTEND)
        session = frontend.open_session("s", "frontend-id", "initiator", "backend")
        before = len(self.service.log())
        self.service.start_tpm()
        self.service.wait_log("is attested by quote", after=before)
        folder = self.service.root / "quote"
        self.keyctl("status", "--attest", "boot", "--out", folder)
        self.assertTrue(self.accepts(folder, boot_id))
        self.assertEqual(frontend.property(session, "Session", "Boot"), [boot_id, ""])


if __name__ == "__main__":
    unittest.main()
