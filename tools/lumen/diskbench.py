# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to read from a VMBus disk: with the stock Linux driver, and with the SDK's."""

from dataclasses import dataclass
from pathlib import Path

from lumen import build, measure as bench, paths, run as runs
from lumen.measure import Value
from lumen.status import Failure

STEPS = {"rand": "random read, 32 in flight", "single": "random read, one at a time",
         "seq": "MiB read in sequence"}

# In the root: starts the child, and reads its counters whenever it waits.
SCRIPT = bench.FOLLOW + """
counters() { lumenctl stat bench --json | tr -d '\\n'; }
[ ! -e /lumen/initrd ] || set -- --initrd /lumen/initrd
echo "@time create $(now)"
lumenctl create bench --kernel /lumen/kernel "$@" --disk /dev/lumen-disk0 \\
	--append "console=ttyS0 quiet lumen.action=bench" || exit 1
lumenctl start bench || exit 1
lumenctl console bench </tmp/in >/tmp/out &
exec 5>/tmp/in 6</tmp/out
follow
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


def _units(steps, step):
    """What the figures of a step are divided by: requests, or MiB."""
    return steps.results[step]["bytes"] >> 20 if step == "seq" else steps.results[step]["requests"]


def _times(child, steps):
    yield Value(f"{child.label}create to the child's init", round(steps.times["init"] - steps.times["create"], 2),
                "s")
    for step in ("rand", "single"):
        per_second = steps.results[step]["requests"] / steps.results[step]["us"] * 1e6
        yield Value(f"{child.label}4 KiB {STEPS[step]}", round(per_second), "1/s")
    yield Value(f"{child.label}sequential reads",
                round(steps.results["seq"]["bytes"] / steps.results["seq"]["us"], 1), "MB/s")


def _exit_counts(child, step, steps):
    counted, units = steps.exits(step), _units(steps, step)
    name = f"{child.label}exits per {STEPS[step]}"
    yield Value(name, round(counted["total"] / units, 2), "",
                1.5 if step == "rand" else None)
    for reason, count in sorted(counted.items()):
        if reason != "total" and count / units >= 0.005:
            yield Value(f"{name}: {reason}", round(count / units, 2), "")


def _run(child, name, root_kernel, count=False, **more):
    def fill(options, directory):
        with build.lock():
            runs.example(options, root_kernel, directory)
        if child.kernel:
            options.kernel, options.initrd = child.kernel, None

    options = runs.Options(name=name, mode="test", script=SCRIPT, timeout=600, **more)
    return bench.follow(STEPS, options, root_kernel, fill, count)


def _measure_child(child, limits, root_kernel):
    """(values, {step: instructions}) with this child; limits: the most that is accepted of those."""
    name = f"bench-{child.name}-disk"
    try:
        values = list(_times(child, _run(child, name, root_kernel)))
        name = f"bench-{child.name}-count"
        steps = _run(child, name, root_kernel, count=True, **bench.COUNTED)
        found = {step: round(steps.spent(step) / _units(steps, step)) for step in STEPS}
        for step, what in STEPS.items():
            values += _exit_counts(child, step, steps)
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
