"""What arrives on a channel, and how a session ends."""

import os
import signal
import struct
import subprocess
import unittest

from channel import CLOSE, HEADER, SEAL, SIGN
from harness import BACKEND, FRONTEND, Refused, SystemTest


class TpmPairTest(SystemTest):
    HSM = False
    PAIR = ("tpm", "tpm")


class TokenTest(TpmPairTest):
    def setUp(self):
        super().setUp()
        self.frontend, self.backend = self.open_pair()
        self.token = self.frontend.channel("s", "token")

    def assert_no_token(self, code, token, module=None):
        self.assert_refused(code, (module or self.backend).channel, "s", "check_token", token)

    def test_the_peer_learns_who_shows_it(self):
        (path,) = [s[0] for s in self.service.admin_call("ListSessions") if s[1] == "frontend"]
        session, left, module = self.backend.channel("s", "check_token", self.token)
        self.assertEqual((path.rsplit("/")[-1], module), (str(session), "frontend"))
        self.assertGreater(left, 0)
        self.assertLessEqual(left, 3600)

    def test_it_is_for_the_peer_alone(self):
        self.assert_no_token("PeerNotAllowed", self.token, self.frontend)

    def test_a_handshake_has_none(self):
        self.frontend.open_session("early", "frontend-id", "initiator", "backend", {})
        self.assert_refused("WrongState", self.frontend.channel, "early", "token")

    def test_what_keyd_did_not_make(self):
        for at in (0, 4):
            self.assert_no_token("Malformed", flip(self.token, at))
        for at in (5, 12, 13, 44, 45, len(self.token) - 1):
            self.assert_no_token("AuthenticationFailed", flip(self.token, at))
        for bad in (b"", self.token[:-1], self.token + b"x", bytes(1 << 20)):
            self.assert_no_token("Malformed", bad)

    def test_it_ends_with_its_session(self):
        self.join(self.frontend, self.backend, "other")
        self.frontend.close("s")
        self.wait_sessions("backend", "backend", "frontend")
        self.assert_refused("SessionClosed", self.backend.channel, "other", "check_token", self.token)

    def test_it_outlives_neither_a_seal_nor_a_restart(self):
        """Though the numbers of sessions begin anew."""
        for again in (self.seal_and_unseal, self.service.restart_keyd):
            again()
            self.frontend, self.backend = (self.service.module(m) for m in (FRONTEND, BACKEND))
            self.join(self.frontend, self.backend)
            self.assert_no_token("SessionClosed", self.token)
            fresh = self.frontend.channel("s", "token")
            self.assertEqual(self.backend.channel("s", "check_token", fresh)[2], "frontend")

    def seal_and_unseal(self):
        self.service.admin_call("Seal")
        self.service.admin_call("Unseal")


def flip(data, at):
    altered = bytearray(data)
    altered[at] ^= 1
    return bytes(altered)


class HostileFrameTest(TpmPairTest):
    def setUp(self):
        super().setUp()
        self.frontend, self.backend = self.open_pair()

    def tearDown(self):
        self.assert_serving()

    def test_tampered_frames_change_nothing(self):
        frame = self.frontend.channel("s", "seal", b"message", b"")
        for at in (0, 8, 32, 37, len(frame) - 1):
            bad = bytearray(frame)
            bad[at] ^= 1
            with self.assertRaises(Refused) as caught:
                self.backend.channel("s", "open", bytes(bad))
            self.assertIn(caught.exception.code, ("AuthenticationFailed", "Malformed", "TooLarge"))
        self.assertEqual(self.backend.channel("s", "open", frame)[0], b"message")

    def test_truncated_frames(self):
        frame = self.frontend.channel("s", "seal", b"message", b"")
        for size in (0, 7, 8, 31, 35, 36, 40, len(frame) - 1):
            with self.assertRaises(Refused) as caught:
                self.backend.channel("s", "open", frame[:size])
            self.assertIn(caught.exception.code, ("AuthenticationFailed", "Malformed"))
        self.assertEqual(self.backend.channel("s", "open", frame)[0], b"message")

    def test_replay_and_reordering(self):
        first = self.frontend.channel("s", "seal", b"1", b"")
        second = self.frontend.channel("s", "seal", b"2", b"")
        self.assert_refused("Replayed", self.backend.channel, "s", "open", second)
        self.backend.channel("s", "open", first)
        self.assert_refused("Replayed", self.backend.channel, "s", "open", first)
        self.backend.channel("s", "open", second)

    def test_a_message_sent_back_to_its_sender(self):
        frame = self.frontend.channel("s", "seal", b"1", b"")
        self.assert_refused("AuthenticationFailed", self.frontend.channel, "s", "open", frame)

    def test_oversized(self):
        self.assert_refused("TooLarge", self.frontend.channel, "s", "seal",
                            bytes(16 * 1024 * 1024 + 1), b"")
        self.assert_refused("TooLarge", self.frontend.channel, "s", "seal", b"x",
                            b'{"a":"' + b"x" * 5000 + b'"}')

    def test_the_largest_message_on_the_bus(self):
        path = {s[1]: s[0] for s in self.service.admin_call("ListSessions")}
        plaintext, metadata = bytes(64 * 1024), '{"a":"' + "x" * 4000 + '"}'
        frame = self.frontend.bytes_call(path["frontend"], "Session", "Seal", plaintext, metadata)
        self.assertEqual(self.backend.bytes_call(path["backend"], "Session", "Open", frame),
                         [plaintext, metadata])
        message = self.assert_refused("TooLarge", self.frontend.bytes_call, path["frontend"],
                                      "Session", "Seal", plaintext + b"x", "")
        self.assertIn("channel", message)

    def test_metadata_that_is_no_object_or_takes_keywards_members(self):
        for metadata in (b"text", b"[1]", b'{"seq":1}', b'{"epoch":1}', b"\xff"):
            self.assert_refused("Malformed", self.frontend.channel, "s", "seal", b"x", metadata)

    def test_operations_of_another_object(self):
        self.assert_refused("InvalidArgument", self.frontend.channel, "s", "request", SIGN, b"")
        self.assert_refused("InvalidArgument", self.frontend.channel, "s", "request", 77, b"")
        self.assert_refused("WrongState", self.frontend.channel, "s", "step", b"")

    def test_nonsense_on_the_channel_ends_it(self):
        self.frontend.send_raw("s", b"nonsense")
        self.assertEqual(self.frontend.channel("s", "wait_closed"), "Malformed")

    def test_a_body_beyond_the_limit_ends_it(self):
        self.frontend.send_raw("s", HEADER.pack(1, SEAL, 0, 1, 0xffffffff, 0, 0))
        self.assertEqual(self.frontend.channel("s", "wait_closed"), "TooLarge")

    def test_a_flood_by_one_leaves_the_other_served(self):
        self.frontend.send("flood", "s", SEAL, struct.pack(">I", 0) + bytes(1024), 2000)
        for _ in range(50):
            self.assertTrue(self.backend.channel("s", "seal", b"x", b""))
        self.assertEqual(set(self.frontend.result()), {0})


class HandshakeTest(TpmPairTest):
    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.frontend = self.service.module(FRONTEND)
        self.backend = self.service.module(BACKEND)
        self.frontend.open_session("s", "frontend-id", "initiator", "backend")
        self.backend.open_session("s", "backend-id", "responder", "frontend")

    def tearDown(self):
        self.assert_serving()

    def test_a_tampered_message_ends_the_handshake(self):
        hello, _ = self.frontend.channel("s", "step", b"")
        reply, _ = self.backend.channel("s", "step", hello)
        bad = reply[:-1] + bytes([reply[-1] ^ 1])
        self.assert_refused("AuthenticationFailed", self.frontend.channel, "s", "step", bad)
        self.assertEqual(self.frontend.channel("s", "wait_closed"), "AuthenticationFailed")

    def test_a_client_that_is_killed_half_way(self):
        hello, _ = self.frontend.channel("s", "step", b"")
        self.backend.channel("s", "step", hello)
        self.frontend.kill()
        self.backend.kill()
        self.wait_sessions()

    def test_sealing_before_the_handshake_is_over(self):
        self.assert_refused("WrongState", self.frontend.channel, "s", "seal", b"x", b"")


class EndTest(TpmPairTest):
    def test_close_at_either_end(self):
        frontend, backend = self.open_pair()
        path = [s[0] for s in self.service.admin_call("ListSessions") if s[1] == "backend"][0]
        frontend.channel("s", "request", CLOSE, b"")
        self.assertEqual(frontend.channel("s", "wait_closed"), "SessionClosed")
        backend.call(path, "Session", "Close")
        self.assertEqual(backend.channel("s", "wait_closed"), "SessionClosed")
        self.assertEqual(self.service.admin_call("ListSessions"), [])

    def test_the_bus_hears_of_the_end_and_its_reason(self):
        self.open_pair()
        with subprocess.Popen(
                ["dbus-monitor", "--address", self.service.bus_address,
                 "type='signal',interface='org.keyward.Keyd1.Session',member='Closed'"],
                stdout=subprocess.PIPE, text=True) as monitor:
            for line in monitor.stdout:  # it says so once it listens
                if "NameLost" in line:
                    break
            self.service.admin_call("RevokeKey", "backend-id", 0)
            reasons = []
            for line in monitor.stdout:
                if "string" in line and "revoked" in line:
                    reasons.append(line.strip())
                if len(reasons) == 2:
                    break
            monitor.terminate()
        self.assertEqual(set(reasons), {'string "the key was revoked"'})

    def test_use_after_the_end(self):
        frontend, _ = self.open_pair()
        path = [s[0] for s in self.service.admin_call("ListSessions") if s[1] == "frontend"][0]
        self.service.admin_call("EndSessions", path, "")
        self.assertEqual(frontend.channel("s", "wait_closed"), "SessionClosed")
        with self.assertRaises(Refused):
            frontend.bytes_call(path, "Session", "Seal", b"x", "")

    def test_the_handle_lives_as_long_as_its_last_holder(self):
        frontend, backend = self.open_pair()
        child = frontend.fork_holder("s")
        frontend.close("s")
        self.assertEqual(len(self.service.admin_call("ListSessions")), 2)
        backend.channel("s", "seal", b"x", b"")
        frontend.end_holder(child)
        self.wait_sessions("backend")

    def test_a_killed_holder_ends_its_session(self):
        frontend, _ = self.open_pair()
        os.kill(frontend.pid, signal.SIGKILL)
        frontend.process.wait()
        self.wait_sessions("backend")

    def test_a_session_reaches_its_timeout(self):
        frontend, backend = self.open_pair({"timeout": 1})
        for module in (frontend, backend):
            self.assertEqual(module.channel("s", "wait_closed"), "Expired")

    def test_a_reload_that_takes_a_modules_grants_away(self):
        frontend, backend = self.open_pair()
        admin = self.service.admin_call
        admin("GenerateKey", "web", "ecdsa-p256", "hardware", "tpm")
        payload = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)
        backend.open_key("k", "web")
        self.service.write_policy(backend_keys="{web: [tls13-server]}")
        admin("ReloadPolicy")
        self.assertEqual(backend.channel("s", "wait_closed"), "PermissionDenied")
        self.assertTrue(frontend.is_open("s"))
        self.assert_refused("PermissionDenied", backend.open_session, "t", "backend-id",
                            "responder", "frontend")
        # Every key channel is opened anew, under the grants of now.
        self.assertEqual(backend.channel("k", "wait_closed"), "SessionClosed")
        backend.open_key("k", "web")
        self.assertTrue(backend.channel("k", "sign", "tls13-server", payload))
        self.service.write_policy(backend_keys="{backend-id: [aico]}")
        admin("ReloadPolicy")
        self.assertEqual(backend.channel("k", "wait_closed"), "SessionClosed")
        self.assert_refused("PermissionDenied", backend.open_key, "k", "web")
        self.assert_refused("PermissionDenied", backend.bytes_call, "/org/keyward/Keyd1/key/web",
                            "Key", "SignHandshake", "tls13-server", payload)
        backend.open_session("t", "backend-id", "responder", "frontend")

    def test_removing_a_module_ends_its_sessions_and_its_peers(self):
        frontend, backend = self.open_pair()
        self.assertEqual(self.service.admin_call("RemoveModule", "frontend"), 2)
        for module in (frontend, backend):
            self.assertEqual(module.channel("s", "wait_closed"), "Revoked")

    def test_stopping_keyd_ends_sessions_cleanly(self):
        frontend, _ = self.open_pair()
        self.assertEqual(self.service.stop_keyd(), 0)
        self.assertEqual(frontend.channel("s", "wait_closed"), "SessionClosed")


class LimitTest(TpmPairTest):
    POLICY = {"sessions": "{max_sessions: 3, handshake_timeout: 1}"}

    def test_a_module_has_only_so_many_sessions(self):
        self.service.enrol_pair(*self.PAIR)
        frontend = self.service.module(FRONTEND)
        backend = self.service.module(BACKEND)
        for i in range(3):
            frontend.open_session(f"s{i}", "frontend-id", "initiator", "backend")
        self.assert_refused("ResourceExhausted", frontend.open_session, "s3", "frontend-id",
                            "initiator", "backend")
        backend.open_session("s", "backend-id", "responder", "frontend")
        for i in range(3):  # none of them finished its handshake in time
            self.assertEqual(frontend.channel(f"s{i}", "wait_closed"), "Expired")
        self.join(frontend, backend, "again")


if __name__ == "__main__":
    unittest.main()
