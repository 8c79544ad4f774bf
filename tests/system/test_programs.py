"""The programs that people run: keyctl, and the examples in C++ and Python."""

import json
import os
import shutil
import socket
import struct
import subprocess
import unittest

from harness import BACKEND, BIN, FRONTEND, IS_ROOT, ME, SOURCE, STRANGER, SystemTest, TIMEOUT, as_user

PROGRAMS = ("keyctl", "keyward-example-module", "keyward-example-sign-tls")
FILE_SIZE = 3 * 1024 * 1024 + 17  # bytes


class ProgramTest(SystemTest):
    def setUp(self):
        super().setUp()
        root = self.service.root
        for name in PROGRAMS:
            shutil.copy(BIN / name, root)
        shutil.copy(SOURCE / "examples/python/module.py", root)
        self.shared = root / "shared"  # for every user
        self.shared.mkdir()
        os.chmod(self.shared, 0o777)
        self.socket = self.shared / "peer.sock"
        self.environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.service.bus_address)

    def keyctl(self, *arguments, status=0, user=ME):
        """What it printed, as JSON; or the error, when it is to end with another status than 0."""
        done = subprocess.run(
            as_user(user, [str(self.service.root / "keyctl"), *arguments, "--json"]),
            env=self.environment, capture_output=True, text=True, check=False, timeout=TIMEOUT,
            stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if status == 0 else json.loads(done.stderr)["error"]

    def provision(self):
        self.keyctl("key", "generate", "frontend-id", "--custodian", "hsm")
        self.keyctl("key", "generate", "backend-id", "--custody", "sealed", "--custodian", "tpm")
        for name in ("frontend", "backend"):
            self.keyctl("module", "enrol", name, "--identity", f"{name}-id")

    def start_program(self, user, program, *arguments):
        prefix = ["/usr/bin/python3"] if program.endswith(".py") else []
        process = subprocess.Popen(
            as_user(user, [*prefix, str(self.service.root / program), *map(str, arguments)]),
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def start_pair(self, listener, connector, listen=(), connect=()):
        """The backend listens, the frontend connects; both tell events."""
        backend = self.start_program(BACKEND, listener, "--events", "--listen", self.socket, "--key",
                                     "backend-id", "--peer", "frontend", *listen)
        self.assertEqual(self.event(backend)["event"], "listening")
        frontend = self.start_program(FRONTEND, connector, "--events", "--connect", self.socket,
                                      "--key", "frontend-id", "--peer", "backend", *connect)
        return frontend, backend

    def event(self, process, kind=None):
        """The next event, or the next of that kind."""
        while True:
            line = process.stdout.readline()
            self.assertTrue(line, process.stderr.read() if not line else "")
            event = json.loads(line)
            if kind in (None, event["event"]):
                return event

    def finish(self, process, status=0):
        """All its further events, once it has ended."""
        out, err = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, status, err)
        return [json.loads(line) for line in out.splitlines()]


class ExampleTest(ProgramTest):
    CPP, PYTHON = "keyward-example-module", "module.py"

    def setUp(self):
        super().setUp()
        self.provision()

    def assert_they_talk(self, listener, connector):
        content = os.urandom(FILE_SIZE)
        (self.shared / "sent").write_bytes(content)
        os.chmod(self.shared / "sent", 0o644)
        frontend, backend = self.start_pair(
            listener, connector, ("--say", "welcome", "--receive-file", self.shared / "received"),
            ("--say", "hello", "--send-file", self.shared / "sent"))
        heard, at_backend = self.finish(frontend), self.finish(backend)
        self.assertIn({"event": "text", "text": "welcome"}, heard)
        self.assertIn({"event": "text", "text": "hello"}, at_backend)
        digests = {e["sha256"] for e in heard + at_backend if e["event"] == "file"}
        self.assertEqual(len(digests), 1)
        self.assertEqual((self.shared / "received").read_bytes(), content)
        os.remove(self.shared / "received")

    def test_cpp_and_python_talk_with_each_other(self):
        self.assert_they_talk(self.CPP, self.CPP)
        self.assert_they_talk(self.PYTHON, self.CPP)
        self.assert_they_talk(self.CPP, self.PYTHON)
        self.assert_they_talk(self.PYTHON, self.PYTHON)
        self.assertEqual(self.keyctl("sessions", "list"), [])

    def test_a_chat_outlives_rotation_and_new_keys_but_not_revocation(self):
        frontend, backend = self.start_pair(self.CPP, self.CPP, ["--chat-until-closed"],
                                            ["--chat-until-closed", "--rekey-every", "2"])
        self.event(frontend, "rekeyed")
        self.assertEqual(self.keyctl("key", "rotate", "frontend-id")["version"], 2)
        self.event(frontend, "rekeyed")
        self.event(frontend, "rekeyed")
        self.assertEqual([s["key_version"] for s in self.keyctl("sessions", "list", "--module",
                                                                "frontend")], [1])
        self.assertEqual(
            self.keyctl("key", "revoke", "frontend-id", "--yes")["sessions_ended"], 2)
        for process in (frontend, backend):
            self.assertEqual(self.finish(process)[-1]["code"], "Revoked")

    def test_keyctl_ends_a_session_and_the_module_tells_the_reason(self):
        frontend, backend = self.start_pair(self.CPP, self.CPP, ["--chat-until-closed"],
                                            ["--chat-until-closed"])
        self.event(frontend, "chat")
        session = self.keyctl("sessions", "list", "--module", "frontend")[0]["id"]
        self.assertEqual(self.keyctl("sessions", "end", session, "--yes")["sessions_ended"], 1)
        closed = self.finish(frontend)[-1]
        self.assertEqual((closed["event"], closed["code"]), ("closed", "SessionClosed"))
        self.assertIn("administrator", closed["reason"])
        self.assertEqual(self.finish(backend)[-1]["event"], "closed")

    def shake_hands(self, stream):
        """A backend that answers the handshake on `stream`, and then keeps silent."""
        backend = self.service.module(BACKEND)
        backend.open_session("s", "backend-id", "responder", "frontend")

        def receive():
            size, = struct.unpack(">I", stream.recv(4, socket.MSG_WAITALL))
            return stream.recv(size, socket.MSG_WAITALL)
        answer, _ = backend.channel("s", "step", receive())
        stream.sendall(struct.pack(">I", len(answer)) + answer)
        self.assertTrue(backend.channel("s", "step", receive())[1])

    def test_python_tells_the_reason_while_its_peer_is_silent(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.socket))
            os.chmod(self.socket, 0o777)
            listener.listen(1)
            frontend = self.start_program(FRONTEND, self.PYTHON, "--events", "--connect",
                                          self.socket, "--key", "frontend-id", "--peer", "backend")
            with listener.accept()[0] as stream:
                stream.settimeout(TIMEOUT)
                self.shake_hands(stream)
                self.event(frontend, "established")
                self.keyctl("key", "revoke", "frontend-id", "--yes")
                self.assertEqual(
                    self.finish(frontend, 1)[-1],
                    {"event": "closed", "code": "Revoked", "reason": "the key was revoked"})

    def test_a_signal_ends_a_module_cleanly(self):
        frontend, backend = self.start_pair(self.CPP, self.CPP, ["--chat-until-closed"],
                                            ["--chat-until-closed"])
        self.event(frontend, "chat")
        frontend.terminate()
        self.assertEqual(self.finish(frontend)[-1]["reason"], "interrupted by a signal")
        self.assertEqual(self.finish(backend)[-1]["event"], "closed")
        self.assertFalse(self.socket.exists())

    def test_the_tpm_signs_a_certificate_verify_that_openssl_verifies(self):
        self.keyctl("key", "generate", "web", "--algorithm", "ecdsa-p256", "--custodian", "tpm")
        signer = self.start_program(BACKEND, "keyward-example-sign-tls", "--key", "web",
                                    "--directory", self.shared)
        out, err = signer.communicate(timeout=TIMEOUT)
        self.assertEqual(signer.returncode, 0, err)
        self.assertIn("refused to sign other bytes", out)
        verified = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature.bin",
             "payload.bin"], cwd=self.shared, capture_output=True, text=True, check=False)
        self.assertIn("Verified OK", verified.stdout, verified.stderr)


class KeyctlTest(ProgramTest):
    def test_a_keys_whole_life(self):
        made = self.keyctl("key", "generate", "anything", "--algorithm", "ecdsa-p256",
                           "--custodian", "hsm")
        self.assertEqual(
            self.keyctl("key", "generate", "anything", "--custodian", "hsm", status=6)["code"],
            "AlreadyExists")
        shown = self.keyctl("key", "show", "anything")
        self.assertEqual(shown["public_key"], made["public_key"])
        self.assertEqual(self.keyctl("key", "rotate", "anything")["version"], 2)
        self.assertNotEqual(self.keyctl("key", "show", "anything")["public_key"],
                            made["public_key"])
        self.keyctl("key", "revoke", "anything", status=9)
        self.keyctl("key", "revoke", "anything", "--yes")
        shown = self.keyctl("key", "show", "anything")
        self.assertEqual([v["state"] for v in shown["versions"]], ["revoked", "revoked"])
        self.assertEqual(shown["public_key"], "")
        self.keyctl("key", "show", "anything", "--pem", status=5)
        self.keyctl("key", "destroy", "anything", "--yes")
        self.assertEqual(self.keyctl("key", "list"), [])

    def test_modules_and_peers(self):
        self.provision()
        peer = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        self.keyctl("module", "enrol", "sensor", "--peer-key", peer)
        kinds = {m["name"]: (m["kind"], m["state"]) for m in self.keyctl("module", "list")}
        self.assertEqual(kinds, {"frontend": ("module", "enrolled"),
                                 "backend": ("module", "enrolled"),
                                 "sensor": ("peer", "enrolled")})
        self.keyctl("module", "remove", "sensor", "--yes")
        self.keyctl("module", "remove", "frontend", "--yes")
        kinds = {m["name"]: m["state"] for m in self.keyctl("module", "list")}
        self.assertEqual(kinds, {"frontend": "not enrolled", "backend": "enrolled"})
        self.keyctl("module", "enrol", "unheard-of", "--identity", "frontend-id", status=5)

    def test_policy(self):
        path = self.service.root / "security.yaml"
        self.assertTrue(self.keyctl("policy", "check", str(path))["valid"])
        self.keyctl("policy", "reload")
        path.write_text(path.read_text() + "modulles: {}\n")
        error = self.keyctl("policy", "reload", status=8)
        self.assertIn("modulles", error["message"])

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(self.service.root / "keyctl"), "status"],
                                  env=self.environment, stdout=full, stderr=subprocess.PIPE,
                                  text=True, check=False, timeout=TIMEOUT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_a_stranger_is_no_admin(self):
        if not IS_ROOT:
            self.skipTest("needs root: an ordinary user has no other users to be")
        self.assertEqual(
            self.keyctl("key", "rotate", "x", status=4, user=STRANGER)["code"], "PermissionDenied")

    def test_status_tells_a_keyd_that_is_gone_from_one_that_serves(self):
        status = self.keyctl("status", "--wait", "5")
        self.assertEqual((status["health"], len(status["custodians"])), ("ok", 2))
        self.service.stop_keyd()
        self.assertEqual(self.keyctl("status", status=3)["code"], "Unreachable")

    def test_status_waits_for_a_keyd_that_starts(self):
        self.service.stop_keyd()
        waiting = self.start_program(ME, "keyctl", "status", "--wait", TIMEOUT, "--json")
        self.service.log_path.unlink()
        self.service.start()
        out, err = waiting.communicate(timeout=TIMEOUT)
        self.assertEqual(waiting.returncode, 0, err)
        self.assertEqual(json.loads(out)["health"], "ok")


if __name__ == "__main__":
    unittest.main()
