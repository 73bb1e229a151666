# SPDX-License-Identifier: BSD-2-Clause
"""The guest SDK as somebody else's kernel has it: installed, and used as docs/sdk.md says."""

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lumen import paths

FENCE = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.M | re.S)
GREETING = "Hello from the first block of the disk."


def _call(t, words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    t.equal(done.returncode, 0, f"status of {words[0]} ({done.stdout[-800:]}{done.stderr[-800:]})")


def _install(t, directory):
    """Install the SDK below directory; returns where its pkg-config file is."""
    build, prefix = directory / "build", directory / "prefix"
    _call(t, ["meson", "setup", str(build), str(paths.ROOT), "-Dsdk=true", f"--prefix={prefix}"])
    _call(t, ["meson", "install", "-C", str(build)])
    return next(prefix.rglob("lumen-guest.pc")).parent


def _write_files(directory):
    """The files that docs/sdk.md shows, each from all of its pieces."""
    text = (paths.ROOT / "docs/sdk.md").read_text()
    for name in {match[1] for match in FENCE.finditer(text)}:
        pieces = [match[2] for match in FENCE.finditer(text) if match[1] == name]
        (directory / name).write_text("\n".join(pieces))


# The kernels of docs/sdk.md: what build.sh is called with.
KERNELS = {"polling": [], "sleeping": ["vectors.S", "interrupts.c"]}


def _kernel(t, directory, compiler, files, pkg_config_path):
    """Build a kernel of docs/sdk.md in an empty directory."""
    directory.mkdir()
    _write_files(directory)
    env = os.environ | {"CC": compiler, "PKG_CONFIG_PATH": str(pkg_config_path)}
    _call(t, ["sh", "build.sh", *files], cwd=directory, env=env)
    return directory / "kernel.elf"


def test_kernel_outside_this_tree(t):
    """The kernels of docs/sdk.md, built outside with gcc and with clang, have the time and their disk."""
    disk = t.scratch("disk.img", 1)
    with open(disk, "r+b") as file:
        file.write(GREETING.encode())
    with tempfile.TemporaryDirectory() as name:
        pkg_config_path = _install(t, Path(name))
        kernels = {}
        for compiler, kind in itertools.product(("gcc", "clang"), KERNELS):
            which = f"{kind}-{compiler}"
            kernels[which] = t.scratch(f"{which}.elf")
            shutil.copy(_kernel(t, Path(name, which), compiler, KERNELS[kind], pkg_config_path),
                        kernels[which])
    results = yield [t.shared_child(kernel, memory=64, disks=[t.disk(disk, read_only=True)])
                     for kernel in kernels.values()]
    for which, result in zip(kernels, results):
        t.equal(result.status, 0, f"status, {which}")
        t.check(re.search(r"Running for [1-9]\d* us, it says\.", result.console),
                f"{which}: no time on the console")
        t.contains(result.console, f"2048 blocks of 512 bytes. It begins with: {GREETING}")
