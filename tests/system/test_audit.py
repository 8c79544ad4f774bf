"""The audit log of a whole keyd: what is in it, who notices a change of it, and what a full disk leaves possible."""

import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import unittest

import audit_verifier
from harness import BIN, FRONTEND, IS_ROOT, KEYD_USER, ME, STRANGER, Refused, SystemTest

KEY = "keyward-service"  # what keyd signs its log with


class AuditTestCase(SystemTest):
    TPM = False
    PAIR = ("hsm", "hsm")

    def keyctl(self, *arguments, status=0, text=True):
        said = subprocess.run([BIN / "keyctl", *map(str, arguments)], env=self.service.environment(),
                              capture_output=True, text=text, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stderr)
        return said.stdout if status == 0 else said.stdout + said.stderr

    def folder(self):
        return self.service.state / "audit"

    def data(self):
        """The log as it is on disk."""
        return b"".join(path.read_bytes() for path in sorted(self.folder().iterdir()))

    def records(self):
        return [json.loads(line) for line in self.data().splitlines()]

    def events(self, *kinds):
        return [record for record in self.records() if record["event"] in kinds]

    def public_key(self):
        path = self.service.root / "audit-key.pem"
        path.write_text(self.keyctl("key", "show", KEY, "--pem"))
        return path

    def export(self, name="audit.jsonl"):
        path = self.service.root / name
        self.keyctl("audit", "export", "--to", path)
        return path

    def problem(self, data, key):
        """What `keyctl audit verify` finds wrong, with nothing but the file and the public key."""
        path = self.service.root / "changed.jsonl"
        path.write_bytes(data)
        said = subprocess.run([BIN / "keyctl", "audit", "verify", path, "--key", key, "--json"],
                              env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60,
                              check=False)
        answer = json.loads(said.stdout)
        self.assertEqual(said.returncode, 0 if answer["valid"] else 1)
        return answer["problem"]


class AuditTest(AuditTestCase):

    def test_the_main_job_leaves_its_records(self):
        frontend, backend = self.open_pair()
        frame = frontend.channel("s", "seal", b"hello", b"")
        backend.channel("s", "open", frame)
        frontend.kill()
        backend.kill()
        self.wait_sessions()
        self.service.admin_call("RotateKey", "frontend-id")
        self.service.admin_call("RevokeKey", "backend-id", 0)
        self.service.stop_keyd()
        told = [(r["event"], r["object"] or r["module"]) for r in self.records()
                if r["event"] not in ("custodian.lost", "custodian.back")]
        self.assertEqual(told[:3], [("audit.begin", ""), ("service.init", ""), ("service.start", "hsm")])
        for expected in (("key.generate", "frontend-id"), ("module.enrol", "frontend-id"),
                         ("session.open", "1"), ("session.open", "2"), ("session.end", "1"),
                         ("session.end", "2"), ("key.rotate", "frontend-id"),
                         ("key.revoke", "backend-id"), ("service.stop", "")):
            self.assertIn(expected, told)
        opened = self.events("session.open")[0]
        self.assertEqual((opened["module"], opened["detail"]["peer"]), ("frontend", "backend"))
        ended = {r["module"]: r["detail"] for r in self.events("session.end")}
        self.assertEqual((ended["frontend"]["sealed"], ended["frontend"]["bytes_sealed"]), (1, 5))
        self.assertEqual(ended["backend"]["opened"], 1)
        self.assertEqual({r["outcome"] for r in self.events("key.rotate", "key.revoke")}, {"ok"})
        self.assertEqual(self.events("key.rotate")[0]["caller"], os.geteuid())

    def test_what_keyd_exports_two_verifiers_accept_with_the_public_key_alone(self):
        self.service.enrol_pair(*self.PAIR)
        exported = self.export()
        key = self.public_key()
        data = exported.read_bytes()
        head = audit_verifier.verify(data, [audit_verifier.Key(key, "ecdsa-p256")])
        self.assertIsNone(self.problem(data, key))
        self.assertEqual(exported.stat().st_mode & 0o777, 0o600)
        self.keyctl("audit", "verify", exported, "--key", key, "--head", f"{head[0]}:{head[1]}")
        self.assertIn("verified", self.keyctl("audit", "verify"))  # keyd's own, against its own key
        self.assertIn("there is such a file", self.keyctl("audit", "export", "--to", exported, status=6))
        self.assertEqual(self.events("audit.export")[0]["caller"], os.geteuid())
        # Across a restart it is one chain.
        self.service.restart_keyd()
        self.assertIsNone(self.problem(self.export("after.jsonl").read_bytes(), key))

    def test_what_was_done_to_an_exported_log_is_named(self):
        self.service.enrol_pair(*self.PAIR)
        data = self.export().read_bytes()
        key = self.public_key()
        lines = data.splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if b'"key.generate"' in line)
        seq = at + 1
        altered = [*lines[:at], lines[at].replace(b"frontend-id", b"frontend-ix"), *lines[at + 1:]]
        removed = lines[:at] + lines[at + 1:]
        swapped = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2:]]
        for kind, changed in (("altered", altered), ("removed", removed), ("reordered", swapped)):
            with self.subTest(kind):
                found = self.problem(b"".join(changed), key)
                self.assertEqual((found["kind"], found["seq"]), (kind, seq), found)

    def assert_start_refused(self, code):
        said = self.service.run_keyd()
        self.assertEqual(said.returncode, 1, said.stderr)
        self.assertIn(code, said.stderr)
        self.assertIn("keyctl audit restart", said.stderr)

    def test_a_log_that_lacks_its_end_is_refused_until_an_admin_vouches(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.stop_keyd()
        segment = max(self.folder().iterdir())
        whole = segment.read_bytes()
        last = json.loads(whole.splitlines()[-1])
        segment.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
        self.assert_start_refused("RolledBack")
        segment.write_bytes(whole.replace(b"frontend-id", b"frontend-ix", 1))
        self.assert_start_refused("DataCorrupt")
        segment.unlink()
        self.assert_start_refused("RolledBack")
        self.assertIn("--yes", self.keyctl("audit", "restart", "--state", self.service.state, status=9))
        # keyctl runs the keyd beside it, as the user that the state directory belongs to.
        for former in (self.service.state / "audit-former-1", ""):  # the second time there is none
            said = self.service.run_keyd(None, "--restart-audit")
            self.assertEqual((said.returncode, said.stdout), (0, f"{former}\n"), said.stderr)
        self.service.start()
        records = self.records()
        self.assertEqual([r["event"] for r in records[:3]],
                         ["audit.begin", "audit.restart", "service.start"])
        self.assertEqual(records[1]["detail"]["former_seq"], last["seq"])
        self.assertEqual(records[1]["detail"]["former_head"],
                         audit_verifier.digest(whole.splitlines()[-1]))
        self.assertTrue((self.service.state / "audit-former-1").is_dir())
        self.assertFalse((self.service.state / "audit-restart").exists())
        self.service.stop_keyd()
        shutil.rmtree(self.folder())
        self.assert_start_refused("RolledBack")

    def tail(self):
        return self.service.state / "audit-tail"

    def put_tail(self, data):
        """Leaves none where there is no data."""
        self.tail().unlink(missing_ok=True)
        if data is None:
            return
        self.tail().write_bytes(data)
        if IS_ROOT:
            shutil.chown(self.tail(), KEYD_USER, KEYD_USER)

    def crash_with_late_records(self):
        """Ends with records of which the store does not know; gives the log, and its tail before these."""
        self.service.enrol_pair(*self.PAIR)
        earlier = self.tail().read_bytes()
        stranger = self.service.module(STRANGER)
        for key in ("late-1", "late-2"):
            with self.assertRaises(Refused):
                stranger.manager("OpenKey", key)
        self.service.stop_keyd(signal.SIGKILL)
        self.assertEqual([r["object"] for r in self.records()[-2:]], ["late-1", "late-2"])
        return max(self.folder().iterdir()), earlier

    def test_what_came_just_before_a_crash_is_neither_cut_off_nor_rewritten_unseen(self):
        segment, _ = self.crash_with_late_records()
        info = self.tail().stat()
        self.assertEqual((info.st_size, info.st_mode & 0o777), (93, 0o600))
        whole, tail = segment.read_bytes(), self.tail().read_bytes()
        *before, late, last = whole.splitlines()
        forged = late.replace(b"late-1", b"lame-1")
        last_forged = last.replace(*(audit_verifier.digest(line).encode() for line in (late, forged)))
        rewritten = b"\n".join([*before, forged, last_forged, b""])
        audit_verifier.verify(rewritten)
        forged_tail = tail[:29] + bytes.fromhex(audit_verifier.digest(last_forged)) + tail[61:]
        for what, code, log, end in (("the last record is gone", "RolledBack", whole[:-len(last) - 1], tail),
                                     ("both are", "RolledBack", b"\n".join([*before, b""]), tail),
                                     ("they are rewritten", "RolledBack", rewritten, tail),
                                     ("the tail is gone", "RolledBack", rewritten, None),
                                     ("it is cut short", "DataCorrupt", whole, tail[:-1]),
                                     ("it is rewritten", "DataCorrupt", rewritten, forged_tail)):
            with self.subTest(what):
                segment.write_bytes(log)
                self.put_tail(end)
                self.assert_start_refused(code)
        said = self.service.run_keyd(None, "--restart-audit")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.service.start()
        self.assertEqual([r["event"] for r in self.records()[:2]], ["audit.begin", "audit.restart"])
        self.service.restart_keyd(signal.SIGKILL)
        self.service.stop_keyd(signal.SIGKILL)
        self.tail().write_bytes(tail)  # the end of the former log
        self.assert_start_refused("RolledBack")

    def test_a_crash_as_it_is_and_one_that_lost_the_end_are_no_reason_to_refuse(self):
        _, earlier = self.crash_with_late_records()
        self.service.start()
        self.service.stop_keyd(signal.SIGKILL)
        self.tail().write_bytes(earlier)  # as a power cut may leave it
        self.service.start()
        self.assertEqual(self.tail().read_bytes()[:21], earlier[:21])
        self.assertGreater(self.tail().read_bytes()[21:29], earlier[21:29])  # it follows the log again

    def test_a_kill_loses_no_record(self):
        self.service.enrol_pair(*self.PAIR)
        before = len(self.records())
        self.service.restart_keyd(signal.SIGKILL)
        self.assertEqual(self.records()[before]["event"], "service.start")
        self.export()

    def test_refusals_are_told_and_do_not_fill_the_disk(self):
        stranger = self.service.module(STRANGER)
        for _ in range(200):
            with self.assertRaises(Refused):
                stranger.manager("OpenKey", "web")
        told = self.events("key.open")
        self.assertEqual(len(told), 10)
        self.assertEqual(told[0]["outcome"], "PermissionDenied")
        self.assertEqual(told[0]["object"], "web")
        self.service.stop_keyd()
        self.assertEqual([r["detail"].get("refusals") for r in self.events("key.open")][10:], [190])

    @unittest.skipUnless(IS_ROOT, "one user alone is here, who is an admin")
    def test_reading_what_is_not_granted_is_told(self):
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        stranger, frontend = self.service.module(STRANGER), self.service.module(FRONTEND)
        self.service.enrol_pair(*self.PAIR)
        session = frontend.open_session("s", "frontend-id", "initiator", "backend")
        for path, interface, name in (("/org/keyward/Keyd1/key/web", "Key", "Versions"),
                                      (session, "Session", "State")):
            with self.assertRaises(Refused):
                stranger.property(path, interface, name)
        frontend.property(session, "Session", "State")
        told = self.events("call.refused")
        self.assertEqual([r["detail"] for r in told], [{"key": "web"}, {"session": int(session.split("/")[-1])}])
        for record in told:
            self.assertEqual((record["object"], record["outcome"], record["caller"]),
                             ("Properties", "PermissionDenied", pwd.getpwnam(STRANGER).pw_uid))

    @unittest.skipUnless(IS_ROOT, "one user alone is here, who is an admin")
    def test_only_admins_read_it(self):
        stranger = self.service.module(STRANGER)
        for call in (("ReloadPolicy",), ("FollowAudit",)):
            with self.assertRaises(Refused):
                stranger.admin(*call)
        refused = self.events("call.refused")
        if refused:  # else the bus let none of it through
            self.assertEqual({r["object"] for r in refused}, {"ReloadPolicy", "FollowAudit"})

    def test_tail_shows_the_latest_and_follows(self):
        self.service.enrol_pair(*self.PAIR)
        shown = self.keyctl("audit", "tail", "-n", "2", "--json").splitlines()
        self.assertEqual([json.loads(line)["event"] for line in shown], ["key.generate", "module.enrol"])
        self.assertIn("module.enrol", self.keyctl("audit", "tail"))
        follower = subprocess.Popen([BIN / "keyctl", "audit", "tail", "-n", "1", "--follow", "--json"],
                                    env=self.service.environment(), stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True)
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.stderr.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        follower.stdout.readline()
        self.service.admin_call("RevokeKey", "frontend-id", 0)
        events = [json.loads(follower.stdout.readline())["event"] for _ in range(2)]
        self.assertEqual(events, ["audit.export", "key.revoke"])  # the first is the follower's own
        self.service.admin_call("Seal")
        rest = follower.communicate(timeout=30)
        self.assertIn("service.seal", rest[0])
        self.assertIn("sealed", rest[1])
        self.assertEqual(follower.returncode, 1)

    def test_sealing_ends_the_sessions_in_the_log_and_the_status_tells_of_it(self):
        self.open_pair()
        status = json.loads(self.keyctl("status", "--json"))["audit"]
        self.assertEqual((status["state"], status["last"]), ("ok", len(self.records())))
        self.service.admin_call("Seal")
        self.assertEqual([r["event"] for r in self.records()][-3:],
                         ["service.seal", "session.end", "session.end"])
        self.assertIn("closed", self.keyctl("status", status=10))
        self.service.admin_call("Unseal")
        unsealed = self.events("service.unseal")
        self.assertEqual([r["caller"] for r in unsealed], [os.geteuid()] * 2)
        self.assertEqual(unsealed[0]["detail"], {"asked": 1})
        self.assertRegex(unsealed[1]["detail"]["boot"], "^[0-9a-f]{64}$")
        self.export()

    def test_what_a_sealed_service_refuses_an_admin_is_told(self):
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("Seal")
        for call in (("RotateKey", "frontend-id"), ("RevokeKey", "frontend-id", 0), ("ListModules",)):
            self.assert_refused("Sealed", self.service.admin_call, *call)
        self.service.admin_call("Unseal")
        self.assertEqual([(r["object"], r["outcome"], r["caller"]) for r in self.events("call.refused")],
                         [(method, "Sealed", os.geteuid()) for method in ("RotateKey", "RevokeKey")])

    def test_zeroizing_is_told_with_what_it_came_to(self):
        self.service.admin_call("ZeroizeAll")
        told = [(r["event"], r["object"], r["outcome"]) for r in self.records()[-2:]]
        self.assertEqual(told, [("service.seal", "zeroize", "ok"), ("service.zeroize", "", "ok")])
        audit_verifier.verify(self.data())

    def test_signatures_and_channels(self):
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "hsm")
        self.service.enrol_pair(*self.PAIR)
        backend = self.service.module("news" if IS_ROOT else ME)
        payload = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32
        backend.open_key("k", "web")
        for _ in range(3):
            backend.channel("k", "sign", "tls13-server", payload)
        backend.bytes_call("/org/keyward/Keyd1/key/web", "Key", "SignHandshake", "tls13-server", payload)
        backend.kill()
        self.service.stop_keyd()
        self.assertEqual([r["detail"]["purpose"] for r in self.events("key.sign")], ["tls13-server"])
        closed = self.events("key.close")
        self.assertEqual([r["detail"] for r in closed], [{"signatures": 3, "refused": 0}])
        self.assertNotIn(b"CertificateVerify", self.data())  # no payload


@unittest.skipUnless(IS_ROOT, "mounting a filesystem to fill up takes root")
class FullDiskTest(AuditTestCase):

    def setUp(self):
        # The state directory is a small filesystem of its own.
        from harness import Service
        self.service = Service(hsm=True, tpm=False)
        self.addCleanup(self.service.close)
        state = self.service.state
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "none", state], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", state], check=True)
        shutil.chown(state, KEYD_USER, KEYD_USER)
        self.service.start()

    def active_versions(self, key):
        admin = self.service.module(ME)
        versions = admin.property(f"/org/keyward/Keyd1/key/{key}", "Key", "Versions")
        admin.kill()
        return [v[1] for v in versions].count("active")

    def fill(self):
        """Takes every byte that is left."""
        self.ballast = self.service.state / "ballast"
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def test_lifecycle_stops_sessions_go_on_and_space_heals(self):
        frontend, backend = self.open_pair()
        self.service.admin_call("GenerateKey", "web", "ed25519", "hardware", "hsm")
        self.fill()
        # What was set aside ahead is used up after a while.
        for number in range(2000):
            try:
                self.service.admin_call("ReloadPolicy")
            except Refused as refused:
                self.assertEqual(refused.code, "ResourceExhausted", refused.message)
                break
        else:
            self.fail("the disk is never full")
        frontend, backend = self.service.module(FRONTEND), self.service.module("news")
        message = self.assert_refused("ResourceExhausted", self.service.admin_call, "GenerateKey", "new",
                                      "ed25519", "hardware", "hsm")
        self.assertIn("free some on its disk", message)
        self.assert_refused("ResourceExhausted", frontend.open_session, "t", "frontend-id", "initiator",
                            "backend")
        self.assertEqual(json.loads(self.keyctl("status", "--json", status=7))["audit"]["state"], "full")
        self.service.admin_call("RevokeKey", "web", 0)
        self.assertEqual([r["object"] for r in self.events("key.revoke")][0], "web")
        self.assertEqual(self.active_versions("web"), 0)
        self.ballast.unlink()
        self.service.admin_call("RevokeKey", "web", 0)
        self.service.admin_call("GenerateKey", "new", "ed25519", "hardware", "hsm")
        self.assertEqual(len(self.events("audit.full")), 1)
        self.assertEqual(len(self.events("audit.space")), 1)
        self.assertEqual(json.loads(self.keyctl("status", "--json"))["audit"]["state"], "ok")
        # The revocation is on disk.
        self.service.restart_keyd()
        self.assertEqual(self.active_versions("web"), 0)
        self.export()

    def test_sessions_go_on_sealing(self):
        frontend, backend = self.open_pair()
        self.fill()
        for number in range(2000):
            frame = frontend.channel("s", "seal", b"%d" % number, b"")
            self.assertEqual(backend.channel("s", "open", frame)[0], b"%d" % number)
        frontend.kill()
        self.wait_sessions("backend")
        self.assertEqual(self.events("session.end")[-1]["detail"]["sealed"], 2000)


if __name__ == "__main__":
    unittest.main()
