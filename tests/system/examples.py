# SPDX-License-Identifier: BSD-2-Clause
"""The examples on the guest SDK, on Lumen. (On KVM: kvm.py.)"""

import re

from lumen import bench, examples

TEXT_MAX = 12 << 10  # of hello, with all that it links: what the README promises

# example NAME PROCESSORS STATUS [OPTIONS]: runs it to its end, which is to have this status.
PRELUDE = r"""
example()
{
	name=$1-$2 kernel=$1 cpus=$2 wanted=$3
	shift 3
	lumenctl create "$JOB-$name" --kernel "$FILES/$kernel" --memory 64M --cpus "$cpus" "$@" || exit 1
	lumenctl start "$JOB-$name" || exit 1
	lumenctl wait "$JOB-$name" >wait.log 2>&1
	status=$?
	echo "=== $name $status"
	tr -d '\r' <"/run/lumen/$JOB-$name/console.log"
	[ $status = "$wanted" ] || { cat wait.log; exit 1; }
}
"""


def _job(t, script, **options):
    files = {name: examples.kernel(name) for name in examples.KERNELS}
    return t.shared_root(PRELUDE + script, files=files, memory=128, **options)


def _consoles(t, result):
    t.equal(result.status, 0, "status of the script")
    return dict(re.findall(r"^=== (\S+) \d+\n(.*?)(?=^===|\Z)", result.console, re.M | re.S))


def _check(t, console, wanted):
    """An example says these things, and that all is well."""
    for text in (*wanted, "PASS: ", "kernel: exit status 0"):
        t.contains(console, text)
    t.check("FAIL: " not in console, "a check has failed")


HELLO = ("the clock does not go backwards", "Hello from VP 0.")
TICK = ("message: 10 ticks have come", "direct: 10 ticks have come")
SMP = ("processor {last} runs", "interrupts by ICR: {last} of {last}",
       "interrupts by hypercall: {last} of {last}", "{all} of {all} see the new one after a flush")


def _smp(processors):
    return [text.format(last=processors - 1, all=processors) for text in SMP]


def test_on_lumen(t):
    """hello, tick and smp, one after the other, on 1 to 4 processors."""
    result = yield _job(t, """
example hello 1 0
example tick 1 0
example tick 2 0
example smp 2 0
example smp 4 0
""")
    seen = _consoles(t, result)
    t.equal(len(seen), 5, "examples that ran")
    _check(t, seen["hello-1"], ("It is Lumen", "the reference TSC page", *HELLO))
    _check(t, seen["tick-1"], TICK)
    _check(t, seen["tick-2"], TICK)
    _check(t, seen["smp-2"], _smp(2))
    _check(t, seen["smp-4"], _smp(4))


def test_disk(t):
    """disk finds partitions, reads files and writes a block, twice; it is in the image then. Without
    a disk it says so."""
    image = t.copy_of(examples.pristine_disk(), "disk.img")
    before = image.read_bytes()
    result = yield _job(t, """
example disk 1 0 --disk $DISK0
example disk 2 0 --disk $DISK0
example disk 3 1
""", disks=[t.disk(image)])
    seen = _consoles(t, result)
    for name in ("disk-1", "disk-2"):
        _check(t, seen[name], (examples.GREETING, "all 120000 bytes of it are right",
                               "it is the same", "said goodbye"))
    t.contains(seen["disk-3"], "FAIL: the host offers a SCSI controller")
    start = examples.SCRATCH_START * examples.SECTOR
    end = start + examples.SECTOR
    wanted = (examples.WRITTEN * examples.SECTOR)[:examples.SECTOR].encode()
    after = image.read_bytes()
    t.equal(after[start:end], wanted, "the block that was written")
    t.check(after[:start] == before[:start] and after[end:] == before[end:], "other blocks changed")


def test_service(t):
    """service answers heartbeats, is told the time, and powers off when `lumenctl stop` says so; after
    `lumenctl restart` it is there again."""
    result = yield _job(t, """
# serves ANSWERS: waits until so many heartbeats are answered, and it knows the time
serves()
{
	tries=0
	until lumenctl stat "$JOB-service" | grep -q "^heartbeat.answers *[$1-9]" &&
		grep -q "It is" "/run/lumen/$JOB-service/console.log"; do
		tries=$((tries + 1))
		[ $tries -le 300 ] || { lumenctl stat "$JOB-service"; exit 1; }
		usleep 200000
	done
}
before=$(date +%s)
lumenctl create "$JOB-service" --kernel "$FILES/service" --memory 64M || exit 1
lumenctl start "$JOB-service" || exit 1
serves 1
worker() { lumenctl stat "$JOB-service" | sed -n 's/^pid //p'; }
first=$(worker)
lumenctl restart "$JOB-service" || { cat "/run/lumen/$JOB-service/log"; exit 1; }
serves 2
[ "$(worker)" != "$first" ] || { echo "It is the same one."; exit 1; }
lumenctl stop "$JOB-service" || exit 1
lumenctl wait "$JOB-service" >wait.log 2>&1
echo "=== service $?"
tr -d '\\r' <"/run/lumen/$JOB-service/console.log"
echo "=== clock $before"
date +%s
""")
    seen = _consoles(t, result)
    _check(t, seen["service"], ("can be stopped", "has a heartbeat", "Serving.", "said goodbye",
                                "The host wants me to power off."))
    before, after = (int(text) for text in re.search(r"=== clock (\d+)\n(\d+)", result.console).groups())
    said = re.search(r"It is (\d+) s after", seen["service"])
    t.check(said and before <= int(said[1]) <= after, "it does not know what time it is")


def test_size(t):
    """hello is as small as the README says."""
    text = bench.text_and_rodata(examples.kernel("hello"))
    t.check(0 < text <= TEXT_MAX, f"hello has {text} bytes of text")
    t.note(f"{text} bytes of text and read-only data")
