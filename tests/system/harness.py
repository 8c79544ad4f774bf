"""A Keyward of its own for each test: token, TPM, bus, keyd, and modules under several users."""

import contextlib
import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from tpm_proxy import TpmProxy

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KEYWARD_BIN", SOURCE / "build/release/bin"))
SETUP = SOURCE / "softhsm-setup"
SOFTHSM = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so",
                            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
                if os.path.exists(p)), "/usr/lib/softhsm/libsofthsm2.so")
IS_ROOT = os.geteuid() == 0
ME = pwd.getpwuid(os.geteuid()).pw_name
# Accounts that every Debian has. An ordinary user runs everything as itself.
KEYD_USER, FRONTEND, BACKEND, STRANGER = (
    ("daemon", "games", "news", "irc") if IS_ROOT else (ME,) * 4)
TIMEOUT = 30  # seconds, for whatever is waited for; never part of a verdict


def as_user(user, command):
    if user == ME:
        return command
    gid = str(pwd.getpwnam(user).pw_gid)
    return ["setpriv", f"--reuid={user}", f"--regid={gid}", "--clear-groups", *command]


class Refused(Exception):
    """keyd answered with an error."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Module:
    """An agent.py under one user. Attributes are the agent's methods."""

    def __init__(self, service, user):
        environment = dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=service.bus_address)
        self.process = subprocess.Popen(
            as_user(user, ["/usr/bin/python3", str(service.root / "agent.py")]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        self.pid = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError("the module's process has ended")
        answer = json.loads(line, object_hook=lambda d: bytes.fromhex(d["hex"])
                            if set(d) == {"hex"} else d)
        if "error" in answer:
            raise Refused(answer["error"], answer["message"])
        return answer["value"]

    def send(self, method, *arguments):
        """Starts a call whose answer `result` takes."""
        hexed = [{"hex": a.hex()} if isinstance(a, bytes) else a for a in arguments]
        self.process.stdin.write(json.dumps([method, *hexed]) + "\n")
        self.process.stdin.flush()

    result = _answer

    def __getattr__(self, method):
        def call(*arguments):
            self.send(method, *arguments)
            return self._answer()
        return call

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Service:
    """Everything below one private folder; `close` leaves nothing behind."""

    def __init__(self, hsm=True, tpm=True, master=None, **policy):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="kw-"))
        os.chmod(self.root, 0o755)
        self.keyd = self.proxy = None
        self.initialised = self.signed = False
        self.modules = []
        self.policy = {"hsm": hsm, "tpm": tpm, **policy}
        self.master = master or ("hsm" if hsm else "tpm")
        for name in ("agent.py", "channel.py"):
            shutil.copy(SOURCE / "tests/system" / name, self.root)
        # keyd's user need not be able to reach the build tree.
        shutil.copy(BIN / "keyd", self.root)
        self.state = self.root / "state"
        self.state.mkdir(mode=0o700)
        if IS_ROOT:
            shutil.chown(self.state, KEYD_USER)
        try:
            self.start_bus()
            if hsm:
                self.script("make-token", self.root / "token", "keyward", "--user", KEYD_USER)
            if tpm:
                self.start_tpm()
            if policy.get("tpm_proxy"):
                self.proxy = TpmProxy(self.root / "proxy", self.root / "tpm/tpm.sock")
            self.write_policy()
        except BaseException:
            self.close()
            raise

    # Parts.

    def script(self, name, *arguments):
        subprocess.run([SETUP / name, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)

    def start_bus(self):
        self.script("start-bus", self.root / "bus", KEYD_USER)
        self.bus_address = (self.root / "bus/bus.address").read_text().strip()

    def stop_bus(self):
        self.script("stop", self.root / "bus")

    def start_tpm(self):
        self.script("start-swtpm", self.root / "tpm", "--user", KEYD_USER)

    def kill_tpm(self):
        pid_file = self.root / "tpm/swtpm.pid"
        pid = int(pid_file.read_text())
        descriptor = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([descriptor], [], [], TIMEOUT)
        os.close(descriptor)
        pid_file.unlink()

    def modules_section(self):
        peers = self.policy.get("peers", {"frontend": ["backend"], "backend": ["frontend"]})
        sessions = self.policy.get("sessions", "{}")
        backend_keys = self.policy.get(
            "backend_keys", "{backend-id: [aico], web: [tls13-server], anything: [raw]}")
        return f"""
  frontend:
    users: [{FRONTEND}]
    keys: {{frontend-id: [aico], front-web: [tls13-client]}}
    peers: {json.dumps(peers["frontend"])}
    sessions: {sessions}
  backend:
    users: [{BACKEND}]
    keys: {backend_keys}
    peers: {json.dumps(peers["backend"])}
    sessions: {self.policy.get("backend_sessions", "{}")}
"""

    def write_policy(self, text=None, **changes):
        self.policy.update(changes)
        hsm = (f"hsm: {{module: {SOFTHSM}, token: keyward, pin_file: {self.root}/token/hsm.pin}}\n"
               if self.policy["hsm"] else "")
        attest = f", attest_pcrs: {pcrs}" if (pcrs := self.policy.get("attest_pcrs")) else ""
        tcti = self.proxy.tcti if self.proxy else f"swtpm:path={self.root}/tpm/tpm.sock"
        tpm = (f'tpm: {{tcti: "{tcti}"{attest}}}\n'
               if self.policy["tpm"] else "")
        path = self.root / "security.yaml"
        path.write_text(text if text is not None else
                        f"version: 1\nadmins: {{users: [{ME}]}}\n{hsm}{tpm}"
                        f"modules:{self.modules_section()}")
        os.chmod(path, 0o644)

    # keyd.

    def keyd_command(self, state=None):
        return as_user(KEYD_USER, [str(self.root / "keyd"), "--config",
                                   str(self.root / "security.yaml"), "--state",
                                   str(state or self.state)])

    def environment(self):
        return dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.bus_address,
                    SOFTHSM2_CONF=str(self.root / "token/softhsm2.conf"))

    def initialise(self):
        """Makes the master key."""
        self.initialised = True
        self.signed = self.master == "hsm"
        said = self.run_keyd(self.state, *self.init_arguments())
        if said.returncode != 0:
            story = self.proxy.story() if self.proxy else ""
            raise AssertionError(f"no master key was made: {said.stderr}{story}")

    def init_arguments(self):
        if self.master == "hsm":
            return ["--init", "hsm"]
        return ["--init", "tpm", "--pcr-authority", str(self.make_authority())]

    def make_authority(self):
        """The key that signs PCR policies; gives the file of its public half."""
        private, public = self.root / "authority.pem", self.root / "authority.pub.pem"
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-out", private], check=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        os.chmod(public, 0o644)
        return public

    def sign_boot(self, *arguments):
        """Has the authority sign the state of the TPM's PCRs."""
        self.signed = True
        subprocess.run([BIN / "keyctl", "policy", "pcr", "sign", "--yes", "--key",
                        self.root / "authority.pem", *arguments], env=self.environment(),
                       check=True, timeout=TIMEOUT, stdout=subprocess.DEVNULL)

    def start(self, serves=True):
        """Starts keyd; `serves`: it is expected to unseal, not to wait for hardware."""
        if not self.initialised:
            self.initialise()
        self.log_path = self.root / "keyd.log"
        log = open(self.log_path, "ab")
        before = len(self.log())  # an earlier keyd's lines do not count
        self.keyd = subprocess.Popen(self.keyd_command(), env=self.environment(), stderr=log,
                                     stdin=subprocess.DEVNULL)
        log.close()
        self.wait_log("keyd: is on the bus", after=before)
        if not self.signed:
            self.sign_boot()
        if serves:
            self.wait_health("sealed", other=True)
        return self

    def run_keyd(self, state=None, *arguments, descriptors=()):
        """Runs a keyd that is expected to end by itself; what it said."""
        return subprocess.run([*self.keyd_command(state), *arguments], env=self.environment(),
                              timeout=TIMEOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, check=False, pass_fds=descriptors)

    def log(self):
        return self.log_path.read_text()

    def wait_log(self, *words, after=0):
        """Waits until a line of keyd's log, past character `after`, holds all of `words`."""
        deadline = time.monotonic() + TIMEOUT
        descriptor = os.pidfd_open(self.keyd.pid)
        try:
            while time.monotonic() < deadline:
                for line in self.log()[after:].splitlines():
                    if all(word in line for word in words):
                        return line
                # The log is a file, which cannot be waited for; keyd's end can.
                if select.select([descriptor], [], [], 0.02)[0]:
                    raise AssertionError(f"keyd has ended:\n{self.log()}")
        finally:
            os.close(descriptor)
        raise AssertionError(f"no line with {words} in keyd's log:\n{self.log()}")

    def stop_keyd(self, how=signal.SIGTERM):
        if self.keyd is None:
            return None
        self.keyd.send_signal(how)
        status = self.keyd.wait(TIMEOUT)
        self.keyd = None
        return status

    def restart_keyd(self, how=signal.SIGTERM, serves=True):
        self.stop_keyd(how)
        self.log_path.unlink()
        self.start(serves)

    def wait_health(self, health, other=False):
        """Waits until keyd's Health is `health`, or is not; keyd asks its hardware every 2 seconds."""
        admin = self.module(ME)
        deadline = time.monotonic() + TIMEOUT
        while (admin.property("/org/keyward/Keyd1", "Manager", "Health") == health) == other:
            if time.monotonic() > deadline:
                raise AssertionError(f"the health is not as expected:\n{self.log()}")
            select.select([], [], [], 0.05)
        admin.kill()

    # Users.

    def module(self, user):
        module = Module(self, user)
        self.modules.append(module)
        return module

    def admin_call(self, method, *arguments):
        admin = self.module(ME)
        try:
            return admin.admin(method, *arguments)
        finally:
            admin.kill()

    def enrol_pair(self, frontend="hsm", backend="tpm"):
        """The two identities: Ed25519 made in the HSM, and sealed by the TPM."""
        for name, custodian in (("frontend", frontend), ("backend", backend)):
            custody = "hardware" if custodian == "hsm" else "sealed"
            self.admin_call("GenerateKey", f"{name}-id", "ed25519", custody, custodian)
            self.admin_call("EnrolModule", name, f"{name}-id")

    def close(self):
        for module in self.modules:
            with contextlib.suppress(Exception):
                module.kill()
        with contextlib.suppress(Exception):
            self.stop_keyd(signal.SIGKILL)
        if self.proxy is not None:
            self.proxy.close()
        subprocess.run([SETUP / "stop", self.root / "tpm", self.root / "bus"], check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def handshake(initiator, responder, handle="s"):
    """Steps both sides' channels until both are established."""
    message, _ = initiator.channel(handle, "step", b"")
    message, _ = responder.channel(handle, "step", message)
    message, done = initiator.channel(handle, "step", message)
    assert done
    _, done = responder.channel(handle, "step", message)
    assert done


class SystemTest(unittest.TestCase):
    """A case with a running Service; `HSM`, `TPM`, `MASTER` (where the master key is) and `POLICY` say of
    what kind."""

    HSM, TPM, MASTER, POLICY = True, True, None, {}
    PAIR = ("hsm", "tpm")

    def setUp(self):
        self.service = Service(hsm=self.HSM, tpm=self.TPM, master=self.MASTER, **self.POLICY)
        self.addCleanup(self.service.close)
        self.service.start()

    def open_pair(self, options=None):
        """Two modules under two users with an established session under the handle "s"."""
        self.service.enrol_pair(*self.PAIR)
        frontend, backend = self.service.module(FRONTEND), self.service.module(BACKEND)
        self.join(frontend, backend, options=options)
        return frontend, backend

    def join(self, frontend, backend, handle="s", options=None):
        frontend.open_session(handle, "frontend-id", "initiator", "backend", options or {})
        backend.open_session(handle, "backend-id", "responder", "frontend", options or {})
        handshake(frontend, backend, handle)

    def assert_refused(self, code, call, *arguments):
        with self.assertRaises(Refused) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        self.assertGreater(len(caught.exception.message), 10)
        return caught.exception.message

    def wait_sessions(self, *modules):
        """Waits until just these modules have a live session each."""
        deadline = time.monotonic() + TIMEOUT
        while sorted(s[1] for s in self.service.admin_call("ListSessions")) != sorted(modules):
            self.assertLess(time.monotonic(), deadline, f"not the sessions of {modules} alone")

    def assert_serving(self):
        """keyd still gives a new session to two modules."""
        frontend, backend = self.service.module(FRONTEND), self.service.module(BACKEND)
        self.join(frontend, backend, "after")
        frame = frontend.channel("after", "seal", b"still here", b"")
        self.assertEqual(backend.channel("after", "open", frame)[0], b"still here")
        frontend.kill()
        backend.kill()
