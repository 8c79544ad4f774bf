"""What the tests of hardware that misbehaves share: each state is told from the others, explained by keyctl doctor,
and leaves when its cause does, without a restart of keyd."""

import json
import select
import subprocess
import time

from harness import BIN, FRONTEND, ME, TIMEOUT, SystemTest

ROOT = "/org/keyward/Keyd1"


class MisbehavingTest(SystemTest):
    """The custodian NAME is the one that misbehaves."""

    NAME = ""

    def keyctl(self, *arguments, status=0):
        said = subprocess.run([BIN / "keyctl", *map(str, arguments)],
                              env=self.service.environment(), capture_output=True, text=True,
                              timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(said.returncode, status, said.stdout + said.stderr)
        return said.stdout + said.stderr

    def wait_row(self, holds, patience=TIMEOUT):
        """Waits until `holds` of the custodian's name, description, state, detail, since and resets; these."""
        module = self.service.module(FRONTEND)
        deadline = time.monotonic() + patience
        while True:
            rows = module.property(ROOT, "Manager", "Custodians")
            row = next(row for row in rows if row[0] == self.NAME)
            if holds(row):
                module.kill()
                return row
            self.assertLess(time.monotonic(), deadline, f"{row}\n{self.service.log()}")
            select.select([], [], [], 0.05)

    def wait_state(self, state, patience=TIMEOUT):
        return self.wait_row(lambda row: row[2] == state, patience)

    def doctor(self, well=False):
        """Verdict, code, finding and remedy of each check of keyctl doctor."""
        said = self.keyctl("doctor", "--json", "--config", self.service.root / "security.yaml",
                           "--state", self.service.state, status=0 if well else 12)
        return {each["check"]: each for each in json.loads(said)["checks"]}

    def assert_told(self, state, *words, patience=TIMEOUT):
        """The custodian's state is in status and doctor, with a remedy that has these words."""
        row = self.wait_state(state, patience)
        self.assertLess(abs(row[4] - time.time()), 600)
        finding = self.doctor()[f"custodian {self.NAME}"]
        self.assertEqual((finding["verdict"], finding["code"]), ("attention", state))
        self.assertIn(row[3], finding["finding"])
        for word in words:
            self.assertIn(word, finding["remedy"])
        shown = json.loads(self.keyctl("status", "--json", status=self.status_code()))
        shown = next(each for each in shown["custodians"] if each["name"] == self.NAME)
        self.assertEqual((shown["state"], shown["resets"]), (state, row[5]))
        return row

    def status_code(self):
        health = self.service.module(ME).property(ROOT, "Manager", "Health")
        return {"ok": 0, "degraded": 7, "sealed": 10}[health]

    def assert_well(self, resets=0):
        """All is well again, in the same keyd."""
        self.assertEqual(self.wait_state("ok")[5], resets)
        self.service.wait_health("ok")
        self.assertTrue(self.doctor(well=True))
        self.assertEqual(self.service.keyd.pid, self.keyd_pid)
        self.assert_serving()

    def setUp(self):
        super().setUp()
        self.service.enrol_pair(*self.PAIR)
        self.keyd_pid = self.service.keyd.pid
