# SPDX-License-Identifier: BSD-2-Clause
"""A session over a machine that is a shell script: whether its root has ever started."""

import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from lumen import session, status  # noqa: E402


class Machine:
    """Its control channel is the script's standard input; its root's log is $LOG."""

    def __init__(self, script, log):
        self.console, console = socket.socketpair()
        self.control, control = socket.socketpair()
        self.process = subprocess.Popen(["sh", "-c", script], env={"LOG": str(log)}, stdin=control)
        console.close()
        control.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def close(self):
        self.stop()
        self.console.close()
        self.control.close()


class Start(unittest.TestCase):
    def run_it(self, script):
        with tempfile.NamedTemporaryFile() as log, mock.patch.object(session, "STILL", 0.5):
            machine = Machine(script, log.name)
            current = session.Session(machine, session.Limits(ready=60, end=60), root_log=Path(log.name))
            return current.run(), current

    def test_still(self):
        """A root that says something goes on, one that says nothing any more is not waited for."""
        code, current = self.run_it(
            "for i in 1 2 3 4 5 6; do echo $i >>$LOG; /bin/sleep 0.2; done; exec /bin/sleep 50")
        self.assertEqual(code, status.OUR_FAULT)
        self.assertTrue(current.never_started())
        self.assertGreater(current.elapsed(), 1.2)
        self.assertLess(current.elapsed(), 40)

    def test_breaks_down(self):
        self.assertTrue(self.run_it("kill -SEGV $$")[1].never_started())

    def test_panic(self):
        """What the hypervisor says is a result, not a boot that failed."""
        code, current = self.run_it("echo 'lumen: panic: no' >>$LOG; exec /bin/sleep 50")
        self.assertEqual(code, status.OUR_FAULT)
        self.assertFalse(current.never_started())

    def test_ready(self):
        code, current = self.run_it("echo ready >&0; /bin/sleep 1.5; echo status 7 >&0")
        self.assertEqual(code, 7)
        self.assertFalse(current.never_started())
        self.assertFalse(self.run_it("echo ready >&0; kill -SEGV $$")[1].never_started())

    def test_ends(self):
        """A machine that just ends has a reason of its own."""
        self.assertFalse(self.run_it("exit 0")[1].never_started())

    def boots(self, accel, *scripts):
        """How many boots there are of a machine that does these."""
        left = list(scripts)
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(session.ui, "say"):
            log = Path(directory) / "root.log"

            def boot():
                log.write_text(left[0])
                return self.run_it(left.pop(0))[1]

            session.started(boot, accel, Path(directory))
            kept = Path(directory) / "root.first.log"
            self.assertEqual(kept.exists() and kept.read_text(), len(scripts) - len(left) > 1 and scripts[0])
        return len(scripts) - len(left)

    def test_once_more(self):
        fails, ends = "kill -SEGV $$", "echo ready >&0; echo status 0 >&0"
        self.assertEqual(self.boots("tcg", fails, ends), 2)
        self.assertEqual(self.boots("tcg", fails, fails, ends), 2)
        self.assertEqual(self.boots("tcg", ends, ends), 1)
        self.assertEqual(self.boots("kvm", fails, ends), 1)


if __name__ == "__main__":
    unittest.main()
