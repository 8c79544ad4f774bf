"""Keys of custody derived on real hardware: what their master key is in makes no difference to them."""

import json
import shutil
import signal
import subprocess
import unittest

from nacl import bindings

from derived_seed import derived_seed
from harness import BACKEND, BIN, FRONTEND, KEYD_USER, TIMEOUT, SystemTest, as_user
from test_main_job import SERVER_VERIFY

REVEAL = BIN.parent / "tests/keyward-reveal-secrets"


class DerivedKeyTest(SystemTest):
    """With the master key in SoftHSM2."""

    HSM, TPM = True, False
    IDENTITIES = ("frontend-id", "backend-id")

    def setUp(self):
        super().setUp()
        shutil.copy(BIN / "keyctl", self.service.root)
        for name in self.IDENTITIES:
            self.keyctl("key", "generate", name, "--custody", "derived")
            self.service.admin_call("EnrolModule", name.removesuffix("-id"), name)

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([self.service.root / "keyctl", *arguments],
                              env=self.service.environment(), capture_output=True, text=True,
                              timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stdout + said.stderr)
        return said.stdout + said.stderr

    def shown(self, key):
        return json.loads(self.keyctl("key", "show", key, "--json"))

    def public_key(self, key):
        return self.service.module(BACKEND).property(self.path_of(key), "Key", "PublicKey")[-32:]

    @staticmethod
    def path_of(key):
        return f"/org/keyward/Keyd1/key/{key.replace('-', '_2d')}"

    def pair(self, handle="s"):
        frontend, backend = self.service.module(FRONTEND), self.service.module(BACKEND)
        self.join(frontend, backend, handle)
        return frontend, backend

    def assert_talk(self, frontend, backend, handle="s"):
        frame = frontend.channel(handle, "seal", b"said", b"")
        self.assertEqual(backend.channel(handle, "open", frame)[0], b"said")

    def test_identities_live_through_rotation_restart_revocation_and_destruction(self):
        frontend, backend = self.pair()
        self.service.admin_call("RotateKey", "frontend-id")
        self.assert_talk(frontend, backend)  # the session before goes on
        self.assert_talk(*self.pair("new"), "new")
        before = [version["fingerprint"] for version in self.shown("frontend-id")["versions"]]
        self.service.restart_keyd(signal.SIGKILL)
        after = self.shown("frontend-id")["versions"]
        self.assertEqual([version["fingerprint"] for version in after], before)
        self.assertEqual([version["state"] for version in after], ["retiring", "active"])
        frontend, backend = self.pair()
        self.assert_talk(frontend, backend)
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        self.assertEqual(frontend.channel("s", "wait_closed"), "Revoked")
        self.service.admin_call("DestroyKey", "frontend-id", 0)
        self.keyctl("key", "generate", "frontend-id", "--custody", "derived")
        versions = self.shown("frontend-id")["versions"]
        self.assertEqual([version["state"] for version in versions], ["destroyed", "destroyed", "active"])
        self.assertNotIn(versions[-1]["fingerprint"], before)
        self.assert_refused("PermissionDenied", frontend.open_session, "t", "frontend-id", "initiator",
                            "backend")  # nobody's identity until it is enrolled
        self.service.admin_call("EnrolModule", "frontend", "frontend-id")
        self.assert_serving()

    def test_a_version_is_prepared_activated_and_retired(self):
        self.keyctl("key", "prepare", "backend-id")
        self.service.restart_keyd()
        self.keyctl("key", "activate", "backend-id")
        self.assert_talk(*self.pair())
        self.keyctl("key", "retire", "backend-id", "--version", "1", "--yes")
        states = [version["state"] for version in self.shown("backend-id")["versions"]]
        self.assertEqual(states, ["retired", "active"])
        self.assert_serving()

    def test_a_certificate_verify_of_it_verifies(self):
        self.keyctl("key", "generate", "web", "--custody", "derived")
        backend = self.service.module(BACKEND)
        backend.open_key("k", "web")
        signature = backend.channel("k", "sign", "tls13-server", SERVER_VERIFY)
        public_key = bytes(self.public_key("web"))
        self.assertEqual(bindings.crypto_sign_open(signature + SERVER_VERIFY, public_key), SERVER_VERIFY)

    def test_its_seed_is_the_documented_one_and_on_no_disk(self):
        """Python makes the public half of the master key, which the hardware gives, and the salt."""
        self.service.admin_call("RotateKey", "backend-id")
        public_key = bytes(self.public_key("backend-id"))
        self.service.admin_call("DestroyKey", "backend-id", 1)
        self.service.stop_keyd()
        shutil.copy(REVEAL, self.service.root)
        command = [str(self.service.root / REVEAL.name), str(self.service.root / "security.yaml"),
                   str(self.service.state)]
        said = subprocess.run(as_user(KEYD_USER, command), env=self.service.environment(), check=True,
                              capture_output=True, text=True, timeout=TIMEOUT)
        told = dict(line.split() for line in said.stdout.splitlines())
        salt = bytes.fromhex(told["salt-backend-id"])
        seed = derived_seed(bytes.fromhex(told["master"]), "backend-id", 2, salt)
        self.assertEqual(bindings.crypto_sign_seed_keypair(seed)[0], public_key)
        files = [path for path in self.service.root.rglob("*") if path.is_file()]
        state = [path for path in files if self.service.state in path.parents]
        self.assertTrue(any(public_key in path.read_bytes() for path in state))
        self.assertEqual([path for path in state if seed[:16] in path.read_bytes()], [])

    def test_what_is_shown_and_refused(self):
        self.assertIn("frontend-id: ed25519, derived from the master key",
                      self.keyctl("key", "show", "frontend-id"))
        self.assertEqual([self.shown("frontend-id")[field] for field in ("custody", "custodian")],
                         ["derived", ""])
        self.assertIn("is for ed25519", self.keyctl("key", "generate", "web", "--custody", "derived",
                                                    "--algorithm", "ecdsa-p256", status=1))
        self.assertIn("has no custodian", self.keyctl("key", "generate", "web", "--custody", "derived",
                                                      "--custodian", self.service.master, status=2))


class TpmDerivedKeyTest(DerivedKeyTest):
    """With the master key in a TPM, under a signed state of the boot."""

    HSM, TPM = False, True

    def test_identities_serve_while_the_tpm_is_away(self):
        self.service.kill_tpm()
        self.assert_talk(*self.pair())


if __name__ == "__main__":
    unittest.main()
