"""A peer elsewhere, whose key is not kept here: honest, late, forged and replayed."""

import os
import unittest

import aico_peer
from harness import FRONTEND, Refused, SystemTest

# The other end is called "far", ours "frontend", as the policy has them.
aico_peer.CONTEXT, aico_peer.OWN_NAME, aico_peer.PEER_NAME = b"keyward", b"far", b"frontend"
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


class RemotePeerTest(SystemTest):
    HSM = False
    PAIR = ("tpm", "tpm")
    POLICY = {"peers": {"frontend": ["backend", "far"], "backend": ["frontend"]}}

    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.frontend = self.service.module(FRONTEND)
        spki = self.frontend.property("/org/keyward/Keyd1/key/frontend_2did", "Key", "PublicKey")
        self.peer = aico_peer.Peer(aico_peer.RESPONDER, os.urandom(32), spki[-32:])
        self.service.admin_call("EnrolPeer", "far", list(ED25519_SPKI + self.peer.identity))

    def tearDown(self):
        self.assert_serving()

    def open(self, role="initiator", handle="s"):
        self.frontend.open_session(handle, "frontend-id", role, "far")

    def step(self, message=b"", handle="s"):
        return self.frontend.channel(handle, "step", message)[0]

    def connect(self):
        self.open()
        self.peer.take_confirmation(self.step(self.peer.answer_hello(self.step())))

    def test_an_honest_peer(self):
        self.connect()
        frame = self.frontend.channel("s", "seal", b"to afar", b'{"topic":"x"}')
        self.assertEqual(self.peer.receiving.open(frame), (b"to afar", {"topic": "x"}))
        answer = self.peer.sending.seal(b"from afar")
        self.assertEqual(self.frontend.channel("s", "open", answer)[0], b"from afar")
        self.assert_refused("Replayed", self.frontend.channel, "s", "open", answer)

    def test_a_clock_that_is_off(self):
        for offset in (-31_000, 31_000):
            self.open()
            self.peer.clock_offset_ms = offset
            self.assert_refused("StaleTimestamp", self.step, self.peer.answer_hello(self.step()))
            self.assertEqual(self.frontend.channel("s", "wait_closed"), "StaleTimestamp")

    def test_a_wrong_signature(self):
        self.open()
        reply = bytearray(self.peer.answer_hello(self.step()))
        reply[-1] ^= 1
        self.assert_refused("AuthenticationFailed", self.step, bytes(reply))

    def test_another_identity_under_the_same_name(self):
        self.open()
        stranger = aico_peer.Peer(aico_peer.RESPONDER, os.urandom(32), self.peer.peer_identity)
        self.assert_refused("PeerNotAllowed", self.step, stranger.answer_hello(self.step()))

    def test_a_replayed_answer(self):
        self.open()
        reply = self.peer.answer_hello(self.step())
        self.step(reply)
        self.open(handle="again")
        self.step(handle="again")
        self.assert_refused("AuthenticationFailed", self.step, reply, "again")

    def test_a_replayed_opening(self):
        initiator = aico_peer.Peer(aico_peer.INITIATOR, os.urandom(32), self.peer.peer_identity)
        initiator.identity, initiator.signing_key = self.peer.identity, self.peer.signing_key
        hello = initiator.hello()
        self.open("responder")
        confirmation = initiator.answer_reply(self.step(hello))
        self.step(confirmation)
        # The same opening gets another answer, to which the old confirmation does not fit.
        self.open("responder", "again")
        self.step(hello, "again")
        self.assert_refused("AuthenticationFailed", self.step, confirmation, "again")

    def test_a_peer_that_is_removed(self):
        self.connect()
        self.assertEqual(self.service.admin_call("RemovePeer", "far"), 1)
        self.assertEqual(self.frontend.channel("s", "wait_closed"), "Revoked")
        self.assert_refused("NotFound", self.open, "initiator", "again")

    def test_keys_that_are_none(self):
        for key in (b"", b"nonsense", ED25519_SPKI + b"\1" + bytes(31)):
            self.assert_refused("Malformed", self.service.admin_call, "EnrolPeer", "new", list(key))
        self.assert_refused("AlreadyExists", self.service.admin_call, "EnrolPeer", "far",
                            list(ED25519_SPKI + aico_peer.Peer(1, os.urandom(32), b"").identity))


if __name__ == "__main__":
    unittest.main()
