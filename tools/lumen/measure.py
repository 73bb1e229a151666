# SPDX-License-Identifier: BSD-2-Clause
"""What the measurements of ./lumen bench have in common.

A child goes through steps, and before and after each it waits for a line on its console (its words are
"bench: before NAME" and "bench: after NAME KEY=NUMBER..."). What runs in the root passes that on, with the
counters that it has, waits for a line itself, and hands it to the child: meanwhile nothing happens on the
machine, and we read what the emulator has counted. The first step is "nothing": what the waiting costs."""

import json
import re
import struct
from dataclasses import dataclass, field

from lumen import paths, run as runs, ui

COUNT_PLUGIN = paths.RELEASE / "tests/bench/bench-count.so"
# Options of a machine with one processor whose clock is its instructions.
COUNTED = {"root_cpus": 1, "accel": "tcg", "icount": True}

# The loop in the root: the child's console is on descriptors 6 and 5; counters prints its counters.
FOLLOW = """
follow()
{
	while read -r line <&6; do
		case $line in
		"bench: init"*) echo "@time init $(now)" ;;
		"bench: before "* | "bench: after "*)
			echo "@step ${line#bench: }"
			echo "@stat $(counters)"
			read -r _
			echo >&5
			;;
		*) echo "$line" ;;
		esac
	done
}

now() { cut -d' ' -f1 /proc/uptime; }
mkfifo /tmp/in /tmp/out
"""


@dataclass
class Value:
    """One measured number. most: the largest value that the project accepts, if there is one."""

    name: str
    value: float
    unit: str
    most: float | None = None


@dataclass
class Steps:
    """What was seen. A mark is "before NAME" or "after NAME"."""

    names: tuple
    times: dict = field(default_factory=dict)  # {label: seconds}
    stats: dict = field(default_factory=dict)  # {mark: counters}
    results: dict = field(default_factory=dict)  # {name: {"requests": ..., "bytes": ..., "us": ...}}
    instructions: dict = field(default_factory=dict)  # {mark: of the whole machine}, if they were counted

    def marks(self):
        """In their order."""
        return [f"{when} {name}" for name in ("nothing", *self.names) for when in ("before", "after")]

    def take(self, console):
        """What the root has said."""
        step = None
        for line in console.replace("\r", "").split("\n"):
            word, _, rest = line.partition(" ")
            if word == "@time":
                label, _, value = rest.partition(" ")
                self.times[label] = float(value)
            elif word == "@step":
                step = " ".join(rest.split()[:2])
                numbers = dict(re.findall(r"(\w+)=(\d+)", rest))
                if numbers:
                    self.results[step.split()[1]] = {k: int(v) for k, v in numbers.items()}
            elif word == "@stat":
                self.stats[step] = json.loads(rest)

    def exits(self, name):
        """{reason: exits of all VPs during the step}, without what a step of nothing costs."""
        nothing = self._exits("nothing")
        return {reason: max(count - nothing.get(reason, 0), 0) for reason, count in self._exits(name).items()}

    def _exits(self, name):
        before, after = self.stats[f"before {name}"], self.stats[f"after {name}"]
        found = {}
        for key, value in after.items():
            match = re.fullmatch(r"vp\d+\.exits\.(\w+)", key)
            if match:
                found[match[1]] = found.get(match[1], 0) + value - before.get(key, 0)
        return found

    def spent(self, name):
        """Instructions of the step, without what a step of nothing costs."""
        def during(step):
            return self.instructions[f"after {step}"] - self.instructions[f"before {step}"]
        return during(name) - during("nothing")


def boot(name, options, root_kernel, directory, prepare_session=None):
    """A run that must end well."""
    ui.say(f"measuring: {name}")
    result = runs.start(options, root_kernel, directory, False, prepare_session)
    runs.require_success(result, name)
    return result


def follow(names, options, root_kernel, fill, count=False):
    """Boots, and goes through the steps with these names; options.script calls FOLLOW's. fill(options,
    directory) completes the options. count: instructions, too (with COUNTED). Returns the Steps."""
    steps = Steps(tuple(names))

    def reached(mark, session, directory):
        if count:
            steps.instructions[mark], = struct.unpack("<Q", (directory / "count").read_bytes())
        session.type("\n")

    with runs.Directory(options.name) as directory:
        if count:
            options.plugin = f"{COUNT_PLUGIN},out={directory / 'count'}"
        fill(options, directory)

        def prepare_session(session):
            for mark in steps.marks():
                session.when(f"@step {mark}", lambda _, mark=mark: reached(mark, session, directory))

        steps.take(boot(options.name, options, root_kernel, directory, prepare_session).console)
    return steps
