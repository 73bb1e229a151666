# SPDX-License-Identifier: BSD-2-Clause
"""What a child that wants all of a processor gets of it, and what is left for the root."""

import re

from lumen import paths

SPIN = paths.RELEASE / "tests/guests/guest-spin"

SCRIPT = r"""
now() { read -r up _ </proc/uptime; up="${up%.*}${up#*.}"; } # in hundredths of a second

# work NAME: says how long a loop of the shell's took
work()
{
	now
	began=$up i=0
	while [ $i -lt 100000 ]; do i=$((i + 1)); done
	now
	echo "WORK $1 $((up - began))"
}

# How much the child's VPs have run, in hundredths of a second
ran() { lumenctl stat "$1" | awk '/VpTotalRunTime/ { sum += $NF } END { printf "%.0f", sum / 100000 }'; }

# beside NAME COMMAND: how much the child ran while the command did
beside()
{
	before=$(ran "$1")
	now
	since=$up
	$2 "$1"
	now
	ran=$(($(ran "$1") - before)) passed=$((up - since))
	echo "RAN $1 $ran $passed"
}

# spinning NAME OPTION...: a child all of whose VPs spin
spinning()
{
	lumenctl create "$@" --kernel /lumen/spin --memory 32M || exit 1
	lumenctl start "$1" || exit 1
	tries=0
	until grep -q "interrupts are off" "/run/lumen/$1/console.log"; do
		[ $((tries += 1)) -lt 1000 ] || exit 2
		usleep 20000
	done
}

nap() { usleep 4000000; }

killed()
{
	now
	since=$up
	lumenctl kill "$1" || exit 3
	now
	echo "KILL $1 $((up - since))"
}
"""

CAPPED = 2 * 20 + 5  # percent of a processor that two VPs with a cap of 20 may have

CROWD = SCRIPT + r"""
work alone
spinning crowd --cpus 24
beside crowd work
killed crowd
spinning capped --cpus 2 --cpu-cap 20
# A cap counts turns; if the host takes the machine's processor away in the midst of some they are long.
for try in 1 2 3 4 5; do
	beside capped nap
	[ $((ran * 100)) -gt $((%d * passed)) ] || break
done
killed capped
""" % CAPPED


def _numbers(result, word):
    return {name: [int(number) for number in numbers.split()]
            for name, numbers in re.findall(rf"^{word} (\S+) ([\d ]+)", result.console, re.MULTILINE)}


def test_one_processor(t):
    """24 VPs that spin take no more of the root's processor than one would; and a cap is a cap."""
    result = t.root(CROWD, files={"spin": SPIN}, memory=64, root_cpus=1, timeout=240)
    t.equal(result.status, 0, "status of the script")
    work, ran, kills = (_numbers(result, word) for word in ("WORK", "RAN", "KILL"))
    (alone,), (beside,) = work["alone"], work["crowd"]
    t.note(f"a loop took {alone / 100} s alone and {beside / 100} beside 24 VPs")
    t.check(beside <= 4 * alone, f"a loop took {alone / 100} s alone, {beside / 100} beside 24 VPs")
    for name, percent in (("crowd", 55), ("capped", CAPPED)):
        child, time = ran[name]
        t.check(child * 100 <= percent * time, f"{name} ran {child} of {time} hundredths of a second")
        t.check(kills[name][0] <= 500, f"killing {name} took {kills[name][0]} hundredths of a second")
