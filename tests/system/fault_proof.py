"""KillProof for a disk that fails: one call that changes keyd's state directory fails or is made by half, keyd
says so and goes on with what it can, and is killed then. What is found after is as with kills."""

from faults import KILLED, Died, Fault
from kill_proof import KillProof
from kill_scenarios import Schedule


class FaultProof(KillProof):
    # A start that fails leaves the service sealed, and tries again. What has no space in the audit log is
    # refused.
    EXPECTED = ("Io", "Sealed", "ResourceExhausted")

    def limit_faults(self):
        self.service.below = [self.service.state]

    def scenarios(self):
        """But for what keyd tries again by itself, which does not stand still to be looked at."""
        return [each for each in super().scenarios() if not isinstance(each, Schedule)]

    @staticmethod
    def faults(number):
        at = str(number)
        failures = [("--fail-at", at, "--errno", error) for error in ("EIO", "ENOSPC")]
        # And nothing is written any more after: the next call is the last.
        return [*failures, ("--short-at", at), (*failures[0], "--kill-at", str(number + 1))]

    refused = 0  # calls that were answered with an error

    def look_at_the_living(self, answered):
        if isinstance(answered, Fault):
            self.expect(answered)
        if self.service.keyd is None or self.service.client is None:
            return
        try:
            if self.service.client.seal() == "":
                self.check_signing(answered)
        except Died:
            if self.service.wait_end() != KILLED:
                raise

    def expect(self, fault):
        self.refused += 1
        if fault.code not in self.EXPECTED:
            raise AssertionError("not an error of the disk's") from fault

    def check_signing(self, answered):
        """The call that fails may be the one that tells the audit log of a signature: once, then."""
        snapshot = self.service.client.snapshot()
        try:
            self.check_signatures(snapshot)
        except Fault as fault:
            if isinstance(answered, Fault):
                raise
            self.expect(fault)
            self.check_signatures(snapshot)


class TokenFaultProof(FaultProof):
    """The same for the disk that SoftHSM2 keeps its token on."""

    EXPECTED = ("CustodianUnavailable", "Sealed")

    def limit_faults(self):
        self.service.below = [self.service.root / "token"]
