"""Starting, starting twice, bad configuration, a bus that restarts, and stopping."""

import os
import shutil
import time
import unittest

from channel import SIGN, STEP
from harness import BACKEND, FRONTEND, IS_ROOT, KEYD_USER, ME, Refused, SystemTest

SERVER_VERIFY = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)


class StartupTest(SystemTest):
    HSM = False
    PAIR = ("tpm", "tpm")

    def test_a_second_keyd_on_the_same_state(self):
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1)
        self.assertIn("another keyd uses the state directory", said.stderr)
        self.service.enrol_pair(*self.PAIR)
        self.assert_serving()

    def test_a_state_directory_that_others_may_read(self):
        self.service.stop_keyd()
        os.chmod(self.service.state, 0o750)
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1)
        self.assertIn("mode 0700", said.stderr)

    def test_configuration_that_does_not_hold(self):
        self.service.stop_keyd()
        for text, expected in (
                ("version: 1\nmodules: [\n", "line 3"),
                ("version: 1\nmoduls: {}\n", "line 2"),
                ("version: 1\nmodules:\n  a: {users: [root], keys: {k: [fly]}}\n", "line 3"),
                ("version: 1\nmodules:\n  a: {users: [no-such-user-x]}\n", "line 3"),
                ("", "security.yaml"),
                ("version: 1\n", "neither an 'hsm' nor a 'tpm'")):
            with self.subTest(text=text):
                self.service.write_policy(text)
                said = self.service.run_keyd()
                self.assertEqual(said.returncode, 1)
                self.assertIn("Configuration", said.stderr)
                self.assertIn(expected, said.stderr)

    def test_a_configuration_that_is_missing(self):
        self.service.stop_keyd()
        (self.service.root / "security.yaml").unlink()
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1)
        self.assertIn("security.yaml", said.stderr)

    def test_a_command_line_that_is_wrong(self):
        self.service.stop_keyd()
        said = self.service.run_keyd("/nowhere", "--stat")
        self.assertEqual(said.returncode, 2)
        self.assertIn("--stat", said.stderr)
        for lonely in (("--adopt",), ("--pcr-authority", "/dev/null"), ("--backup", "restore"),
                       ("--backup", "rehearse"), ("--reseal", "move")):
            with self.subTest(lonely):
                said = self.service.run_keyd(None, *lonely)
                self.assertEqual(said.returncode, 2, said.stderr)
                self.assertIn("requires --init", said.stderr)

    def test_reload_keeps_the_old_policy_when_the_new_one_does_not_hold(self):
        frontend, _ = self.open_pair()
        self.service.write_policy("version: 1\nmoduls: {}\n")
        message = self.assert_refused("Configuration", self.service.admin_call, "ReloadPolicy")
        self.assertIn("line 2", message)
        self.assertTrue(frontend.channel("s", "seal", b"x", b""))
        self.assert_serving()

    def test_reload_keeps_the_hardware_that_has_the_master_key(self):
        self.service.write_policy(hsm=True, tpm=False)
        message = self.assert_refused("Configuration", self.service.admin_call, "ReloadPolicy")
        self.assertIn("the master key is in the 'tpm'", message)
        self.service.write_policy(hsm=False, tpm=True)
        self.service.admin_call("ReloadPolicy")

    def test_reload_ends_what_is_no_longer_allowed(self):
        frontend, backend = self.open_pair()
        self.service.write_policy(peers={"frontend": [], "backend": ["frontend"]})
        self.service.keyd.send_signal(1)
        self.assertEqual(frontend.channel("s", "wait_closed"), "PermissionDenied")
        self.assertTrue(backend.is_open("s"))
        self.assert_refused("PeerNotAllowed", frontend.open_session, "t", "frontend-id",
                            "initiator", "backend")

    def test_a_bus_that_restarts(self):
        frontend, backend = self.open_pair()
        before = len(self.service.log())
        self.service.stop_bus()
        self.service.wait_log("the bus is gone", after=before)
        frame = frontend.channel("s", "seal", b"without a bus", b"")
        self.assertEqual(backend.channel("s", "open", frame)[0], b"without a bus")
        self.service.start_bus()
        self.service.wait_log("connected to the bus", after=before)
        sessions = self.service.admin_call("ListSessions")
        self.assertEqual(len(sessions), 2)
        again = self.service.module(FRONTEND)
        self.assertEqual(again.property(sessions[0][0], "Session", "State"), "established")
        self.assert_serving()

    def test_a_bus_that_goes_while_answers_are_outstanding(self):
        _, backend = self.open_pair()
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "tpm")
        before = len(self.service.log())
        backend.start_signatures("web", "tls13-server", SERVER_VERIFY, 60)
        self.service.stop_bus()
        self.service.wait_log("the bus is gone", after=before)
        self.service.start_bus()
        self.service.wait_log("connected to the bus", after=before)
        self.assert_serving()


class HsmStartupTest(SystemTest):
    TPM = False
    PAIR = ("hsm", "hsm")

    def test_a_start_does_not_wait_for_the_next_look_at_the_hardware(self):
        def seconds():
            before = time.monotonic()
            self.service.restart_keyd()
            return time.monotonic() - before
        # The hardware is looked at every 2 seconds; however loaded the machine is, one of these is quick.
        self.assertLess(min(seconds() for _ in range(5)), 2)

    def test_a_second_keyd_on_the_same_bus(self):
        other = self.service.root / "other-state"
        other.mkdir(mode=0o700)
        if IS_ROOT:
            shutil.chown(other, KEYD_USER)
        said = self.service.run_keyd(other, *self.service.init_arguments())
        self.assertEqual(said.returncode, 0, said.stderr)
        said = self.service.run_keyd(other)
        self.assertEqual(said.returncode, 1)
        self.assertIn("another keyd serves this bus", said.stderr)

    def start_everything(self):
        """Has the token sign for a channel, the bus, handshakes and a rotation; waits for none."""
        flood, bus, frontend, backend, admin = (
            self.service.module(user) for user in (BACKEND, BACKEND, FRONTEND, BACKEND, ME))
        flood.open_key("k", "web")
        hellos = []
        for handle in map(str, range(20)):
            frontend.open_session(handle, "frontend-id", "initiator", "backend")
            backend.open_session(handle, "backend-id", "responder", "frontend")
            hellos.append((handle, frontend.channel(handle, "step", b"")[0]))
        body = b"\x0ctls13-server" + SERVER_VERIFY
        flood.channel("k", "request", SIGN, body)
        flood.send("flood", "k", SIGN, body, 1_000_000)
        admin.send("admin", "RotateKey", "web")
        bus.start_signatures("web", "tls13-server", SERVER_VERIFY, 60)
        for handle, hello in hellos:
            backend.channel(handle, "send", STEP, hello)
        return flood

    def test_a_shutdown_while_the_token_works(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        for _ in range(3):
            flood = self.start_everything()
            self.assertEqual(self.service.stop_keyd(), 0, self.service.log())
            self.assertIn("keyd has stopped", self.service.log().splitlines()[-1])
            self.assertRaises(Refused, flood.result)  # it was in the midst of it
            self.service.log_path.unlink()
            self.service.start()
            self.service.wait_health("ok")
            backend = self.service.module(BACKEND)
            states = [version[1] for version in
                      backend.property("/org/keyward/Keyd1/key/web", "Key", "Versions")]
            self.assertEqual(states.count("active"), 1, states)
            backend.open_key("k", "web")
            self.assertTrue(backend.channel("k", "sign", "tls13-server", SERVER_VERIFY))
            self.assert_serving()


if __name__ == "__main__":
    unittest.main()
