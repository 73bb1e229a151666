# SPDX-License-Identifier: BSD-2-Clause
"""One run of a machine: its console to and from us, its control messages, its time limit, its end."""

import contextlib
import os
import selectors
import signal
import sys
import termios
import time
import tty
from dataclasses import dataclass

from lumen import paths, status, ui

LEAVE = b"\x1d"  # Ctrl-]
PANIC = b"lumen: panic: "
HUNG_GRACE = 20.0  # seconds that the root gets to say what it knows about a child that hung
STILL = 30.0  # seconds: a root that boots and says nothing for so long stands still


@contextlib.contextmanager
def raw_terminal(wanted):
    """The terminal on standard input without line editing and signals, put back at the end."""
    if not wanted:
        yield
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@dataclass(frozen=True)
class Limits:
    """Seconds, or None for no limit: until the root is ready (None also if there is no root), and from
    there to the end."""

    ready: float | None = None
    end: float | None = None


def _after(seconds):
    return time.monotonic() + seconds if seconds else None


class Session:
    """Runs a machine to its end. Everything it saw is in console (bytes), notes and messages."""

    def __init__(self, running, limits, stdin=None, echo=None, console_log=None, root_log=None):
        """stdin, echo: file descriptors or None. root_log: the file with the hypervisor's log."""
        self.running = running
        self.stdin = stdin
        self.echo = echo
        self.log = console_log
        self.started = time.monotonic()
        self.limits = limits
        self.deadline = _after(limits.ready or limits.end)
        self.console = bytearray()
        self.messages = []
        self.notes = []
        self.ready_after = None
        self.status = None
        self.code = None
        self.left = False
        self.hung = False
        self.late = False
        self.panicked = False
        self.root_log = root_log
        self._root_log_read = 0
        self._root_log_grew = self.started
        self._partial = b""
        self._pending_in = b""
        self._watchers = []
        self._open = {running.console, running.control}
        self._selector = selectors.SelectSelector()  # takes plain files too, as epoll does not

    # What a test or a command may do while the machine runs.

    def when(self, text, action):
        """Call action(session) once, when the console has printed text."""
        self._watchers.append((text.encode(), action))

    def type(self, text):
        """Send keystrokes to the console."""
        self._pending_in += text.encode()

    def tell(self, word):
        """Send one control message to the root partition."""
        with contextlib.suppress(OSError):
            self.running.control.sendall(word.encode() + b"\n")

    def elapsed(self):
        return time.monotonic() - self.started

    # The loop.

    def run(self):
        """Until the machine ends, somebody leaves or the time is up. Returns the exit status (code)."""
        for sock in (self.running.console, self.running.control):
            sock.setblocking(False)
        pidfd = os.pidfd_open(self.running.process.pid)
        self._selector.register(self.running.console, selectors.EVENT_READ, self._console_readable)
        self._selector.register(self.running.control, selectors.EVENT_READ, self._control_readable)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda: None)
        if self.stdin is not None:
            self._selector.register(self.stdin, selectors.EVENT_READ, self._stdin_readable)
        try:
            while self.running.process.poll() is None and not self.left:
                self._turn()
            self.running.stop()
            self._drain()
        finally:
            self._selector.close()
            os.close(pidfd)
            self.running.close()
        self.code = self._outcome()
        return self.code

    def _turn(self):
        for key, _ in self._selector.select(self._wait_time()):
            key.data()
        self._flush_input()
        self._watch_root_log()
        if self.deadline is not None and time.monotonic() > self.deadline:
            self._time_is_up()
        elif self._stands_still():
            self.late = self.left = True

    def _wait_time(self):
        limit = 0.05 if self._pending_in else 1.0
        if self.deadline is not None:
            limit = min(limit, max(self.deadline - time.monotonic(), 0.0) + 0.01)
        return limit

    def _watch_root_log(self):
        """A hypervisor that panics stops for good: no use in waiting for the time limit."""
        try:
            with open(self.root_log or "/dev/null", "rb") as log:
                log.seek(max(self._root_log_read - len(PANIC), 0))
                text = log.read()
                end = log.tell()
        except OSError:
            return
        if end > self._root_log_read:
            self._root_log_read = end
            self._root_log_grew = time.monotonic()
        if PANIC in text:
            self.panicked = self.left = True

    def _stands_still(self):
        return (self.limits.ready and self.ready_after is None and self.root_log and
                time.monotonic() - self._root_log_grew > STILL)

    def never_started(self):
        """Whether the root's kernel stood still, or QEMU broke down under it, before it was ready."""
        return (self.limits.ready is not None and self.ready_after is None and not self.panicked and
                (self.late or (not self.left and self.running.process.returncode < 0)))

    def _time_is_up(self):
        if self.limits.ready and self.ready_after is None:
            self.late = True
        elif self.hung or not self.limits.ready:
            self.hung = True
        else:  # the root's turn to say what it knows
            self.hung = True
            self.tell("hung")
            self.deadline = _after(HUNG_GRACE)
            return
        self.left = True

    def _receive(self, sock):
        """Bytes, or b"" after unregistering a socket that is closed."""
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._open.discard(sock)
            self._selector.unregister(sock)
        return data

    def _console_readable(self):
        data = self._receive(self.running.console)
        self.console += data
        if self.log and data:
            self.log.write(data)
            self.log.flush()
        if self.echo is not None and data:
            _write_all(self.echo, data)
        for watcher in [w for w in self._watchers if w[0] in self.console]:
            self._watchers.remove(watcher)
            watcher[1](self)

    def _control_readable(self):
        data = self._partial + self._receive(self.running.control)
        *lines, self._partial = data.split(b"\n")
        for line in lines:
            self._message(line.decode(errors="replace").strip("\r"))

    def _message(self, line):
        word, _, rest = line.partition(" ")
        self.messages.append(line)
        if word == "status" and rest.isdigit():
            self.status = int(rest)
        elif word == "ready":
            self.ready_after = self.elapsed()
            self.deadline = _after(self.limits.end)
        elif word == "note":
            self.notes.append(rest)
            if self.echo is not None:
                end = "\r" if sys.stderr.isatty() else ""
                ui.say(rest + end)

    def _stdin_readable(self):
        data = os.read(self.stdin, 4096)
        if LEAVE in data and os.isatty(self.stdin):
            self.left = True
        elif not data:
            self._selector.unregister(self.stdin)
            self._pending_in += b"\x04"  # end of file, as a terminal says it
        else:
            self._pending_in += data

    def _flush_input(self):
        if not self._pending_in:
            return
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            sent = self.running.console.send(self._pending_in)
            self._pending_in = self._pending_in[sent:]

    def _drain(self):
        """What the machine said before it ended is still in the sockets."""
        for sock, reader in ((self.running.console, self._console_readable),
                             (self.running.control, self._control_readable)):
            while sock in self._open:
                reader()

    def _outcome(self):
        if self.hung:
            return status.HUNG
        if self.late or self.panicked:
            return status.OUR_FAULT
        if self.status is not None:
            return self.status
        if self.left:
            return status.OK
        return status.OUR_FAULT


def _write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            time.sleep(0.01)


@contextlib.contextmanager
def terminated_like_an_exception():
    """SIGTERM and SIGHUP unwind the stack, so that machines are stopped and terminals put back."""
    def raise_exit(number, _frame):
        raise SystemExit(128 + number)

    before = {n: signal.signal(n, raise_exit) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def started(boot, accel, directory):
    """boot(): runs a machine to its end, and returns its Session. Does so once more if the machine is
    TCG's and never started, which is TCG's fault."""
    log = directory / "root.log"
    kept = log.with_suffix(".first.log")
    kept.unlink(missing_ok=True)
    current = boot()
    if accel != "tcg" or not current.never_started():
        return current
    ui.say("the machine's kernel stands still, or QEMU broke down under it: TCG does that now and then "
           f"(docs/hacking.md). Once more (log: {paths.relative(kept)}).")
    log.rename(kept)
    return boot()
