# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to read from a VMBus disk: with the stock Linux driver, and with the SDK's."""

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from lumen import build, measure as bench, paths, run as runs
from lumen.measure import Value
from lumen.status import Failure

COUNT_PLUGIN = paths.RELEASE / "tests/bench/bench-count.so"
STEPS = {"rand": "random read, 32 in flight", "single": "random read, one at a time",
         "seq": "MiB read in sequence"}
MARKS = [f"{when} {name}" for name in ("nothing", *STEPS) for when in ("before", "after")]

# In the root: starts the child and reads its counters whenever it waits. Then it waits for a line
# itself, so that we can read ours.
SCRIPT = """
now() { cut -d' ' -f1 /proc/uptime; }
mkfifo /tmp/in /tmp/out
[ ! -e /lumen/initrd ] || set -- --initrd /lumen/initrd
echo "@time create $(now)"
lumenctl create bench --kernel /lumen/kernel "$@" --disk /dev/lumen-disk0 \\
	--append "console=ttyS0 quiet lumen.action=bench" || exit 1
lumenctl start bench || exit 1
lumenctl console bench </tmp/in >/tmp/out &
exec 5>/tmp/in 6</tmp/out
while read -r line <&6; do
	case $line in
	"bench: init"*) echo "@time init $(now)" ;;
	"bench: before "* | "bench: after "*)
		echo "@step ${line#bench: }"
		echo "@stat $(lumenctl stat bench --json | tr -d '\\n')"
		read -r _
		echo >&5
		;;
	*) echo "$line" ;;
	esac
done
lumenctl wait bench
"""


@dataclass(frozen=True)
class Child:
    """Who reads: examples/linux with its action "bench", or a kernel that goes through the same steps.
    label goes before the names of its values."""

    name: str
    label: str = ""
    kernel: Path | None = None


LINUX = Child("linux")
SDK = Child("sdk", "SDK: ", paths.RELEASE / "tests/bench/bench-disk")
# The largest numbers of instructions for a step that the project accepts with Linux. With the SDK they
# are those that Linux takes.
LINUX_LIMITS = {"rand": 82000, "single": 82000}


def parse(console):
    """({label: seconds}, {"before rand": counters, ...}, {"rand": {requests, bytes, us}})"""
    times, stats, results = {}, {}, {}
    step = None
    for line in console.replace("\r", "").split("\n"):
        word, _, rest = line.partition(" ")
        if word == "@time":
            label, _, value = rest.partition(" ")
            times[label] = float(value)
        elif word == "@step":
            step = " ".join(rest.split()[:2])
            numbers = dict(re.findall(r"(\w+)=(\d+)", rest))
            if numbers:
                results[step.split()[1]] = {k: int(v) for k, v in numbers.items()}
        elif word == "@stat":
            stats[step] = json.loads(rest)
    return times, stats, results


def exits(stats, step):
    """{reason: exits of all VPs during the step}, without what a step of nothing costs."""
    def during(name):
        before, after = stats[f"before {name}"], stats[f"after {name}"]
        found = {}
        for key, value in after.items():
            match = re.fullmatch(r"vp\d+\.exits\.(\w+)", key)
            if match:
                found[match[1]] = found.get(match[1], 0) + value - before.get(key, 0)
        return found

    nothing = during("nothing")
    return {reason: max(count - nothing.get(reason, 0), 0) for reason, count in during(step).items()}


def _units(results, step):
    """What the figures of a step are divided by: requests, or MiB."""
    return results[step]["bytes"] >> 20 if step == "seq" else results[step]["requests"]


def _times(child, times, results):
    yield Value(f"{child.label}create to the child's init", round(times["init"] - times["create"], 2),
                "s")
    for step in ("rand", "single"):
        per_second = results[step]["requests"] / results[step]["us"] * 1e6
        yield Value(f"{child.label}4 KiB {STEPS[step]}", round(per_second), "1/s")
    yield Value(f"{child.label}sequential reads",
                round(results["seq"]["bytes"] / results["seq"]["us"], 1), "MB/s")


def _exit_counts(child, step, stats, results):
    counted, units = exits(stats, step), _units(results, step)
    name = f"{child.label}exits per {STEPS[step]}"
    yield Value(name, round(counted["total"] / units, 2), "",
                1.5 if step == "rand" else None)
    for reason, count in sorted(counted.items()):
        if reason != "total" and count / units >= 0.005:
            yield Value(f"{name}: {reason}", round(count / units, 2), "")


def _per_unit(instructions, results, step):
    """Instructions of the whole machine per request or MiB."""
    during = instructions[f"after {step}"] - instructions[f"before {step}"]
    nothing = instructions["after nothing"] - instructions["before nothing"]
    return round((during - nothing) / _units(results, step))


def _run(child, name, root_kernel, at_mark, **more):
    """Runs SCRIPT; at_mark(mark, directory) is called when the child waits. Returns what parse()
    finds."""
    options = runs.Options(name=name, mode="test", script=SCRIPT, timeout=600, **more)

    def prepare_session(session):
        def reached(mark):
            at_mark(mark, directory)
            session.type("\n")
        for mark in MARKS:
            session.when(f"@step {mark}", lambda _, mark=mark: reached(mark))

    with runs.Directory(name) as directory:
        if options.plugin:
            options.plugin = f"{options.plugin},out={directory / 'count'}"
        with build.lock():
            runs.example(options, root_kernel, directory)
        if child.kernel:
            options.kernel, options.initrd = child.kernel, None
        result = bench.boot(name, options, root_kernel, directory, prepare_session)
    return parse(result.console)


def _count(child, name, root_kernel):
    """Exits, and the instructions of the whole machine (hypervisor, root, child), with one processor
    whose clock is its instructions: (instructions at each mark, exit counters, results)."""
    instructions = {}

    def count(mark, directory):
        instructions[mark], = struct.unpack("<Q", (directory / "count").read_bytes())

    _, stats, results = _run(child, name, root_kernel, count, root_cpus=1, accel="tcg", icount=True,
                             plugin=str(COUNT_PLUGIN))
    return instructions, stats, results


def _measure_child(child, limits, root_kernel):
    """(values, {step: instructions}) with this child; limits: the most that is accepted of those."""
    name = f"bench-{child.name}-disk"
    try:
        times, _, results = _run(child, name, root_kernel, lambda *_: None)
        values = list(_times(child, times, results))
        name = f"bench-{child.name}-count"
        instructions, stats, results = _count(child, name, root_kernel)
        found = {step: _per_unit(instructions, results, step) for step in STEPS}
        for step, what in STEPS.items():
            values += _exit_counts(child, step, stats, results)
            values.append(Value(f"{child.label}instructions per {what}", found[step], "",
                                limits.get(step)))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise Failure(f"the disk bench gave no {error} (logs: build/run/{name}).") from None
    return values, found


def measure(root_kernel):
    """Times, on the machine as it usually runs; then exits and instructions. First Linux; its
    instructions are what the SDK may take at most."""
    build.need(SDK.kernel)
    linux, found = _measure_child(LINUX, LINUX_LIMITS, root_kernel)
    sdk, _ = _measure_child(SDK, found, root_kernel)
    return [*linux, *sdk]
