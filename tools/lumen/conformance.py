# SPDX-License-Identifier: BSD-2-Clause
"""./lumen conformance: the conformance image on Lumen, or on KVM, and what it says there."""

import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lumen import build, deps, kernels, paths, referee, run as runs, status, ui
from lumen.status import Failure, bad

IMAGE = paths.RELEASE / "tests/conformance/conformance"
CPUS = (1, 2, 4)
MEMORY = 64  # MiB of a guest
GUEST_TIME = 900  # seconds for one run of the image: an emulated machine may be slow, and busy
KVM_ATTEMPTS = 12  # so many tests may end the machine on KVM
OUTCOMES = ("ok", "skip", "failure", "error")
# A child each, its console on ours between two lines of our own.
SCRIPT = """
guest()
{
	echo "@begin $1"
	lumenctl run "guest$1" --kernel /lumen/kernel --memory %sM --cpus "$2" --timeout %s --append "$3"
	echo "@end $1 $?"
	lumenctl delete "guest$1"
}
""" % (MEMORY, GUEST_TIME)


@dataclass
class Check:
    """One line of the image's: outcome is one of OUTCOMES."""

    name: str
    section: str
    outcome: str
    message: str = ""


@dataclass
class Run:
    """One run of the image. fault: why its output is not whole; "" if it is."""

    cpus: int
    checks: list = field(default_factory=list)
    fault: str = ""

    def count(self, outcome):
        return sum(check.outcome == outcome for check in self.checks)


# What the image says.

LINE = re.compile(r"(not ok|ok) (\d+) - (.*?)(?: # SKIP (.*?))? # TLFS: (.*)")


def parse(text, cpus, run=None):
    """The Run in the console of an image: TAP with a YAML block below what did not succeed. run: what
    there is already, if the image was started again behind the test that ended it."""
    run, planned = run or Run(cpus), None
    ended, run.fault = run.fault, ""
    for line in text.replace("\r", "").split("\n"):
        plan = re.fullmatch(r"1\.\.(\d+)", line)
        killer = re.fullmatch(r"# not repeated: (.*) # TLFS: (.*)", line)
        match = LINE.fullmatch(line)
        outcome = re.fullmatch(r"  outcome: (failure|error)", line)
        message = re.fullmatch(r'  message: "(.*)"', line)
        if plan:
            planned = int(plan[1])
        elif killer and ended:
            run.checks.append(Check(killer[1], killer[2], "failure", ended))
        elif match and int(match[2]) == len(run.checks) + 1:
            good = "skip" if match[4] else "ok"
            run.checks.append(Check(match[3], match[5], good if match[1] == "ok" else "failure",
                                    match[4] or ""))
        elif outcome and run.checks:
            run.checks[-1].outcome = outcome[1]
        elif message and run.checks:
            run.checks[-1].message = message[1]
        elif line.startswith("Bail out!"):
            run.fault = line
    if not run.fault and planned is None:
        run.fault = "the image has not begun"
    elif not run.fault and len(run.checks) != planned:
        last = run.checks[-1].name if run.checks else "none"
        run.fault = f"the image ended after {len(run.checks)} of {planned} tests (last: {last})"
    return run


def _judge(run, code, before=0):
    """The image's exit status has to fit to what it said. before: failures that it did not count."""
    bad_ones = run.count("failure") + run.count("error") - before
    if not run.fault and code != (1 if bad_ones else 0):
        run.fault = f"the image ended with status {code} after {bad_ones} failures and errors"
    return run


# Where it runs.

def _append(pattern):
    return f"filter={pattern.replace(' ', '_')}" if pattern else ""


def _say(number, of, run):
    """A line for a run that has ended: with --repeat it may be the only one for a while."""
    bad_ones = run.count("failure") + run.count("error")
    ui.say(f"{number} of {of}: {run.cpus} VPs, {len(run.checks)} checks, {bad_ones or 'no'} failures")


def _part(console, index):
    """What a guest has said, and what follows its "@end": its status, if that is there yet."""
    said = console.replace("\r", "").partition(f"@begin {index}\n")[2]
    said, _, rest = said.partition(f"@end {index} ")
    return said, rest


def _watch(cpus, index=0):
    """What a Session does on its way: say how each guest did when it has ended."""
    def ended(session):
        said, _ = _part(session.console.decode(errors="replace"), index)
        _say(index + 1, len(cpus), parse(said, cpus[index]))
        _watch(cpus, index + 1)(session)

    def watch(session):
        if index < len(cpus):
            session.when(f"@end {index} ", ended)
    return watch


def on_lumen(cpus, pattern="", name="conformance"):
    """One boot of the root; the image in it with each of these numbers of VPs."""
    with build.lock():
        kernel = kernels.get()
        build.release(kernel)
    build.need(paths.HYPERVISOR, paths.DRIVER, paths.WORKER, paths.LUMENCTL, IMAGE)
    lines = [f"guest {i} {n} '{_append(pattern)}'\n" for i, n in enumerate(cpus)]
    options = runs.Options(name=name, mode="test", script=SCRIPT + "".join(lines) + "exit 0\n",
                           kernel=IMAGE, memory=MEMORY * 2, timeout=GUEST_TIME * len(cpus))
    with runs.Directory(name, others=True) as directory:
        result = runs.start(options, kernel, directory, False, _watch(cpus))
    if result.status != status.OK and "@begin" not in result.console:
        runs.explain(result)
        raise Failure("the conformance image could not be run.")
    return [_lumen_run(result.console, i, n) for i, n in enumerate(cpus)]


def _lumen_run(console, index, cpus):
    said, rest = _part(console, index)
    code = re.match(r"(\d+)\n", rest)
    if not code:
        return Run(cpus, fault="the machine ended before the image did")
    return _judge(parse(said, cpus), int(code[1]))


def _kvm_append(run, pattern):
    # A guest that was ended by a test goes on behind it.
    return f"{_append(pattern)} first={len(run.checks) + 2}" if run.checks else _append(pattern)


def _kvm_judge(run, result):
    before = run.count("failure") + run.count("error") + bool(run.checks)
    run = parse(result.console, run.cpus, run)
    if run.fault.startswith("the image ended"):
        why = "; ".join(result.notes) or {status.CRASHED: "a crash", status.HUNG: "it hung"}.get(
            result.status, "QEMU has ended")
        run.fault = f"the machine ended in this test: {why}"
    return run if run.fault else _judge(run, result.status, before)


def _say_kvm(result):
    seen = len(parse(result.console, result.guest.cpus).checks)
    ui.say(f"{result.guest.cpus} VPs: {seen} checks in {result.seconds:.0f} s")


def on_kvm(cpus, pattern="", name="conformance-kvm"):
    """The same on KVM, nested in the emulated machine."""
    with build.lock():
        build.release(kernels.get())
    build.need(IMAGE)
    all_runs = [Run(n, fault="not begun") for n in cpus]
    with runs.Directory(name, others=True) as directory:
        # The same image each time, whoever builds meanwhile: it counts its tests.
        image = Path(shutil.copy(IMAGE, directory / "image"))
        for attempt in range(KVM_ATTEMPTS):
            left = [run for run in all_runs if run.fault]
            guests = [referee.Guest(image, _kvm_append(run, pattern), run.cpus, MEMORY, GUEST_TIME)
                      for run in left]
            results = referee.run(guests, directory, ended=_say_kvm) if left else ()
            for run, result in zip(left, results):
                (directory / f"{run.cpus}-vps-{attempt}.log").write_text(result.console)
                _kvm_judge(run, result)
    return all_runs


WHERE = {"lumen": on_lumen, "kvm": on_kvm}


# What came of it.

def _by_name(all_runs):
    """{name: [(cpus, Check)]} in the order of the first run that has it."""
    found = {}
    for run in all_runs:
        for check in run.checks:
            found.setdefault(check.name, []).append((run.cpus, check))
    return found


def _worst(checks):
    return max(checks, key=lambda check: OUTCOMES.index(check.outcome))


def summary(all_runs):
    """An entry for each check, for JSON: its outcome, or {number of VPs: outcome} if they differ."""
    entries = []
    for name, seen in _by_name(all_runs).items():
        outcomes = {}
        for cpus, check in seen:
            before = outcomes.get(str(cpus), "ok")
            outcomes[str(cpus)] = max(before, check.outcome, key=OUTCOMES.index)
        same = len(set(outcomes.values())) == 1
        worst = _worst([check for _, check in seen])
        entry = {"name": name, "section": worst.section,
                 "outcome": worst.outcome if same else outcomes}
        if worst.message:
            entry["message"] = worst.message
        entries.append(entry)
    return entries


def _print_json(where, all_runs):
    """One line for each check: two such files can be compared."""
    lines = ",\n".join("  " + json.dumps(entry) for entry in summary(all_runs))
    head = {"on": where, "vps": sorted({run.cpus for run in all_runs}),
            "faults": [run.fault for run in all_runs if run.fault]}
    print(json.dumps(head)[:-1] + ', "checks": [\n' + lines + "\n]}")


def _print_text(where, all_runs):
    for run in all_runs:
        for check in run.checks:
            if check.outcome in ("failure", "error"):
                print(f"{check.outcome}, {run.cpus} VPs: {check.name}\n    {check.message}"
                      f"\n    TLFS: {check.section}")
        if run.fault:
            print(f"{run.cpus} VPs: {run.fault}")
        counts = ", ".join(f"{run.count(outcome)} {word}" for outcome, word in
                           zip(OUTCOMES, ("ok", "skipped", "failures", "errors")))
        print(f"{where}, {run.cpus} VPs: {counts}")


def _failed(all_runs):
    return sum(run.count("failure") + run.count("error") + bool(run.fault) for run in all_runs)


def conformance_command(where, pattern, cpus, repeat, as_json):
    """./lumen conformance"""
    if pattern and not re.fullmatch(r"[A-Za-z0-9 .,_-]{1,150}", pattern):
        raise bad("--filter takes letters, digits, ' ', '.', ',', '_' and '-'.")
    with build.lock():
        deps.need(deps.BUILD, deps.MACHINE)
    numbers = (cpus,) if cpus else CPUS
    times = f", {repeat} times" if repeat > 1 else ""
    ui.say(f"the image with {', '.join(map(str, numbers))} VPs, on {where}{times}")
    all_runs = WHERE[where](numbers * repeat, pattern)
    if pattern and not any(run.checks or run.fault for run in all_runs):
        raise bad(f"no check has {pattern!r} in its name.")
    if as_json:
        _print_json(where, all_runs)
    else:
        _print_text(where, all_runs)
    sys.stdout.flush()
    return status.count(_failed(all_runs))


def suite(report):
    """./lumen test conformance: each check counts once, for all numbers of VPs."""
    all_runs = on_lumen(CPUS)
    for run in all_runs:
        if run.fault:
            report.not_ok(f"conformance.{run.cpus}-vps", run.fault)
    for name, seen in _by_name(all_runs).items():
        worst = _worst([check for _, check in seen])
        if all(check.outcome == "skip" for _, check in seen):
            report.skip(f"conformance.{name}", worst.message)
        elif worst.outcome in ("ok", "skip"):
            report.ok(f"conformance.{name}")
        else:
            cpus = ", ".join(str(n) for n, check in seen if check.outcome == worst.outcome)
            report.not_ok(f"conformance.{name}",
                          f"{worst.outcome} with {cpus} VPs: {worst.message}\n{worst.section}")
