"""bench/run measures every row beside its peer. What the figures are decides nothing here."""

import json
import subprocess
import unittest

from harness import SOURCE


class BenchTest(unittest.TestCase):
    def test_every_row_has_its_peer(self):
        said = subprocess.run([SOURCE / "bench/run", "--json", "--revocations", "1"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        rows = json.loads(said)
        self.assertEqual({(r["name"], r["peer"]) for r in rows}, {
            ("sign_p256_hsm", "p11-kit-server"), ("sign_p256_hsm", "in-process C_Sign"),
            ("unseal_tpm", "uncached ESYS"), ("handshake_aico_hsm", "compute alone in-process"),
            ("seal_16k", "libsodium in-process"), ("revoke_10000_sessions", "limit")})
        for row in rows:
            self.assertEqual(set(row), {"name", "value", "unit", "peer", "peer_value", "ratio"})
            self.assertGreater(row["value"], 0)
            self.assertGreater(row["peer_value"], 0)
        ended, = (row for row in rows if row["name"] == "revoke_10000_sessions")
        self.assertEqual(ended["unit"], "ms (max of 1)")
        print(f"{ended['name']}: {ended['value']:.4g} {ended['unit']}, {ended['peer']} {ended['peer_value']:.4g} ms",
              flush=True)


if __name__ == "__main__":
    unittest.main()
