# SPDX-License-Identifier: BSD-2-Clause
"""./lumen check: what can be said about the sources without running them."""

import collections
import compileall
import concurrent.futures
import contextlib
import io
import json
import os
import re
import subprocess
from pathlib import Path

from lumen import build, deps, kernels, lwip, paths, status, ui
from lumen.report import Report

C_DIRECTORIES = ("hypercall", "x86", "vmbus", "drivers", "hypervisor", "parent", "guest-sdk", "sdk",
                 "examples", "tests")
TIDY = paths.RELEASE / "tidy"  # the compiler's commands as clang takes them: retpolines are gcc's words
SHELL_SHEBANGS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash")
CPPCHECK = ["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c11",
            "--enable=warning,performance,portability", "--suppress=missingInclude",
            "--suppress=unknownMacro",
            # Arithmetic on void pointers is GNU C; pointers of two objects are linker symbols here;
            # it does not see through the kernel's list macros.
            "--suppress=arithOperationsOnVoidPointer", "--suppress=comparePointers",
            "--suppress=uninitvar:parent/driver/*"]


def _files(suffixes):
    """Our files with one of these suffixes, below the directories with C in them."""
    found = []
    for directory in C_DIRECTORIES:
        found += [p for p in (paths.ROOT / directory).rglob("*") if p.suffix in suffixes]
    return sorted(p.relative_to(paths.ROOT) for p in found)


def _run(argv):
    """(status, output)"""
    done = subprocess.run([str(a) for a in argv], cwd=paths.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def _judge(report, name, code, output):
    if code == 0:
        report.ok(name)
    else:
        report.not_ok(name, "\n".join(output.splitlines()[:80]))


def _format(report):
    files = _files({".c", ".h"})
    code, output = _run(["clang-format", "--dry-run", "-Werror", *files])
    places = collections.Counter(re.findall(r"^([^:\n]+):\d+:\d+: error:", output, re.M))
    _judge(report, "format", code,
           "\n".join(f"{file}: {count} places" for file, count in places.items()) or output)


def _layering(report):
    _judge(report, "layering", *_run(["python3", "tools/layering.py"]))


def _cppcheck(report):
    directories = [d for d in C_DIRECTORIES if (paths.ROOT / d).is_dir() and d != "tests"]
    argv = [*CPPCHECK, "-I.",
            f"-j{os.cpu_count() or 1}", *directories]
    _judge(report, "cppcheck", *_run(argv))


def _tidy_one(file):
    return file, *_run(["clang-tidy", "--quiet", "-p", TIDY,
                        "--extra-arg=-Wno-unknown-warning-option",
                        "--extra-arg=-Wno-ignored-optimization-argument", file])


def _tidy(report):
    """clang-tidy, on each file that the release build compiles."""
    commands = (paths.RELEASE / "compile_commands.json").read_text()
    TIDY.mkdir(exist_ok=True)
    (TIDY / "compile_commands.json").write_text(re.sub(r" -mindirect-branch\S*", "", commands))
    entries = json.loads(commands)
    files = sorted({Path(e["directory"], e["file"]).resolve() for e in entries
                    if e["file"].endswith(".c") and not Path(e["file"]).is_relative_to(paths.LWIP)})
    step = ui.Step(f"clang-tidy on {len(files)} files")
    failures = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, (file, code, output) in enumerate(pool.map(_tidy_one, files), 1):
            step.tick(f"{number}/{len(files)} {paths.relative(file)}")
            if code != 0:
                failures.append(output)
    step.done()
    _judge(report, "clang-tidy", len(failures), "\n".join(failures))


def _is_shell(path):
    try:
        with open(path, "rb") as file:
            first = file.readline(80)
    except OSError:
        return False
    return first.decode(errors="replace").strip() in SHELL_SHEBANGS


def _scripts(report):
    """Shell scripts and Python parse."""
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard"])[1].splitlines()
    failures = []
    for name in listed:
        if _is_shell(paths.ROOT / name):
            code, output = _run(["bash", "--posix", "-n", name])
            failures += [output] if code else []
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        good = all(compileall.compile_dir(paths.ROOT / d, quiet=1) for d in ("tools", "tests"))
    _judge(report, "scripts", 0 if good and not failures else 1,
           printed.getvalue() + "\n".join(failures))


def _dissector(report):
    """What the unit tests skip where tshark is missing: it is large."""
    _judge(report, "dissector", *_run(["python3", "tests/unit/parent/test_dissector.py"]))


def check_command():
    """All checks; the exit status is the number of those that found something."""
    with build.lock():
        deps.need(deps.BUILD, deps.CHECK)
        lwip.get()
        build.release(kernels.get())
    report = Report()
    for check in (_format, _layering, _scripts, _dissector, _cppcheck, _tidy):
        check(report)
    report.sum()
    return status.count(report.failed)
