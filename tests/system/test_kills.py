"""keyd is killed at moments all over what it does, and what it has answered holds: kill_proof.py,
kill_lifetimes.py and kill_moves.py. Each run chooses its moments by a seed of its own; KEYWARD_SEED repeats one. tests/soak
does more of the same.

Usage: test_kills.py [HsmKillTest|TpmKillTest]"""

import os
import random
import unittest

from kill_lifetimes import LifetimeProof
from kill_moves import ResealProof, RestoreProof
from kill_proof import KillProof

SEED = os.environ.get("KEYWARD_SEED") or str(random.randrange(1 << 32))


# Of each proof, on each of the two backends.
KILLS = {KillProof: 46, LifetimeProof: 10, RestoreProof: 5, ResealProof: 5}
BACKENDS, AT_LEAST = 2, 100


class HsmKillTest(unittest.TestCase):
    BACKEND = "hsm"

    def prove(self, proof_class):
        print(f"KEYWARD_SEED={SEED}", flush=True)
        proof = proof_class(self.BACKEND, SEED)
        self.addCleanup(proof.close)
        while proof.kills < KILLS[proof_class]:  # a moment passes by when keyd makes fewer calls than the first time
            proof.run(KILLS[proof_class] - proof.kills)
        print(f"{proof_class.__name__}: {proof.kills} kills", flush=True)
        return proof

    def test_whatever_an_administrator_does(self):
        proof = self.prove(KillProof)
        self.assertGreater(proof.unanswered, KILLS[KillProof] // 2, "too many kills came after the answer")

    def test_the_first_and_the_last_thing_that_keyd_does(self):
        self.prove(LifetimeProof)

    def test_a_backup_that_is_restored(self):
        self.prove(RestoreProof)

    def test_a_master_key_that_is_moved_by_its_second_seal(self):
        self.prove(ResealProof)

    def test_all_of_this_is_enough(self):
        self.assertGreaterEqual(BACKENDS * sum(KILLS.values()), AT_LEAST)


class TpmKillTest(HsmKillTest):
    BACKEND = "tpm"


if __name__ == "__main__":
    unittest.main()
