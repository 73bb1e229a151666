# SPDX-License-Identifier: BSD-2-Clause
"""./lumen bench: sizes, the cost of a hypercall, and what a disk costs a child."""

import json
import re
import struct
from dataclasses import dataclass

from lumen import build, deps, kernels, paths, run as runs, status, ui
from lumen.status import Failure

HYPERCALL_KERNEL = paths.RELEASE / "tests/bench/bench-hypercall"
COUNT_PLUGIN = paths.RELEASE / "tests/bench/bench-count.so"
DISK_STEPS = {"rand": "random read, 32 in flight", "single": "random read, one at a time",
              "seq": "MiB read in sequence"}
STEPS = [f"{when} {name}" for name in ("nothing", *DISK_STEPS) for when in ("before", "after")]
SHF_WRITE, SHF_ALLOC, SHT_NOBITS = 1, 2, 8

# In the root: starts a child with the action "bench" and reads its counters whenever it waits. Then
# it waits for a line itself, so that we can read ours.
DISK_SCRIPT = """
now() { cut -d' ' -f1 /proc/uptime; }
mkfifo /tmp/in /tmp/out
echo "@time create $(now)"
lumenctl create bench --kernel /lumen/kernel --initrd /lumen/initrd --disk /dev/lumen-disk0 \\
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


@dataclass
class Value:
    """One measured number. most: the largest value that the project accepts, if there is one."""

    name: str
    value: float
    unit: str
    most: float | None = None


def _sections(data):
    """(type, flags, size) of each section of a 32-bit or 64-bit ELF file."""
    if data[4] == 2:
        offset, = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        layout, take = "<IIQQQQ", (1, 2, 5)
    else:
        offset, = struct.unpack_from("<I", data, 0x20)
        size, count = struct.unpack_from("<HH", data, 0x2E)
        layout, take = "<IIIIII", (1, 2, 5)
    for index in range(count):
        fields = struct.unpack_from(layout, data, offset + index * size)
        yield tuple(fields[i] for i in take)


def text_and_rodata(path):
    """Bytes of code and constants that are in memory when the image runs."""
    return sum(size for kind, flags, size in _sections(path.read_bytes())
               if flags & SHF_ALLOC and not flags & SHF_WRITE and kind != SHT_NOBITS)


def source_lines(directory):
    """Lines of code and of comments, blank ones not counted, of the C and assembly files."""
    return sum(1 for path in directory.rglob("*") if path.suffix in (".c", ".h", ".S", ".ld")
               for line in path.read_text().splitlines() if line.strip())


def _sizes():
    yield Value("hypervisor text and rodata", round(text_and_rodata(paths.HYPERVISOR) / 1024, 1),
                "KiB", 128)
    yield Value("hypervisor source", source_lines(paths.ROOT / "hypervisor"), "lines", 10000)


def _boot(name, options, root_kernel, directory, prepare_session=None):
    ui.say(f"measuring: {name}")
    result = runs.start(options, root_kernel, directory, False, prepare_session)
    runs.require_success(result, name)
    return result


def _hypercall(root_kernel):
    """Instructions of a null hypercall, counted by the emulator: the same in every run."""
    options = runs.Options(name="bench-hypercall", kernel=HYPERCALL_KERNEL, root_cpus=1,
                           memory=64, accel="tcg", icount=True, timeout=300)
    with runs.Directory(options.name) as directory:
        result = _boot("null hypercall", options, root_kernel, directory)
    match = re.search(r"bench: null-hypercall (\d+) wrong 0\b", result.console)
    if not match:
        raise Failure("the hypercall bench printed no result (logs: build/run/bench-hypercall).")
    yield Value("null hypercall", int(match[1]), "instructions", 150)


def _parse(console):
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


def _exits(stats, step):
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


def _disk_times(times, _, results):
    yield Value("create to the child's init", round(times["init"] - times["create"], 2), "s")
    for step in ("rand", "single"):
        per_second = results[step]["requests"] / results[step]["us"] * 1e6
        yield Value(f"4 KiB {DISK_STEPS[step]}", round(per_second), "1/s")
    yield Value("sequential reads", round(results["seq"]["bytes"] / results["seq"]["us"], 1), "MB/s")


def _disk_counts(instructions, stats, results):
    for step, what in DISK_STEPS.items():
        exits, units = _exits(stats, step), _units(results, step)
        most = step == "rand"
        yield Value(f"exits per {what}", round(exits["total"] / units, 2), "", 1.5 if most else None)
        for reason, count in sorted(exits.items()):
            if reason != "total" and count / units >= 0.005:
                yield Value(f"    {reason}", round(count / units, 2), "")
        during = instructions[f"after {step}"] - instructions[f"before {step}"]
        nothing = instructions["after nothing"] - instructions["before nothing"]
        yield Value(f"instructions per {what}", round((during - nothing) / units), "",
                    82000 if step != "seq" else None)


def _disk_run(name, root_kernel, at_step, **more):
    """Runs DISK_SCRIPT; at_step(step, directory) is called when the child waits. Returns what _parse
    finds."""
    options = runs.Options(name=name, mode="test", script=DISK_SCRIPT, timeout=600, **more)

    def prepare_session(session):
        def reached(step):
            at_step(step, directory)
            session.type("\n")
        for step in STEPS:
            session.when(f"@step {step}", lambda _, step=step: reached(step))

    with runs.Directory(name) as directory:
        if options.plugin:
            options.plugin = f"{options.plugin},out={directory / 'count'}"
        with build.lock():
            runs.example(options, root_kernel, directory)
        result = _boot(name, options, root_kernel, directory, prepare_session)
    return _parse(result.console)


def _disk(root_kernel):
    """Times, on the machine as it usually runs; then exits and the instructions of the whole machine
    (hypervisor, root, child), with one processor whose clock is its instructions."""
    instructions = {}

    def count(step, directory):
        instructions[step], = struct.unpack("<Q", (directory / "count").read_bytes())

    name = "bench-disk"
    try:
        yield from _disk_times(*_disk_run(name, root_kernel, lambda *_: None))
        name = "bench-count"
        _, stats, results = _disk_run(name, root_kernel, count, root_cpus=1, accel="tcg",
                                      icount=True, plugin=str(COUNT_PLUGIN))
        yield from _disk_counts(instructions, stats, results)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise Failure(f"the disk bench gave no {error} (logs: build/run/{name}).") from None


def _print(values):
    for value in values:
        limit = f"  (at most {value.most:g})" if value.most is not None else ""
        print(f"{value.name:44} {value.value:>10} {value.unit}{limit}")


def bench_command(as_json):
    """All of it; status 1 if a number is larger than the project accepts."""
    with build.lock():
        deps.need(deps.BUILD, deps.MACHINE)
        root_kernel = kernels.get()
        build.release(root_kernel)
    build.need(paths.HYPERVISOR, paths.DRIVER, paths.WORKER, paths.LUMENCTL)
    values = [*_sizes(), *_hypercall(root_kernel), *_disk(root_kernel)]
    if as_json:
        print(json.dumps({v.name: {"value": v.value, "unit": v.unit, "most": v.most} for v in values},
                         indent=2))
    else:
        _print(values)
    return status.count(sum(v.most is not None and v.value > v.most for v in values))
