"""Kills keyd while it gives a service a new home: a backup is restored on other hardware, and a master key is moved by
its second seal. The next try makes it whole, or finds it so; then everything signs, and no hardware keeps anything of
what was begun or left."""

import os
import shutil
import subprocess

from backup_reader import Recovery, read_descriptor
from faults import FaultyService
from kill_lifetimes import ProcessProof
from kill_proof import MOST_NAMELESS

MASTER_KEY_HEAD = b"KWMK\x01"


class MoveProof(ProcessProof):
    """One call of keyd's that ends by itself, killed, with a token that is new each time."""

    def set_up(self):
        self.token = self.service.root / "token"
        if self.service.policy["hsm"]:
            subprocess.run(["cp", "-a", self.token, self.service.root / "new-token"], check=True)
        self.calls = self.live(())
        self.tell(f"{type(self).__name__}: {self.calls} calls")

    def run(self, kills):
        for options in self.moments(self.calls, kills):
            self.try_life(" ".join(options), self.live, options)

    def live(self, options):
        """How many calls that makes."""
        raise NotImplementedError

    def clear(self):
        super().clear()
        if self.service.policy["hsm"]:
            shutil.rmtree(self.token)
            subprocess.run(["cp", "-a", self.service.root / "new-token", self.token], check=True)

    def check_home(self, home, expected):
        client = self.service.serve()
        if client.second_seal()[0]:
            client.admin("ForgetSecondSeal", False)
        self.service.wait(lambda: client.admin("ShowSeals")[4] == "", "keyd to destroy the former home")
        now = client.snapshot()
        if now != expected:
            raise AssertionError(f"expected: {expected}\nnow: {now}")
        self.check_signing()
        self.assert_holds(home)

    def destroy(self):
        self.service.serve().admin("ZeroizeAll")
        self.service.drop_client()
        self.service.stop_keyd()
        self.assert_nothing_left()
        if self.service.policy["hsm"]:
            nameless = [o for o in self.service.token_objects() if not (o["id"] or o["label"] or o["value"])]
            if len(nameless) > MOST_NAMELESS:
                raise AssertionError(f"{len(nameless)} objects without a name are left")


class RestoreProof(MoveProof):
    """A backup of a service whose hardware is elsewhere."""

    KEYS = ("hard", "soft", "derived")

    def set_up(self):
        source = FaultyService(self.backend, self.KEYS)
        try:
            client = source.serve()
            client.admin("GenerateKey", "hard", "ecdsa-p256", "hardware", self.backend)
            client.admin("GenerateKey", "soft", "ed25519", "sealed", self.backend)
            client.admin("GenerateKey", "derived", "ed25519", "derived", "")
            client.admin("RotateKey", "soft")
            client.admin("EnrolModule", "prover", "soft")
            recovery = Recovery(self.service.root, "ec")
            self.backup = self.service.root / "backup"
            self.backup.write_bytes(read_descriptor(
                client.admin("CreateBackup", recovery.certificate.read_bytes())[0]))
            self.recovery_key = recovery.key
            self.expected = client.snapshot()
            del self.expected["keys"]["hard"]  # other hardware does not have it
        finally:
            source.close()
        super().set_up()

    def live(self, options):
        self.clear()
        self.service.signed = self.backend == "hsm"
        first = self.service.init_arguments()
        files = [os.open(path, os.O_RDONLY) for path in (self.backup, self.recovery_key)]

        def arguments():
            for file in files:  # which a try before has read
                os.lseek(file, 0, os.SEEK_SET)
            return ["--backup", "restore", "--backup-fd", str(files[0]), "--recovery-key-fd", str(files[1]), *first]
        try:
            calls = self.end(options, arguments, lambda said: "there is a master key already" in said, files)
        finally:
            for file in files:
                os.close(file)
        self.check_home(self.backend, self.expected)
        self.destroy()
        return calls


class ResealProof(MoveProof):
    """From the custodian of the master key to the other one, while both answer."""

    KEYS, BOTH = ("hard", "soft", "derived"), True

    def live(self, options):
        other = {"hsm": "tpm", "tpm": "hsm"}[self.backend]
        self.clear()
        before = self.make_home(other)
        authority = ["--pcr-authority", str(self.service.root / "authority.pub.pem")] if other == "tpm" else []
        calls = self.end(options, lambda: ["--reseal", "move", "--init", other, *authority],
                         lambda said: self.home() == other)
        self.check_home(other, before)
        self.destroy()
        return calls

    def make_home(self, other):
        """With a second seal in `other`, and keys in both; the snapshot of it."""
        self.service.signed = self.backend == "hsm"
        made = self.service.run_keyd(None, *self.service.init_arguments())
        if made.returncode != 0:
            raise AssertionError(made.stderr)
        client = self.service.serve()
        client.admin("GenerateKey", "hard", "ecdsa-p256", "hardware", self.backend)
        client.admin("GenerateKey", "soft", "ed25519", "sealed", other)
        client.admin("GenerateKey", "derived", "ed25519", "derived", "")
        client.admin("RotateKey", "hard")
        client.admin("EnrolModule", "prover", "soft")
        before = client.snapshot()
        client.admin("MakeSecondSeal", other, spki_of(self.service.make_authority()) if other == "tpm" else b"")
        if other == "tpm":
            self.service.sign_boot()
        self.service.drop_client()
        self.service.stop_keyd()
        return before

    def home(self):
        """The custodian that the file `master-key` names."""
        contents = (self.service.state / "master-key").read_bytes()
        at = len(MASTER_KEY_HEAD)
        return contents[at + 1:at + 1 + contents[at]].decode()


def spki_of(pem):
    """DER of the public key in that file."""
    return subprocess.run(["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"], check=True,
                          stdout=subprocess.PIPE).stdout
