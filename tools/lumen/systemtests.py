# SPDX-License-Identifier: BSD-2-Clause
"""The system tests: functions test_* in tests/system/*.py, each of which boots something.

A test gets a Context. It passes if it returns, and fails if a check of the Context fails or if it
raises anything else."""

import contextlib
import importlib.util
import inspect
import subprocess
import time
import traceback

from lumen import build, images, kernels, paths, qemu, referee, run as runs, status, ui
from lumen.status import Failure

DIRECTORY = paths.ROOT / "tests/system"
TIMEOUT = 180  # seconds for a child, unless the test says otherwise


class CheckFailed(Exception):
    """Something was not as a test wants it."""


class Skipped(Exception):
    """A test cannot be done here."""


class Context:
    """What a system test works with."""

    def __init__(self, name, root_kernel):
        self.name = name.replace(".", "-").replace("_", "-")[:31]
        self.kernel = root_kernel
        self.result = None
        self.referee_results = []
        self.notes = []

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
                    runs.example(options, self.kernel, directory)
            self.result = runs.start(options, self.kernel, directory, False, prepare_session)
        return self.result

    def linux(self, action="check", append="", session=None, **options):
        """Boot examples/linux as a child with one of its actions, its kernel quiet: each character on
        the console costs. session: a function that is given the Session before it runs, for its
        when() and type()."""
        options.setdefault("timeout", TIMEOUT)
        words = f"{runs.CHILD_APPEND} quiet lumen.action={action} {append}".strip()
        return self._start(runs.Options(append=words, **options), session)

    def child(self, kernel, session=None, **options):
        """Boot any kernel as a child."""
        options.setdefault("timeout", TIMEOUT)
        return self._start(runs.Options(kernel=kernel, **options), session)

    def root(self, script, session=None, **options):
        """Run a shell script in the root partition; its exit status is the result's."""
        options.setdefault("timeout", TIMEOUT)
        return self._start(runs.Options(mode="test", script=script, **options), session)

    def referee(self, guests, **machine):
        """Run kernels on KVM, one after the other in one boot: (kernel, {field of referee.Guest: value})
        for each. Returns a referee.Result for each. machine: what referee.run() takes."""
        guests = [referee.Guest(kernel, **more) for kernel, more in guests]
        with runs.Directory(self.name) as directory:
            self.referee_results = referee.run(guests, directory, **machine)
        return self.referee_results

    def example_files(self):
        """(kernel, initrd, pristine disk) of examples/linux, for scripts that start children."""
        with build.lock():
            initrd, disk = runs.example_images(self.kernel)
        return self.kernel.image, initrd, disk

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


def _all():
    """(name, function) of every test, files and functions in order."""
    for path in sorted(DIRECTORY.glob("*.py")):
        for name, function in inspect.getmembers(_load(path), inspect.isfunction):
            if name.startswith("test_") and function.__module__ == f"system_{path.stem}":
                yield f"{path.stem}.{name.removeprefix('test_')}", function


def names():
    """(name, what it shows) of every test."""
    for name, function in _all():
        yield name, (inspect.getdoc(function) or "").partition("\n\n")[0]


def _referee_evidence(context):
    yield f"logs in {paths.relative(paths.RUN / context.name)}"
    for number, result in enumerate(context.referee_results):
        yield f"-- guest {number} ({result.guest.kernel.name}): status {result.status}"
        yield from result.console.replace("\r", "").splitlines()[-15:]
        yield from (f"note: {note}" for note in result.notes[-10:])


def _evidence(context):
    """Where the logs are and how they end, for a test that failed."""
    if context.referee_results:
        return "\n".join(_referee_evidence(context))
    if context.result is None:
        return ""
    directory = context.result.directory
    text = [f"status {context.result.status}, logs in {paths.relative(directory)}"]
    for name, lines in (("console.log", 15), ("root.log", 15), ("qemu.log", 3)):
        text.append(f"-- {name}:")
        text.append(ui.tail(directory / name, lines))
    return "\n".join(text + [f"note: {note}" for note in context.result.notes[-10:]])


def _one(report, name, function, kernel):
    context = Context(name, kernel)
    started = time.monotonic()
    step = ui.Step(f"system test {name}")
    step.tick()
    try:
        function(context)
    except Skipped as why:
        report.skip(f"system.{name}", str(why))
    except (CheckFailed, Failure) as failure:
        report.not_ok(f"system.{name}", f"{failure}\n{_evidence(context)}")
    except Exception:  # a test's own mistake is a failure like any other
        report.not_ok(f"system.{name}", f"{traceback.format_exc()}\n{_evidence(context)}")
    else:
        seconds = f"{time.monotonic() - started:.1f} s"
        report.ok(f"system.{name}", "; ".join([seconds, *context.notes]))


def run(report, only=""):
    """Run all tests whose names contain only."""
    with build.lock():
        kernel = kernels.get()
        build.release(kernel)
    chosen = [(name, function) for name, function in _all() if only in name]
    if not chosen:
        raise Failure(f"no system test has {only!r} in its name.", status.BAD_ARGUMENTS)
    for name, function in chosen:
        _one(report, name, function, kernel)
