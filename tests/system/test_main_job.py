"""Two modules share a session, and neither ever holds a key."""

import hashlib
import os
import subprocess
import tempfile
import unittest

from harness import BACKEND, FRONTEND, ME, Refused, SystemTest, handshake

SERVER_VERIFY = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + hashlib.sha256(b"x").digest()
FILE_SIZE = 10 * 1024 * 1024


class MainJobTest(SystemTest):
    def test_text_goes_both_ways(self):
        frontend, backend = self.open_pair()
        for sender, receiver in ((frontend, backend), (backend, frontend)):
            frame = sender.channel("s", "seal", "grüße".encode(), b'{"topic":"x"}')
            self.assertTrue(frame.startswith(b"AICO-MSG"))
            self.assertEqual(receiver.channel("s", "open", frame),
                             ["grüße".encode(), b'{"topic":"x"}'])

    def test_the_same_over_plain_dbus(self):
        self.service.enrol_pair(*self.PAIR)
        frontend, backend = self.service.module(FRONTEND), self.service.module(BACKEND)
        a = frontend.open_session("s", "frontend-id", "initiator", "backend")
        b = backend.open_session("s", "backend-id", "responder", "frontend")
        step = lambda module, path, data: module.bytes_call(path, "Session", "Step", data)  # noqa
        message, _ = step(frontend, a, b"")
        message, _ = step(backend, b, message)
        message, done = step(frontend, a, message)
        self.assertTrue(done)
        self.assertTrue(step(backend, b, message)[1])
        self.assertEqual(frontend.property(a, "Session", "State"), "established")
        frame = frontend.bytes_call(a, "Session", "Seal", b"text", '{"n":1}')
        self.assertEqual(backend.bytes_call(b, "Session", "Open", frame), [b"text", '{"n":1}'])
        frontend.call(a, "Session", "Rekey")
        frame = frontend.bytes_call(a, "Session", "Seal", b"again", "")
        self.assertEqual(backend.bytes_call(b, "Session", "Open", frame), [b"again", ""])
        self.assertEqual(backend.property(b, "Session", "Opened"), 2)

    def test_a_file_of_ten_mebibytes_arrives(self):
        frontend, backend = self.open_pair()
        content = os.urandom(FILE_SIZE)
        frame = frontend.channel("s", "seal", content, b"")
        arrived, _ = backend.channel("s", "open", frame)
        self.assertEqual(hashlib.sha256(arrived).digest(), hashlib.sha256(content).digest())

    def test_rotation_leaves_sessions_and_new_ones_take_the_new_version(self):
        frontend, backend = self.open_pair()
        self.assertEqual(self.service.admin_call("RotateKey", "frontend-id"), 2)
        frame = frontend.channel("s", "seal", b"old session", b"")
        self.assertEqual(backend.channel("s", "open", frame)[0], b"old session")
        self.join(frontend, backend, "new")
        versions = {session[3] for session in self.service.admin_call("ListSessions")
                    if session[1] == "frontend"}
        self.assertEqual(versions, {1, 2})

    def versions(self, key):
        """Number and state of each version."""
        path = "/org/keyward/Keyd1/key/" + key.replace("-", "_2d")
        return [(v[0], v[1]) for v in self.service.module(ME).property(path, "Key", "Versions")]

    def test_a_handshake_across_a_rotation(self):
        self.service.enrol_pair(*self.PAIR)
        frontend, backend = self.service.module(FRONTEND), self.service.module(BACKEND)
        frontend.open_session("s", "frontend-id", "initiator", "backend")
        self.service.admin_call("RotateKey", "frontend-id")
        backend.open_session("s", "backend-id", "responder", "frontend")
        handshake(frontend, backend)

    def test_a_version_is_prepared_activated_and_retired(self):
        frontend, backend = self.open_pair()
        self.assertEqual(self.service.admin_call("PrepareKey", "frontend-id"), 2)
        self.assertEqual(self.versions("frontend-id"), [(1, "active"), (2, "pending")])
        self.service.restart_keyd()
        self.assertEqual(self.service.admin_call("ActivateKey", "frontend-id"), 2)
        self.assertEqual(self.versions("frontend-id"), [(1, "retiring"), (2, "active")])
        self.service.admin_call("RetireVersion", "frontend-id", 1)
        self.assertEqual(self.versions("frontend-id"), [(1, "retired"), (2, "active")])
        self.service.admin_call("DestroyKey", "frontend-id", 1)
        self.assertEqual(self.versions("frontend-id"), [(1, "destroyed"), (2, "active")])
        self.assert_serving()

    def test_retiring_ends_the_sessions_that_rest_on_the_version(self):
        frontend, backend = self.open_pair()
        self.service.admin_call("RotateKey", "frontend-id")
        self.service.admin_call("RetireVersion", "frontend-id", 1)
        self.assertEqual(frontend.channel("s", "wait_closed"), "Expired")
        self.assert_serving()

    def test_two_admins_who_rotate_at_once(self):
        self.service.enrol_pair(*self.PAIR)
        admins = [self.service.module(ME) for _ in range(4)]
        for admin in admins:
            admin.send("admin", "RotateKey", "frontend-id")
        outcomes = []
        for admin in admins:
            try:
                outcomes.append(admin.result())
            except Refused as refused:
                self.assertEqual(refused.code, "Busy")
        states = self.versions("frontend-id")
        self.assertEqual([state for _, state in states].count("active"), 1)
        self.assertEqual(max(outcomes), states[-1][0])
        self.assert_serving()

    def test_revocation_ends_both_ends_before_it_returns(self):
        frontend, backend = self.open_pair()
        self.assertEqual(self.service.admin_call("RevokeKey", "frontend-id", 0), 2)
        for module in (frontend, backend):
            self.assertEqual(module.channel("s", "wait_closed"), "Revoked")
        self.assertEqual(self.service.admin_call("ListSessions"), [])
        self.assert_refused("Revoked", frontend.open_session, "t", "frontend-id", "initiator",
                            "backend")

    def test_what_is_revoked_stays_so_after_a_restart(self):
        frontend, _ = self.open_pair()
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        self.service.restart_keyd()
        frontend = self.service.module(FRONTEND)
        self.assert_refused("Revoked", frontend.open_session, "t", "frontend-id", "initiator",
                            "backend")

    def test_keys_and_enrolments_survive_a_kill(self):
        self.open_pair()
        before = {m[0]: m[3] for m in self.service.admin_call("ListModules")}
        self.service.restart_keyd(9)
        self.assertEqual({m[0]: m[3] for m in self.service.admin_call("ListModules")}, before)
        self.assert_serving()

    def test_destroying_a_key_takes_it_away_for_good(self):
        frontend, _ = self.open_pair()
        self.assertEqual(self.service.admin_call("DestroyKey", "frontend-id", 0), 2)
        self.assertEqual(frontend.channel("s", "wait_closed"), "Revoked")
        self.assertEqual([k[0] for k in self.service.module(BACKEND).manager("ListKeys")],
                         ["backend-id"])
        self.service.admin_call("GenerateKey", "frontend-id", "ed25519", "hardware", "hsm")
        # A new key of the old name is nobody's identity until it is enrolled.
        self.assert_refused("PermissionDenied", frontend.open_session, "t", "frontend-id",
                            "initiator", "backend")
        self.service.admin_call("EnrolModule", "frontend", "frontend-id")
        self.assert_serving()


class TypedSigningTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "tpm")
        self.service.admin_call("GenerateKey", "anything", "ecdsa-p256", "hardware", "hsm")
        self.backend = self.service.module(BACKEND)
        self.path = self.backend.open_key("k", "web")

    def assert_openssl_verifies(self, spki, signature, payload):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("key", spki), ("sig", signature), ("data", payload)):
                with open(f"{folder}/{name}", "wb") as file:
                    file.write(content)
            said = subprocess.run(
                ["openssl", "dgst", "-sha256", "-verify", f"{folder}/key", "-keyform", "DER",
                 "-signature", f"{folder}/sig", f"{folder}/data"],
                capture_output=True, text=True, check=False)
        self.assertIn("Verified OK", said.stdout, said.stderr)

    def test_openssl_verifies_a_certificate_verify_of_the_tpm(self):
        signature = self.backend.channel("k", "sign", "tls13-server", SERVER_VERIFY)
        spki = self.backend.property(self.path, "Key", "PublicKey")
        self.assert_openssl_verifies(spki, signature, SERVER_VERIFY)
        signature = self.backend.bytes_call(self.path, "Key", "SignHandshake", "tls13-server",
                                            SERVER_VERIFY)
        self.assert_openssl_verifies(spki, signature, SERVER_VERIFY)

    def test_what_is_no_certificate_verify_is_refused(self):
        for payload in (b"", b"x", SERVER_VERIFY[:-1], SERVER_VERIFY + b"x", SERVER_VERIFY[1:],
                        SERVER_VERIFY.replace(b"server", b"client"), b" " * 130,
                        hashlib.sha256(SERVER_VERIFY).digest()):
            self.assert_refused("Malformed", self.backend.channel, "k", "sign", "tls13-server",
                                payload)
        self.backend.channel("k", "sign", "tls13-server", SERVER_VERIFY)

    def test_a_purpose_that_is_not_granted_or_not_known(self):
        self.assert_refused("PermissionDenied", self.backend.channel, "k", "sign", "raw", b"x")
        self.assert_refused("PermissionDenied", self.backend.channel, "k", "sign", "tls13-client",
                            SERVER_VERIFY.replace(b"server", b"client"))
        self.assert_refused("UnknownPurpose", self.backend.channel, "k", "sign", "magic", b"x")

    def test_raw_signs_no_lookalikes(self):
        self.backend.open_key("r", "anything")
        self.assertTrue(self.backend.channel("r", "sign", "raw", b"some bytes"))
        for payload in (SERVER_VERIFY, b"AICO-SIG-V1\x01..."):
            self.assert_refused("Malformed", self.backend.channel, "r", "sign", "raw", payload)

    def test_a_key_handle_follows_rotation_and_ends_with_revocation(self):
        self.service.admin_call("RotateKey", "web")
        signature = self.backend.channel("k", "sign", "tls13-server", SERVER_VERIFY)
        spki = self.backend.property(self.path, "Key", "PublicKey")
        self.assert_openssl_verifies(spki, signature, SERVER_VERIFY)
        self.service.admin_call("RevokeKey", "web", 0)
        self.assertEqual(self.backend.channel("k", "wait_closed"), "Revoked")


if __name__ == "__main__":
    unittest.main()
