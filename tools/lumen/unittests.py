# SPDX-License-Identifier: BSD-2-Clause
"""The hosted unit tests: meson runs the programs, and every single test in them is counted."""

import json
import os
import re
import subprocess

from lumen import paths
from lumen.status import Failure

LOG = paths.UNIT / "meson-logs/testlog.json"
PROCESSES = (os.cpu_count() or 1) + 1  # some wait for the most part
TAP_LINE = re.compile(r"^(not ok|ok)\b\s*(?:\d+)?\s*-?\s*(.*)$")


def _tap(text):
    """(good, name, skipped) of each result line in the output of a program."""
    for line in text.splitlines():
        match = TAP_LINE.match(line)
        if match:
            name, _, directive = match[2].partition(" # ")
            name = re.sub(r"\s*\([\d.]+s\)$", "", name.strip())
            yield match[1] == "ok", name, directive.upper().startswith("SKIP")


def _count(report, entry):
    """Report one program: its single tests, and itself if they do not explain how it ended."""
    program = entry["name"].split(":")[-1].strip().split(" / ")[-1]
    results = list(_tap(entry.get("stdout", "")))
    for good, name, skipped in results:
        if skipped:
            report.skip(f"unit.{program}: {name}", "said by the test")
        elif good:
            report.ok(f"unit.{program}: {name}")
        else:
            report.not_ok(f"unit.{program}: {name}", _evidence(entry))
    if entry["result"] == "SKIP":
        report.skip(f"unit.{program}", "said by the program")
    elif entry["result"] not in ("OK", "EXPECTEDFAIL"):
        if all(good for good, _, _ in results):
            report.not_ok(f"unit.{program}", f"ended as {entry['result']}\n{_evidence(entry)}")
    elif not results:
        report.ok(f"unit.{program}")


def _evidence(entry):
    text = entry.get("stdout", "") + "\n" + entry.get("stderr", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("ok ")]
    return "\n".join(lines[-40:])


def run(report):
    """Run them all; build/unit is built already."""
    LOG.unlink(missing_ok=True)
    subprocess.run(["meson", "test", "-C", str(paths.UNIT), "--no-rebuild", "--num-processes", str(PROCESSES),
                    "--timeout-multiplier", "8", "--suite", "unit"],
                   cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    entries = LOG.read_text().splitlines() if LOG.exists() else []
    if not entries:
        raise Failure("no unit test ran.")
    for line in entries:
        _count(report, json.loads(line))
