# SPDX-License-Identifier: BSD-2-Clause
"""A worker that has been taken over (tests/trapdoor/): what it can reach of the rest."""

import re

from lumen import paths

TRAPDOOR = paths.RELEASE / "tests/trapdoor/lumen-worker-trapdoor"
GUEST = paths.RELEASE / "tests/guests/guest-trapdoor"
SPIN = paths.RELEASE / "tests/guests/guest-spin"

# A victim with the worker as it is, then a child that has the other one's trapdoor opened.
PRELUDE = r"""
# worker_of NAME: the process that its supervisor has started
worker_of()
{
	supervisor=$(lumenctl stat "$1" | sed -n 's/^pid //p')
	for process in /proc/[0-9]*; do
		! grep -q "^PPid:.$supervisor\$" "$process/status" 2>/dev/null || echo "${process#/proc/}"
	done
}
"""

SCRIPT = r"""
fail() { echo "FAIL: $1"; exit 1; }
lumenctl create ${MINE}victim --kernel "$FILES/spin" --memory 64M || fail "create victim"
lumenctl start ${MINE}victim || fail "start victim"
worker=$(worker_of ${MINE}victim)
sed 's/^/worker: /' /proc/$worker/status
ls -l /proc/$worker/fd | sed 's/^/fd: /'
for n in mnt net pid ipc uts; do
	[ "$(readlink /proc/$worker/ns/$n)" != "$(readlink /proc/1/ns/$n)" ] || fail "namespace $n"
done

truncate -s 1M disk
export TRAPDOOR="%s" LUMEN_WORKER="$FILES/worker"
for command in %s; do
	name=${MINE}attacker$command
	lumenctl create $name --kernel "$FILES/guest" --memory 64M --disk disk --test-devices \
		--append "trapdoor=$command" || fail "create $name"
	# It may be over before lumenctl has heard that it runs: then start says how it ended.
	lumenctl start $name && lumenctl wait $name
	echo "attacker$command ended with $?"
	cat /run/lumen/$name/log
done
lumenctl list
lumenctl kill ${MINE}victim || fail "kill victim"
"""


FILES = {"worker": TRAPDOOR, "guest": GUEST, "spin": SPIN}


def _console(t, result):
    t.equal(result.status, 0, "status of the script")
    t.check(re.search(r"^\S*victim +running", result.console, re.M), "the victim does not run")
    return result.console


def _attack(t, overcome):
    """What has been taken over looks for its victim by the name of it: no shared root has such a name."""
    script = "MINE= FILES=/lumen\ncd /tmp\n" + PRELUDE + SCRIPT % (overcome, "1")
    return _console(t, t.root(script, memory=192, files=FILES))


def _nothing_done(t, console, least):
    successes = re.findall(r"trapdoor: (.*): DONE", console)
    t.equal(successes, [], "what it could do")
    summary = re.search(r"trapdoor: (\d+) tried, (\d+) done", console)
    t.check(summary, "it did not try everything")
    t.check(int(summary[1]) >= least, f"only {summary[1]} were tried")
    t.note(summary[0])


def test_taken_over(t):
    """It can open, signal, reach, make or execute nothing, though it goes on after each refusal."""
    console = _attack(t, "faults")
    _nothing_done(t, console, 49)
    t.contains(console, "attacker1 ended with 0")
    through = re.search(r"trapdoor: (\d+) of 470 calls let through", console)
    t.check(through and int(through[1]) <= 38, "too many system calls are let through")
    status = dict(re.findall(r"worker: (\w+):\t(.*?)\r?$", console, re.M))
    t.check(all(0x4c550000 < int(i) < 0x4c560000 for i in status["Uid"].split()), f"uid {status['Uid']}")
    t.equal(status["Groups"].strip(), "", "groups")
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        t.equal(int(status[capabilities], 16), 0, capabilities)
    t.equal((status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]), ("1", "2", "1"), "modes")
    t.check("/dev/mshv" not in "".join(re.findall(r"fd: (.*)", console)), "the driver is open")


def test_taken_over_without_the_list_of_calls(t):
    """Ids, namespaces and limits hold alone: what is outside of the process stays out of reach."""
    _nothing_done(t, _attack(t, "faults,calls"), 29)


def test_faults_are_reported(t):
    """A system call that is not on the list, a bad pointer, abort(), a smashed stack: each ends the child,
    and only that one, with a sentence that says which."""
    result = yield t.shared_root("MINE=$JOB-\n" + PRELUDE + SCRIPT % ("", "2 3 4 5"), files=FILES, memory=192)
    console = _console(t, result)
    for command, sentence in ((2, "The worker made a system call that it must not make: 257("),
                              (3, "The worker failed: signal 11, address 0x3,"),
                              (4, "The worker failed: signal 6,"), (5, "stack smashing detected")):
        t.contains(console, f"attacker{command} ended with 123")
        t.contains(console, sentence)


def test_ids_are_not_shared(t):
    """Children that run at once have a user id each."""
    result = yield t.shared_root(PRELUDE + r"""
for name in a b c; do
	lumenctl create $JOB-$name --kernel "$FILES/spin" --memory 64M || exit 1
	lumenctl start $JOB-$name || exit 1
done
for name in a b c; do
	echo "id $(sed -n 's/^Uid:.//p' "/proc/$(worker_of $JOB-$name)/status")"
done
for name in a b c; do
	kill -9 "$(lumenctl stat $JOB-$name | sed -n 's/^pid //p')"
	lumenctl wait $JOB-$name
done
lumenctl list
""", memory=320, files={"spin": SPIN})
    t.equal(result.status, 0, "status of the script")
    ids = re.findall(r"^id (\d+)", result.console, re.M)
    t.equal((len(ids), len(set(ids))), (3, 3), f"ids {ids}")
    t.equal(len(re.findall(r"^job\d+-[abc] +lost", result.console, re.M)), 3, "children that are lost")
