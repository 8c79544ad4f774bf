"""A disk that fails, is full, or gives back something else than was written: keyd says so, keeps serving what
it can, and never goes by what is wrong.

Usage: test_store_faults.py [CASE]; KEYWARD_SEED repeats a run."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import subprocess
import unittest

from fault_proof import FaultProof, TokenFaultProof
from faults import Fault, FaultyService, verifies
from harness import IS_ROOT, KEYD_USER

KEY = "steady"
SEED = os.environ.get("KEYWARD_SEED") or str(random.randrange(1 << 32))
PAGE = 4096
WAL_HEADER, WAL_FRAME = 32, 24 + PAGE
RESERVE = 256 << 10
REFUSALS = ("DataCorrupt", "RolledBack", "NotInitialised", "Configuration")  # the last: of a newer version


MAKINGS = ("generate hardware", "rotate hardware")


class MakingFaultProof(FaultProof):
    def scenarios(self):
        return [each for each in super().scenarios() if each.name in MAKINGS]


class CounterFaultProof(TokenFaultProof):
    def scenarios(self):
        return [each for each in super().scenarios() if each.name in MAKINGS[:1]]

    def limit_faults(self):
        """Calls on the store are counted, too, to tell what comes after."""


class FailingDiskTest(unittest.TestCase):
    """One write, sync or truncation after the other fails, or is made by half."""

    LIVES = 32
    MOST_ROUNDS = 4  # chance may have most faults meet what nobody waits for

    def test_the_store_beside_an_hsm(self):
        self.prove(FaultProof, "hsm")

    def test_the_store_beside_a_tpm(self):
        self.prove(FaultProof, "tpm")

    def test_the_token_of_an_hsm(self):
        self.prove(TokenFaultProof, "hsm")

    def test_a_sync_that_fails_just_before_the_end(self):
        """What was to be synced is in the log all the same, and counts at the next start."""
        proof = MakingFaultProof("hsm", SEED)
        self.addCleanup(proof.close)
        for scenario in proof.calls:
            for number, call in enumerate(proof.calls[scenario], 1):
                if "fdatasync" in call:
                    proof.live(scenario, ("--fail-at", str(number), "--errno", "EIO",
                                          "--kill-at", str(number + 1)))
        self.assertGreater(proof.unanswered, 3)

    def test_a_key_that_the_counter_does_not_confirm(self):
        """It is there, as the answer says, and is used."""
        proof = CounterFaultProof("hsm", SEED)
        self.addCleanup(proof.close)
        for scenario in proof.calls:
            calls = proof.calls[scenario]
            committed = max(i for i, call in enumerate(calls) if "state.db-wal" in call)
            counting = next(i for i, call in enumerate(calls) if i > committed and "ftruncate" in call)
            # How many pages the store writes differs from life to life; what the token does, does not.
            number = sum("/token/" in call for call in calls[:counting + 1])
            TokenFaultProof.limit_faults(proof)
            proof.live(scenario, ("--fail-at", str(number), "--errno", "EIO"))
        self.assertEqual(proof.refused, 1)

    def prove(self, proof_class, backend):
        print(f"KEYWARD_SEED={SEED}", flush=True)
        proof = proof_class(backend, SEED)
        self.addCleanup(proof.close)
        for _ in range(self.MOST_ROUNDS):
            proof.run(self.LIVES)
            if proof.refused > self.LIVES // 8:
                return
        self.fail("too few faults were told")


class StoreTest(unittest.TestCase):
    def setUp(self):
        print(f"KEYWARD_SEED={SEED}", flush=True)
        self.random = random.Random(SEED)
        self.service = FaultyService("hsm", [KEY])
        self.addCleanup(self.service.close)

    def begin(self):
        client = self.service.serve()
        self.service.enrol_identity()
        client.admin("GenerateKey", KEY, "ecdsa-p256", "hardware", "hsm")
        return client

    def assert_signs(self):
        client = self.service.client
        (spki,) = [spki for state, spki in client.versions(KEY).values() if state == "active"]
        self.assertTrue(verifies(spki, b"message", client.sign(KEY, b"message")))

    def assert_fault(self, code, words, *call):
        with self.assertRaises(Fault) as caught:
            self.service.client.admin(*call)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(words, caught.exception.message)

    def end(self, how):
        self.service.drop_client()
        if how == signal.SIGKILL:
            self.service.kill_keyd()
        else:
            self.assertEqual(self.service.stop_keyd(how), 0)


class CorruptStoreTest(StoreTest):
    """Bytes of the store change while nobody looks. The token is put back with it, which real hardware does not
    allow, so that its counter does not tell every copy for an old one."""

    def setUp(self):
        super().setUp()
        client = self.begin()
        client.admin("RotateKey", KEY)
        client.admin("GenerateKey", "made-1", "ed25519", "hardware", "hsm")
        client.admin("RevokeKey", "made-1", 0)
        self.snapshot = client.snapshot()

    def keep(self):
        for name in ("state", "token"):
            subprocess.run(["cp", "-a", self.service.root / name, self.service.root / f"{name}-kept"],
                           check=True)

    def put_back(self):
        for name in ("state", "token"):
            shutil.rmtree(self.service.root / name)
            subprocess.run(["cp", "-a", self.service.root / f"{name}-kept", self.service.root / name],
                           check=True)

    def write(self, name, at, data):
        with open(self.service.state / name, "r+b") as file:
            file.seek(at)
            file.write(data)

    def flip(self, name, at):
        old = (self.service.state / name).read_bytes()[at]
        self.write(name, at, bytes([old ^ 1 << self.random.randrange(8)]))

    def refuses(self):
        """Whether keyd refuses to start, and says why; otherwise it serves just what it did before."""
        self.service.launch()
        try:
            self.service.wait_log("keyd: is on the bus")
        except AssertionError:
            self.assertEqual(self.service.wait_end(), 1)
            self.assertRegex(self.service.log(),
                             f"cannot start: ({'|'.join(REFUSALS)}): .*(put back|restore)")
            return True
        self.assertEqual(self.service.connect().snapshot(), self.snapshot)
        self.assert_signs()
        self.end(signal.SIGKILL)
        return False

    def refused(self, damages):
        """Of damages (a name and a function each), how many kept keyd from starting."""
        count = 0
        for what, damage in damages:
            self.put_back()
            damage()
            try:
                count += self.refuses()
            except AssertionError as error:
                raise AssertionError(f"{what}: {self.service.log()}") from error
        return count

    def damages(self, name, size, piece, first=0):
        """In each piece of a file: three bits that flip, and zeros all over it."""
        for begin in range(first, size, piece):
            for offset in (0, self.random.randrange(1, 100), self.random.randrange(100, piece)):
                at = min(begin + offset, size - 1)
                yield f"{name}, byte {at}", lambda at=at: self.flip(name, at)
            yield f"{name}, zeros at {begin}", lambda begin=begin: self.write(
                name, begin, bytes(min(piece, size - begin)))

    def test_each_page_of_the_store(self):
        self.end(signal.SIGTERM)
        self.keep()
        size = (self.service.state / "state.db").stat().st_size
        self.assertGreater(size // PAGE, 8)
        self.assertGreater(self.refused(self.damages("state.db", size, PAGE)), size // PAGE)

    def test_each_part_of_the_write_ahead_log(self):
        self.end(signal.SIGKILL)
        self.keep()
        size = (self.service.state / "state.db-wal").stat().st_size
        frames = (size - WAL_HEADER) // WAL_FRAME
        self.assertGreater(frames, 8)
        # Some of each kind: early frames, which later ones replace, and the last, which counts.
        chosen = {*self.random.sample(range(frames), 5), frames - 2, frames - 1}
        damages = [("its header", lambda: self.flip("state.db-wal", self.random.randrange(WAL_HEADER)))]
        for frame in chosen:
            at = WAL_HEADER + frame * WAL_FRAME
            damages += self.damages("state.db-wal", at + WAL_FRAME, WAL_FRAME, at)
            damages.append((f"cut off at {at}", lambda at=at: os.truncate(
                self.service.state / "state.db-wal", at)))
        self.assertGreater(self.refused(damages), len(chosen))

    def test_the_index_of_the_log_is_made_anew(self):
        self.end(signal.SIGKILL)
        self.keep()
        size = (self.service.state / "state.db-shm").stat().st_size
        damages = list(self.damages("state.db-shm", size, size))
        self.assertEqual(self.refused(damages), 0)

    def test_a_store_that_changes_under_a_running_keyd(self):
        self.end(signal.SIGKILL)
        self.keep()
        refusals = 0
        for name in ("state.db", "state.db-wal") * 3:
            self.put_back()
            client = self.service.serve()
            size = (self.service.state / name).stat().st_size
            for begin in range(0, size, PAGE):
                self.flip(name, begin + self.random.randrange(min(PAGE, size - begin)))
            self.assert_signs()
            try:
                client.admin("EnrolModule", "guest", self.service.IDENTITY)
            except Fault as fault:
                self.assertIn(fault.code, ("DataCorrupt", "Io"))
            self.assert_signs()
            self.snapshot = client.snapshot()
            self.end(signal.SIGKILL)
            refusals += self.refuses()
        self.assertGreater(refusals, 0)


@unittest.skipUnless(IS_ROOT, "LOUD SKIP: mounting a small disk takes root")
class FullDiskTest(StoreTest):
    SIZE = "2200k"  # of which the audit log sets 1 MiB aside, and the store 256 KiB

    def setUp(self):
        super().setUp()
        state = self.service.state
        owner = pwd.getpwnam(KEYD_USER)
        subprocess.run(["mount", "-t", "tmpfs", "-o",
                        f"size={self.SIZE},mode=700,uid={owner.pw_uid},gid={owner.pw_gid}",
                        "tmpfs", state], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", state], check=True)
        self.filler = state / "filler"
        self.begin()

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(512))

    def test_keyd_serves_on_and_refuses_changes(self):
        client = self.service.client
        self.fill()
        before = client.snapshot()
        refused = 0
        while not refused:  # the log has room for some
            try:
                client.admin("RotateKey", KEY)
                before = client.snapshot()
            except Fault as fault:
                self.assertEqual(fault.code, "Io")
                self.assertIn("the disk that holds the state is full: make room", fault.message)
                refused += 1
        self.assert_signs()
        self.assertEqual(client.snapshot(), before)

    def reserve(self):
        return (self.service.state / "reserve").stat().st_blocks * 512

    def test_a_revocation_lasts(self):
        """In the space that is set aside, of which the first one takes some and the next ones hardly any; another
        writer takes what it finds free."""
        client = self.service.client
        others = [f"made-{number}" for number in range(4)]
        for name in others:
            client.admin("GenerateKey", name, "ed25519", "hardware", "hsm")
        self.assertEqual(self.reserve(), RESERVE)
        self.fill()
        for name in [KEY, *others]:
            client.admin("RevokeKey", name, 0)
            with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
                file.write(bytes(RESERVE))
        self.assertIn("gave up", self.service.log())
        self.assertGreater(self.reserve(), RESERVE // 2)
        with self.assertRaises(Fault) as caught:
            client.sign(KEY, b"message")
        self.assertEqual(caught.exception.code, "Revoked")
        after = client.snapshot()
        self.end(signal.SIGKILL)
        self.filler.unlink()
        client = self.service.serve()
        self.assertEqual(client.snapshot(), after)
        self.assertEqual(self.reserve(), RESERVE)

    def test_space_is_set_aside_again(self):
        client = self.service.client
        self.fill()
        client.admin("RevokeKey", KEY, 0)
        self.fill()
        self.assertLess(self.reserve(), RESERVE)
        self.filler.unlink()
        self.service.wait(lambda: self.reserve() == RESERVE, "keyd to set space aside")
        self.service.wait_log("set aside for revocations again")

    def test_a_start_waits_for_room(self):
        before = self.service.client.snapshot()
        self.end(signal.SIGTERM)
        self.fill()
        client = self.service.serve(unseals=False)
        self.assertEqual(client.seal(), "Io")
        self.filler.unlink()
        self.service.wait(lambda: client.seal() == "", "keyd to find that there is room")
        self.assertEqual(client.snapshot(), before)
        self.assert_signs()


if __name__ == "__main__":
    unittest.main()
