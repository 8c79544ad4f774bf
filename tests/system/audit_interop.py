"""The audit log's format: what Keyward writes, an independent verifier accepts, and both verifiers find fault with
the same line of whatever is done to it. Usage: audit_interop.py AUDIT_WRITER KEYCTL"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

import audit_verifier

ALGORITHMS = {
    "ed25519": ["-algorithm", "ed25519"],
    "ecdsa-p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa-p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa-pss-2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}
CHANGES = 150


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


class Log:
    """A log with a key that openssl keeps."""

    def __init__(self, folder, algorithm):
        self.folder, self.algorithm = pathlib.Path(folder), algorithm
        self.private, self.public = self.folder / "private.pem", self.folder / "public.pem"
        openssl("genpkey", *ALGORITHMS[algorithm], "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)
        self.spki = openssl("pkey", "-in", self.private, "-pubout", "-outform", "DER").hex()
        self.segments = self.folder / "log"
        self.segments.mkdir()
        self.writer = subprocess.Popen([sys.argv[1], self.segments], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.writer.stdin.write(" ".join(words) + "\n")
        self.writer.stdin.flush()
        return self.writer.stdout.readline().rstrip("\n")

    def sign(self, message):
        path = self.folder / "message"
        path.write_bytes(bytes.fromhex(message))
        if self.algorithm == "ed25519":
            return openssl("pkeyutl", "-sign", "-inkey", self.private, "-rawin", "-in", path).hex()
        options = audit_verifier.PSS if self.algorithm.startswith("rsa") else []
        return openssl("dgst", audit_verifier.DIGESTS[self.algorithm], "-sign", self.private, *options,
                       path).hex()

    def close(self):
        self.writer.stdin.close()
        self.writer.stdout.close()
        self.writer.wait()

    def data(self):
        return b"".join(path.read_bytes() for path in sorted(self.segments.iterdir()))

    def key(self):
        return audit_verifier.Key(self.public, self.algorithm)


class AuditInteropTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def log(self, algorithm):
        folder = self.folder / algorithm
        folder.mkdir()
        log = Log(folder, algorithm)
        self.addCleanup(log.close)
        return log

    def fill(self, log, rounds):
        for number in range(rounds):
            for name in ("key-a", "späte/ \"Änderung\"\\", "refused"):
                self.assertEqual(log.ask("event", f"{name}" if name == "refused" else f"{name} {number}"), "ok")
            signature = log.sign(log.ask("message"))
            self.assertEqual(log.ask("event", "meanwhile"), "ok")
            self.assertEqual(log.ask("checkpoint", log.spki, signature), "ok")

    def keyctl(self, data, log, head=None):
        """The answer of `keyctl audit verify`."""
        path = self.folder / "exported.jsonl"
        path.write_bytes(data)
        command = [sys.argv[2], "audit", "verify", str(path), "--key", str(log.public), "--json"]
        if head:
            command += ["--head", f"{head[0]}:{head[1]}"]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
        answer = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if answer["valid"] else 1)
        return answer

    def test_both_accept_logs_signed_with_any_algorithm(self):
        for algorithm in ALGORITHMS:
            with self.subTest(algorithm=algorithm):
                log = self.log(algorithm)
                self.fill(log, 2)
                head = audit_verifier.verify(log.data(), [log.key()])
                answer = self.keyctl(log.data(), log, head)
                self.assertTrue(answer["valid"], answer)
                self.assertEqual((answer["last"], answer["head"]), head)
                self.assertEqual(answer["verified"], 2)

    def test_both_accept_what_retention_leaves(self):
        log = self.log("ed25519")
        self.fill(log, 8)
        self.assertEqual(log.ask("retain"), "ok")
        head = audit_verifier.verify(log.data(), [log.key()])
        answer = self.keyctl(log.data(), log, head)
        self.assertTrue(answer["valid"], answer)
        self.assertGreater(answer["first"], 1)

    def test_both_refuse_another_key(self):
        log, other = self.log("ed25519"), self.log("ecdsa-p256")
        self.fill(log, 1)
        with self.assertRaises(audit_verifier.Bad):
            audit_verifier.verify(log.data(), [other.key()])
        self.assertEqual(self.keyctl(log.data(), other)["problem"]["kind"], "unknown-key")

    def changed(self, chance, data):
        lines = data.splitlines(keepends=True)
        first, second = sorted(chance.sample(range(len(lines)), 2))
        kind = chance.choice(("byte", "byte", "byte", "remove", "swap", "again", "cut"))
        if kind == "byte":
            at = chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1:]
        if kind == "remove":
            del lines[first]
        elif kind == "swap":
            lines[first], lines[second] = lines[second], lines[first]
        elif kind == "again":
            lines.insert(second + 1, lines[first])
        else:
            return data[:chance.randrange(len(data) - 1)]
        return b"".join(lines)

    def test_both_find_the_same_line_of_a_changed_log(self):
        log = self.log("ed25519")
        self.fill(log, 3)
        data, key = log.data(), log.key()
        head = audit_verifier.verify(data, [key])
        chance = random.Random(20260621)
        for _ in range(CHANGES):
            changed = self.changed(chance, data)
            with self.subTest(changed=changed):
                answer = self.keyctl(changed, log, head)
                with self.assertRaises(audit_verifier.Bad) as bad:
                    audit_verifier.verify(changed, [key], head)
                self.assertEqual(answer["problem"]["line"], bad.exception.line, (answer, bad.exception))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
