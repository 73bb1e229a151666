# SPDX-License-Identifier: BSD-2-Clause
"""Progress on standard error, and commands whose output goes to a log unless they fail."""

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
import threading
import time

from lumen import paths
from lumen.status import Failure

QUIET_BELOW = 0.7  # seconds: a step that is done sooner says nothing
HEARTBEAT = 20.0  # seconds between signs of life when nobody looks at a terminal


def printable(text):
    """One line, whatever a name in it contains."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def say(text):
    """Nobody may listen: that is no reason to end."""
    with contextlib.suppress(OSError, ValueError):
        print(f"lumen: {printable(text)}", file=sys.stderr, flush=True)


def _terminal():
    return sys.stderr is not None and sys.stderr.isatty()


def clear_line():
    """Take away the line of a Step on the terminal: something else is to be printed."""
    if _terminal():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


class Step:
    """One long step: shows itself once it is known to be long, then how long it took. On a terminal
    only the main thread's has the line that is written again and again."""

    def __init__(self, what):
        self.what = what
        self.started = time.monotonic()
        self.shown = 0.0
        self.terminal = _terminal()
        self.draws = self.terminal and threading.current_thread() is threading.main_thread()

    def elapsed(self):
        return time.monotonic() - self.started

    def tick(self, detail="", heartbeat=True):
        """Call this now and then; detail is the latest line of output. heartbeat: say something now and
        then when nobody looks at a terminal."""
        now = self.elapsed()
        if now < QUIET_BELOW:
            return
        if self.draws:
            width = shutil.get_terminal_size().columns
            line = f"lumen: {self.what} ({now:.0f} s) {detail}"[: max(width - 1, 20)]
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
        elif self.terminal or not heartbeat:
            return
        elif not self.shown:
            say(f"{self.what} ...")
        elif now - self.shown > HEARTBEAT:
            say(f"{self.what}: still at it after {now:.0f} s")
        else:
            return
        self.shown = now

    def done(self, outcome="done"):
        if self.draws and self.shown:
            clear_line()
        if self.shown:
            say(f"{self.what}: {outcome} in {self.elapsed():.1f} s")


def _pump(process, log, step):
    """Copy the output of a process to its log and its last line to the step."""
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    detail = ""
    while True:
        if selector.select(timeout=0.3):
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            log.write(chunk)
            lines = chunk.decode(errors="replace").split("\n")
            detail = next((l.strip() for l in reversed(lines) if l.strip()), detail)
        step.tick(detail)


def tail(path, lines=30):
    """The end of a text file, for an error message."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _first_failure(path, lines=40):
    """What ninja printed about the first thing that failed."""
    text = path.read_text(errors="replace").splitlines()
    for number, line in enumerate(text):
        if line.startswith("FAILED: "):
            return "\n".join(line[:300] for line in text[number:number + lines])
    return ""


def command(what, argv, cwd=paths.ROOT, env=None, failure=None):
    """Run argv as a step called what. On failure show the end of its log and raise Failure."""
    paths.LOG.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in what)
    log_path = paths.LOG / f"{name}.log"
    step = Step(what)
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            [str(a) for a in argv], cwd=cwd, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        _pump(process, log, step)
        code = process.wait()
    if code == 0:
        step.done()
        return
    step.done("failed")
    print(_first_failure(log_path) or tail(log_path), file=sys.stderr)
    raise Failure(f"{failure or what + ' failed'} (the whole log: {paths.relative(log_path)}).")
