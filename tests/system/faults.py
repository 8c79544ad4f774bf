"""A Service whose keyd runs under keyward-fault-tracer, and what this keyd answers and stores."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import dbus
import dbus.bus

from harness import BIN, KEYD_USER, ME, SOFTHSM, SOURCE, TIMEOUT, Service, as_user

TRACER = (BIN.parent / "tests/keyward-fault-tracer").resolve()
SIGN_VERSIONS = (BIN.parent / "tests/keyward-sign-versions").resolve()
KEYDS_OWN = "keyward-service"  # comes when keyd needs it
NAME, ROOT = "org.keyward.Keyd1", "/org/keyward/Keyd1"
KILLED = 137  # what the tracer says of a keyd that SIGKILL ended
GONE = ("org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.Disconnected")


class Died(Exception):
    """keyd ended before it answered."""


class Fault(Exception):
    """keyd answered with an error."""

    def __init__(self, error):
        self.code = error.get_dbus_name().removeprefix(f"{NAME}.Error.")
        self.message = error.get_dbus_message()
        super().__init__(f"{self.code}: {self.message}")


class Client:
    """An admin who is also the user of every module, in this process."""

    def __init__(self, address):
        self.bus = dbus.bus.BusConnection(address)

    def call(self, path, interface, method, *arguments):
        arguments = [dbus.UInt32(a) if type(a) is int else
                     dbus.ByteArray(a) if isinstance(a, bytes) else a for a in arguments]
        try:
            target = self.bus.get_object(NAME, path, introspect=False)
            return target.get_dbus_method(method, interface)(*arguments, timeout=TIMEOUT,
                                                             byte_arrays=True)
        except dbus.DBusException as error:
            if error.get_dbus_name() in GONE:
                raise Died from error
            raise Fault(error) from error

    def admin(self, method, *arguments):
        return self.call(ROOT, f"{NAME}.Admin", method, *arguments)

    def property(self, path, interface, name):
        return self.call(path, "org.freedesktop.DBus.Properties", "Get", f"{NAME}.{interface}", name)

    def seal(self):
        """Why the service is sealed: a code, "" when it is not."""
        return str(self.property(ROOT, "Manager", "Seal")[0])

    @staticmethod
    def path_of(key):
        return f"{ROOT}/key/" + "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in key)

    def keys(self):
        return [str(key[0]) for key in self.call(ROOT, f"{NAME}.Manager", "ListKeys")]

    def versions(self, key):
        """State and public key of each version."""
        return {int(version[0]): (str(version[1]), bytes(version[2]))
                for version in self.property(self.path_of(key), "Key", "Versions")}

    def sign(self, key, message):
        return bytes(self.call(self.path_of(key), f"{NAME}.Key", "SignHandshake", "raw", message))

    def open_session(self, key, role, peer):
        """Its object and the descriptor of its channel."""
        path, descriptor = self.call(ROOT, f"{NAME}.Manager", "OpenSession", key, "aico", role, peer,
                                     dbus.Dictionary({}, signature="sv"))
        return str(path), descriptor.take()

    def snapshot(self):
        """All that an administrator has been told to be there."""
        listed = self.admin("ListModules")
        return {"keys": {key: self.versions(key) for key in self.keys() if key != KEYDS_OWN},
                "enrolled": {str(m[0]): str(m[2]) or str(m[3]) for m in listed
                             if m[4] != "not enrolled"},
                "revoked": self.revocations(), "second": self.second_seal()}

    def revocations(self):
        """Those that are no version's here: fingerprint, name, version (0: a peer's), and who signed it."""
        listed = self.admin("ListRevocations")
        return sorted((bytes(fingerprint).hex(), str(name), int(version), bytes(issuer).hex())
                      for fingerprint, name, version, _, issuer in listed if issuer or not version)

    def second_seal(self):
        """Its place and whose it is; "" when there is none."""
        _, place, holder, _, _ = self.admin("ShowSeals")
        return str(place), bytes(holder).hex()

    def pcr_policies(self):
        """The signed ones, the latest first: PCRs and digest."""
        _, _, policies = self.admin("ShowPcrPolicies", 0)
        return [(int(pcrs), bytes(digest)) for pcrs, digest in policies]

    def close(self):
        self.bus.close()


def verifies(spki, message, signature):
    """As openssl sees it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, content in (("key", spki), ("message", message), ("signature", signature)):
            paths[name] = pathlib.Path(folder, name)
            paths[name].write_bytes(content)
        if len(spki) == 44:  # Ed25519
            command = ["pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", paths["key"],
                       "-sigfile", paths["signature"], "-in", paths["message"]]
        else:
            command = ["dgst", "-sha256", "-verify", paths["key"], "-signature",
                       paths["signature"], paths["message"]]
        command[1:1] = ["-keyform", "DER"]
        return subprocess.run(["openssl", *command], capture_output=True, check=False).returncode == 0


class FaultyService(Service):
    """One custodian, or `both` with the master key in `backend`; every key of `keys` may sign raw, and many that
    are not made yet."""

    IDENTITY = "prover-id"
    MADE = [f"made-{number}" for number in range(2000)]  # for keys that come and go
    WORN, USES = "worn", 3  # a key that is rotated after so many signatures

    def __init__(self, backend, keys=(), both=False):
        self.backend, self.key_names, self.made = backend, keys, 0
        self.client = None
        super().__init__(hsm=backend == "hsm" or both, tpm=backend == "tpm" or both, master=backend)
        shutil.copy(SOURCE / "tests/system/token_objects.py", self.root)
        tokens = (self.root / "token/tokens").glob("*/token.object")
        self.token_file_copies = {path: path.read_bytes() for path in tokens}
        self.armed = self.root / "armed"
        self.calls = self.root / "calls"
        self.below = [self.state, *(self.root / name for name, there in
                                    (("token", self.policy["hsm"]), ("tpm", self.policy["tpm"])) if there)]

    def modules_section(self):
        grants = ", ".join(f"{key}: [aico, raw]"
                           for key in [self.IDENTITY, self.WORN, *self.key_names, *self.MADE])
        return "\n" + "".join(f"  {name}:\n    users: [{ME}]\n    keys: {{{grants}}}\n"
                              f"    peers: [far]\n" for name in ("prover", "guest")) + (
                                  f"keys: {{{self.WORN}: {{max_uses: {self.USES}}}}}\n")

    def new_key_name(self):
        self.made += 1
        return self.MADE[self.made % len(self.MADE)]

    def tracer(self, *options):
        below = [word for folder in self.below for word in ("--below", str(folder))]
        return [str(TRACER), *below, "--log", str(self.calls), *options, "--"]

    def armed_tracer(self, *options):
        """Counts from `arm` on."""
        self.armed.unlink(missing_ok=True)
        return self.tracer("--arm", str(self.armed), *options)

    def arm(self):
        self.armed.touch()

    def calls_made(self):
        """What the tracer has counted: a line for each call."""
        return self.calls.read_text().splitlines()

    def was_killed_by(self, options):
        """Whether keyd came to the call at which these tracer options have it killed."""
        numbers = [int(number) for option, number in zip(options[::2], options[1::2])
                   if option.startswith("--kill")]
        return any(number <= len(self.calls_made()) for number in numbers)

    def launch(self, tracer=(), arguments=(), descriptors=()):
        """Starts keyd, which gets `descriptors` under their numbers, and waits for nothing."""
        self.log_path = self.root / "keyd.log"
        with open(self.log_path, "wb") as log:
            self.keyd = subprocess.Popen([*tracer, *self.keyd_command(), *arguments],
                                         env=self.environment(), stderr=log, stdout=log,
                                         stdin=subprocess.DEVNULL, cwd=self.state, pass_fds=descriptors)

    def serve(self, tracer=(), unseals=True):
        """Starts keyd, and gives a client of it; once it is unsealed, if `unseals`."""
        if not self.initialised:
            self.initialise()
        self.launch(tracer)
        self.wait_log("keyd: is on the bus")
        if not self.signed:
            self.sign_boot()
        self.connect()
        if unseals:
            self.wait(lambda: self.client.seal() == "", "keyd to unseal")
        return self.client

    def connect(self):
        self.drop_client()
        self.client = Client(self.bus_address)
        return self.client

    def wait(self, holds, what):
        deadline = time.monotonic() + TIMEOUT
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}:\n{self.log()}")
            select.select([], [], [], 0.01)

    def enrol_identity(self):
        custody = "hardware" if self.backend == "hsm" else "sealed"
        self.client.admin("GenerateKey", self.IDENTITY, "ed25519", custody, self.backend)
        self.client.admin("EnrolModule", "prover", self.IDENTITY)

    def kill_keyd(self):
        """SIGKILL for keyd itself; its tracer goes with it."""
        children = pathlib.Path(f"/proc/{self.keyd.pid}/task/{self.keyd.pid}/children")
        traced = self.keyd.args[0] == str(TRACER)
        for pid in children.read_text().split() if traced else [self.keyd.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return self.wait_end()

    def wait_end(self):
        """keyd's status, or its tracer's."""
        self.last_status = self.keyd.wait(TIMEOUT)
        self.keyd = None
        return self.last_status

    def drop_client(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def close(self):
        self.drop_client()
        super().close()

    # What is stored.

    def signing_versions(self):
        """Key, number and state of each version that signs by its private half, as it is in the hardware and the
        store while keyd does not run; fails when one that should does not."""
        shutil.copy(SIGN_VERSIONS, self.root)
        command = [str(self.root / SIGN_VERSIONS.name), str(self.root / "security.yaml"), str(self.state)]
        said = subprocess.run(as_user(KEYD_USER, command), env=self.environment(), timeout=TIMEOUT,
                              capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise AssertionError(f"a version does not sign: {said.stdout}{said.stderr}")
        return {(name, int(number), state) for name, number, state in map(str.split, said.stdout.splitlines())}

    def recorded_in_hardware(self):
        """Ids of the keys that the store has of the token, read from a copy of its files."""
        with tempfile.TemporaryDirectory() as copy:
            for path in self.state.glob("state.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, copy)
            database = sqlite3.connect(f"{copy}/state.db")
            rows = database.execute(
                "SELECT lower(hex(id)) FROM version, key WHERE version.key = key.name "
                "AND custody = 'hardware' AND custodian = 'hsm' AND state <> 6").fetchall()  # 6: destroyed
            database.close()
        return [row for row, in rows]

    def token_objects(self):
        command = ["/usr/bin/python3", "-B", str(self.root / "token_objects.py"), SOFTHSM, "keyward",
                   str(self.root / "token/hsm.pin")]
        said = subprocess.run(as_user(KEYD_USER, command), env=self.environment(), timeout=TIMEOUT,
                              check=True, stdout=subprocess.PIPE)
        return json.loads(said.stdout)

    def put_token_file_back(self):
        """Whether SoftHSM2 had lost its own file, which it rewrites in place at each login. An administrator
        puts a copy of it back: docs/CONFIGURATION.md, hsm."""
        for path, contents in self.token_file_copies.items():
            if path.stat().st_size < len(contents):
                path.write_bytes(contents)
                return True
        return False

    def token_files(self):
        """The files of objects, without the token's own."""
        return [path for path in (self.root / "token/tokens").glob("*/*.object")
                if path.name != "token.object"]

    def tpm_handles(self):
        """Those of each kind; keyd is stopped, since swtpm has one client."""
        tcti = f"swtpm:path={self.root}/tpm/tpm.sock"
        handles = {}
        for kind in ("nv-index", "persistent", "transient", "loaded-session", "saved-session"):
            said = subprocess.run(["tpm2_getcap", "-T", tcti, f"handles-{kind}"], check=True,
                                  timeout=TIMEOUT, stdout=subprocess.PIPE, text=True).stdout
            handles[kind] = [line.removeprefix("- ") for line in said.splitlines()]
        return handles
