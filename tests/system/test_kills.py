"""keyd is killed at moments all over what it does, and what it has answered holds: kill_proof.py and
kill_lifetimes.py. Each run chooses its moments by a seed of its own; KEYWARD_SEED repeats one. tests/soak
does more of the same.

Usage: test_kills.py [HsmKillTest|TpmKillTest]"""

import os
import random
import unittest

from kill_lifetimes import LifetimeProof
from kill_proof import KillProof

SEED = os.environ.get("KEYWARD_SEED") or str(random.randrange(1 << 32))


class HsmKillTest(unittest.TestCase):
    BACKEND = "hsm"

    def prove(self, proof_class, kills):
        print(f"KEYWARD_SEED={SEED}", flush=True)
        proof = proof_class(self.BACKEND, SEED)
        self.addCleanup(proof.close)
        proof.run(kills)
        # A moment may pass by when keyd made fewer calls than the first time.
        self.assertGreater(proof.kills, kills * 3 // 4)
        return proof

    def test_whatever_an_administrator_does(self):
        proof = self.prove(KillProof, 60)
        self.assertGreater(proof.unanswered, 30, "too many kills came after the answer")

    def test_the_first_and_the_last_thing_that_keyd_does(self):
        self.prove(LifetimeProof, 24)


class TpmKillTest(HsmKillTest):
    BACKEND = "tpm"


if __name__ == "__main__":
    unittest.main()
