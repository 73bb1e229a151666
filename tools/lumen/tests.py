# SPDX-License-Identifier: BSD-2-Clause
"""./lumen test: which suites there are, and the sum of what they say."""

import textwrap

from lumen import build, conformance, deps, fuzz, status, systemtests, unittests
from lumen.report import Report
from lumen.status import Failure, bad


def _unit(report, _only):
    with build.lock():
        build.unit()
    unittests.run(report)


def _conformance(report, _only):
    conformance.suite(report)


def _system(report, only):
    systemtests.run(report, only)


def _fuzz(report, _only):
    with build.lock():
        targets = build.fuzz()
    fuzz.run(report, targets)


SUITES = {"unit": _unit, "conformance": _conformance, "system": _system, "fuzz": _fuzz}
NEEDS = {
    "unit": [deps.BUILD, deps.TEST],
    "conformance": [deps.BUILD, deps.MACHINE],
    "system": [deps.BUILD, deps.MACHINE, deps.GRUB, deps.SDK],
    "fuzz": [deps.BUILD, deps.TEST],
}


def test_command(wanted, only, list_only):
    """Runs the suites in the order of SUITES; a suite that cannot even start counts as a failure."""
    for name in wanted:
        if name not in SUITES:
            raise bad(f"there is no test suite {name}; there are: {', '.join(SUITES)}.")
    if list_only:
        for name, doc in systemtests.names():
            print(name, textwrap.indent(textwrap.fill(doc, 90), "    "), sep="\n")
        return status.OK
    chosen = [name for name in SUITES if name in wanted or not wanted]
    with build.lock():
        deps.need(*{id(t): t for name in chosen for t in NEEDS[name]}.values())
    report = Report()
    for name in chosen:
        report.remark(f"suite {name}")
        try:
            SUITES[name](report, only)
        except Failure as failure:
            report.not_ok(name, str(failure))
    report.sum()
    return status.count(report.failed)
