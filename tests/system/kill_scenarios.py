"""What an administrator has keyd do with keys, modules and peers while it is killed, and what may be found after;
kill_service_scenarios.py has the rest, kill_list.py all of it.

Each scenario brings a served keyd to where it can `run`. A snapshot (faults.Client.snapshot) taken before
it, and the one taken after the kill, give `outcomes`: all that may be found, the last being what was
asked for.
"""
import copy
import hashlib
import os
import signal

from nacl import bindings

from faults import Died, Fault

ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")
PEER_SPKI = ED25519_SPKI + bytes.fromhex(
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
        self.answered = False

    def live(self, service, options, latest):
        """keyd's life under the tracer, up to the answer or the kill: the snapshot before, and whether it
        answered, or with what error. `latest` is the snapshot of the life before."""
        del latest
        service.serve(service.armed_tracer(*options))
        self.key = service.new_key_name()
        self.prepare(service)
        before = service.client.snapshot()
        self.lead_up(service)
        arguments = self.all_arguments()
        self.answered = False
        service.arm()
        try:
            self.answer = service.client.admin(self.call, *arguments)
        except Died:
            return before, False
        except Fault as fault:
            return before, fault
        self.answered = True
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
            active, = [number for number, (state, _) in versions.items() if state == "active"]
            after = with_state(before, self.key, "retiring", active)
        after["keys"][self.key][min(added)] = (self.becomes, now["keys"][self.key][min(added)][1])
        return [before, after]


class Prepare(Addition):
    becomes = "pending"


class Schedule(Addition):
    """Nobody asks for it: the key has been used so often as security.yaml says, and keyd sees that."""

    def __init__(self, backend, algorithm, custody):
        super().__init__(backend, algorithm, custody, "rotate for its uses", None)

    def live(self, service, options, latest):
        service.serve(service.armed_tracer(*options))
        self.key = service.WORN
        self.prepare(service)
        before = service.client.snapshot()
        service.arm()
        try:
            for _ in range(service.USES):
                service.client.sign(self.key, b"message")
            service.wait(lambda: len(service.client.versions(self.key)) > len(before["keys"][self.key]),
                         "keyd to rotate the key by itself")
        except Died:
            return before, False
        except Fault as fault:
            return before, fault
        return before, True


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


class RevokeModule(Scenario):
    """It is removed, and then its identity is revoked."""

    MODULE = "guest"

    def __init__(self, backend):
        super().__init__("revoke a module", "RevokeModule", self.MODULE)
        self.making = ("ed25519", "hardware" if backend == "hsm" else "sealed", backend)

    def prepare(self, service):
        service.client.admin("GenerateKey", self.key, *self.making)
        service.client.admin("EnrolModule", self.MODULE, self.key)

    def outcomes(self, before, now):
        removed = changed(before, lambda snapshot: snapshot["enrolled"].pop(self.MODULE))
        return [before, removed, with_state(removed, self.key, "revoked")]

    def clean_up(self, service):
        super().clean_up(service)
        assert self.MODULE not in service.client.snapshot()["enrolled"], "it outlived its identity"


class RevokePeer(Scenario):
    """It is removed, and its key never comes back: each time it has another."""

    PEER = "far"

    def __init__(self):
        super().__init__("revoke a peer", "RevokeModule", self.PEER)
        self.spki = None

    def prepare(self, service):
        self.spki = ED25519_SPKI + bindings.crypto_sign_seed_keypair(os.urandom(32))[0]
        service.client.admin("EnrolPeer", self.PEER, self.spki)

    def outcomes(self, before, now):
        def change(snapshot):
            del snapshot["enrolled"][self.PEER]
            snapshot["revoked"] = sorted([*snapshot["revoked"],
                                          (hashlib.sha256(self.spki).hexdigest(), self.PEER, 0, "")])
        return [before, changed(before, change)]

    def clean_up(self, service):
        if self.PEER in service.client.snapshot()["enrolled"]:
            service.client.admin("RemovePeer", self.PEER)
            return
        try:
            service.client.admin("EnrolPeer", self.PEER, self.spki)
        except Fault as fault:
            assert fault.code == "Revoked", fault
        else:
            raise AssertionError("a peer's key that was revoked is enrolled again")


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
