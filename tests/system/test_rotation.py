"""Keys that keyd rotates by itself, as security.yaml says, and modules that follow without a restart."""

import json
import select
import shutil
import subprocess
import unittest

from faults import verifies
from harness import BACKEND, FRONTEND, ME, SOURCE, TIMEOUT, SystemTest, as_user, handshake
from test_main_job import SERVER_VERIFY

USES, GRACE = 3, 3600


class RotationTest(SystemTest):
    """By the number of signatures; age takes a minute at least, and is tested with a clock of its own."""

    TPM = False
    PAIR = ("hsm", "hsm")

    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        text = (self.service.root / "security.yaml").read_text()
        self.service.write_policy(f"{text}\nrotation: {{grace_period: {GRACE}}}\n"
                                  f"keys: {{web: {{max_uses: {USES}}}, frontend-id: {{max_uses: {USES}}}}}\n")
        self.service.admin_call("ReloadPolicy")

    def listen(self, user):
        """A module's process on the bus that is told of changes."""
        shutil.copy(SOURCE / "tests/system/version_changes.py", self.service.root)
        listener = subprocess.Popen(as_user(user, ["/usr/bin/python3", self.service.root / "version_changes.py"]),
                                    env=self.service.environment(), stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(listener.communicate)
        self.addCleanup(listener.kill)
        self.assertEqual(listener.stdout.readline(), b"\n")
        return listener

    def next_changes(self, listener, count):
        """Of one key, as {version: state}."""
        changes = {}
        while len(changes) < count:
            self.assertTrue(select.select([listener.stdout], [], [], TIMEOUT)[0], self.service.log())
            change = json.loads(listener.stdout.readline())
            changes[change["version"]] = change["state"]
        self.path = change["path"]
        return changes

    def versions(self, key):
        """State, public key and end of the grace period, by number."""
        listed = self.service.module(ME).property(f"/org/keyward/Keyd1/key/{key}", "Key", "Versions")
        return {v[0]: (v[1], v[2], v[5]) for v in listed}

    def test_a_module_follows_and_goes_on_signing(self):
        module, listener = self.service.module(BACKEND), self.listen(BACKEND)
        module.open_key("k", "web")
        sign = lambda: module.channel("k", "sign", "tls13-server", SERVER_VERIFY)  # noqa: E731
        before = module.property("/org/keyward/Keyd1/key/web", "Key", "PublicKey")
        signatures = [sign() for _ in range(USES)]
        self.assertEqual(self.next_changes(listener, 2), {1: "retiring", 2: "active"})
        self.assertEqual(self.path, "/org/keyward/Keyd1/key/web")
        after = module.property(self.path, "Key", "PublicKey")
        self.assertNotEqual(after, before)
        fresh = sign()  # over the channel that it had
        self.assertTrue(verifies(after, SERVER_VERIFY, fresh))
        self.assertFalse(verifies(before, SERVER_VERIFY, fresh))
        versions = self.versions("web")
        self.assertEqual({number: state for number, (state, _, _) in versions.items()}, {1: "retiring", 2: "active"})
        self.assertEqual(versions[1][1], before)
        self.assertGreater(versions[1][2], 0)
        for signature in signatures:
            self.assertTrue(verifies(versions[1][1], SERVER_VERIFY, signature))
        self.assertIn("rotated to version 2 for its number of signatures", self.service.log())

    def test_the_old_version_still_proves_itself_in_its_grace_period(self):
        frontend, backend, listener = self.service.module(FRONTEND), self.service.module(BACKEND), self.listen(FRONTEND)
        for side, key, role, peer in ((frontend, "frontend-id", "initiator", "backend"),
                                      (backend, "backend-id", "responder", "frontend")):
            side.open_session("under way", key, role, peer, {})
        for number in range(USES):
            self.join(frontend, backend, f"s{number}")
        self.assertEqual(self.next_changes(listener, 2), {1: "retiring", 2: "active"})
        handshake(frontend, backend, "under way")
        self.join(frontend, backend, "new")
        for handle in ("s0", "under way", "new"):
            frame = frontend.channel(handle, "seal", b"said", b"")
            self.assertEqual(backend.channel(handle, "open", frame)[0], b"said")
        rests_on = sorted(s[3] for s in self.service.admin_call("ListSessions") if s[1] == "frontend")
        self.assertEqual(rests_on, [1] * (USES + 1) + [2])
        # An end of the grace period ends what rests on the old one, and that alone.
        self.service.admin_call("RetireVersion", "frontend-id", 1)
        self.assertEqual(frontend.channel("under way", "wait_closed"), "Expired")
        frame = frontend.channel("new", "seal", b"said", b"")
        self.assertEqual(backend.channel("new", "open", frame)[0], b"said")


if __name__ == "__main__":
    unittest.main()
