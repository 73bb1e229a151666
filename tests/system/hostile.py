# SPDX-License-Identifier: BSD-2-Clause
"""Children that attack (tests/guests/hostile): whatever one does, the root answers within a second,
lumenctl ends the child within five, and what it had is back."""

import re
import time
from collections import Counter

from lumen import paths, rootscript
from lumen.status import number_from_environment

HOSTILE = paths.RELEASE / "tests/guests/guest-hostile"
GAP = 100  # hundredths of a second that the root may be away
KILL = 500  # the same for lumenctl kill
SECONDS = number_from_environment("HOSTILE_SECONDS", 30)  # of random children, in each of their tests
SEED = number_from_environment("HOSTILE_SEED", int(time.time()) % 1000000 + 1)  # of the first one

# The modes, and how each may end by itself: a status, or "-" if it goes on until it is killed ("|": or). A
# stack or table where none can be ends in a triple fault (120), as it does on a processor.
MODES = {
    "stack-hypercall": 120, "stack-tsc": 120, "stack-apic": 120, "stack-sim": "-", "stack-hole": 120,
    "handled-hypercall": "-", "handled-apic": "-",
    "interrupt-hypercall": 120, "interrupt-apic": 120, "interrupt-hole": 120,
    "cr3-hypercall": 120, "cr3-tsc": 120, "cr3-apic": 120, "cr3-sim": "-", "cr3-hole": 120,
    "walk-hypercall": "-", "walk-apic": "-", "walk-hole": 120,
    "idt-hypercall": 120, "idt-apic": 120, "idt-sim": "-", "idt-hole": 120,
    "gdt-hypercall": 120, "gdt-apic": 120, "gdt-sim": "-", "gdt-hole": 120,
    "ac-in-ac": "-",  # not db-own-stack: it ends QEMU 7.2 (docs/hacking.md)
    "step-halt": 0, "int1": 0, "iret-faults": 0,
}

# Those that are not about the processor that root and child share.
MORE_MODES = {
    "tour": 0, "flood-caches": "-", "flood-bits": "-", "flood-starts": "-", "flood-lines": "-",
    "flood-entries": "-", "write-same": "-", "broken-channel": 0, "posts": "-|120", "posts-and-halts": "-",
}

# More options of lumenctl create, and what happens before the child is killed: a function of MODE_SCRIPT.
OPTIONS = {
    "tour": "--memory 256M", "flood-caches": "--cpus 2", "flood-bits": "--cpus 2", "flood-starts": "--cpus 3",
    "flood-lines": "--cpus 2", "flood-entries": "--cpus 2", "write-same": "--disk /tmp/disk",
    "broken-channel": "--disk /tmp/disk", "move-apart": "--cpus 4 --memory 32M",
}
BEFORE_KILL = {"posts-and-halts": "costs_nothing", "flood-lines": "idle_connections"}

PRELUDE = rootscript.RESOURCES + rootscript.HEART + r"""
fail() { echo "FAIL: $1"; exit 1; }

# says NAME TEXT: waits until the child's console says it
says()
{
	now
	until_up=$((up + 2000))
	until grep -q "$2" "/run/lumen/$1/console.log" || [ $up -gt $until_up ]; do
		usleep 20000
		now
	done
}

# gone PID HUNDREDTHS: waits for a process's end; false: it goes on
gone()
{
	now
	until_up=$((up + $2))
	while [ -e /proc/$1 ]; do
		[ $up -le $until_up ] || return 1
		usleep 20000
		now
	done
}

# lives NAME SECONDS BEFORE OPTION...: a child of that name, for as long, or until it ends; BEFORE is called
# before it is killed. Then $status is how it ended, - if it was killed, $end the time that this took, and
# $gap that of the root's heart.
lives()
{
	name=$1 limit=$2 before=$3 idle=
	shift 3
	heart_begin
	lumenctl create "$name" --kernel /lumen/hostile "$@" || fail "create $name"
	lumenctl start "$name" || fail "start $name"
	says "$name" "^hostile: "
	lumenctl wait "$name" >/tmp/wait.log 2>&1 &
	waiter=$!
	gone $waiter $((limit * 100)) || ${before:-:}
	now
	start=$up
	! lumenctl kill "$name" 2>/tmp/kill.log || killed=yes
	gone $waiter 1000 || fail "$name does not end: $(cat /tmp/kill.log)"
	wait $waiter
	status=$?
	now
	end=$((up - start))
	[ -z "$killed" ] || status=-
	killed=
	heart_end
	[ -z "$idle" ] || kill -9 $idle
}
"""

MODE_SCRIPT = r"""
# Processor time in hundredths of a second: of the child's worker and supervisor, and of all of the root.
worker_ticks()
{
	for process in /proc/[0-9]*; do
		if grep -q "lumen-worker.*/run/lumen/$name" "$process/cmdline" 2>/dev/null; then
			cut -d" " -f14,15 "$process/stat"
		fi
	done | awk '{ sum += $1 + $2 } END { print sum + 0 }'
}

root_ticks() { read -r _ user nice system _ _ irq softirq _ </proc/stat; root=$((user + nice + system + irq + softirq)); }

# The child halts, with messages for it and from it still under way: that costs nothing, once they are taken.
costs_nothing()
{
	says "$name" "messages were taken"
	heart_end
	sleep 1
	worker=$(worker_ticks)
	root_ticks
	root_before=$root
	sleep 2
	root_ticks
	echo "COST $worker $(worker_ticks) $root_before $root"
}

# Clients of the child's console that neither read nor go.
idle_connections()
{
	for i in 1 2 3 4; do
		lumenctl console "$name" </dev/zero >/dev/null 2>&1 &
		idle="$idle $!"
	done
	usleep 300000
	kill -STOP $idle
}

attack()
{
	mode=$1 wanted=$2 before=$3
	shift 3
	case "$wanted" in -*) limit=2 ;; *) limit=60 ;; esac
	lives "$mode" "$limit" "$before" --memory 16M --append "mode=$mode" "$@"
	echo "MODE $mode $status gap $gap end $end wanted $wanted"
	case "|$wanted|" in
	*"|$status|"*) ;;
	*) cat /tmp/wait.log; tail -n 8 "/run/lumen/$mode/console.log" "/run/lumen/$mode/log" ;;
	esac
	lumenctl delete "$mode"
}

# Twice if the root was away: the host may have been busy, and a processor that a child holds is not
# given back the second time either.
hostile() { attack "$@"; [ "$gap" -le 100 ] || attack "$@"; }

truncate -s 16M /tmp/disk
"""

RANDOM_SCRIPT = r"""
# random SEED: a child that does random things, for 2 to 6 seconds: an odd one as a processor, an even one
# as a guest of the worker. What it had has to be back then.
random()
{
	seconds=$((2 + $1 % 5))
	if [ $(($1 % 2)) = 1 ]; then
		lives random $seconds "" --memory 32M --cpus 3 --append "mode=random seed=$1"
	else
		lives random $seconds "" --memory 32M --disk /tmp/disk --disk /tmp/read-only,ro \
			--append "mode=random-bus seed=$1"
	fi
	echo "RANDOM $1 $status gap $gap end $end $(tail -n 1 /run/lumen/random/log)"
	grep -a '^random:.*=' /run/lumen/random/console.log | tail -n 1
	! grep -a "The worker failed\|system call that it must not make" /run/lumen/random/log || fail "the worker of seed $1"
	case $status in 122 | 123) cat /run/lumen/random/log; fail "status $status of seed $1" ;; esac
	lumenctl delete random || fail "delete"
	counters | cmp - /tmp/before || { counters; fail "something is left behind by seed $1"; }
	! dmesg | grep -E 'BUG:|Oops|WARNING:|Call Trace' || fail "the root's kernel complains after seed $1"
}

truncate -s 4M /tmp/read-only
dd if=/dev/urandom of=/tmp/disk bs=1M count=16 2>/dev/null # all of its memory is taken
counters >/tmp/before
now
seed=$SEED over=$((up + SECONDS * 100)) memory=
while now; [ "$up" -lt "$over" ]; do
	random $seed
	[ "$gap" -le 100 ] || random $seed # as above
	[ "$seed" -lt $((SEED + 2)) ] || memory=${memory:-$(free_kib)} # the first traces are no loss
	seed=$((seed + 1))
done
left=$(free_kib)
echo "MEMORY ${memory:=$left} $left"
[ $((memory - left)) -lt 2048 ] || fail "memory is missing"
"""


def _calls(modes):
    """The script's lines."""
    return "".join(f"hostile {mode} '{ends}' '{BEFORE_KILL.get(mode, '')}' {OPTIONS.get(mode, '')}\n"
                   for mode, ends in modes.items())


def _judge_modes(t, console, modes):
    lines = re.findall(r"MODE (\S+) (\S+) gap (\d+) end (\d+)", console)
    seen = {line[0]: line for line in lines}.values()  # the last of each
    t.equal([mode for mode, *_ in seen], list(modes), "modes")
    for mode, status, gap, end in seen:
        t.check(status in str(modes[mode]).split("|"), f"{mode} ended with {status}, not {modes[mode]}")
        t.check(int(gap) <= GAP, f"the root was away for {gap} hundredths of a second beside {mode}")
        t.check(int(end) <= KILL, f"killing {mode} took {end} hundredths of a second")
    t.note(f"longest gap {max(int(gap) for _, _, gap, _ in seen) / 100:.2f} s")


def _attack(t, modes, **options):
    """Run modes one after the other, each as a child, beside a heart that beats in the root."""
    result = t.root(PRELUDE + MODE_SCRIPT + _calls(modes), files={"hostile": HOSTILE}, memory=288,
                    timeout=60 + 20 * len(modes), **options)
    t.equal(result.status, 0, "status of the script")
    _judge_modes(t, result.console, modes)
    return result.console


def test_one_processor(t):
    """All modes on a machine with one processor, which root and child share."""
    _attack(t, MODES, root_cpus=1)


def test_two_processors(t):
    """All modes on a machine with two, and those that attack the worker, or flood."""
    console = _attack(t, MODES | MORE_MODES, root_cpus=2)
    worker, worker_after, root, root_after = map(int, re.search(r"COST (\d+) (\d+) (\d+) (\d+)", console).groups())
    worker, root = worker_after - worker, root_after - root
    t.check(worker <= 10 and root <= 40, f"a halted child costs its worker {worker} ticks in 2 s, the root {root}")
    t.note(f"{worker} ticks of a halted child's worker, {root} of the root")


def _judge_random(t, console):
    total, seen = {}, Counter()
    for line in re.findall(r"^random:(.*=.*)$", console, re.M):
        for name, *counts in re.findall(r"(\S+)=(\d+)/(\d+)/(\d+)", line):
            total[name] = [a + int(b) for a, b in zip(total.get(name, [0, 0, 0]), counts)]
            seen[name] += 1
    # A console on which a processor has written into another one's word says names that are none.
    total = {name: counts for name, counts in total.items() if seen[name] > max(seen.values()) // 10}
    children = re.findall(r"RANDOM (\d+) (\S+) gap (\d+) end (\d+)", console)
    gaps = {seed: int(gap) for seed, _, gap, _ in children}  # the last of each
    for seed, _, _, end in children:
        t.check(gaps[seed] <= GAP, f"the root was away for {gaps[seed]} hundredths of a second beside seed {seed}")
        t.check(int(end) <= KILL, f"killing seed {seed} took {end} hundredths of a second")
    done = [name for name, counts in total.items() if sum(counts)]
    t.note(f"seeds {SEED} to {children[-1][0]}; {sum(map(sum, total.values()))} actions; longest gap "
           f"{max(gaps.values()) / 100:.2f} s, kill {max(int(c[3]) for c in children) / 100:.2f} s")
    # Of both kinds. The last line of a child that is killed may be cut short: not all names are in each run.
    t.check({"call", "request"} <= set(done) and len(done) > 20, f"little was done: {total}")
    if SECONDS > 30:
        t.note(" ".join(f"{name}={'/'.join(map(str, counts))}" for name, counts in total.items()))


def _random(t, modes, root_cpus):
    """Modes, and then random children one after the other."""
    result = t.root(f"SEED={SEED} SECONDS={SECONDS}\n" + PRELUDE + MODE_SCRIPT + _calls(modes) + RANDOM_SCRIPT,
                    files={"hostile": HOSTILE}, memory=128, root_cpus=root_cpus, timeout=SECONDS + 200)
    t.note(f"HOSTILE_SEED={SEED}")
    t.equal(result.status, 0, "status of the script")
    if modes:
        _judge_modes(t, result.console, modes)
    _judge_random(t, result.console)


def test_random_two_processors(t):
    """Children that do random things, on a machine with two processors."""
    _random(t, {}, 2)


def test_random_three_processors(t):
    """The same on a machine with three; and VPs that move their pages where no memory is, while others make
    hypercalls nearby."""
    _random(t, {"move-apart": 0}, 3)
