"""What an administrator has keyd do while it is killed, and what may be found after.

Each scenario brings a served keyd to where it can `run`. A snapshot (faults.Client.snapshot) taken before
it, and the one taken after the kill, give `outcomes`: all that may be found, the last being what was
asked for.
"""
import copy
import hashlib
import signal

from backup_reader import Recovery, open_with, read_descriptor
from faults import Died, Fault

STEADY = ("steady-hard", "steady-sealed", "fallen")
PEER_SPKI = bytes.fromhex("302a300506032b6570032100") + bytes.fromhex(
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, 7.1, test 1


def changed(snapshot, change):
    """A copy to which `change` was done."""
    snapshot = copy.deepcopy(snapshot)
    change(snapshot)
    return snapshot


def with_state(snapshot, key, state, number=None):
    def change(target):
        versions = target["keys"][key]
        for each in versions if number is None else [number]:
            versions[each] = (state, versions[each][1])
    return changed(snapshot, change)


class Scenario:
    """Anything that is one call of an administrator's."""

    sealed = False  # what the service is once it is answered

    def __init__(self, name, call, *arguments):
        self.name, self.call, self.arguments = name, call, arguments
        self.key = self.answer = None

    def live(self, service, options, latest):
        """keyd's life under the tracer, up to the answer or the kill: the snapshot before, and whether it
        answered, or with what error. `latest` is the snapshot of the life before."""
        del latest
        service.serve(service.armed_tracer(*options))
        self.key = service.new_key_name()
        self.prepare(service)
        before = service.client.snapshot()
        self.lead_up(service)
        service.arm()
        self.answer = None
        try:
            self.answer = service.client.admin(self.call, *self.all_arguments())
        except Died:
            return before, False
        except Fault as fault:
            return before, fault
        return before, True

    def all_arguments(self):
        return self.arguments

    def prepare(self, service):
        """With a keyd that serves, before the snapshot."""

    def lead_up(self, service):
        """The same, after the snapshot."""

    def outcomes(self, before, now):
        """None among them stands for nothing that was found."""
        raise NotImplementedError

    def clean_up(self, service):
        if self.key in service.client.keys():
            service.client.admin("DestroyKey", self.key, 0)


class OnKey(Scenario):
    """Something done to a key that comes and goes with it."""

    def all_arguments(self):
        return [self.key, *self.arguments]


class Generate(OnKey):
    def __init__(self, backend, algorithm, custody):
        super().__init__(f"generate {custody}", "GenerateKey", algorithm, custody, backend)

    def outcomes(self, before, now):
        def add(snapshot):
            (number, (_, spki)), = now["keys"][self.key].items()
            snapshot["keys"][self.key] = {number: ("active", spki)}
        return [before, changed(before, add) if self.key in now["keys"] else None]


class OnMadeKey(OnKey):
    """The key is there, of either custody."""

    def __init__(self, backend, algorithm, custody, name, call, *arguments):
        super().__init__(f"{name} {custody}", call, *arguments)
        self.making = (algorithm, custody, backend)

    def prepare(self, service):
        service.client.admin("GenerateKey", self.key, *self.making)


class Addition(OnMadeKey):
    """A version more, with the state `becomes`."""

    becomes = "active"

    def outcomes(self, before, now):
        versions = before["keys"][self.key]
        added = set(now["keys"].get(self.key, {})) - set(versions)
        if len(added) != 1 or min(added) <= max(versions):
            return [before, None]
        after = changed(before, lambda snapshot: None)
        if self.becomes == "active":
            after = with_state(before, self.key, "retiring")
        after["keys"][self.key][min(added)] = (self.becomes, now["keys"][self.key][min(added)][1])
        return [before, after]


class Prepare(Addition):
    becomes = "pending"


class OnVersions(OnMadeKey):
    """Calls of `first` bring the key to where this begins; `states` is what it ends in."""

    def __init__(self, *making_name_and_call, first, states):
        super().__init__(*making_name_and_call)
        self.first, self.states = first, states

    def prepare(self, service):
        super().prepare(service)
        for call, *arguments in self.first:
            service.client.admin(call, self.key, *arguments)

    def outcomes(self, before, now):
        """Each change that is on the way: all that is revoked before it is destroyed, say."""
        found = [before]
        for states in self.states:
            found.append(found[-1])
            for number, state in states.items():
                found[-1] = with_state(found[-1], self.key, state, number)
        return found


class Revoke(OnMadeKey):
    def outcomes(self, before, now):
        return [before, with_state(before, self.key, "revoked")]


class Destroy(OnMadeKey):
    def outcomes(self, before, now):
        return [before, with_state(before, self.key, "revoked"),
                changed(before, lambda snapshot: snapshot["keys"].pop(self.key))]


class Enrolment(Scenario):
    """`who` comes or goes, known by `what`."""

    def __init__(self, name, call, who, what, undo, *arguments):
        super().__init__(name, call, who, *arguments)
        self.who, self.what, self.undo = who, what, undo

    def comes(self):
        return self.call.startswith("Enrol")

    def prepare(self, service):
        if not self.comes():
            service.client.admin(*self.undo)

    def outcomes(self, before, now):
        def change(snapshot):
            if self.comes():
                snapshot["enrolled"][self.who] = self.what
            else:
                del snapshot["enrolled"][self.who]
        return [before, changed(before, change)]

    def clean_up(self, service):
        if self.who in service.client.snapshot()["enrolled"]:
            service.client.admin("RemovePeer" if self.who == "far" else "RemoveModule", self.who)


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
        if self.answer is None:
            # Of the one that was under way it may know, and has not given it out.
            assert latest != b"" or self.latest is None, "the latest backup is forgotten"
        else:
            read = open_with(self.recovery.key, read_descriptor(self.answer[0]))
            sealed = {key[0] for key in read["keys"] if key[2] == "sealed"}
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


class Start:
    """Counts from the first call that keyd makes."""

    name, sealed = "start", False

    def live(self, service, options, latest):
        try:
            service.serve(service.tracer(*options))
        except (AssertionError, Died):  # keyd has ended
            return latest, False
        return latest, True

    def outcomes(self, before, now):
        return [before]

    def clean_up(self, service):
        pass


class Stop(Start):
    name = "stop"

    def live(self, service, options, latest):
        service.serve(service.armed_tracer(*options))
        service.arm()
        service.keyd.send_signal(signal.SIGTERM)
        return latest, service.wait_end() == 0


def scenarios(backend, identity):
    hard = (backend, "ecdsa-p256", "hardware")
    sealed = (backend, "ed25519", "sealed")
    fingerprint = hashlib.sha256(PEER_SPKI).hexdigest()
    guest = ("EnrolModule", "guest", identity)
    far = ("EnrolPeer", "far", PEER_SPKI)
    rotated, prepared = ("RotateKey",), ("PrepareKey",)
    each_custody = [scenario for custody in (hard, sealed) for scenario in (
        Generate(*custody), Addition(*custody, "rotate", "RotateKey"),
        Destroy(*custody, "destroy", "DestroyKey", 0))]
    return [*each_custody,
            Prepare(*hard, "prepare", "PrepareKey"),
            OnVersions(*hard, "activate", "ActivateKey", first=[prepared],
                       states=[{1: "retiring", 2: "active"}]),
            OnVersions(*hard, "rotate to the prepared version of", "RotateKey", first=[prepared],
                       states=[{1: "retiring", 2: "active"}]),
            OnVersions(*hard, "retire a version of", "RetireVersion", 1, first=[rotated],
                       states=[{1: "retired"}]),
            OnVersions(*hard, "destroy a version of", "DestroyKey", 1, first=[rotated],
                       states=[{1: "revoked"}, {1: "destroyed"}]),
            OnVersions(*sealed, "revoke a version of", "RevokeKey", 1, first=[rotated],
                       states=[{1: "revoked"}]),
            Revoke(*hard, "revoke", "RevokeKey", 0),
            Enrolment("enrol a module", *guest[:2], identity, None, identity),
            Enrolment("remove a module", "RemoveModule", "guest", identity, guest),
            Enrolment("enrol a peer", *far[:2], fingerprint, None, PEER_SPKI),
            Enrolment("remove a peer", "RemovePeer", "far", fingerprint, far),
            Backup(), Seal("seal", "Seal"), Unseal("unseal", "Unseal"), Start(), Stop()]
