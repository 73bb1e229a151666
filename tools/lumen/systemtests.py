# SPDX-License-Identifier: BSD-2-Clause
"""The system tests: functions test_* in tests/system/*.py, each of which boots something.

A test gets a Context. It passes if it returns, and fails if a check of the Context fails or if it
raises anything else. One that yields what it wants to be run (Context.shared_...) shares a boot with
others that do, and is given the result; that is the cheap way (docs/hacking.md)."""

import contextlib
import importlib.util
import inspect
import os
import shlex
import subprocess
import time
import traceback

from lumen import build, images, kernels, paths, qemu, referee, run as runs, sharedroot, status, ui
from lumen.schedule import Task
from lumen.status import Failure

DIRECTORY = paths.ROOT / "tests/system"
TIMEOUT = 300  # seconds for a child, unless the test says otherwise: there are others beside it


class CheckFailed(Exception):
    """Something was not as a test wants it."""


class Skipped(Exception):
    """A test cannot be done here."""


class Context:
    """What a system test works with."""

    def __init__(self, name, root_kernel):
        self.test = name
        self.name = name.replace(".", "-").replace("_", "-")[:31]
        self.kernel = root_kernel
        self.child_kernel = kernels.get(os.environ.get("CHILD_KERNEL", kernels.CLOUD), headers=False)
        self.results = []  # of what it had run, for a test that fails
        self.notes = []
        self._copies = 0

    # Checks.

    def check(self, condition, sentence):
        if not condition:
            raise CheckFailed(sentence)

    def equal(self, seen, wanted, what):
        self.check(seen == wanted, f"{what}: {seen!r}, not {wanted!r}")

    def contains(self, text, wanted, where="the console"):
        self.check(wanted in text, f"{where} does not say {wanted!r}")

    def note(self, figure):
        """Say something in the line of the test's success."""
        self.notes.append(figure)

    def skip(self, why):
        raise Skipped(why)

    # Machines.

    def _start(self, options, prepare_session=None):
        options.name = self.name
        if not options.bare:
            build.need(paths.HYPERVISOR, paths.DRIVER, paths.WORKER, paths.LUMENCTL)
        with runs.Directory(options.name) as directory:
            if options.kernel is None and options.mode == "run":
                with build.lock():
                    runs.example(options, self.child_kernel, directory)
            result = runs.start(options, self.kernel, directory, False, prepare_session)
        self.results = [result]
        return result

    def linux(self, action="check", append="", session=None, **options):
        """Boot examples/linux as a child with one of its actions, its kernel quiet: each character on
        the console costs. session: a function that is given the Session before it runs, for its
        when() and type()."""
        options.setdefault("timeout", TIMEOUT)
        options = runs.Options(**options)
        options.append = runs.example_append(f"quiet lumen.action={action} {append}".strip(), options)
        return self._start(options, session)

    def child(self, kernel, session=None, **options):
        """Boot any kernel as a child."""
        options.setdefault("timeout", TIMEOUT)
        return self._start(runs.Options(kernel=kernel, **options), session)

    def root(self, script, session=None, **options):
        """Run a shell script in the root partition; its exit status is the result's. In $LINUX it has what the
        command line of a Linux begins with."""
        options.setdefault("timeout", TIMEOUT)
        options = runs.Options(mode="test", **options)
        words = shlex.quote(runs.linux_append(qemu.choose_accelerator(options.accel)))
        options.script = f"LINUX={words}\n{script}"
        return self._start(options, session)

    def referee(self, guests, **machine):
        """Run kernels on KVM, one after the other in one boot: (kernel, {field of referee.Guest: value})
        for each. Returns a referee.Result for each. machine: what referee.run() takes."""
        guests = [referee.Guest(kernel, **more) for kernel, more in guests]
        with runs.Directory(self.name) as directory:
            self.results = referee.run(guests, directory, **machine)
        return self.results

    # What a test may yield: one of these gives its result, a list of them a list.

    def shared_root(self, script, **options):
        """A script in the root that it shares with other tests: sharedroot.py says what it finds there,
        and sharedroot.Job which options there are. Result: sharedroot.JobResult."""
        return sharedroot.Job(script, **options)

    def shared_child(self, kernel, **options):
        """A child there (options: of sharedroot.child). The result has its status and console."""
        return sharedroot.child(kernel, **options)

    def shared_linux(self, action="check", append="", disks=(), memory=256, cpus=1, **options):
        """examples/linux there, as linux() has it, with less memory."""
        kernel, initrd, pristine = self.example_files()
        words = runs.example_append(f"quiet lumen.action={action} {append}".strip(), runs.Options(cpus=cpus))
        self._copies += 1
        disk = self.disk(self.copy_of(pristine, f"shared{self._copies}.img"))
        return sharedroot.child(kernel, initrd, words, [disk, *disks], memory, cpus, **options)

    def shared_referee(self, kernel, **options):
        """A kernel on KVM (options: of referee.Guest), in a boot of the referee that others share."""
        return referee.Guest(kernel, **options)

    def example_files(self):
        """(kernel, initrd, pristine disk) of examples/linux, for scripts that start children."""
        with build.lock():
            initrd, disk = runs.example_images(self.child_kernel)
        return self.child_kernel.image, initrd, disk

    def small_initrd(self, name, init, modules):
        """The initrd of a small Linux child: busybox, an init and these kernel modules."""
        with build.lock():
            return images.small_initrd(name, self.child_kernel, init, modules)

    def scratch(self, name, mib=0):
        """A path in this test's directory; with mib, an empty disk image of that size."""
        directory = paths.RUN / self.name
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / name
        path.unlink(missing_ok=True)
        if mib:
            with open(path, "wb") as file:
                file.truncate(mib << 20)
        return path

    @contextlib.contextmanager
    def small_file_system(self, mib):
        """A directory that is a file system of this size, while the context lasts."""
        directory = paths.RUN / self.name / "small"
        directory.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", directory],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True)

    def copy_of(self, source, name):
        """A copy of an image, in this test's directory."""
        path = self.scratch(name)
        images.copy_sparse(source, path)
        return path

    def disk(self, path, read_only=False):
        return qemu.Disk(path, read_only)


def _load(path):
    spec = importlib.util.spec_from_file_location(f"system_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _all(only):
    """(name, function) of every test whose name contains only, files and functions in order."""
    for path in sorted(DIRECTORY.glob("*.py")):
        for name, function in inspect.getmembers(_load(path), inspect.isfunction):
            full_name = f"{path.stem}.{name.removeprefix('test_')}"
            if name.startswith("test_") and function.__module__ == f"system_{path.stem}" and only in full_name:
                yield full_name, function


def names(only=""):
    """(name, what it shows) of every test whose name contains only."""
    for name, function in _all(only):
        yield name, (inspect.getdoc(function) or "").partition("\n\n")[0]


def _evidence(context):
    """Where the logs are and how they end, for a test that failed."""
    return "\n".join(line for result in context.results for line in result.evidence())


class _Attempt:
    """One test on its way, and what came of it."""

    def __init__(self, name, function, kernel):
        self.context = Context(name, kernel)
        self.name = f"system.{name}"
        self._function = function
        self._generator = None
        self._seconds = 0.0  # without what it waited for others

    def judge(self, report, step):
        """Calls step; whatever comes out of it is a result for the report."""
        started = time.monotonic()
        try:
            wish = step()
            self._seconds += time.monotonic() - started
            return wish
        except (StopIteration, _Done):
            seconds = self._seconds + time.monotonic() - started
            report.ok(self.name, "; ".join([f"{seconds:.1f} s", *self.context.notes]))
        except Skipped as why:
            report.skip(self.name, str(why))
        except (CheckFailed, Failure) as failure:
            report.not_ok(self.name, f"{failure}\n{_evidence(self.context)}")
        except Exception:  # a test's own mistake is a failure like any other
            report.not_ok(self.name, f"{traceback.format_exc()}\n{_evidence(self.context)}")
        return None

    def whole(self, report):
        """A test that runs its machines itself."""
        def step():
            self._function(self.context)
            raise _Done
        self.judge(report, step)

    def begin(self, report):
        """A test that yields: what it wants first, or None if it has ended."""
        def step():
            self._generator = self._function(self.context)
            return next(self._generator)
        return self.judge(report, step)

    def go_on(self, report, results):
        """The next thing it wants, or None."""
        self.context.results = results if isinstance(results, list) else [results]
        self._seconds += sum(result.seconds for result in self.context.results)
        return self.judge(report, lambda: self._generator.send(results))

    def give_up(self, report, failure):
        """What it wants could not be run."""
        self.judge(report, lambda: self._generator.throw(failure))


class _Done(Exception):
    """A test has returned."""


def _as_list(wished):
    return wished if isinstance(wished, list) else [wished]


def _share(results, wished):
    """From all results the next ones, in the form in which they were asked for."""
    return [next(results) for _ in wished] if isinstance(wished, list) else next(results)


def _run_shared(report, wishes, run_all):
    """wishes: [(attempt, what it has yielded)]. All of it is run together, until nobody wants more."""
    while wishes:
        try:
            results = iter(run_all([wish for _, wished in wishes for wish in _as_list(wished)]))
        except Failure as failure:
            for attempt, _ in wishes:
                attempt.give_up(report, failure)
            return
        wishes = [(attempt, attempt.go_on(report, _share(results, wished))) for attempt, wished in wishes]
        wishes = [(attempt, wished) for attempt, wished in wishes if wished is not None]


def _referee(guests):
    with runs.Directory("shared-referee", others=True) as directory:
        return referee.run(guests, directory)


class _Shared:
    """The tests that yield: begun one after the other, then run together, by where."""

    def __init__(self, schedule, attempts, kernel):
        self._schedule = schedule
        self._attempts = attempts
        self._kernel = kernel

    def begin(self, report):
        """A task."""
        left = [(attempt, wish) for attempt in self._attempts if (wish := attempt.begin(report)) is not None]
        for name, kind, run_all in (
                ("shared root", sharedroot.Job, lambda jobs: sharedroot.run(jobs, self._kernel)),
                ("shared referee", referee.Guest, _referee)):
            wishes = [(attempt, wished) for attempt, wished in left
                      if wished and all(isinstance(wish, kind) for wish in _as_list(wished))]
            left = [begun for begun in left if begun not in wishes]
            if wishes:
                self._schedule.add(Task(
                    name, lambda part, w=wishes, r=run_all: _run_shared(part, w, r), rank=0))
        for attempt, wished in left:
            attempt.give_up(report, Failure(f"it yields {wished!r}, which nobody can run."))


def add_tasks(schedule, kernel, only=""):
    """All tests whose names contain only; build/release is there."""
    chosen = list(_all(only))
    if not chosen:
        raise Failure(f"no system test has {only!r} in its name.", status.BAD_ARGUMENTS)
    shared = [_Attempt(*test, kernel) for test in chosen if inspect.isgeneratorfunction(test[1])]
    if shared:
        schedule.add(Task("tests that share", _Shared(schedule, shared, kernel).begin, rank=0))
    for name, function in chosen:
        if not inspect.isgeneratorfunction(function):
            schedule.add(Task(f"system.{name}", lambda part, n=name, f=function:
                              _Attempt(n, f, kernel).whole(part)))
