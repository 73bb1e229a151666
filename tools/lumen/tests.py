# SPDX-License-Identifier: BSD-2-Clause
"""./lumen test: which suites there are, and the sum of what they say."""

from lumen import build, deps, fuzz, status, systemtests, unittests
from lumen.report import Report
from lumen.status import Failure, bad


def _unit(report, _only):
    with build.lock():
        deps.need(deps.BUILD, deps.TEST)
        build.unit()
    unittests.run(report)


def _conformance(report, _only):
    report.remark("conformance: there is no conformance suite yet")


def _system(report, only):
    systemtests.run(report, only)


def _fuzz(report, _only):
    with build.lock():
        deps.need(deps.BUILD, deps.TEST)
        targets = build.fuzz()
    fuzz.run(report, targets)


SUITES = {"unit": _unit, "conformance": _conformance, "system": _system, "fuzz": _fuzz}


def test_command(wanted, only, list_only):
    """Runs the suites in the order of SUITES; a suite that cannot even start counts as a failure."""
    for name in wanted:
        if name not in SUITES:
            raise bad(f"there is no test suite {name}; there are: {', '.join(SUITES)}.")
    if list_only:
        for name, doc in systemtests.names():
            print(f"{name:40} {doc}")
        return status.OK
    report = Report()
    for name, suite in SUITES.items():
        if wanted and name not in wanted:
            continue
        report.remark(f"suite {name}")
        try:
            suite(report, only)
        except Failure as failure:
            report.not_ok(name, str(failure))
    report.sum()
    return status.count(report.failed)
