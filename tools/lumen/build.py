# SPDX-License-Identifier: BSD-2-Clause
"""The meson build directories: configured when needed, built by ninja, which knows what changed."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess

from lumen import paths, ui
from lumen.status import Failure

SANITIZE = "-Db_sanitize=address,undefined"


@contextlib.contextmanager
def lock():
    """Only one ./lumen at a time installs, builds and makes images."""
    paths.BUILD.mkdir(exist_ok=True)
    with open(paths.BUILD / ".lock", "w", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ui.say("waiting for another ./lumen to finish its build")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _sources():
    """The names of what meson looks at when it configures: a new one means that it has to look again."""
    skip = {"build", ".git"}
    found = []
    for top, directories, files in os.walk(paths.ROOT):
        directories[:] = [d for d in directories if d not in skip]
        found += [os.path.relpath(os.path.join(top, f), paths.ROOT) for f in files
                  if f == "meson.build" or f.endswith((".c", ".S"))]
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


def _ninja(directory, targets=()):
    ui.command(f"building {paths.relative(directory)}",
               ["ninja", "-C", directory, "-j", str(os.cpu_count() or 1), *targets])


def release(kernel, targets=()):
    """build/release, all of it or some targets; kernel is the one for the root's module."""
    _configure(paths.RELEASE, [f"-Dkdir={kernel.build_dir}"], {})
    _ninja(paths.RELEASE, targets)


def unit():
    """build/unit: the unit tests and what they link, under ASan and UBSan."""
    _configure(paths.UNIT, ["-Dunit=true", SANITIZE], {})
    _ninja(paths.UNIT, ["meson-test-prereq"])


def fuzz():
    """build/fuzz: the fuzz targets, with clang. Returns their paths."""
    _configure(paths.FUZZ, ["-Dfuzz=true", SANITIZE], {"CC": "clang"})
    out = subprocess.run(["meson", "introspect", "--targets", str(paths.FUZZ)],
                         capture_output=True, text=True, check=False)
    if out.returncode != 0:
        raise Failure("meson introspect failed in build/fuzz.")
    targets = sorted(t["filename"][0] for t in json.loads(out.stdout)
                     if t["type"] == "executable" and t["name"].startswith("fuzz_"))
    if targets:
        _ninja(paths.FUZZ, [os.path.relpath(t, paths.FUZZ) for t in targets])
    return targets


def need(*artefacts):
    """Fail with a sentence if the build does not give one of these files."""
    for path in artefacts:
        if not path.exists():
            raise Failure(f"the build gives no {paths.relative(path)}: this tree cannot run a child.")
