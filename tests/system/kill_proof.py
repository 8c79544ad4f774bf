"""Kills keyd at chosen moments of what it does, and holds what is found after to what was answered.

A moment is a system call that changes a file of keyd's or of its token, or that sends a command to the
TPM (tests/support/fault_tracer.cc counts them): just before it, or just after it, when its result is not
known to keyd. After each kill keyd starts again by itself, and then:

- of what was answered before the kill all is there, and of what was under way nothing, or all, or a part
  that the scenario allows;
- every active version signs, and so does every pending and retiring one where one is expected;
- the token or TPM holds what the store tells of, and nothing else;

and in the end the audit log, which lived through all of it, is valid.
"""
import random
import subprocess

import audit_verifier
from faults import KEYDS_OWN, Fault, FaultyService, verifies
from kill_list import scenarios, steady

MOST_NAMELESS = 2  # objects that a kill can leave in a token without a name: no more than a pair is made at a time
WAITING = ("pending", "retiring")  # versions whose private half keyd asks nothing of in a new life


class KillProof:
    """One keyd through many lives. `tell` is given a line now and then."""

    def __init__(self, backend, seed, tell=lambda line: None):
        self.backend, self.tell = backend, tell
        self.random = random.Random(f"{backend} {seed}")
        self.kills = self.unanswered = self.token_files_put_back = self.nameless = 0
        self.calls = {}  # the tracer's lines for each that a scenario makes
        self.service = FaultyService(backend, list(steady(backend)))
        self.limit_faults()
        try:
            self.set_up()
        except BaseException:
            self.close()
            raise

    def set_up(self):
        client = self.service.serve()
        self.service.enrol_identity()
        for name, made_of in steady(self.backend).items():
            client.admin("GenerateKey", name, *made_of)
        client.admin("RevokeKey", "fallen", 0)
        self.latest = client.snapshot()
        self.service.stop_keyd()
        for scenario in self.scenarios():
            self.live(scenario, ())
            self.calls[scenario] = self.service.calls_made()
            self.tell(f"{scenario.name}: {len(self.calls[scenario])} calls")

    def scenarios(self):
        return scenarios(self.backend, self.service.IDENTITY)

    def limit_faults(self):
        """To what the tracer is to count."""

    def close(self):
        self.service.close()

    @staticmethod
    def faults(number):
        """What can be done to the call of that number: tracer options."""
        return [(f"--kill-{side}", str(number)) for side in ("at", "after")]

    def moments(self, kills):
        """`kills` pairs of a scenario and tracer options: one of each scenario first, the others evenly over all
        calls of all scenarios."""
        places = [[(scenario, fault) for number in range(len(calls)) for fault in self.faults(number + 1)]
                  for scenario, calls in self.calls.items()]
        chosen = [self.random.choice(each) for each in places if each]
        self.random.shuffle(chosen)
        rest, every = max(0, kills - len(chosen)), sum(places, [])
        chosen += [every[int((i + self.random.random()) * len(every) / rest)] for i in range(rest)]
        chosen = chosen[:kills]
        self.random.shuffle(chosen)
        return chosen

    def run(self, kills):
        for scenario, options in self.moments(kills):
            where = f"{scenario.name}, {' '.join(options)}"
            try:
                self.live(scenario, options)
            except Exception as error:
                calls = "\n".join(self.service.calls_made()[-8:])
                raise AssertionError(f"{where}, after {self.kills} kills\nlast calls:\n{calls}\n"
                                     f"keyd said:\n{self.service.log()}") from error
            self.tell(f"{self.kills} kills: {where}")
        self.check_audit()

    def live(self, scenario, options):
        """One life of keyd, to the kill that `options` say or just after the answer, and a look at what is
        left."""
        before, answered = scenario.live(self.service, options, self.latest)
        self.look_at_the_living(answered)
        if self.service.keyd is not None:
            self.service.kill_keyd()
        self.kills += self.service.was_killed_by(options)
        self.unanswered += answered is not True
        self.token_files_put_back += self.service.put_token_file_back()
        self.check(scenario, before, answered is True)

    def look_at_the_living(self, answered):
        if isinstance(answered, Fault):
            raise AssertionError("an error that nothing gave reason to") from answered

    # What is left.

    def check(self, scenario, before, answered):
        client = self.service.serve(unseals=False)
        self.service.wait(lambda: client.seal() in ("", "Sealed"), "keyd to unseal by itself")
        sealed = client.seal() == "Sealed"
        if sealed != scenario.sealed and (answered or scenario.name not in ("seal", "unseal")):
            raise AssertionError(f"sealed: {sealed}")
        if sealed:
            client.admin("Unseal")
        now = client.snapshot()
        allowed = scenario.outcomes(before, now)
        if now not in (allowed[-1:] if answered else allowed):
            raise AssertionError(f"answered: {answered}\nbefore: {before}\nnow: {now}")
        self.check_signatures(now)
        if any(state in WAITING for versions in now["keys"].values() for state, _ in versions.values()):
            client = self.check_private_halves(now)
        drafts = [path.name for path in self.service.state.iterdir() if ".draft." in path.name]
        if drafts:
            raise AssertionError(f"left half written: {drafts}")
        scenario.clean_up(self.service)
        self.latest = client.snapshot()
        if self.backend == "hsm":
            nameless = self.nameless
            self.service.wait(self.token_is_tidy, "the token to hold what is recorded, and no more")
            if self.nameless > nameless + MOST_NAMELESS:
                raise AssertionError(f"{self.nameless - nameless} objects without a name are left")
        self.service.drop_client()
        if self.service.stop_keyd() != 0:
            raise AssertionError("keyd did not stop well")
        if self.backend == "tpm":
            self.check_tpm()

    def check_signatures(self, snapshot):
        message = self.random.randbytes(40)
        for key, versions in snapshot["keys"].items():
            for state, spki in versions.values():
                if state == "active" and not verifies(spki, message,
                                                      self.service.client.sign(key, message)):
                    raise AssertionError(f"{key} does not sign")

    def check_private_halves(self, snapshot):
        """By those of the hardware and the store alone, while no keyd runs; gives a client of the next one."""
        self.service.drop_client()
        self.service.stop_keyd()
        expected = {(key, number, state) for key, versions in snapshot["keys"].items()
                    for number, (state, _) in versions.items() if state in ("active", *WAITING)}
        signing = {each for each in self.service.signing_versions() if each[0] != KEYDS_OWN}
        if signing != expected:
            raise AssertionError(f"{signing} sign, not {expected}")
        return self.service.serve()

    def check_audit(self):
        """Once keyd is stopped: every record is there, and what is signed holds."""
        client = self.service.serve()
        client.admin("SignAudit")
        keys = []
        for number, (_, spki) in client.versions(KEYDS_OWN).items():
            pem = self.service.root / f"{KEYDS_OWN}-{number}.pem"
            subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-out", pem], input=spki, check=True)
            keys.append(audit_verifier.Key(pem, "ecdsa-p256"))
        self.service.drop_client()
        self.service.stop_keyd()
        audit_verifier.verify(b"".join(path.read_bytes() for path in
                                       sorted((self.service.state / "audit").iterdir())), keys)

    def token_is_tidy(self):
        """SoftHSM2 makes an object in steps, and what a kill leaves of one that has no name and no value yet
        nobody can tell whose it is: such are counted, and no more of them than a kill can leave."""
        held = self.service.token_objects()
        named = [o for o in held if o["id"] or o["label"] or o["value"]]
        empty_files = [path for path in self.service.token_files() if path.stat().st_size == 0]
        self.nameless = len(held) - len(named) + len(empty_files)
        ids = {kind: sorted(o["id"] for o in named if o["class"] == kind)
               for kind in ("private", "public")}
        recorded = sorted(self.service.recorded_in_hardware())
        others = sorted(o["label"][:16] for o in named if o["class"] not in ids)
        return (ids == {"private": recorded, "public": recorded} and
                others == ["keyward:counter:", "keyward:master", "keyward:wrapping"] and
                len(self.service.token_files()) == len(held) + len(empty_files))

    def check_tpm(self):
        handles = self.service.tpm_handles()
        if {kind: len(each) for kind, each in handles.items() if each} != {"nv-index": 2}:
            raise AssertionError(f"the TPM holds more than the master key and a counter: {handles}")
