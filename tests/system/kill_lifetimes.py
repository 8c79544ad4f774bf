"""Kills keyd while it makes its master key and while it destroys it, in one lifetime after the other on the
same token or TPM. What a lifetime leaves, at its beginning or at its end, is in the way of none after it."""

import random
import shutil

from faults import KILLED, Died, FaultyService, verifies

KEY = "hard"


class LifetimeProof:
    def __init__(self, backend, seed, tell=lambda line: None):
        self.backend, self.tell = backend, tell
        self.random = random.Random(f"lifetimes {backend} {seed}")
        self.kills = self.token_files_put_back = 0
        self.service = FaultyService(backend, [KEY])
        self.service.initialised = True  # by this class
        try:
            self.live((), (), True)
            self.making, self.destroying = self.live((), (), False)
            tell(f"making: {self.making} calls, destroying: {self.destroying} calls")
        except BaseException:
            self.close()
            raise

    def close(self):
        self.service.close()

    def moments(self, calls, count):
        """`count` tracer options, evenly over so many calls."""
        places = [(f"--kill-{side}", str(number + 1)) for number in range(calls)
                  for side in ("at", "after")]
        share = len(places) / count
        chosen = [places[int((i + self.random.random()) * share)] for i in range(count)]
        self.random.shuffle(chosen)
        return chosen

    def run(self, kills):
        """Two in each lifetime."""
        lifetimes = (kills + 1) // 2
        for making, destroying in zip(self.moments(self.making, lifetimes),
                                      self.moments(self.destroying, lifetimes)):
            where = f"making {' '.join(making)}, destroying {' '.join(destroying)}"
            try:
                self.live(making, destroying, self.random.random() < 0.2)
            except Exception as error:
                calls = "\n".join(self.service.calls_made()[-8:])
                raise AssertionError(f"{where}, after {self.kills} kills\nlast calls:\n{calls}\n"
                                     f"keyd said:\n{self.service.log()}") from error
            self.tell(f"{self.kills} kills: {where}")

    def live(self, making, destroying, sealed):
        """How many calls each of the two has made."""
        for path in self.service.state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        made = self.make(making)
        self.use()
        destroyed = self.destroy(destroying, sealed)
        self.assert_nothing_left()
        return made, destroyed

    def make(self, options):
        self.service.signed = self.backend == "hsm"
        arguments = self.service.init_arguments()
        self.service.launch(self.service.tracer(*options), arguments)
        killed = self.service.wait_end() == KILLED
        calls = len(self.service.calls_made())
        self.kills += killed
        if killed:
            self.token_files_put_back += self.service.put_token_file_back()
            again = self.service.run_keyd(None, *arguments)
            if again.returncode != 0 and "there is a master key already" not in again.stdout:
                raise AssertionError(again.stdout + again.stderr)
        return calls

    def use(self):
        client = self.service.serve()
        self.service.enrol_identity()
        spki = client.admin("GenerateKey", KEY, "ecdsa-p256", "hardware", self.backend)
        if not verifies(bytes(spki), b"message", client.sign(KEY, b"message")):
            raise AssertionError("the key does not sign")
        self.service.drop_client()
        self.service.stop_keyd()
        self.assert_holds(masters=1)

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
        self.kills += self.service.kill_keyd() == KILLED
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

    # What the hardware holds.

    def assert_nothing_left(self):
        self.assert_holds(masters=0)

    def assert_holds(self, masters):
        """So many master keys, each with a counter, and no keys but those that the store tells of."""
        if self.backend == "tpm":
            handles = self.service.tpm_handles()
            held = {kind: len(each) for kind, each in handles.items() if each}
            expected = {"nv-index": 2} if masters else {}
        else:
            labels = [o["label"] for o in self.service.token_objects() if o["label"]]
            held = sorted(label[:16] for label in labels if label != "keyward:wrapping")
            keys = [f"keyward:{each}"[:16] for each in self.service.recorded_in_hardware()] * 2
            expected = sorted(["keyward:counter:", "keyward:master"] * masters +
                              (keys if masters else []))
        if held != expected:
            raise AssertionError(f"the hardware holds {held}, not {expected}")
