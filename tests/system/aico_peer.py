#!/usr/bin/python3
"""An AICO peer written from docs/PROTOCOLS.md alone, and its conversation with Keyward's engine.

Usage: aico_peer.py PROGRAM initiator|responder     (the role that this peer takes)
PROGRAM is tests/unit/session/aico_interop_main.cc. Needs Debian's python3-nacl.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import time
import unittest

from nacl import bindings
from nacl.exceptions import CryptoError

INITIATOR, RESPONDER = 1, 2
PARTY_SIZE, SIGNATURE_SIZE = 104, 64
CONTEXT, OWN_NAME, PEER_NAME = b"interop", b"python", b"keyward"


class Refused(Exception):
    """The error that docs/PROTOCOLS.md names."""


def field8(data):
    return bytes([len(data)]) + data


class Direction:
    """One direction of an established session: its key, its epoch and its next number."""

    def __init__(self, key):
        self.key, self.epoch, self.sequence = key, 0, 0

    def next_key(self):
        return hashlib.blake2b(b"AICO-REKEY-V1", key=self.key, digest_size=32).digest()

    def rekey(self):
        self.key, self.epoch = self.next_key(), self.epoch + 1

    def seal(self, plaintext, application=None):
        metadata = dict(application or {}, seq=self.sequence, epoch=self.epoch)
        # Unlike Keyward's own: spaces, and the two reserved members last.
        return self.seal_with(plaintext, json.dumps(metadata).encode())

    def seal_with(self, plaintext, metadata):
        nonce = os.urandom(24)
        sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plaintext, metadata, nonce, self.key)
        self.sequence += 1
        return b"AICO-MSG" + nonce + struct.pack(">I", len(metadata)) + metadata + sealed

    def open(self, frame):
        if frame[:8] != b"AICO-MSG" or len(frame) < 36:
            raise Refused("Malformed")
        nonce, (size,) = frame[8:32], struct.unpack(">I", frame[32:36])
        raw, sealed = frame[36:36 + size], frame[36 + size:]
        metadata = json.loads(raw)
        sequence, epoch = metadata.pop("seq"), metadata.pop("epoch")
        if epoch not in (self.epoch, self.epoch + 1):
            raise Refused("Replayed")
        key = self.key if epoch == self.epoch else self.next_key()
        try:
            plaintext = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, raw, nonce, key)
        except CryptoError as error:
            raise Refused("AuthenticationFailed") from error
        if sequence != self.sequence:
            raise Refused("Replayed")
        self.key, self.epoch, self.sequence = key, epoch, sequence + 1
        return plaintext, metadata


class Peer:
    """The handshake of docs/PROTOCOLS.md."""

    def __init__(self, role, seed, peer_identity):
        self.role = role
        self.identity, self.signing_key = bindings.crypto_sign_seed_keypair(seed)
        self.peer_identity = peer_identity
        self.public, self.private = bindings.crypto_kx_keypair()
        self.transcript = b""
        self.clock_offset_ms = 0

    def party(self):
        now = int(time.time() * 1000) + self.clock_offset_ms
        return self.identity + self.public + os.urandom(32) + struct.pack(">Q", now)

    def hello(self):
        self.transcript = (b"AICO-HS1\x01" + field8(OWN_NAME) + field8(PEER_NAME) +
                           field8(CONTEXT) + self.party())
        return self.transcript

    def sign(self):
        message = b"AICO-SIG-V1" + bytes([self.role]) + self.transcript
        return bindings.crypto_sign(message, self.signing_key)[:SIGNATURE_SIZE]

    def verify(self, signature):
        message = b"AICO-SIG-V1" + bytes([3 - self.role]) + self.transcript
        try:
            bindings.crypto_sign_open(signature + message, self.peer_identity)
        except CryptoError as error:
            raise Refused("AuthenticationFailed") from error

    def take_party(self, party):
        if len(party) != PARTY_SIZE:
            raise Refused("Malformed")
        if party[:32] != self.peer_identity:
            raise Refused("PeerNotAllowed")
        (timestamp,) = struct.unpack(">Q", party[96:])
        if abs(timestamp - int(time.time() * 1000)) > 30_000:
            raise Refused("StaleTimestamp")
        self.peer_public = party[32:64]

    def answer_hello(self, message):
        head = b"AICO-HS1\x01" + field8(PEER_NAME) + field8(OWN_NAME) + field8(CONTEXT)
        if message[:len(head)] != head:
            raise Refused("PeerNotAllowed")
        self.take_party(message[len(head):])
        reply = b"AICO-HS2" + self.party()
        self.transcript = message + reply
        signature = self.sign()
        self.transcript += signature
        return reply + signature

    def answer_reply(self, message):
        if len(message) != 8 + PARTY_SIZE + SIGNATURE_SIZE or message[:8] != b"AICO-HS2":
            raise Refused("Malformed")
        self.take_party(message[8:8 + PARTY_SIZE])
        self.transcript += message[:-SIGNATURE_SIZE]
        self.verify(message[-SIGNATURE_SIZE:])
        self.transcript += message[-SIGNATURE_SIZE:]
        confirmation = b"AICO-HS3" + self.sign()
        self.transcript += confirmation
        self.establish()
        return confirmation

    def take_confirmation(self, message):
        if len(message) != 8 + SIGNATURE_SIZE or message[:8] != b"AICO-HS3":
            raise Refused("Malformed")
        self.verify(message[8:])
        self.transcript += message
        self.establish()

    def establish(self):
        exchange = (bindings.crypto_kx_client_session_keys if self.role == INITIATOR
                    else bindings.crypto_kx_server_session_keys)
        receiving, sending = exchange(self.public, self.private, self.peer_public)
        transcript = hashlib.blake2b(self.transcript, digest_size=64).digest()
        self.receiving = Direction(self.bind(receiving, transcript))
        self.sending = Direction(self.bind(sending, transcript))

    @staticmethod
    def bind(key, transcript):
        return hashlib.blake2b(b"AICO-KEY-V1" + transcript, key=key, digest_size=32).digest()


class Keyward:
    """The engine's end, run as a program of its own."""

    def __init__(self, program, role, seed, peer_identity):
        name = "initiator" if role == INITIATOR else "responder"
        self.process = subprocess.Popen([program, name, seed.hex(), peer_identity.hex()],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, message):
        self.process.stdin.write(struct.pack(">I", len(message)) + message)
        self.process.stdin.flush()

    def receive(self):
        head = self.process.stdout.read(4)
        if len(head) < 4:
            raise Refused("the program ended")
        message = self.process.stdout.read(*struct.unpack(">I", head))
        if message[:1] == b"!":
            raise Refused(message[1:].decode())
        return message

    def ask(self, command, body=b""):
        self.send(command + body)
        return self.receive()

    def open(self, frame):
        metadata, text = self.ask(b"O", frame).split(b"\n", 1)
        return text, json.loads(metadata or b"{}")

    def close(self):
        self.process.stdin.close()
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.stdout.close()


class InteropTest(unittest.TestCase):
    program, role = None, None  # from the command line

    def setUp(self):
        own_seed, keyward_seed = os.urandom(32), os.urandom(32)
        keyward_identity = bindings.crypto_sign_seed_keypair(keyward_seed)[0]
        self.peer = Peer(self.role, own_seed, keyward_identity)
        self.keyward = Keyward(self.program, 3 - self.role, keyward_seed, self.peer.identity)
        self.addCleanup(self.keyward.close)

    def connect(self):
        if self.role == INITIATOR:
            self.keyward.send(self.peer.hello())
            self.keyward.send(self.peer.answer_reply(self.keyward.receive()))
        else:
            self.keyward.send(self.peer.answer_hello(self.keyward.receive()))
            self.peer.take_confirmation(self.keyward.receive())

    def refused(self, error, call, *arguments):
        with self.assertRaisesRegex(Refused, f"^{error}$"):
            call(*arguments)

    def roundtrip(self, text):
        self.assertEqual(self.keyward.open(self.peer.sending.seal(text)), (text, {}))
        self.assertEqual(self.peer.receiving.open(self.keyward.ask(b"S", text)),
                         (text, {"from": "keyward"}))

    def test_messages_go_both_ways(self):
        self.connect()
        for size in (0, 1, 1000, 1024, 100_000, 16 << 20):
            self.roundtrip(b"x" * size)
        self.assertEqual(self.keyward.close(), 0)

    def test_metadata_arrives_without_the_reserved_members(self):
        self.connect()
        application = {"b": [1, {"seq": 2}], "a": "é", "epochs": None}
        self.assertEqual(self.keyward.open(self.peer.sending.seal(b"text", application)),
                         (b"text", application))

    def test_metadata_without_number_or_epoch_is_refused(self):
        self.connect()
        for metadata in (b"{}", b'{"seq":0}', b'{"seq":0.0,"epoch":0}', b"[0,0]", b"\xff"):
            frame = self.peer.sending.seal_with(b"x", metadata)
            self.refused("Malformed", self.keyward.open, frame)
        self.peer.sending.sequence = 0
        self.roundtrip(b"still there")

    def test_each_direction_moves_on_to_new_keys(self):
        self.connect()
        for _ in range(3):
            self.peer.sending.rekey()
            self.roundtrip(b"own rekey")
            self.keyward.ask(b"R")
            self.roundtrip(b"the other's rekey")
        self.assertEqual((self.peer.sending.epoch, self.peer.receiving.epoch), (3, 3))

    def test_old_key_is_refused_after_the_new_one(self):
        self.connect()
        old = Direction(self.peer.sending.key)
        self.peer.sending.rekey()
        self.roundtrip(b"new key")
        old.sequence = self.peer.sending.sequence
        self.refused("Replayed", self.keyward.open, old.seal(b"old key"))
        self.roundtrip(b"still there")

    def test_tampered_and_replayed_messages_are_refused(self):
        self.connect()
        frame = self.peer.sending.seal(b"text")
        for at in (8, 40, len(frame) - 1):
            bad = bytearray(frame)
            bad[at] ^= 1
            with self.assertRaises(Refused):
                self.keyward.open(bytes(bad))
        self.assertEqual(self.keyward.open(frame)[0], b"text")
        self.refused("Replayed", self.keyward.open, frame)
        theirs = self.keyward.ask(b"S", b"text")
        self.refused("AuthenticationFailed", self.peer.receiving.open, theirs + b"\0")
        self.assertEqual(self.peer.receiving.open(theirs)[0], b"text")
        self.refused("Replayed", self.peer.receiving.open, theirs)
        self.refused("AuthenticationFailed", self.keyward.open, self.keyward.ask(b"S", b"mirror"))

    def test_missing_message_is_noticed(self):
        self.connect()
        lost = self.peer.sending.seal(b"first")
        self.refused("Replayed", self.keyward.open, self.peer.sending.seal(b"second"))
        self.assertEqual(self.keyward.open(lost)[0], b"first")

    def test_stale_clock_is_refused(self):
        self.peer.clock_offset_ms = -31_000
        if self.role == INITIATOR:
            self.keyward.send(self.peer.hello())
        else:
            self.keyward.send(self.peer.answer_hello(self.keyward.receive()))
        self.refused("StaleTimestamp", self.keyward.receive)

    def test_wrong_signature_is_refused(self):
        self.peer.signing_key = bindings.crypto_sign_keypair()[1]
        if self.role == INITIATOR:
            self.keyward.send(self.peer.hello())
            self.keyward.send(self.peer.answer_reply(self.keyward.receive()))
        else:
            self.keyward.send(self.peer.answer_hello(self.keyward.receive()))
        self.refused("AuthenticationFailed", self.keyward.receive)


if __name__ == "__main__":
    InteropTest.program = sys.argv[1]
    InteropTest.role = {"initiator": INITIATOR, "responder": RESPONDER}[sys.argv[2]]
    unittest.main(argv=sys.argv[:1])
