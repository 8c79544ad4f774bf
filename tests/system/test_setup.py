"""The provisioning scripts in softhsm-setup/, each by itself."""

import os
import pathlib
import select
import shutil
import stat
import subprocess
import tempfile
import unittest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "softhsm-setup"


def run(script, *arguments, **options):
    return subprocess.run([SETUP / script, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False, **options)


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kw-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(run, "stop", self.folder)

    def run_well(self, script, *arguments):
        done = run(script, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), script)
        return done

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def test_a_token_has_a_private_pin_and_is_made_once(self):
        said = self.run_well("make-token", self.folder, "keyward").stdout
        pin_file = self.folder / "hsm.pin"
        pin = pin_file.read_text()
        self.assertEqual(said, "")
        self.assertGreaterEqual(len(pin), 16)
        self.assertEqual(stat.S_IMODE(pin_file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE((self.folder / "tokens").stat().st_mode), 0o700)
        tokens = sorted(os.listdir(self.folder / "tokens"))
        self.run_well("make-token", self.folder, "keyward")
        self.assertEqual(pin_file.read_text(), pin)
        self.assertEqual(sorted(os.listdir(self.folder / "tokens")), tokens)

    def test_a_label_that_is_none_is_refused(self):
        for label in ("", "a b", "x" * 33, "$(id)"):
            done = run("make-token", self.folder, label)
            self.assertEqual(done.returncode, 1)
            self.assertIn("label", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_runs_is_not_started_again(self):
        for script, name, arguments in (("start-swtpm", "swtpm", []),
                                        ("start-bus", "bus", ["root"])):
            self.run_well(script, self.folder, *arguments)
            pid = self.pid(name)
            self.run_well(script, self.folder, *arguments)
            self.assertEqual(self.pid(name), pid)

    def test_what_was_killed_is_started_anew(self):
        self.run_well("start-swtpm", self.folder)
        first = self.pid("swtpm")
        descriptor = os.pidfd_open(first)
        os.kill(first, 9)
        self.wait_for_end(descriptor)
        self.run_well("start-swtpm", self.folder)
        self.assertNotEqual(self.pid("swtpm"), first)
        self.assertTrue((self.folder / "tpm.sock").is_socket())

    def test_stop_ends_what_was_started(self):
        self.run_well("start-swtpm", self.folder)
        self.run_well("start-bus", self.folder, "root")
        descriptors = [os.pidfd_open(self.pid(name)) for name in ("swtpm", "bus")]
        self.run_well("stop", self.folder)
        for descriptor in descriptors:
            self.wait_for_end(descriptor)
        self.assertEqual(list(self.folder.glob("*.pid")), [])

    def test_stop_spares_a_process_that_only_has_the_number(self):
        with subprocess.Popen(["sleep", "60"]) as bystander:
            try:
                (self.folder / "swtpm.pid").write_text(f"{bystander.pid}\n")
                self.run_well("stop", self.folder)
                self.assertIsNone(bystander.poll())
            finally:
                bystander.kill()

    def test_a_folder_too_deep_for_a_socket_is_said(self):
        deep = self.folder / ("x" * 100)
        for script, arguments in (("start-swtpm", []), ("start-bus", ["root"])):
            done = run(script, deep, *arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn("shorter directory", done.stderr)

    def test_a_user_that_is_none_is_said(self):
        done = run("start-bus", self.folder, "nobody-of-that-name")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no user 'nobody-of-that-name'", done.stderr)

    def test_a_quickstart_that_does_nothing_leaves_nothing(self):
        for option, status in (("--help", 0), ("--no-such-option", 1)):
            done = run("quickstart", option, env={**os.environ, "TMPDIR": str(self.folder)})
            self.assertEqual(done.returncode, status)
        self.assertEqual(os.listdir(self.folder), [])

    def wait_for_end(self, descriptor):
        self.assertTrue(select.select([descriptor], [], [], 30)[0], "still running")
        os.close(descriptor)


if __name__ == "__main__":
    unittest.main()
