# SPDX-License-Identifier: BSD-2-Clause
"""The referee's part that needs no machine: what it makes of the messages from inside."""

import socket
import sys
import tempfile
import types
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from lumen import referee, session, status  # noqa: E402
from lumen.referee import Guest  # noqa: E402


def event(name, **data):
    words = ", ".join(f'"{key}": {value}' for key, value in data.items())
    return f'qmp {{"timestamp": {{}}, "event": "{name}", "data": {{{words}}}}}'


POWER_OFF = event("SHUTDOWN", guest="true", reason='"guest-shutdown"')
RESET = event("SHUTDOWN", guest="true", reason='"guest-reset"')
GREETING = 'qmp {"QMP": {"version": {}, "capabilities": []}}'


class Dialogue(unittest.TestCase):
    """A session with both ends of its sockets in our hands."""

    def start(self, *guests):
        self.console, console = socket.socketpair()
        self.control, control = socket.socketpair()
        for end in (self.console, console, self.control, control):
            end.setblocking(False)
            self.addCleanup(end.close)
        running = types.SimpleNamespace(console=console, control=control)
        self.session = referee._Session(guests, lambda result: None, running, session.Limits(ready=10))

    def hear(self, *lines):
        for line in lines:
            self.session._message(line)

    def told(self):
        try:
            return self.control.recv(4096).decode().split()
        except BlockingIOError:
            return []

    def guest(self, number, console, *lines, code=0):
        """Guest number from its beginning to its end."""
        self.hear(f"begin {number:04}", GREETING)
        self.console.sendall(console.encode())
        self.hear(*lines, f"end {number:04} {code}")
        return self.session.results[number]

    def one(self, console, *lines, code=0):
        self.start(Guest("kernel"))
        return self.guest(0, console, *lines, code=code).status

    def test_ends(self):
        said = "text\r\nkernel: exit status 3\r\n"
        self.assertEqual(self.one("text\r\n", POWER_OFF), status.OK)
        self.assertEqual(self.one(said, POWER_OFF), 3)
        self.assertEqual(self.one(said, RESET), 3)
        self.assertEqual(self.one("kernel: exit status 0\r\n", POWER_OFF), status.OK)
        self.assertEqual(self.one("text", RESET), status.RESET)
        self.assertEqual(self.one("text", event("GUEST_PANICKED", action='"run"'), POWER_OFF),
                         status.CRASHED)
        self.assertEqual(self.one(said, "triple-fault 0x1234", RESET), status.CRASHED)

    def test_ends_that_are_no_guests_fault(self):
        self.assertEqual(self.one(""), status.OUR_FAULT)
        self.assertEqual(self.one("kernel: exit status 0\r\n"), status.OUR_FAULT)
        self.assertEqual(self.one("kernel: exit status 0\r\n", POWER_OFF, code=1), status.OUR_FAULT)

    def test_only_the_last_line_is_the_status(self):
        self.assertEqual(self.one("kernel: exit status 3\r\nmore\r\n", POWER_OFF), status.OK)
        self.assertEqual(self.one("a kernel: exit status 3\r\n", POWER_OFF), status.OK)
        self.assertEqual(self.one("kernel: exit status 200\r\n", POWER_OFF), status.CHILD_MAX)

    def test_time_is_up(self):
        self.start(Guest("kernel", timeout=5))
        self.hear("begin 0000")
        self.assertLess(self.session.deadline - session._after(5), 0.1)
        self.session._time_is_up()
        self.assertEqual(self.told(), ["kill"])
        self.hear("end 0000 137")
        self.assertEqual(self.session.results[0].status, status.HUNG)
        self.assertFalse(self.session.left)
        self.assertEqual(self.told(), ["next"])

    def test_it_cannot_be_killed(self):
        self.start(Guest("kernel"))
        self.hear("begin 0000")
        self.session._time_is_up()
        self.session._time_is_up()
        self.assertTrue(self.session.left and self.session.unfinished())

    def test_kvm_gives_up(self):
        self.start(Guest("kernel"))
        self.hear("begin 0000", "qmp " + '{"event": "STOP"}')
        self.assertEqual(self.told(), ["kill"])
        self.hear("note KVM internal error. Suberror: 1", "end 0000 137")
        self.assertEqual(self.session.results[0].status, status.CRASHED)
        self.assertEqual(self.session.results[0].notes, ["KVM internal error. Suberror: 1"])

    def test_consoles_are_kept_apart(self):
        self.start(Guest("a"), Guest("b"), Guest("c"))
        first = self.guest(0, "x" * 100000 + "\r\nkernel: exit status 1\r\n", POWER_OFF)
        second = self.guest(1, "b\r\n", POWER_OFF)
        self.assertTrue(self.session.unfinished())
        third = self.guest(2, "", RESET)
        self.assertFalse(self.session.unfinished())
        self.assertEqual((len(first.console), second.console, third.console), (100025, "b\r\n", ""))
        self.assertEqual([r.status for r in self.session.results], [1, 0, status.RESET])

    def test_no_kvm(self):
        self.start(Guest("kernel"))
        self.hear("fault the kernel has no KVM for this processor")
        self.assertTrue(self.session.left and self.session.unfinished())
        self.assertIn("no KVM", self.session.fault)

    def test_odd_lines(self):
        self.start(Guest("kernel"))
        self.hear("", "message", "qmp {", 'qmp {"return": {}}', "note nobody's")
        self.assertTrue(self.session.unfinished())


class Files(unittest.TestCase):
    """What goes into the initrd."""

    def test_a_kernel_is_there_once(self):
        with tempfile.TemporaryDirectory() as name:
            guests = [Guest(Path("/k"), "a b"), Guest(Path("/other")), Guest(Path("/k"), cpus=2)]
            files = referee._configuration(guests, "6", Path(name))
            self.assertEqual(sorted(files), ["guests/0000.conf", "guests/0001.conf",
                                             "guests/0002.conf", "kernel0", "kernel1"])
            self.assertEqual(files["kernel0"], Path("/k"))
            text = files["guests/0002.conf"].read_text()
            self.assertIn("KERNEL=/lumen/kernel0\n", text)
            self.assertIn("CPUS=2\n", text)
            self.assertIn("APPEND='a b'\n", files["guests/0000.conf"].read_text())


if __name__ == "__main__":
    unittest.main()
