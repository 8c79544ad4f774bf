"""Who may do what: every refusal is clear, and keyd serves on."""

import unittest

from harness import BACKEND, FRONTEND, IS_ROOT, ME, STRANGER, Refused, SystemTest


class RefusalTest(SystemTest):
    PAIR = ("tpm", "tpm")
    HSM = False

    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.service.admin_call("GenerateKey", "web", "ecdsa-p256", "hardware", "tpm")
        self.frontend = self.service.module(FRONTEND)

    def tearDown(self):
        self.assert_serving()

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_a_caller_that_no_rule_names(self):
        stranger = self.service.module(STRANGER)
        self.assertEqual(stranger.manager("ListKeys"), [])
        self.assert_refused("PermissionDenied", stranger.open_session, "s", "frontend-id",
                            "initiator", "backend")
        self.assert_refused("PermissionDenied", stranger.open_key, "k", "web")

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_another_modules_key(self):
        self.assert_refused("PermissionDenied", self.frontend.open_key, "k", "web")
        self.assert_refused("PermissionDenied", self.frontend.open_session, "s", "backend-id",
                            "responder", "frontend")
        self.assert_refused("PermissionDenied", self.frontend.bytes_call,
                            "/org/keyward/Keyd1/key/web", "Key", "SignHandshake", "tls13-server",
                            b"x")
        self.service.admin_call("GenerateKey", "front-web", "ecdsa-p256", "hardware", "tpm")
        for key in ("web", "backend_2did"):
            path = f"/org/keyward/Keyd1/key/{key}"
            self.assert_refused("PermissionDenied", self.frontend.properties, path, "Key")
            self.assert_refused("PermissionDenied", self.frontend.property, path, "Key", "Versions")
        for key in ("frontend_2did", "front_2dweb"):
            self.frontend.property(f"/org/keyward/Keyd1/key/{key}", "Key", "PublicKey")

    def test_an_unknown_key_reads_as_one_that_is_not_granted(self):
        unknown = self.assert_refused("PermissionDenied", self.frontend.open_session, "s",
                                      "no-such-key", "initiator", "backend")
        if IS_ROOT:
            self.assertEqual(unknown, self.assert_refused(
                "PermissionDenied", self.frontend.open_session, "s", "backend-id", "initiator",
                "backend"))

    def test_a_granted_key_that_does_not_exist(self):
        self.assert_refused("NotFound", self.frontend.open_key, "k", "front-web")

    def test_unknown_protocol_role_and_option(self):
        self.assert_refused("UnknownProtocol", self.frontend.open_session, "s", "frontend-id",
                            "initiator", "backend", {}, "ipsec")
        self.assert_refused("InvalidArgument", self.frontend.open_session, "s", "frontend-id",
                            "boss", "backend")
        for options in ({"colour": 1}, {"timeout": 0}, {"timeout": 3601}):
            self.assert_refused("InvalidArgument", self.frontend.open_session, "s", "frontend-id",
                                "initiator", "backend", options)

    def test_a_peer_that_is_not_allowed(self):
        self.assert_refused("PeerNotAllowed", self.frontend.open_session, "s", "frontend-id",
                            "initiator", "elsewhere")

    def test_a_peer_that_is_not_enrolled(self):
        self.service.admin_call("RemoveModule", "backend")
        self.assert_refused("NotFound", self.frontend.open_session, "s", "frontend-id",
                            "initiator", "backend")
        self.service.admin_call("EnrolModule", "backend", "backend-id")

    def test_a_module_that_is_not_enrolled_any_more(self):
        self.service.admin_call("RemoveModule", "frontend")
        self.assert_refused("PermissionDenied", self.frontend.open_session, "s", "frontend-id",
                            "initiator", "backend")
        self.service.admin_call("EnrolModule", "frontend", "frontend-id")

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_only_admins_administer(self):
        for call in (("ListSessions",), ("RotateKey", "web"), ("ReloadPolicy",)):
            with self.assertRaises(Exception) as caught:
                self.frontend.admin(*call)
            # The bus policy refuses before keyd is asked.
            self.assertIn("AccessDenied", str(caught.exception))

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_a_session_is_its_openers_alone(self):
        path = self.frontend.open_session("s", "frontend-id", "initiator", "backend")
        backend = self.service.module(BACKEND)
        self.assert_refused("NotFound", backend.bytes_call, path, "Session", "Step", b"")
        self.assert_refused("NotFound", backend.call, path, "Session", "Close")
        self.assertEqual(self.frontend.property(path, "Session", "State"), "handshake")

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_only_its_opener_and_admins_may_look_at_a_session(self):
        path = self.frontend.open_session("s", "frontend-id", "initiator", "backend")
        stranger, admin = self.service.module(STRANGER), self.service.module(ME)
        # All take turns, so that nobody's right rubs off on the next.
        shown = self.frontend.properties(path, "Session")
        self.assertEqual((shown["Key"], shown["Peer"]), ("frontend-id", "backend"))
        self.assert_refused("PermissionDenied", stranger.properties, path, "Session")
        self.assertEqual(set(admin.properties(path, "Session")), set(shown))
        for name in shown:
            with self.subTest(property=name):
                self.frontend.property(path, "Session", name)
                self.assert_refused("PermissionDenied", stranger.property, path, "Session", name)
                admin.property(path, "Session", name)
        self.assertEqual(stranger.property("/org/keyward/Keyd1", "Manager", "Health"), "ok")

    @unittest.skipUnless(IS_ROOT, "LOUD SKIP: other users take root")
    def test_huge_arguments_are_refused_before_the_caller_is_asked_for(self):
        size = 31 * 1024 * 1024  # the bus carries 32 MiB
        path = self.frontend.open_session("s", "frontend-id", "initiator", "backend")
        stranger = self.service.module(STRANGER)
        web = "/org/keyward/Keyd1/key/web"
        for call in ((path, "Session", "Step", size), (path, "Session", "Seal", size, [], [""]),
                     (path, "Session", "Open", size),
                     (web, "Key", "SignHandshake", size, ["tls13-server"])):
            with self.subTest(method=call[2]):
                message = self.assert_refused("TooLarge", stranger.zeros_call, *call)
                self.assertIn("channel", message)
        self.assert_refused("TooLarge", self.service.admin_call, "EnrolPeer", "p", [0] * 100_000)
        self.assert_refused("TooLarge", stranger.options_call, 17, 1)
        self.assert_refused("InvalidArgument", stranger.options_call, 1, [size])

    def test_a_call_that_brings_a_descriptor(self):
        admin = self.service.module(ME)
        for caller, path, interface, method in (
                (self.frontend, "", "Manager", "ListKeys"),
                (self.frontend, "/key/web", "Key", "SignHandshake"),
                (self.frontend, "/session/1", "Session", "Close"),
                (admin, "", "Admin", "ReloadPolicy")):
            with self.subTest(method=method):
                # The bus refuses: keyd would say that the method takes no such argument.
                self.assert_refused("org.freedesktop.DBus.Error.AccessDenied",
                                    caller.descriptor_call, "/org/keyward/Keyd1" + path, interface,
                                    method)

    def test_a_user_has_only_so_many_key_channels(self):
        backend = self.service.module(BACKEND)
        for i in range(256):
            backend.open_key(f"k{i}", "web")
        message = self.assert_refused("ResourceExhausted", backend.open_key, "k256", "web")
        self.assertIn("close some", message)
        payload = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(32)
        self.assertTrue(backend.channel("k255", "sign", "tls13-server", payload))
        if IS_ROOT:
            self.frontend.open_key("k", "frontend-id")
        backend.kill()  # keyd learns of the closed channels in its own time
        again = self.service.module(BACKEND)
        for attempt in range(100):
            try:
                again.open_key("k", "web")
                break
            except Refused as refused:
                self.assertEqual((refused.code, attempt < 99), ("ResourceExhausted", True))

    def test_admin_mistakes(self):
        admin = self.service.admin_call
        for code, call in (
                ("AlreadyExists", ("GenerateKey", "web", "ecdsa-p256", "hardware", "tpm")),
                ("InvalidArgument", ("GenerateKey", "../etc", "ecdsa-p256", "hardware", "tpm")),
                ("InvalidArgument", ("GenerateKey", "", "ecdsa-p256", "hardware", "tpm")),
                ("InvalidArgument", ("GenerateKey", "new", "dsa", "hardware", "tpm")),
                ("InvalidArgument", ("GenerateKey", "new", "ed25519", "hidden", "tpm")),
                ("NotSupported", ("GenerateKey", "new", "ed25519", "hardware", "cloud")),
                ("NotSupported", ("GenerateKey", "new", "ed25519", "hardware", "tpm")),
                ("NotSupported", ("GenerateKey", "new", "ecdsa-p256", "sealed", "tpm")),
                ("NotFound", ("RotateKey", "no-such-key")),
                ("NotFound", ("RevokeKey", "no-such-key", 0)),
                ("NotFound", ("RevokeKey", "web", 7)),
                ("NotFound", ("DestroyKey", "no-such-key", 0)),
                ("NotFound", ("EnrolModule", "no-such-module", "web")),
                ("InvalidArgument", ("EnrolModule", "frontend", "web")),
                ("NotFound", ("RemoveModule", "no-such-module")),
                ("NotFound", ("RemovePeer", "no-such-peer")),
                ("NotFound", ("EndSessions", "/org/keyward/Keyd1/session/999", "")),
                ("NotFound", ("EndSessions", "/somewhere", ""))):
            with self.subTest(call=call):
                self.assert_refused(code, admin, *call)
        self.assertEqual([k[0] for k in admin_keys(self.service)],
                         ["backend-id", "frontend-id", "web"])


def admin_keys(service):
    return service.module(ME).manager("ListKeys")


if __name__ == "__main__":
    unittest.main()
