"""What an administrator has keyd do with the service as a whole while it is killed: backups, seals, signed states of
the boot, lists of revocations, the audit log. See kill_scenarios.py."""

import datetime
import hashlib
import os
import subprocess

from backup_reader import Recovery, open_with, read_descriptor
from faults import verifies
from kill_scenarios import OnMadeKey, Scenario, changed, with_state


class Backup(Scenario):
    """keyd knows afterwards which backup is the latest one, and what it has given is whole."""

    def __init__(self):
        super().__init__("back up", "CreateBackup")
        self.recovery = self.latest = None

    def prepare(self, service):
        self.recovery = self.recovery or Recovery(service.root, "ec")

    def all_arguments(self):
        return [self.recovery.certificate.read_bytes()]

    def outcomes(self, before, now):
        return [before]

    def clean_up(self, service):
        latest = bytes(service.client.admin("CheckBackup", bytes(32), bytes(32))[1])
        if not self.answered:
            # Of the one that was under way it may know, and has not given it out.
            assert latest != b"" or self.latest is None, "the latest backup is forgotten"
        else:
            read = open_with(self.recovery.key, read_descriptor(self.answer[0]))
            sealed = {key[0] for key in read["keys"] if key[2] != "hardware"}
            active = {version["key"] for version in read["versions"] if version["state"] == 2}
            held = {version["key"] for version in read["versions"] if version["id"] in read["secrets"]}
            assert held == sealed & active and "steady-sealed" in held, (sealed, active, held)
            assert read["id"] == latest == bytes(self.answer[1]), (read["id"], latest)
        self.latest = latest


class Seal(Scenario):
    sealed = True

    def outcomes(self, before, now):
        return [before]


class Unseal(Seal):
    sealed = False

    def lead_up(self, service):
        service.client.admin("Seal")


class SecondSeal(Scenario):
    """Comes or goes: of a recovery key, which takes no other hardware."""

    def __init__(self, name, call, *arguments):
        super().__init__(name, call, *arguments)
        self.certificate = None

    def prepare(self, service):
        self.certificate = self.certificate or Recovery(service.root, "ec", "second").certificate
        if self.call == "ForgetSecondSeal":
            service.client.admin("MakeSecondSeal", "recovery", self.certificate.read_bytes())

    def all_arguments(self):
        return self.arguments or ["recovery", self.certificate.read_bytes()]

    def outcomes(self, before, now):
        def change(snapshot):
            snapshot["second"] = ("", "") if self.arguments else ("recovery", self.fingerprint())
        return [before, changed(before, change)]

    def fingerprint(self):
        der = subprocess.run(["openssl", "x509", "-in", self.certificate, "-outform", "DER"], check=True,
                             stdout=subprocess.PIPE).stdout
        return hashlib.sha256(der).hexdigest()

    def clean_up(self, service):
        if service.client.second_seal()[0]:
            service.client.admin("ForgetSecondSeal", False)


def sign(key, statement):
    """As `openssl dgst` does, with the private key of that path."""
    return subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=statement, check=True,
                          stdout=subprocess.PIPE).stdout


class AddPcrPolicy(Scenario):
    """Of a boot to come. The one of now is then made the latest again, as keyd keeps no more than MOST."""

    MOST = 16
    PCRS = 1 << 7

    def __init__(self):
        super().__init__("sign a state of the boot", "AddPcrPolicy")
        self.digest = self.policies = self.authority = None

    def prepare(self, service):
        self.digest, self.authority = os.urandom(32), service.root / "authority.pem"
        self.policies = service.client.pcr_policies()

    def all_arguments(self):
        return self.signed(self.PCRS, self.digest)

    def signed(self, pcrs, digest):
        return [pcrs, digest, sign(self.authority, digest)]

    def outcomes(self, before, now):
        return [before]

    def clean_up(self, service):
        now = service.client.pcr_policies()
        added = [(self.PCRS, self.digest), *self.policies][:self.MOST]
        assert now in ([added] if self.answered else [self.policies, added]), (self.policies, now)
        service.client.admin("AddPcrPolicy", *self.signed(*self.policies[0]))


class ListScenario(OnMadeKey):
    """Lists of revocations, with another service's key."""

    def prepare(self, service):
        super().prepare(service)
        self.key_file = service.root / "other-service.pem"
        if not self.key_file.exists():
            subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-out", self.key_file], check=True)
        self.signer = subprocess.run(["openssl", "pkey", "-in", self.key_file, "-pubout", "-outform", "DER"],
                                     check=True, stdout=subprocess.PIPE).stdout


class ImportRevocations(ListScenario):
    """Of a key that is kept here, and of one that is not."""

    def lead_up(self, service):
        (_, spki), = service.client.versions(self.key).values()
        self.listed = [(hashlib.sha256(spki).hexdigest(), self.key, 1), (os.urandom(32).hex(), "foreign", 7)]

    def all_arguments(self):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        lines = [f"key {fingerprint} {name} {version} {now}\n" for fingerprint, name, version in self.listed]
        composed = f"Keyward revocations v1\nissued {now} epoch 1\n" + "".join(lines)
        signature = sign(self.key_file, composed.encode())
        return [f"{composed}signature {hashlib.sha256(self.signer).hexdigest()} {signature.hex()}\n", self.signer]

    def outcomes(self, before, now):
        issuer = hashlib.sha256(self.signer).hexdigest()

        def change(snapshot):
            snapshot["revoked"] = sorted([*snapshot["revoked"], *((*each, issuer) for each in self.listed)])
        known = changed(before, change)
        return [before, known, with_state(known, self.key, "revoked")]


class ExportRevocations(ListScenario):
    """What it gives names all that was revoked here, under a signature that holds."""

    def lead_up(self, service):
        service.client.admin("RevokeKey", self.key, 0)
        (_, spki), = service.client.versions(self.key).values()
        self.revoked = f"key {hashlib.sha256(spki).hexdigest()} {self.key} 1 "

    def outcomes(self, before, now):
        return [with_state(before, self.key, "revoked")]

    def all_arguments(self):
        return []

    def clean_up(self, service):
        if self.answered:
            text, signer = str(self.answer[0]), bytes(self.answer[1])
            composed, last = text[:-1].rsplit("\n", 1)
            assert verifies(signer, f"{composed}\n".encode(), bytes.fromhex(last.split()[2])), "its signature"
            assert self.revoked in composed and " fallen 1 " in composed, composed
        super().clean_up(service)


class SignAudit(Scenario):
    """What was said to be signed is."""

    def __init__(self):
        super().__init__("sign the audit log", "SignAudit")
        self.written = 0

    def lead_up(self, service):
        self.written = self.numbers(service)[0]

    @staticmethod
    def numbers(service):
        """The last record, and the last one that a signature answers for."""
        return [int(number) for number in service.client.property("/org/keyward/Keyd1", "Manager", "Audit")[1:3]]

    def outcomes(self, before, now):
        return [before]

    def clean_up(self, service):
        if self.answered:
            assert self.numbers(service)[1] >= self.written, "a signature of the log is lost"
