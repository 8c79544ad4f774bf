"""Secrets are in keyd's secret memory and nowhere else: not in the rest of its memory, a core dump, the store, the
log or on the bus, neither in use nor after a backup, a revocation, a seal and the end.

Those that are looked for are known because the test has them from elsewhere: session keys from the other end of
the session (aico_peer.py), the master key and what is sealed under it from the hardware
(reveal_secrets_main.cc); a derived key's seed is made of that master key here. Usage: test_leaks.py [CASE]"""

import base64
import hashlib
import itertools
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import unittest

from nacl import bindings

import aico_peer
from backup_reader import Recovery, open_with, read_descriptor
from channel import Channel
from derived_seed import derived_seed
from faults import KEYDS_OWN, NAME, FaultyService
from harness import BIN, IS_ROOT, KEYD_USER, SOURCE, TIMEOUT, as_user
from hchacha import hchacha20
from memory_search import Search

REVEAL = BIN.parent / "tests/keyward-reveal-secrets"
ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
LARGE = 100_000  # bytes; from 1024 on another cipher's code does the work


class Session:
    """One of keyd's with a peer that tells all of its secrets."""

    def __init__(self, client, key, spki):
        aico_peer.CONTEXT, aico_peer.OWN_NAME = b"keyward", b"far"
        aico_peer.PEER_NAME = b"prover"
        self.peer = aico_peer.Peer(aico_peer.RESPONDER, os.urandom(32), spki[-32:])
        client.admin("EnrolPeer", "far", ED25519_SPKI + self.peer.identity)
        self.client, self.key, self.secrets = client, key, {}
        self.channel = None

    def close(self):
        if self.channel is not None:
            self.channel.socket.close()

    def use(self):
        """A handshake, messages of both sizes both ways, and new keys."""
        path, fd = self.client.open_session(self.key, "initiator", "far")
        self.path, self.channel = path, Channel(fd)
        reply = self.peer.answer_hello(self.step(b""))
        self.peer.take_confirmation(self.step(reply))
        shared = bindings.crypto_scalarmult(self.peer.private, self.peer.peer_public)
        both = hashlib.blake2b(shared + self.peer.peer_public + self.peer.public).digest()
        self.secrets.update({"shared": shared, "exchanged": both})
        for epoch in range(2):
            self.note_keys(epoch)
            for text in (b"small", bytes(LARGE)):
                frame = self.peer.sending.seal(text)
                self.note_message_key(f"opening-{epoch}", self.peer.sending.key, frame)
                assert self.channel.open(frame)[0] == text
                frame = self.channel.seal(text)
                self.note_message_key(f"sealing-{epoch}", self.peer.receiving.key, frame)
                assert self.peer.receiving.open(frame)[0] == text
            if epoch == 0:
                self.channel.rekey()
                self.peer.sending.rekey()
                self.peer.receiving.open(self.channel.seal(b"under the new key"))
                self.channel.open(self.peer.sending.seal(b"under the new key"))

    def step(self, message):
        """Over the bus, which is listened to."""
        return bytes(self.client.call(self.path, f"{NAME}.Session", "Step", message)[0])

    def note_keys(self, epoch):
        self.secrets[f"sending-{epoch}"] = self.peer.receiving.key
        self.secrets[f"receiving-{epoch}"] = self.peer.sending.key

    def note_message_key(self, name, key, frame):
        if len(frame) > LARGE:
            self.secrets[f"message-{name}"] = hchacha20(key, frame[8:24])

    def in_use(self):
        """Names of the keys that keyd needs from here on."""
        return {"sending-1", "receiving-1"}


class SearchTest(unittest.TestCase):
    """The search itself, on what is planted."""

    HOLD = "import sys; planted = bytes.fromhex(sys.stdin.readline()); print(flush=True); sys.stdin.read()"

    def test_each_spelling_of_each_half_is_found(self):
        secret = os.urandom(32)
        search = Search({"canary": secret})
        spell = (bytes, lambda part: part.hex().encode(), lambda part: part.hex().upper().encode(),
                 base64.b64encode, base64.urlsafe_b64encode)
        for part, write, amid in itertools.product((secret[:16], secret[16:], secret), spell, range(4)):
            around = os.urandom(amid)
            self.assertEqual(search.in_bytes(b"x" + write(around + part + around) + b"y"), {"canary"})
        self.assertEqual(search.in_bytes(os.urandom(1 << 20)), set())

    def test_what_a_process_holds_is_found(self):
        secret = os.urandom(32)
        process = subprocess.Popen(["/usr/bin/python3", "-c", self.HOLD], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        process.stdin.write(secret[::-1].hex().encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        self.assertTrue(Search({"canary": secret[::-1]}).in_memory(process.pid))
        self.assertEqual(Search({"canary": secret}).in_memory(process.pid), set())


@unittest.skipUnless(IS_ROOT, "LOUD SKIP: reading keyd's memory takes root")
class LeakTest(unittest.TestCase):
    """With memfd_secret, whose pages nobody else can read."""

    BACKEND, WRAPPER = "hsm", ()
    KEY, DERIVED = "made-1", "made-2"
    SUBKEYS = {"store-mac", "wrapping", "transport", "audit", "backup", "token"}  # what keyd has while it is unsealed

    def setUp(self):
        # Nobody but keyd itself keeps a core dump from its working directory.
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        self.service = FaultyService(self.BACKEND)
        self.addCleanup(self.service.close)
        self.secrets = {}
        client = self.service.serve()
        self.service.enrol_identity()
        self.spki = bytes(client.admin("GenerateKey", self.KEY, "ed25519", "sealed", self.BACKEND))
        client.admin("GenerateKey", self.DERIVED, "ed25519", "derived", "")
        client.admin("RemoveModule", "prover")
        client.admin("EnrolModule", "prover", self.KEY)
        self.service.drop_client()
        self.service.stop_keyd()
        self.learn_secrets()
        self.listen_to_the_bus()
        self.service.serve(self.WRAPPER)
        self.session = Session(self.service.client, self.KEY, self.spki)
        self.addCleanup(self.session.close)
        self.session.use()
        self.secrets.update(self.session.secrets)
        for key in (self.KEY, self.DERIVED):
            self.service.client.sign(key, b"message")
        self.back_up()
        self.service.client.versions(self.KEY)  # puts the public key on the bus
        self.search = Search({**self.secrets, "public": self.spki[-32:]})

    def reveal(self):
        """What the hardware gives out while no keyd runs."""
        shutil.copy(REVEAL, self.service.root)
        command = [str(self.service.root / REVEAL.name), str(self.service.root / "security.yaml"),
                   str(self.service.state)]
        return subprocess.run(as_user(KEYD_USER, command), env=self.service.environment(), check=False,
                              capture_output=True, text=True, timeout=TIMEOUT)

    def learn_secrets(self):
        said = self.reveal()
        self.assertEqual(said.returncode, 0, said.stderr)
        told = {name: bytes.fromhex(secret) for name, secret in map(str.split, said.stdout.splitlines())}
        salt = told.pop(f"salt-{self.DERIVED}")
        self.assertLessEqual(self.SUBKEYS, set(told))
        self.assertEqual(told[f"seed-{self.DERIVED}"], derived_seed(told["master"], self.DERIVED, 1, salt))
        for name, secret in told.items():
            self.secrets[name] = secret
            if name.startswith("seed-"):
                expanded = bytearray(hashlib.sha512(self.secrets[name]).digest())
                self.secrets[f"hash-of-{name}"] = bytes(expanded)
                expanded[0], expanded[31] = expanded[0] & 248, expanded[31] & 127 | 64
                self.secrets[f"scalar-of-{name}"] = bytes(expanded)
        if self.BACKEND == "hsm":
            self.secrets["pin"] = (self.service.root / "token/hsm.pin").read_bytes().strip()

    def back_up(self):
        """Every sealed key is opened for it, and every derived one derived; each that is found in it by openssl is one that is looked for."""
        recovery = Recovery(self.service.root, "rsa")
        backup = self.service.client.admin("CreateBackup", recovery.certificate.read_bytes())[0]
        read = open_with(recovery.key, read_descriptor(backup))
        held = {version["key"]: read["secrets"][version["id"]] for version in read["versions"]
                if version["id"] in read["secrets"]}
        self.assertLessEqual({self.KEY, self.DERIVED}, set(held))
        for key, seed in held.items():
            if key == KEYDS_OWN:  # which was not there when the others were revealed
                self.secrets[f"seed-{key}"] = seed
            self.assertEqual(seed, self.secrets[f"seed-{key}"])

    def listen_to_the_bus(self):
        self.heard = self.service.root / "heard"
        with open(self.heard, "wb") as out:
            monitor = subprocess.Popen(["dbus-monitor", "--binary", "--address",
                                        self.service.bus_address], stdout=out)
        self.addCleanup(monitor.wait)
        self.addCleanup(monitor.kill)
        self.service.wait(lambda: self.heard.stat().st_size > 0, "the monitor to hear something")

    # What is found.

    def in_memory(self, but=()):
        """Secrets in keyd's memory, each with its region; the public key must be among all that is found, or
        the search is no good."""
        found = self.search.in_memory(self.service.keyd.pid)
        self.assertIn("public", {name for name, _ in found})
        return {(name, region) for name, region in found if name != "public" and name not in but}

    def stored(self):
        """Everything of keyd's on disk, and its token's; the chip's own memory and the PIN file are the
        hardware."""
        folders = [self.service.state] + ([self.service.root / "token/tokens"]
                                          if self.BACKEND == "hsm" else [])
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    def assert_nothing_outside(self):
        files = [*self.stored(), self.service.log_path, self.heard]
        found = self.search.in_files(files)
        self.assertIn(("public", str(self.heard)), found, "what is on the bus is not found")
        self.assertTrue([path for name, path in found if name == "public" and "state.db" in path])
        self.assertEqual({hit for hit in found if hit[0] != "public"}, set())

    def assert_in_use(self, found):
        self.assertEqual(found, set())

    def assert_in_use_everywhere(self):
        self.assert_in_use(self.in_memory())
        self.assert_nothing_in_a_core_dump()
        self.assert_nothing_outside()

    def assert_nowhere(self, when):
        self.assertEqual(self.in_memory(), set(), when)
        self.assert_nothing_in_a_core_dump()
        self.assert_nothing_outside()

    def end(self):
        self.service.drop_client()
        self.assertEqual(self.service.stop_keyd(), 0)
        self.assert_nothing_outside()

    def test_secrets_are_where_they_belong(self):
        self.assert_in_use_everywhere()
        client = self.service.client
        client.admin("RevokeKey", self.KEY, 0)
        self.assertEqual(self.session.channel.wait_closed(), "Revoked")
        client.admin("RevokeKey", self.DERIVED, 0)
        self.assertEqual(self.in_memory(but=self.SUBKEYS), set(), "after revocation")
        self.assert_nothing_in_a_core_dump()
        client.admin("Seal")
        self.assert_nowhere("after the seal")
        self.end()

    def test_a_seal_ends_what_is_in_use(self):
        """A live session, unsealed keys, and all subkeys; nothing was revoked or closed before."""
        self.assert_in_use(self.in_memory())
        self.service.client.admin("Seal")
        self.assert_nowhere("after the seal")
        self.assertEqual(self.session.channel.wait_closed(), "Sealed")
        self.end()

    def test_zeroizing_all_ends_what_is_in_use_and_what_is_stored(self):
        self.assert_in_use(self.in_memory())
        self.service.client.admin("ZeroizeAll")
        self.assert_nowhere("after zeroizing")
        self.assertEqual(self.session.channel.wait_closed(), "Sealed")
        self.end()
        said = self.reveal()
        self.assertEqual((said.returncode, said.stdout), (1, ""), "what is stored can still be opened")

    def assert_nothing_in_a_core_dump(self):
        """One that a debugger makes; keyd itself leaves none (below)."""
        self.assertTrue(shutil.which("gcore"), "there is no gcore: install the package gdb")
        core = self.service.root / "core"
        subprocess.run(["gcore", "-o", core, str(self.service.keyd.pid)], check=True,
                       timeout=TIMEOUT, capture_output=True)
        dump = pathlib.Path(f"{core}.{self.service.keyd.pid}")
        found = self.search.in_files([dump])  # registers and all
        dump.unlink()
        self.assertEqual({name for name, _ in found}, {"public"})

    def cores(self):
        return [path for path in self.service.state.iterdir() if "core" in path.name]

    def how_it_ends(self, process):
        """How the kernel says that an aborted process has ended: os.CLD_KILLED, or os.CLD_DUMPED with a core dump."""
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(ended.si_status, signal.SIGABRT)
        process.wait()
        return ended.si_code

    def test_a_crash_leaves_no_core_dump(self):
        """Where any other process of the same user would leave one."""
        secret = os.urandom(32)
        other = subprocess.Popen(
            as_user(KEYD_USER, ["/usr/bin/python3", "-c", "import os, sys; planted = sys.stdin.read(); os.abort()"]),
            stdin=subprocess.PIPE, cwd=self.service.state)
        other.stdin.write(secret.hex().encode())
        other.stdin.close()
        if self.how_it_ends(other) != os.CLD_DUMPED:
            self.skipTest("LOUD SKIP: this host keeps no core dump of anything (/proc/sys/kernel/core_pattern)")
        if not pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
            core, = self.cores()
            self.assertEqual(Search({"planted": secret}).in_files([core]), {("planted", str(core))})
            core.unlink()
        self.service.drop_client()
        keyd, self.service.keyd = self.service.keyd, None
        keyd.send_signal(signal.SIGABRT)
        self.assertEqual(self.how_it_ends(keyd), os.CLD_KILLED)
        self.assertEqual(self.cores(), [])
        self.assert_nothing_outside()


class LockedPagesTest(LeakTest):
    """Without memfd_secret: secrets are in locked pages, where root can read them, but no core dump can. So it is
    seen that they are found while they are in use, and that they are wiped."""

    WRAPPER = ("/usr/bin/python3", "-B", str(SOURCE / "tests/system/without_memfd_secret.py"))

    def assert_in_use(self, found):
        self.assertEqual({hit for hit in found if not hit[1].is_for_secrets()}, set())
        expected = self.session.in_use() | self.SUBKEYS | {f"seed-{self.KEY}", f"seed-{self.DERIVED}"}
        self.assertEqual({name for name, _ in found}, expected)


class TpmLeakTest(LeakTest):
    BACKEND = "tpm"


class TpmLockedPagesTest(LockedPagesTest):
    BACKEND = "tpm"


if __name__ == "__main__":
    unittest.main()
