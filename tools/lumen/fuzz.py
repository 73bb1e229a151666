# SPDX-License-Identifier: BSD-2-Clause
"""The fuzz targets: each for some seconds, from what earlier runs have found worth keeping."""

import os
import re
import subprocess
from pathlib import Path

from lumen import paths
from lumen.schedule import Task
from lumen.status import Failure, number_from_environment

DEFAULT_SECONDS = 10
GRACE = 120  # seconds: a target that is not done so long after its time is stuck
MAX_INPUT_SECONDS = 10


def _command(target, corpus, found, limit):
    return [str(target), f"-max_total_time={limit}", f"-timeout={MAX_INPUT_SECONDS}",
            "-print_final_stats=1", f"-artifact_prefix={found}/", str(corpus)]


def _one(target, limit):
    """(target, exit status, its output)"""
    corpus = paths.FUZZ / "corpus" / target.name
    found = paths.FUZZ / "found" / target.name
    for directory in (corpus, found):
        directory.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(_command(target, corpus, found, limit), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=limit + GRACE, check=False, env={**os.environ, "LUMEN_TEST_CLOCK": "0"})
    except subprocess.TimeoutExpired as late:
        return target, None, (late.stdout or b"").decode(errors="replace")
    return target, done.returncode, done.stdout.decode(errors="replace")


def _judge(report, target, code, output):
    name = f"fuzz.{target.name.removeprefix('fuzz_')}"
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    if code == 0 and runs and int(runs[1]) > 0:
        report.ok(name, f"{runs[1]} inputs")
    elif code is None:
        report.not_ok(name, "it did not end in time")
    else:
        report.not_ok(name, "\n".join(output.splitlines()[-60:]))


def seconds():
    """How long each target runs."""
    return number_from_environment("FUZZ_SECONDS", DEFAULT_SECONDS)


def add_tasks(schedule, targets):
    """targets: paths of the programs."""
    limit = seconds()
    if not targets:
        raise Failure("there are no fuzz targets in build/fuzz.")
    for target in map(Path, targets):
        schedule.add(Task(f"fuzz.{target.name.removeprefix('fuzz_')}",
                          lambda report, t=target: _judge(report, *_one(t, limit)), rank=2))
