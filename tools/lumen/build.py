# SPDX-License-Identifier: BSD-2-Clause
"""The meson build directories: configured when needed, built by ninja, which knows what changed."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import threading

from lumen import paths, ui
from lumen.status import Failure

# What is compiled to be tested: a run is short, so that the compiler's time counts; lines are what reports
# name.
HOSTED = ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dc_args=-g1"]


class _ProcessLock:
    """Held by this process as long as any of its threads wants it."""

    def __init__(self):
        self._users = 0
        self._handle = None
        self._guard = threading.Lock()

    def _acquire(self):
        paths.BUILD.mkdir(exist_ok=True)
        self._handle = open(paths.BUILD / ".lock", "w", encoding="ascii")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ui.say("waiting for another ./lumen to finish its build")
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __enter__(self):
        with self._guard:
            if not self._users:
                self._acquire()
            self._users += 1

    def __exit__(self, *_):
        with self._guard:
            self._users -= 1
            if not self._users:
                self._handle.close()


# Only one ./lumen at a time installs, builds and makes images; its own threads may build different
# directories side by side.
process_lock = _ProcessLock()
_thread_lock = threading.RLock()


@contextlib.contextmanager
def lock():
    """The same, and only one thread of it: what is made may be what another thread makes."""
    with process_lock, _thread_lock:
        yield


def _sources():
    """The names of what meson looks at when it configures: a new one means that it has to look again."""
    skip = {"build", ".git"}
    found = []
    for top, directories, files in os.walk(paths.ROOT):
        directories[:] = [d for d in directories if d not in skip]
        found += [os.path.relpath(os.path.join(top, f), paths.ROOT) for f in files
                  if f == "meson.build" or f.endswith((".c", ".S"))]
    found += [paths.relative(paths.LWIP)] * paths.LWIP.exists()  # examples/http is built where it is there
    return sorted(found)


def _configure(directory, options, env):
    stamp = directory / ".lumen-configured"
    wanted = {"options": [*options, env], "files": _sources()}
    before = {}
    if (directory / "build.ninja").exists() and stamp.exists():
        before = json.loads(stamp.read_text())
    if before == wanted:
        return
    again = ["--reconfigure"] if before.get("options") == wanted["options"] else []
    if not again:
        shutil.rmtree(directory, ignore_errors=True)
    ui.command(f"configuring {paths.relative(directory)}",
               ["meson", "setup", *again, *options, directory, paths.ROOT], env=env)
    stamp.write_text(json.dumps(wanted))


def _ninja(directory, targets, jobs):
    ui.command(f"building {paths.relative(directory)}",
               ["ninja", "-C", directory, "-j", str(jobs or os.cpu_count() or 1), *targets])


def release(kernel, targets=(), jobs=None):
    """build/release, all of it or some targets; kernel is the one for the root's module. jobs: how many
    compilers at once (as many as there are processors)."""
    _configure(paths.RELEASE, [f"-Dkdir={kernel.build_dir}"], {})
    _ninja(paths.RELEASE, targets, jobs)


def unit(jobs=None):
    """build/unit: the unit tests and what they link, under ASan and UBSan."""
    _configure(paths.UNIT, ["-Dunit=true", *HOSTED], {})
    _ninja(paths.UNIT, ["meson-test-prereq"], jobs)


def fuzz(jobs=None):
    """build/fuzz: the fuzz targets, with clang. Returns their paths."""
    _configure(paths.FUZZ, ["-Dfuzz=true", *HOSTED], {"CC": "clang"})
    out = subprocess.run(["meson", "introspect", "--targets", str(paths.FUZZ)],
                         capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise Failure("meson introspect failed in build/fuzz.")
    targets = sorted(t["filename"][0] for t in json.loads(out.stdout)
                     if t["type"] == "executable" and t["name"].startswith("fuzz_"))
    if targets:
        _ninja(paths.FUZZ, [os.path.relpath(t, paths.FUZZ) for t in targets], jobs)
    return targets


def need(*artefacts):
    """Fail with a sentence if the build does not give one of these files."""
    for path in artefacts:
        if not path.exists():
            raise Failure(f"the build gives no {paths.relative(path)}: this tree cannot run a child.")
