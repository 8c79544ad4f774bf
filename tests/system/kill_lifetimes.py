"""Kills keyd while it makes its master key and while it destroys it, in one lifetime after the other on the
same token or TPM. What a lifetime leaves, at its beginning or at its end, is in the way of none after it."""

import random
import shutil

from faults import KEYDS_OWN, KILLED, Died, FaultyService, verifies

KEYS = {"hard": ("ecdsa-p256", "hardware"), "soft": ("ed25519", "sealed")}


class ProcessProof:
    """Kills in what a process of keyd's does from its begin to its end, each time from the same beginning.
    `tell` is given a line now and then."""

    KEYS, BOTH = tuple(KEYS), False

    def __init__(self, backend, seed, tell=lambda line: None):
        self.backend, self.tell = backend, tell
        self.random = random.Random(f"{type(self).__name__} {backend} {seed}")
        self.kills = self.token_files_put_back = 0
        self.service = FaultyService(backend, self.KEYS, both=self.BOTH)
        self.service.initialised = True  # by this class
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise

    def close(self):
        self.service.close()

    def set_up(self):
        raise NotImplementedError

    def moments(self, calls, count):
        """`count` tracer options, evenly over so many calls."""
        places = [(f"--kill-{side}", str(number + 1)) for number in range(calls)
                  for side in ("at", "after")]
        share = len(places) / count
        chosen = [places[int((i + self.random.random()) * share)] for i in range(count)]
        self.random.shuffle(chosen)
        return chosen

    def try_life(self, where, life, *arguments):
        try:
            life(*arguments)
        except Exception as error:
            calls = "\n".join(self.service.calls_made()[-8:])
            raise AssertionError(f"{where}, after {self.kills} kills\nlast calls:\n{calls}\n"
                                 f"keyd said:\n{self.service.log()}") from error
        self.tell(f"{self.kills} kills: {where}")

    def clear(self):
        """What a machine has that keyd never ran on."""
        for path in self.service.state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def end(self, options, arguments, done_already, descriptors=()):
        """Has keyd do something to its end, in a second try where the first one is killed; how many calls the
        first one made. `done_already`: whether the second one may refuse, with what it said."""
        self.service.launch(self.service.tracer(*options), arguments(), descriptors)
        killed = self.service.wait_end() == KILLED
        calls = len(self.service.calls_made())
        if not killed and self.service.last_status != 0:
            raise AssertionError(self.service.log())
        self.kills += killed
        if killed:
            self.token_files_put_back += self.service.put_token_file_back()
            again = self.service.run_keyd(None, *arguments(), descriptors=descriptors)
            if again.returncode != 0 and not done_already(again.stdout):
                raise AssertionError(again.stdout + again.stderr)
        return calls

    def check_signing(self):
        """All that the store has, whether keyd would ask for it or not."""
        snapshot = self.service.client.snapshot()
        for key, versions in snapshot["keys"].items():
            for spki in (spki for state, spki in versions.values() if state == "active"):
                if not verifies(spki, b"message", self.service.client.sign(key, b"message")):
                    raise AssertionError(f"{key} does not sign")
        self.service.drop_client()
        self.service.stop_keyd()
        expected = {(key, number, state) for key, versions in snapshot["keys"].items()
                    for number, (state, _) in versions.items() if state in ("active", "retiring")}
        signing = {each for each in self.service.signing_versions() if each[0] != KEYDS_OWN}
        if signing != expected:
            raise AssertionError(f"{signing} sign, not {expected}")

    # What the hardware holds.

    def assert_holds(self, home):
        """A master key in `home` ("": in none), with a counter, and no keys but those that the store tells of; a
        token keeps its one wrapping key. keyd is stopped."""
        if self.service.policy["tpm"]:
            handles = self.service.tpm_handles()
            self.assert_same({kind: len(each) for kind, each in handles.items() if each},
                             {"nv-index": 2} if home == "tpm" else {})
        if self.service.policy["hsm"]:
            labels = [o["label"] for o in self.service.token_objects() if o["label"]]
            if labels.count("keyward:wrapping") > 1:
                raise AssertionError("the token holds two wrapping keys")
            held = sorted(label[:16] for label in labels if label != "keyward:wrapping")
            keys = [f"keyward:{each}"[:16] for each in self.service.recorded_in_hardware()] * 2 if home else []
            self.assert_same(held, sorted(keys + ["keyward:counter:", "keyward:master"] * (home == "hsm")))

    @staticmethod
    def assert_same(held, expected):
        if held != expected:
            raise AssertionError(f"the hardware holds {held}, not {expected}")

    def assert_nothing_left(self):
        self.assert_holds("")


class LifetimeProof(ProcessProof):
    def set_up(self):
        self.live((), (), True)
        self.making, self.destroying = self.live((), (), False)
        self.tell(f"making: {self.making} calls, destroying: {self.destroying} calls")

    def run(self, kills):
        """Two in each lifetime."""
        lifetimes = (kills + 1) // 2
        for making, destroying in zip(self.moments(self.making, lifetimes),
                                      self.moments(self.destroying, lifetimes)):
            self.try_life(f"making {' '.join(making)}, destroying {' '.join(destroying)}",
                          self.live, making, destroying, self.random.random() < 0.2)

    def live(self, making, destroying, sealed):
        """How many calls each of the two has made."""
        self.clear()
        self.service.signed = self.backend == "hsm"
        first = self.service.init_arguments()
        made = self.end(making, lambda: first, lambda said: "there is a master key already" in said)
        self.use()
        destroyed = self.destroy(destroying, sealed)
        self.assert_nothing_left()
        return made, destroyed

    def use(self):
        client = self.service.serve()
        self.service.enrol_identity()
        for name, (algorithm, custody) in KEYS.items():
            client.admin("GenerateKey", name, algorithm, custody, self.backend)
        client.admin("RotateKey", "soft")
        self.check_signing()
        self.assert_holds(self.backend)

    def destroy(self, options, sealed):
        client = self.service.serve(self.service.armed_tracer(*options))
        if sealed:  # by somebody who saw it coming
            client.admin("Seal")
        self.service.arm()
        answered = True
        try:
            client.admin("ZeroizeAll")
        except Died:
            answered = False
        self.service.kill_keyd()
        self.kills += self.service.was_killed_by(options)
        calls = len(self.service.calls_made())
        self.token_files_put_back += self.service.put_token_file_back()
        client = self.service.serve(unseals=False)
        self.service.wait(lambda: client.seal() in ("", "Sealed"), "keyd to come to its end")
        if answered and client.seal() == "":
            raise AssertionError("what was destroyed serves again")
        client.admin("ZeroizeAll")
        self.service.drop_client()
        self.service.stop_keyd()
        return calls
