# SPDX-License-Identifier: BSD-2-Clause
"""lumenctl over a worker that runs no child (fake_worker.c): killed at each of its system calls, raced
against itself, spoken to by workers that do not answer. TAP.

    test_ctl.py LUMENCTL FAKE_WORKER [NAME]    with NAME, only tests whose names contain it"""

import collections
import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lumen.pcapng import Capture

LUMENCTL, WORKER = (str(Path(arg).resolve()) for arg in sys.argv[1:3])
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
PATIENCE = 100  # seconds: none of the waits here needs one
# Calls that change nothing outside of the process, so that a kill at the next one that does is the same.
HARMLESS = {"execve", "brk", "mmap", "munmap", "mprotect", "arch_prctl", "set_tid_address", "rseq",
            "set_robust_list", "prlimit64", "getrandom", "readlink", "rt_sigaction", "newfstatat", "access",
            "fstat", "lseek", "getpid", "uname", "rt_sigprocmask", "exit_group", "getdents64",
            "ioctl", "faccessat", "setitimer"}


class Failed(Exception):
    """Something was not as a test wants it."""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Bench:
    """A run directory of its own, and lumenctl to work in it."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.run_dir = self.directory / "run"
        self.kernel = self.directory / "kernel"
        self.kernel.write_bytes(b"")
        self.alive = self.directory / "alive"
        self.environment = {"LUMEN_RUN_DIR": str(self.run_dir), "LUMEN_WORKER": WORKER,
                            "FAKE_ALIVE": str(self.alive), "PATH": os.environ["PATH"]}

    def start(self, *words, wrapper=(), **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([*wrapper, LUMENCTL, *words], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def run(self, *words, wrapper=(), **more):
        process = self.start(*words, wrapper=wrapper, **more)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"lumenctl {' '.join(words)} does not end") from None
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def end(self, process):
        """What a process that start() has begun says on standard error, until its end, which is a good one."""
        try:
            _, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"{process.args} does not end") from None
        check(process.returncode == 0, f"{process.args}: {process.returncode} {said}")
        return said

    def do(self, *words, **more):
        result = self.run(*words, **more)
        check(result.returncode == 0, f"lumenctl {' '.join(words)}: {result.returncode} {result.stderr}")
        return result.stdout

    def create(self, name, what, *options):
        self.do("create", name, "--kernel", str(self.kernel), "--append", what, *options)

    def state(self, name):
        """The state of a child by lumenctl list, and its status; None if it is not listed."""
        for child in json.loads(self.do("list", "--json")):
            if child["name"] == name:
                return child["state"], child.get("status")
        return None

    def workers(self):
        """Processes of this bench's workers."""
        mark = f"FAKE_ALIVE={self.alive}".encode()
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and mark in (process / "environ").read_bytes():
                    state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z" and "strace" not in (process / "cmdline").read_text():
                        found.append(int(process.name))
        return found

    def settled_state(self, name):
        """The state and whether there are processes, at one moment: neither has changed in between."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            before = self.state(name)
            workers = self.workers()
            if self.state(name) == before and bool(workers) == (before is not None and before[0] == "running"):
                return before
        raise Failed(f"{before} with the processes {workers}")

    def clean(self, name):
        """What every leftover must allow: end it, delete it, and nothing is left."""
        state = self.settled_state(name)
        if state and state[0] == "running":
            result = self.run("kill", name)
            check(result.returncode == 0 or "does not run" in result.stderr, result.stderr)
        if state:
            self.do("delete", name)
        check(self.run("delete", name).returncode == 122, "delete of nothing")
        self.create("sweeper", "")  # who comes next removes what a killed one has left
        self.do("delete", "sweeper")
        check(not os.listdir(self.run_dir), f"left: {os.listdir(self.run_dir)}")
        check(not self.alive.with_suffix(".two").exists(), "two workers lived at once")


def calls_of(trace):
    """{system call: how often} of a strace log, without those that cannot matter."""
    found = collections.Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", trace, re.M))
    return {call: count for call, count in found.items() if call not in HARMLESS}


def kills(bench, *words, prepare):
    """Run a command once for each of its system calls, killed there; yields what was done. The command
    itself must succeed when it is not killed."""
    log = bench.directory / "strace"
    prepare()
    bench.do(*words, wrapper=("strace", "-qq", "-o", log))
    yield "not killed"
    for call, count in calls_of(log.read_text()).items():
        for number in range(1, count + 1):
            prepare()
            bench.run(*words, wrapper=("strace", "-qq", "-o", "/dev/null", "-e",
                                       f"inject={call}:signal=KILL:when={number}"))
            yield f"killed at {call} {number}"


def survive(bench, *words, prepare=lambda: None, states):
    """After each kill the child is in one of the states, and can be deleted."""
    count = 0
    for count, where in enumerate(kills(bench, *words, prepare=prepare)):
        try:
            state = bench.settled_state("a")
            check(state in states, f"{state}")
            bench.clean("a")
        except Failed as failure:
            raise Failed(f"{words[0]}, {where}: {failure}") from None
    check(count > 10, f"only {count} system calls were seen")


RUNNING, CREATED, LOST = ("running", None), ("created", None), ("lost", 123)


def test_create_killed_at_each_system_call(bench):
    survive(bench, "create", "a", "--kernel", str(bench.kernel), states=(None, CREATED))


def test_start_killed_at_each_system_call(bench):
    survive(bench, "start", "a", prepare=lambda: bench.create("a", "wait"), states=(CREATED, RUNNING, LOST))


def test_a_start_that_was_killed_does_not_forget_how_the_child_ended(bench):
    def prepare():
        bench.create("a", "exit 7")
        bench.do("start", "a")
        check(bench.run("wait", "a").returncode == 7, "its status")

    survive(bench, "start", "a", prepare=prepare, states=(RUNNING, ("ended", 7)))


def test_delete_killed_at_each_system_call(bench):
    survive(bench, "delete", "a", prepare=lambda: bench.create("a", "wait"), states=(None, CREATED))


def test_run_killed_at_each_system_call(bench):
    def prepare():
        bench.create("a", "exit 7")
        bench.do("start", "a")
        bench.run("wait", "a")

    survive(bench, "run", "a", "--kernel", str(bench.kernel), "--append", "exit 0", prepare=prepare,
            states=(None, CREATED, RUNNING, ("ended", 7), ("ended", 0)))


def test_kill_killed_at_each_system_call(bench):
    def prepare():
        bench.create("a", "wait")
        bench.do("start", "a")

    survive(bench, "kill", "a", prepare=prepare, states=(RUNNING, ("ended", 123)))


def test_supervisor_killed_at_each_system_call(bench):
    """Of the worker's two processes the one that stands over the other; that dies with it."""
    wrapper = bench.directory / "worker.sh"
    log = bench.directory / "strace"
    bench.environment["LUMEN_WORKER"] = str(wrapper)

    def once(how):
        wrapper.write_text(f"#!/bin/sh\nexec strace -qq {how} {shlex.quote(WORKER)} \"$@\"\n")
        wrapper.chmod(0o755)
        bench.create("a", "wait")
        bench.run("start", "a")
        state = bench.settled_state("a")
        check(state in (CREATED, RUNNING, LOST), f"{how}: {state}")
        bench.clean("a")

    once(f"-o {shlex.quote(str(log))}")
    seen = calls_of(log.read_text())
    check(sum(seen.values()) > 10, f"{seen}")
    for call, count in seen.items():
        for number in range(1, count + 1):
            once(f"-o /dev/null -e inject={call}:signal=KILL:when={number}")


def test_two_starts_make_one_worker(bench):
    for _ in range(10):
        bench.create("a", "wait")
        starts = [bench.start("start", "a") for _ in range(4)]
        results = sorted(start.wait(PATIENCE) for start in starts)
        check(results == [0, 122, 122, 122], f"{results}")
        check(bench.settled_state("a") == RUNNING, "it does not run")
        bench.clean("a")


def test_start_and_delete_at_once(bench):
    """Either there is no child, or it runs and could not be deleted."""
    seen = collections.Counter()
    for number in range(20):
        bench.create("a", "wait")
        words = [("start", "a"), ("delete", "a")]
        first = bench.start(*words[number % 2])
        second = bench.start(*words[1 - number % 2])
        results = first.wait(PATIENCE), second.wait(PATIENCE)
        started, deleted = results if number % 2 == 0 else results[::-1]
        state = bench.settled_state("a")
        seen[state] += 1
        check((state, started, deleted) in ((RUNNING, 0, 122), (None, 122, 0)),
              f"{state}, start {started}, delete {deleted}")
        bench.clean("a")


def test_two_creates_make_one_child(bench):
    for _ in range(10):
        creates = [bench.start("create", "a", "--kernel", str(bench.kernel)) for _ in range(4)]
        results = sorted(create.wait(PATIENCE) for create in creates)
        check(results == [0, 122, 122, 122], f"{results}")
        bench.clean("a")


def test_how_a_worker_ends_is_known(bench):
    for what, status, reason in (("exit 0", 0, "It was asked to:? it."),
                                 ("exit 42", 42, "It was asked to:? it."),
                                 ("exit 111", 123, "It was asked to:? it."),
                                 ("abort", 123, "The worker was killed (Aborted).")):
        bench.create("a", what)
        bench.do("start", "a")
        result = bench.run("wait", "a")
        check(result.returncode == status, f"{what}: {result.returncode}")
        child = json.loads(bench.do("list", "--json"))[0]
        check((child["state"], child["status"], child["reason"]) == ("ended", status, reason), f"{child}")
        bench.clean("a")


def test_a_worker_that_says_nothing_fails_the_start(bench):
    bench.create("a", "silent")
    result = bench.run("start", "a")
    check(result.returncode == 123 and "without a word" in result.stderr, result.stderr)
    check(bench.settled_state("a") == ("ended", 123), "its status")
    bench.clean("a")


def test_a_worker_that_hangs_at_its_end_holds_nobody_up(bench):
    """It has said how the child ended; its process is still there, as with a disk that does not answer."""
    bench.create("a", "hang")
    bench.do("start", "a")
    check(bench.run("wait", "a").returncode == 0, "its status")
    check(bench.settled_state("a") == ("ended", 0), "its state")
    bench.clean("a")


def test_a_worker_gets_no_descriptors_but_its_own(bench):
    """What lumenctl was started with (in the root: the way to the machine's owner) stays out."""
    ends = os.pipe()
    os.set_inheritable(ends[1], True)
    high = os.dup2(ends[1], 700, inheritable=True)
    bench.create("a", "wait")
    bench.do("start", "a", pass_fds=(ends[1], high))
    seen = [os.readlink(link) for worker in bench.workers() for link in Path(f"/proc/{worker}/fd").iterdir()]
    ours = os.readlink(f"/proc/self/fd/{ends[1]}")
    for fd in (*ends, high):
        os.close(fd)
    check(len(bench.workers()) == 2 and ours not in seen, f"{seen}")
    bench.clean("a")


def test_kill_needs_no_good_will(bench):
    """Of a worker that ignores SIGTERM, and takes no connections though its socket is full of them."""
    bench.create("a", "stubborn")
    bench.do("start", "a")
    idle = []
    directory = os.open(bench.run_dir / "a", os.O_RDONLY)
    with contextlib.suppress(BlockingIOError):
        while len(idle) < 64:
            idle.append(socket.socket(socket.AF_UNIX))
            idle[-1].setblocking(False)
            idle[-1].connect(f"/proc/self/fd/{directory}/ctl")
    check(1 < len(idle) < 64, "its queue is not full")
    before = time.monotonic()
    bench.do("kill", "a")
    check(time.monotonic() - before < 30, "kill waits for it")
    check(bench.settled_state("a") == ("ended", 123), "its state")
    os.close(directory)
    bench.clean("a")


def test_kill_does_not_need_the_supervisor(bench):
    """That is stopped; it is killed, and the worker dies with it."""
    bench.create("a", "wait")
    bench.do("start", "a")
    supervisor = min(bench.workers())
    os.kill(supervisor, 19)
    bench.do("kill", "a")
    check(bench.settled_state("a") == LOST, "its state")
    bench.clean("a")


def test_requests_to_a_worker_that_does_not_answer_end(bench):
    bench.create("a", "deaf")
    bench.do("start", "a")
    asked = [bench.start(*words) for words in (
        ("stat", "a"), ("console", "a"), ("trace", "a"), ("stop", "a", "--timeout", "1"),
        ("info", "a", "--timeout=1"), ("copy-to", "--timeout", "1", "a", __file__, "/x"))]
    for process in asked:
        _, err = process.communicate(timeout=PATIENCE)
        check(process.returncode == 123 and "not answer" in err, f"{process.returncode} {err}")
    bench.clean("a")


def test_list_asks_all_at_once(bench):
    """Workers that do not answer cost nobody's time but their own, also when their queues are full."""
    bench.create("z", "rave")
    bench.do("start", "z")
    for name in "abcdef":
        bench.create(name, "deaf")
        bench.do("start", name)
    for _ in range(3):
        before = time.monotonic()
        states = {child["name"]: child["heartbeat"] for child in json.loads(bench.do("list", "--json"))}
        check(time.monotonic() - before < 8, f"{time.monotonic() - before} s")
        check(states == {**{name: "unknown" for name in "abcdef"}, "z": "ok"}, f"{states}")
    for name in "abcdefz":
        bench.do("kill", name)
        bench.do("delete", name)


def test_verbs_have_words_and_a_deadline(bench):
    """What is wrong on the command line is said so; a child that has agreed to end has its time for that."""
    bench.create("a", "mute")
    bench.do("start", "a")
    for words in (("set-kvp", "a", "key"), ("set-kvp", "a", "key", "value", "more"), ("stop",),
                  ("stop", "a", "--timeout", "0"), ("stop", "a", "--timeout", "1s"), ("stop", "a", "--json"),
                  ("copy-to", "a", "/no/such/file", "/x"), ("copy-to", "a", "/dev/null", "/x"),
                  ("copy-to", "a", __file__, "x"), ("copy-to", "a", __file__, "/x/"), ("copy-to", "a", __file__, ""),
                  ("copy-to", "a", "/proc/cpuinfo", "/x"), ("freeze", "nobody")):
        result = bench.run(*words)
        check(result.returncode == 122 and result.stderr, f"{words}: {result.returncode} {result.stderr}")
    bench.do("set-kvp", "a", "a key\n\\", "its value")
    for verb in "stop", "restart":
        result = bench.run(verb, "a", "--timeout", "1")
        check(result.returncode == 123 and "still runs after 1 s" in result.stderr, result.stderr)
        check(verb in bench.do(verb, "--help") and verb in bench.do("--help"), "the help")
    check("too long" in bench.run("set-kvp", "a", "key", "v" * 5000).stderr, "a long value")
    bench.clean("a")


def test_an_answer_of_any_length_is_whole(bench):
    bench.create("a", "talk")
    bench.do("start", "a")
    counters = json.loads(bench.do("stat", "a", "--json"))
    check(len(counters) == 40001 and counters["last"] == 1, f"{len(counters)} counters")
    bench.clean("a")


def test_an_answer_of_any_words_is_printable_and_json(bench):
    """Of a worker that its child has taken over, and of pairs whose values are the child's."""
    bench.create("a", "rave")
    bench.do("start", "a")
    for words in ("stat", "a"), ("info", "a"):
        check(json.loads(bench.do(*words, "--json")) == {
            "heartbeat.state": "ok", "odd": "?[2J??31m?", "zeroes": "007", "none": "", "minus": -5, "dash": "-", "empty": "", "number": 12},
            "the object")
        check(bench.do(*words).startswith("heartbeat.state ok\nodd ?[2J??31m?\nzeroes 007\nnone\n"), "the lines")
    bench.clean("a")


def test_a_console_that_reads_nothing_can_be_left(bench):
    """More than all buffers is typed; then Ctrl-]."""
    bench.create("a", "mute")
    bench.do("start", "a")
    ours, theirs = pty.openpty()
    console = bench.start("console", "a", stdin=theirs)
    os.close(theirs)
    os.set_blocking(ours, False)
    typed, deadline = 0, time.monotonic() + PATIENCE
    while typed < 2 << 20 and time.monotonic() < deadline:
        select.select([], [ours], [], 1)
        with contextlib.suppress(BlockingIOError):
            typed += os.write(ours, b"x" * 1000)
    check(typed >= 2 << 20, f"it takes no more after {typed} bytes")
    os.set_blocking(ours, True)
    os.write(ours, b"\x1d")
    check(console.wait(PATIENCE) == 0, "its status")
    os.close(ours)
    bench.clean("a")


def test_a_reader_that_is_gone_is_no_crash(bench):
    bench.create("a", "talk")
    bench.do("start", "a")
    process = bench.start("stat", "a")
    process.stdout.close()
    check(process.wait(PATIENCE) >= 0, "killed by a signal")
    bench.clean("a")


def test_an_output_that_cannot_be_written_is_an_error(bench):
    """It is full, or closed: then nothing else of lumenctl's, such as its socket, is taken for it."""
    bench.create("a", "chat")
    bench.do("start", "a")
    for command in "--help", "stop --help", "list", "list --json", "stat a", "info a":
        for where in ">/dev/full", ">&-", "<&- >&-", "<&- >&- 2>&-":
            result = subprocess.run(["sh", "-c", f"{LUMENCTL} {command} {where}"], env=bench.environment, text=True,
                                    capture_output=True, timeout=PATIENCE, check=False)
            said = "" if "2>" in where else "lumenctl: Standard output could not be written.\n"
            check((result.returncode, result.stderr) == (123, said), f"{command} {where}: {result}")
    check(bench.run("list", wrapper=("sh", "-c", 'exec "$@" <&- 2>&-', "sh")).returncode == 0, "the others")
    bench.clean("a")


def test_directories_of_any_length(bench):
    """Up to and beyond what a socket's address holds (108)."""
    for length in (*range(85, 110), 300, 2000):
        path = str(bench.directory)
        while len(path) < length:
            path += "/" + "d" * min(200, max(length - len(path) - 1, 1))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        bench.environment["LUMEN_RUN_DIR"] = path
        bench.run_dir = Path(path)
        bench.create("a23456789", "chat")
        bench.do("start", "a23456789")
        check(bench.settled_state("a23456789") == RUNNING, f"{length} bytes")
        check("last 1" in bench.do("stat", "a23456789"), f"{length} bytes: no answer")
        bench.clean("a23456789")


def test_files_that_are_none(bench):
    fifo = bench.directory / "fifo"
    os.mkfifo(fifo)
    kernel = ("--kernel", str(bench.kernel))
    for words in (("--kernel", str(fifo)), ("--kernel", "/"), ("--kernel", "/dev/null"),
                  (*kernel, "--initrd", str(fifo)), (*kernel, "--disk", "/tmp"), (*kernel, "--disk", "/dev/null,ro")):
        refused = bench.run("create", "a", *words)
        check(refused.returncode == 122 and "a file" in refused.stderr, f"{words}: {refused}")
        check(bench.state("a") is None, f"{words} left a child behind")


def test_the_hint_names_the_command(bench):
    for words, hint in ((("create", "--nonsense"), "(lumenctl create --help says more)"),
                        (("nonsense",), "(lumenctl --help says more)")):
        check(bench.run(*words).stderr.endswith(hint + "\n"), f"{words}")


def test_the_option_that_is_not_known_is_named(bench):
    bench.create("a", "mute")
    bench.do("start", "a")
    for words, name in ((("stop", "a", "-xy"), "-x"), (("stop", "-t", "a"), "-t"), (("info", "a", "--json=5"), "--json=5"),
                        (("stop", "a", "--nonsense"), "--nonsense"), (("list", "--json", "-xy"), "-x"),
                        (("stat", "a", "--json=5"), "--json=5"), (("create", "b", "--cpus", "1", "-o"), "-o"),
                        (("create", "b", "--test-devices=1"), "--test-devices=1"), (("stop", "a", "-\x1b"), "-?")):
        result = bench.run(*words)
        check(result.returncode == 122 and f" does not know {name}. (" in result.stderr, f"{words}: {result.stderr}")
    bench.clean("a")


def test_paths_with_line_breaks(bench):
    """By the link's target, too: no value may become a line of the config."""
    target = bench.directory / "x\ndisk \\evil,rw"
    target.write_bytes(b"")
    link = bench.directory / "link"
    link.symlink_to(target)
    bench.do("create", "a", "--kernel", str(link), "--disk", f"{link},ro", "--append", "one\ntwo")
    lines = (bench.run_dir / "a/config").read_text().splitlines()
    check([line.split(" ")[0] for line in lines] == ["kernel", "initrd", "append", "memory", "cpus", "cpu-weight",
                                                     "cpu-cap", "timeout",
                                                     "test-devices", "legacy-timer", "on-crash", "net",
                                                     "disk",
                                                     "end"], f"{lines}")
    bench.do("start", "a")
    bench.clean("a")


def test_a_config_that_is_cut_is_refused(bench):
    bench.create("a", "wait", "--disk", f"{bench.kernel},ro")
    config = bench.run_dir / "a/config"
    config.write_text(config.read_text()[:-8])
    result = bench.run("start", "a")
    check(result.returncode == 122 and "cut short" in result.stderr, result.stderr)
    bench.clean("a")


def test_a_full_file_system_leaves_no_child(bench):
    """Every write fails (as on a full /run): there is no child, and no directory."""
    for call in ("write", "fsync", "renameat", "mkdirat", "openat"):
        for number in range(1, 4):
            bench.run("create", "a", "--kernel", str(bench.kernel), wrapper=(
                "strace", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error=ENOSPC:when={number}"))
            check(bench.settled_state("a") in (None, CREATED), f"{call} {number}")
            bench.clean("a")


def test_whatever_is_left_can_be_deleted(bench):
    for files in ((), ("lock",), ("config",), ("status",), ("lock", "status"), ("config", "console.log", "x")):
        os.makedirs(bench.run_dir / "a", exist_ok=True)
        for file in files:
            (bench.run_dir / "a" / file).write_text("0 It powered off.\n")
        check(bench.state("a") is not None, f"{files} are not listed")
        check(bench.run("start", "a").returncode in (122, 123), f"{files} start")
        bench.clean("a")


def test_switches_that_cannot_be(bench):
    """What needs no rights to be refused, and what there is to show."""
    for words, says in (([], "needs add, del or show"), (["make"], "not make"), (["add"], "needs the name"),
                        (["add", "a", "b"], "one too many"), (["add", "x" * 16], "cannot be"), (["add", ""], "cannot be"),
                        (["add", "a/b"], "cannot be"), (["add", "none"], "cannot be"), (["add", ".."], "cannot be"),
                        (["add", "a", "--mtu"], "needs a value"), (["add", "a", "--mtu", "67"], "--mtu 67"),
                        (["add", "a", "--mtu", "65536"], "--mtu 65536"), (["add", "a", "--json"], "does not know --json"),
                        (["del"], "needs the name"), (["del", "a", "--mtu", "9000"], "does not know"),
                        (["del", "lo"], "no switch lo"), (["show", "lo"], "no switch lo"),
                        (["show", "no-such"], "no switch no-such"), (["show", "-x"], "does not know -x")):
        result = bench.run("switch", *words)
        check(result.returncode == 122 and says in result.stderr, f"switch {words}: {result.returncode} {result.stderr}")
    check(isinstance(json.loads(bench.do("switch", "show", "--json")), list), "switch show --json")
    bench.do("switch", "show")
    check("--mtu N" in bench.do("switch", "--help"), "switch --help")


def test_exec_and_copy_that_cannot_be(bench):
    """Each wrong command line gets one sentence; so does a worker that knows nothing of sockets."""
    bench.create("a", "wait")
    for words, says in ((["exec"], "needs the name"), (["exec", "--", "ls"], "needs the name"),
                        (["exec", "-t", "a"], "does not know -t"), (["exec", "a", "ls"], "needs --"),
                        (["exec", "a", "--"], "needs a command"), (["exec", "b"], "no child b"),
                        (["exec", "a", "--", "ls"], "does not run"), (["copy"], "needs a file"),
                        (["copy", "x"], "needs a file"), (["copy", "x", "y", "z"], "needs a file"),
                        (["copy", "-r", "x"], "does not know -r"), (["copy", "x", "y"], "one path of a child's"),
                        (["copy", "a:/x", "a:/y"], "one path of a child's"), (["copy", "x", "a:y"], "beginning with /"),
                        (["copy", "a:", "y"], "beginning with /"), (["copy", "./a:/x", "y"], "one path of a child's"),
                        (["copy", "/no/such", "a:/y"], "/no/such"), (["copy", "/dev/null", "a:/y"], "/dev/null"),
                        (["copy", "a:/x", "y"], "does not run")):
        result = bench.run(*words)
        check(result.returncode == 122 and says in result.stderr and result.stderr.count("\n") == 1,
              f"{words}: {result.returncode} {result.stderr}")
    bench.do("start", "a")
    result = bench.run("exec", "a", "--", "ls")
    check(result.returncode == 123 and "cannot be reached" in result.stderr, f"{result}")
    for command in "exec", "copy":
        check("lumen" in bench.do(command, "--help") or "agent" in bench.do(command, "--help"), "the help")
    bench.clean("a")


def read_frame(connection):
    """A frame of what lumenctl and an agent say to each other: its type and what is in it."""
    kind, length = struct.unpack("II", connection.recv(8, socket.MSG_WAITALL))
    return kind, connection.recv(length, socket.MSG_WAITALL)


def test_exec_ends_by_the_third_signal(bench):
    """Whatever a child does that has no end: the first two are passed on, and one says words that say nothing."""
    word = struct.pack("II", 7, 0)
    bench.create("a", "wait")
    bench.do("start", "a")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bench.run_dir / "a" / "vsock"))
        listener.listen()
        listener.settimeout(PATIENCE)
        process = bench.start("exec", "a", "--", "command")
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(PATIENCE)
        check(connection.recv(14, socket.MSG_WAITALL) == b"CONNECT 19541\n", "what is asked for")
        connection.sendall(b"OK 19541\n")
        check(read_frame(connection)[0] == 1, "a command")
        for number in signal.SIGINT, signal.SIGTERM:
            process.send_signal(number)
            frame = read_frame(connection)
            while frame[0] == 3: # standard input has ended
                frame = read_frame(connection)
            check(frame == (5, struct.pack("I", number)), f"a signal is passed on: {frame}")
            connection.sendall(word)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    check(process.returncode == 128 + signal.SIGTERM and "left to itself" in said, f"{process.returncode} {said}")
    bench.clean("a")


def summary(told):
    return [(one.link_type, one.name, one.received, one.dropped) for one in told.interfaces]


def capture(bench, what, *words, status=0):
    """lumenctl capture of a worker that tells `what`: what is in the file, and what lumenctl said."""
    file = bench.directory / "capture"
    bench.create("a", f"tell {what}")
    result = bench.run("capture", "a", "--start", "-o", str(file), *words)
    check(result.returncode == status, f"{what}: {result.returncode} {result.stderr}")
    bench.clean("a")
    return Capture(file.read_bytes()), result.stderr


def test_capture_says_what_the_worker_says_of_messages(bench):
    """In order, with directions, and with a gap where one is; whether it was there at the start, or came later."""
    wanted = [(1, 14, False, 0), (2, 15, True, 0), (1, 3, False, 5)]
    for start in True, False:
        if start:
            told, said = capture(bench, "right")
        else:
            bench.create("a", "tell right")
            bench.do("start", "a")
            file = bench.directory / "later"
            result = bench.run("capture", "a", "--output", str(file))
            told, said = Capture(file.read_bytes()), result.stderr
            check(result.returncode == 0, said)
            bench.clean("a")
        check(summary(told) == [(147, "vmbus", 8, 5)], f"{told.interfaces}")
        found = [(frame.data[1], frame.data[24], frame.inbound, frame.lost) for frame in told.frames]
        check(found == wanted and all(len(frame.data) == 32 for frame in told.frames), f"{found}")
        check("vmbus: 3 frames; 5 more came too fast" in said, said)


def test_capture_believes_no_worker(bench):
    """What makes no sense ends the capture, and is a failure; what came before it is in the file, which is whole."""
    for what, frames in ("version", 0), ("long", 0), ("direction", 0), ("backwards", 1), ("last", 0):
        told, said = capture(bench, what, status=123)
        check("makes no sense" in said and len(told.frames) == frames and
              summary(told) == [(147, "vmbus", frames, 0)], f"{what}: {said} {told.frames}")
    told, _ = capture(bench, "half")
    check(told.frames == [] and summary(told) == [(147, "vmbus", 0, 0)], "half a record is none")
    told, _ = capture(bench, "future")
    check(len(told.frames) == 1 and told.frames[0].time <= time.time_ns(), "a time that has not come")
    told, _ = capture(bench, "flood", "--count", "5000")
    check(len(told.frames) == 5000 and summary(told) == [(147, "vmbus", 5000, 0)], "a flood")
    bench.create("a", "tell hello")
    check("does not say what is known here" in bench.run("capture", "--start", "a").stderr, "a hello of another kind")
    bench.clean("a")


def test_capture_ends_by_a_signal_also_in_a_flood(bench):
    """And in silence; the file then has its end."""
    for what in "flood", "nothing":
        bench.create("a", f"tell {what}")
        file = bench.directory / what
        process = bench.start("capture", "a", "--start", "-o", str(file))
        deadline = time.monotonic() + PATIENCE
        while not file.exists() or file.stat().st_size < 60:
            check(time.monotonic() < deadline, "nothing is written")
            time.sleep(0.01)
        process.send_signal(2)
        bench.end(process)
        told = Capture(file.read_bytes())
        check(summary(told) == [(147, "vmbus", len(told.frames), 0)], f"{what}: {told.interfaces}")
        bench.run("kill", "a")
        bench.clean("a")


def test_capture_whose_reader_stops(bench):
    """A pipe that nobody reads: lumenctl waits for it, and ends when it is gone."""
    bench.create("a", "tell flood")
    process = bench.start("capture", "a", "--start")
    check(process.stdout.buffer.read(28)[:4] == b"\n\r\r\n", "a section")
    process.stdout.close()
    check(process.wait(PATIENCE) == 123 and "Standard output cannot be written" in process.stderr.read(), "its end")
    bench.clean("a")


class Trace:
    """A trace ring that is a file."""

    ENTRIES, EVENT_HYPERCALL = 64, 2

    def __init__(self, bench):
        self.file = bench.directory / "trace"
        self.next = 1000
        self.file.write_bytes(bytes(4096 + 32 * self.ENTRIES))
        self.publish()
        bench.environment["LUMEN_TRACE_DEVICE"] = str(self.file)

    def write(self, at, data):
        with self.file.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def publish(self):
        self.write(0, struct.pack("<4I2Q", 0x4352544C, 1, 32, self.ENTRIES, self.next, 1000000000))

    def put(self, number, event, partition, control, result=0):
        """Entry number `number`, which is counted by publish()."""
        self.write(4096 + 32 * (number % self.ENTRIES),
                   struct.pack("<QHHIQQ", number + 1, event, 3, partition << 16 | 1, control, result))

    def add(self, event, partition, control, result=0):
        self.put(self.next, event, partition, control, result)
        self.next += 1
        self.publish()


def follow_trace(bench, write, *words, meanwhile=lambda: None, wrapper=()):
    """A capture of the child of partition 5, in which `write` writes to the trace, and `meanwhile` before it begins."""
    file = bench.directory / "capture"
    bench.create("a", "tell nothing")
    process = bench.start("capture", "a", "--start", "-o", str(file), *words, wrapper=wrapper)
    deadline = time.monotonic() + PATIENCE
    while not file.exists() or not file.stat().st_size:
        check(time.monotonic() < deadline and process.poll() is None, "nothing is written")
        meanwhile()
        time.sleep(0.01)
    write()
    bench.end(process)
    bench.do("kill", "a")
    bench.clean("a")
    told = Capture(file.read_bytes())
    check(not any(frame.inbound for frame in told.frames), "an inbound hypercall")
    found = [struct.unpack("<B3xIIIQQ", frame.data) for frame in told.frames]
    return told, [(version, vp, cpu, control, result) for version, vp, cpu, _, control, result in found]


def test_trace_prints_what_is_in_the_ring(bench):
    """Of all of it, in order; an entry that is not there yet is left out."""
    trace = Trace(bench)
    for number in range(100):
        trace.add(2, 5 + number % 2, number)
    trace.next += 1
    trace.publish()
    trace.put(trace.next - 1, 2, 5, 0)
    trace.write(4096 + 32 * ((trace.next - 1) % trace.ENTRIES), bytes(8))
    printed = json.loads(bench.do("trace", "--json"))
    check([entry["control"] for entry in printed] == list(range(37, 100)), f"{printed}")
    check(printed[-1] == {"us": 0.062, "cpu": 3, "partition": 6, "vp": 1, "event": "hypercall", "control": 99, "result": 0},
          f"{printed[-1]}")
    check(len(bench.do("trace").splitlines()) == 63, "as lines")


def test_capture_takes_a_childs_hypercalls_from_the_trace(bench):
    """Those of its partition, and no other events; what was there before is not the capture's."""
    trace = Trace(bench)
    trace.add(2, 5, 0x99)

    def write():
        trace.add(2, 5, 0x1005C, 0)
        trace.add(2, 6, 0x77)
        trace.add(1, 5, 0x78)
        trace.add(2, 5, 0x5D, 5)
        # A number that has been taken, whose entry is not there yet: who comes behind it waits.
        trace.put(trace.next + 1, 2, 5, 0x5F, 0)
        trace.next += 2
        trace.publish()
        time.sleep(0.1)
        trace.put(trace.next - 2, 2, 5, 0x5E, 0)

    told, found = follow_trace(bench, write, "--count", "4", "--only", "hypercalls")
    check(summary(told) == [(148, "hypercalls", 4, 0)], f"{told.interfaces}")
    check(found == [(1, 1, 3, 0x1005C, 0), (1, 1, 3, 0x5D, 5), (1, 1, 3, 0x5E, 0), (1, 1, 3, 0x5F, 0)], f"{found}")


def test_a_trace_that_is_written_while_a_capture_begins(bench):
    """Entries that come while the ring is copied for the first time: those behind them are not waited for in vain."""
    trace = Trace(bench)
    _, found = follow_trace(bench, lambda: trace.add(2, 5, 0x5C), "--count", "1", "--only", "hypercalls",
                            meanwhile=lambda: trace.add(2, 6, 0x77),
                            wrapper=("strace", "-qq", "-o", "/dev/null", "-e", "trace=pread64",
                                     "-e", "inject=pread64:delay_enter=100000"))
    check(found == [(1, 1, 3, 0x5C, 0)], f"{found}")


def test_capture_counts_what_it_was_too_slow_for(bench):
    """The trace's writers have come round: what they have written over is counted, where it is missing."""
    trace = Trace(bench)

    def write():
        for number in range(trace.next + 200 - trace.ENTRIES, trace.next + 200):
            trace.put(number, 2, 5, number)
        trace.next += 200
        trace.publish()

    told, found = follow_trace(bench, write, "--count", "64", "--only", "hypercalls,vmbus")
    check([control for _, _, _, control, _ in found] == list(range(1136, 1200)), f"{found}")
    check(summary(told) == [(147, "vmbus", 0, 0), (148, "hypercalls", 200, 136)], f"{told.interfaces}")
    check([frame.lost for frame in told.frames] == [136] + [0] * 63, "where they are missing")


def test_captures_that_cannot_be(bench):
    """Each has its sentence, and no file is left half."""
    bench.create("a", "deaf")
    for words, says in ((["a"], "does not run"), ([], "needs the name"), (["a", "b"], "one too many"),
                        (["b", "--start"], "no child b"), (["a", "--only"], "needs a value"),
                        (["a", "--only", ""], "--only needs"), (["a", "--only", "net,disk"], "disk is none of"),
                        (["a", "--only", "vm"], "vm is none of"), (["a", "--count", "0"], "--count 0"),
                        (["a", "-x"], "does not know -x")):
        result = bench.run("capture", *words)
        check(result.returncode == 122 and says in result.stderr and result.stderr.count("\n") == 1,
              f"{words}: {result.returncode} {result.stderr}")
    bench.do("start", "a")
    for words, says in ((["--only", "net"], "no network card"), (["--start"], "is running already")):
        result = bench.run("capture", "a", *words)
        check(result.returncode == 122 and says in result.stderr, f"{words}: {result.returncode} {result.stderr}")
    bench.environment["LUMEN_TRACE_DEVICE"] = "/no/such/trace"
    result = bench.run("capture", "a", "--only", "hypercalls")
    check(result.returncode == 123 and "trace cannot be opened" in result.stderr, result.stderr)
    bench.environment["LUMEN_TRACE_DEVICE"] = "/dev/zero"
    result = bench.run("capture", "a")
    check(result.returncode == 123 and "format that is not known" in result.stderr, result.stderr)
    check("hypercalls" in bench.do("capture", "--help"), "the help")
    bench.do("kill", "a")
    bench.clean("a")


def main():
    tests = [(name[5:], test) for name, test in globals().items()
             if name.startswith("test_") and ONLY in name]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        if not shutil.which("strace"):
            print(f"ok {number} {name} # SKIP there is no strace")
            continue
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(directory)
            started = time.monotonic()
            try:
                test(bench)
            except Failed as failure:
                failed += 1
                print(f"not ok {number} {name}\n# {failure}", flush=True)
            else:
                print(f"ok {number} {name} # {time.monotonic() - started:.1f} s", flush=True)
            finally:
                for worker in bench.workers():
                    with contextlib.suppress(OSError):
                        os.kill(worker, 9)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
