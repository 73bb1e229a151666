# SPDX-License-Identifier: BSD-2-Clause
"""./lumen test: which suites there are, what each needs, and the sum of what they say."""

import textwrap

from lumen import build, conformance, deps, fuzz, kernels, lwip, paths, status, systemtests, unittests
from lumen.report import Report
from lumen.schedule import Schedule, Task
from lumen.status import bad

NEEDS = {
    "unit": [deps.BUILD, deps.TEST],
    "conformance": [deps.BUILD, deps.MACHINE],
    "system": [deps.BUILD, deps.MACHINE, deps.GRUB, deps.SDK, deps.LWIP],
    "fuzz": [deps.BUILD, deps.TEST],
}
SUITES = tuple(NEEDS)


class _Plan:
    """The tasks of a run: builds first, side by side; each adds what can be run then."""

    def __init__(self, schedule, suites, only):
        self._schedule = schedule
        self._suites = suites
        self._only = only
        builds = {"release": {"conformance", "system"}, "unit": {"unit"}, "fuzz": {"fuzz"}}
        chosen = [name for name, serves in builds.items() if serves & set(suites)]
        self._jobs = max(schedule.processors // len(chosen), 1)
        for name in chosen:
            schedule.add(Task(f"building build/{name}", getattr(self, f"_{name}"), self._jobs,
                              rank=1 if name == "fuzz" else 0))

    def _release(self, _report):
        with build.process_lock:
            kernel = kernels.get()
            if "system" in self._suites:
                lwip.get()
            build.release(kernel, jobs=self._jobs)
        if "system" in self._suites:
            systemtests.add_tasks(self._schedule, kernel, self._only)
        if "conformance" in self._suites:
            self._schedule.add(Task("conformance", conformance.suite, rank=0))

    def _unit(self, _report):
        with build.process_lock:
            build.unit(self._jobs)
        self._schedule.add(Task("unit tests", unittests.run, rank=0, patient=True))

    def _fuzz(self, _report):
        with build.process_lock:
            targets = build.fuzz(self._jobs)
        fuzz.add_tasks(self._schedule, targets)


def _check(wanted, only):
    """All that can be found wrong before anything is built."""
    for name in wanted:
        if name not in SUITES:
            raise bad(f"there is no test suite {name}; there are: {', '.join(SUITES)}.")
    fuzz.seconds()
    if not list(systemtests.names(only)):  # all of them: each file looks at its part of the environment
        raise bad(f"no system test has {only!r} in its name.")


def test_command(wanted, only, list_only):
    """Runs the suites side by side; what cannot even be built counts as a failure."""
    _check(wanted, only)
    if list_only:
        for name, doc in systemtests.names(only):
            print(name, textwrap.indent(textwrap.fill(doc, 90), "    "), sep="\n")
        return status.OK
    chosen = [name for name in SUITES if name in wanted or not wanted]
    with build.lock():
        deps.need(*{id(t): t for name in chosen for t in NEEDS[name]}.values())
    report = Report()
    schedule = Schedule(report, log=paths.LOG / "tasks.log")
    _Plan(schedule, chosen, only)
    schedule.run()
    report.sum()
    return status.count(report.failed)
