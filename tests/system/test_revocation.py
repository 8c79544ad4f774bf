"""What is revoked is dead here before the call returns, stays so, and can be told to other hosts."""

import json
import subprocess
import unittest

from harness import BACKEND, BIN, FRONTEND, TIMEOUT, Service, SystemTest

OPENSSL_VERIFY = ["openssl", "dgst", "-sha256", "-verify"]


def keyctl(service, *arguments, code=0):
    """What it prints on its output; fails unless it exits with `code`."""
    said = subprocess.run([BIN / "keyctl", *map(str, arguments)], env=service.environment(),
                          timeout=TIMEOUT, capture_output=True, text=True, check=False)
    if said.returncode != code:
        raise AssertionError(f"exit {said.returncode}: {said.stdout}{said.stderr}")
    return said.stdout if code == 0 else said.stderr


class RevocationTest(SystemTest):
    TPM = False
    PAIR = ("hsm", "hsm")

    def pem(self, key, *arguments, service=None):
        service = service or self.service
        file = service.root / f"{key}.pem"
        file.write_text(keyctl(service, "key", "show", key, "--pem", *arguments))
        return file

    def states(self, service=None):
        rows = json.loads(keyctl(service or self.service, "module", "list", "--json"))
        return {row["name"]: row["state"] for row in rows}

    def revocations(self, service):
        rows = json.loads(keyctl(service, "key", "revocations", "--json"))
        return {(row["kind"], row["name"], row["version"]): row for row in rows}

    def test_a_module(self):
        frontend, backend = self.open_pair()
        said = json.loads(keyctl(self.service, "module", "revoke", "frontend", "--yes", "--json"))
        self.assertEqual(said["sessions_ended"], 2)
        self.assertEqual(frontend.channel("s", "wait_closed"), "Revoked")
        self.assertEqual(backend.channel("s", "wait_closed"), "Revoked")
        for _ in range(2):
            self.assertEqual(self.states()["frontend"], "not enrolled")
            self.assertIn(("key", "frontend-id", 1), self.revocations(self.service))
            self.assert_refused("PermissionDenied", frontend.open_session, "t", "frontend-id",
                                "initiator", "backend", {})
            self.service.restart_keyd()
            frontend = self.service.module(FRONTEND)

    def test_a_remote_peer(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("RemoveModule", "frontend")
        key = self.pem("frontend-id")
        keyctl(self.service, "module", "enrol", "frontend", "--peer-key", key)
        backend = self.service.module(BACKEND)
        backend.open_session("s", "backend-id", "responder", "frontend", {})
        keyctl(self.service, "module", "revoke", "frontend", "--yes")
        self.assertEqual(backend.channel("s", "wait_closed"), "Revoked")
        for _ in range(2):
            self.assertIn("was revoked", keyctl(self.service, "module", "enrol", "frontend",
                                                "--peer-key", key, code=1))
            self.assertIn(("peer", "frontend", None), self.revocations(self.service))
            self.service.restart_keyd()

    def export(self):
        """This host's list, and the service key's public half."""
        file = self.service.root / "revoked.txt"
        keyctl(self.service, "key", "revocations", "--export", file)
        return file, self.pem("keyward-service")

    def test_openssl_verifies_a_list(self):
        self.service.enrol_pair(*self.PAIR)
        keyctl(self.service, "module", "revoke", "frontend", "--yes")
        file, signer = self.export()
        *lines, last = file.read_text().splitlines(keepends=True)
        word, _, signature = last.split()
        self.assertEqual(word, "signature")
        composed, raw = self.service.root / "composed", self.service.root / "signature"
        composed.write_text("".join(lines))
        raw.write_bytes(bytes.fromhex(signature))
        subprocess.run([*OPENSSL_VERIFY, signer, "-signature", raw, composed], check=True,
                       stdout=subprocess.DEVNULL)
        self.assertIn("1 revocations", keyctl(self.service, "key", "revocations", "--verify", file,
                                              "--signer", signer))

    def test_another_host_takes_a_list(self):
        self.service.enrol_pair(*self.PAIR)
        other = Service(tpm=False)
        self.addCleanup(other.close)
        other.start()
        other.admin_call("GenerateKey", "backend-id", "ed25519", "hardware", "hsm")
        other.admin_call("EnrolModule", "backend", "backend-id")
        peer = self.pem("frontend-id")
        keyctl(other, "module", "enrol", "frontend", "--peer-key", peer)
        backend = other.module(BACKEND)
        backend.open_session("s", "backend-id", "responder", "frontend", {})

        keyctl(self.service, "module", "revoke", "frontend", "--yes")
        file, signer = self.export()
        taken = ("key", "revocations", "--import", file, "--signer", signer, "--yes", "--json")
        self.assertEqual(json.loads(keyctl(other, *taken)),
                         {"added": 1, "known": 0, "sessions_ended": 1})
        self.assertEqual(backend.channel("s", "wait_closed"), "Revoked")
        self.assertEqual(json.loads(keyctl(other, *taken))["added"], 0)
        self.assertIn("signed the list itself", keyctl(self.service, *taken, code=2))
        for _ in range(2):
            self.assertEqual(self.states(other)["frontend"], "revoked")
            row = self.revocations(other)["key", "frontend-id", 1]
            self.assertIsNotNone(row["issuer"])
            self.assert_refused("Revoked", backend.open_session, "t", "backend-id", "responder",
                                "frontend", {})
            other.restart_keyd()
            backend = other.module(BACKEND)
        # What others have revoked is theirs to sign.
        keyctl(other, "key", "revocations", "--export", other.root / "theirs.txt")
        self.assertNotIn("frontend-id", (other.root / "theirs.txt").read_text())

    def test_a_list_that_was_changed_or_is_anothers_is_refused(self):
        self.service.enrol_pair(*self.PAIR)
        keyctl(self.service, "module", "revoke", "frontend", "--yes")
        file, signer = self.export()
        stranger = self.pem("backend-id")
        refused = ("key", "revocations", "--import", file, "--yes", "--signer")
        self.assertIn("another key", keyctl(self.service, *refused, stranger, code=1))
        text = file.read_text()
        for changed in (text.replace("frontend-id 1", "frontend-id 2"), text[:-2], text + text, ""):
            file.write_text(changed)
            keyctl(self.service, *refused, signer, code=1)
        self.assertEqual(len(self.revocations(self.service)), 1)
        self.assert_refused("NotFound", self.service.admin_call, "RevokeModule", "nobody")


class RevocationWithoutHardwareTest(SystemTest):
    """The TPM, and with it the counter that confirms every change, is away."""

    HSM = False
    PAIR = ("tpm", "tpm")

    def test_a_module_is_withdrawn_all_the_same(self):
        frontend, backend = self.open_pair()
        self.service.kill_tpm()
        said = self.assert_refused("CustodianUnavailable", self.service.admin_call, "RevokeModule",
                                   "frontend")
        self.assertIn("done, but", said)
        self.assertEqual(frontend.channel("s", "wait_closed"), "Revoked")
        self.assertEqual(backend.channel("s", "wait_closed"), "Revoked")
        self.service.start_tpm()
        self.service.wait_health("ok")
        for _ in range(2):
            rows = json.loads(keyctl(self.service, "module", "list", "--json"))
            states = {row["name"]: row["state"] for row in rows}
            self.assertEqual(states["frontend"], "not enrolled")
            self.assertEqual(states["backend"], "enrolled")
            self.assert_refused("PermissionDenied", frontend.open_session, "t", "frontend-id",
                                "initiator", "backend", {})
            self.service.restart_keyd()
            frontend = self.service.module(FRONTEND)


if __name__ == "__main__":
    unittest.main()
