# SPDX-License-Identifier: BSD-2-Clause
"""Several children: what happens to one is nothing to the others, and all of it comes back."""

import re

from lumen.status import number_from_environment

ROUNDS = number_from_environment("CHILDREN_ROUNDS", 3)  # of test_again_and_again

# Shell functions for scripts that run in the root.
PRELUDE = r"""
fail() { echo "FAIL: $1"; [ -z "$2" ] || tail -n 20 "/run/lumen/$2/console.log" "/run/lumen/$2/log"; exit 1; }

# child NAME DISK ACTION [ARGUMENTS]: starts examples/linux on a disk (none for "-")
child()
{
	name=$1 disk=$2 action=$3
	shift 3
	[ "$disk" = - ] || set -- --disk "/dev/lumen-disk$disk" "$@"
	lumenctl create "$name" --kernel /lumen/kernel --initrd /lumen/initrd --memory 256M \
		--append "console=ttyS0 quiet lumen.action=$action $MORE" "$@" || fail "create $name"
	lumenctl start "$name" || fail "start $name"
}

# until_says NAME TEXT: waits (at most 2 minutes) until the child's console says it
until_says()
{
	tries=0
	until grep -q "$2" "/run/lumen/$1/console.log" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -le 1200 ] || fail "$1 does not say $2" "$1"
		usleep 100000
	done
}

# ends NAME STATUS: waits for the child's end
ends()
{
	lumenctl wait "$1" >/tmp/wait.log 2>&1
	status=$?
	[ $status = "$2" ] || { cat /tmp/wait.log; fail "$1 ended with $status, not $2" "$1"; }
}

worker_of()
{
	for process in /proc/[0-9]*; do
		if grep -q "lumen-worker.*/run/lumen/$1" "$process/cmdline" 2>/dev/null; then
			echo "${process#/proc/}"
			return
		fi
	done
	fail "$1 has no worker"
}

# What is available, and what processors keep in their lists of free pages: MemAvailable leaves
# those out, and they hold up to 22 MiB each.
free_kib()
{
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^MemAvailable:/ { kib += $2 } $1 == "count:" { kib += 4 * $2 } END { print kib }' \
		/proc/meminfo /proc/zoneinfo
}
"""


def _disks(t, count):
    """Copies of the example's disk."""
    kernel, initrd, pristine = t.example_files()
    return {"kernel": kernel, "initrd": initrd, "memory": 320 * count,
            "disks": [t.disk(t.copy_of(pristine, f"disk{i}.img")) for i in range(count)]}


def _beside(t, middle, timeout=400):
    """A busy child, and beside it something that goes wrong in another one; the first must not notice."""
    result = t.root(PRELUDE + 'MORE="lumen.rounds=4"\nchild steady 0 busy\nMORE=\n' + middle + """
ends steady 0
grep -q "PASS: 4 rounds" /run/lumen/steady/console.log || fail "steady did not finish" steady
ls /dev/mshv >/dev/null || fail "no /dev/mshv"
! dmesg | grep -E 'BUG:|Oops|WARNING:' || fail "the root's kernel complains"
""", timeout=timeout, **_disks(t, 2))
    t.equal(result.status, 0, "status of the script")


def test_disk_that_is_no_raw_one(t):
    """An image of another format is refused, with the command that converts it, unless it is insisted on."""
    kernel, initrd, _ = t.example_files()
    result = t.root(PRELUDE + r"""
truncate -s 1M /tmp/head.img /tmp/tail.img
printf 'QFI\373\0\0\0\3' | dd of=/tmp/head.img conv=notrunc 2>/dev/null
printf conectix | dd of=/tmp/tail.img conv=notrunc bs=1 seek=$((1048576 - 512)) 2>/dev/null
for disk in head tail; do
	lumenctl create $disk --kernel /lumen/kernel --disk /tmp/$disk.img || fail "create $disk"
	lumenctl start $disk 2>/tmp/$disk.says
	[ $? = 122 ] || fail "start $disk"
	cat /tmp/$disk.says
	lumenctl delete $disk
	lumenctl create $disk --kernel /lumen/kernel --disk /tmp/$disk.img,format=raw,ro || fail "insist on $disk"
	lumenctl start $disk || fail "start $disk as raw"
	lumenctl kill $disk
done
""", kernel=kernel, initrd=initrd)
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "qemu-img convert -f qcow2 -O raw /tmp/head.img")
    t.contains(result.console, "qemu-img convert -f vpc -O raw /tmp/tail.img")


def test_two_busy(t):
    """Two children with a disk each, both busy: the data of both is right."""
    _beside(t, 'MORE="lumen.rounds=4"\nchild other 1 busy\nends other 0\n')


def test_one_panics(t):
    """One panics beside a busy one."""
    _beside(t, "child other 1 panic\nends other 120\n")


def test_one_worker_is_killed(t):
    """The worker of one is killed with -9 while both are busy."""
    _beside(t, """
MORE="lumen.rounds=1000"
child other 1 busy
until_says other "round 1 of"
kill -9 "$(worker_of other)"
ends other 123
""")


def test_one_is_killed(t):
    """lumenctl kill ends a child that is busy, and only that one."""
    _beside(t, """
MORE="lumen.rounds=1000"
child other 1 busy
until_says other "round 1 of"
lumenctl kill other || fail "kill"
ends other 123
lumenctl delete other || fail "delete"
! lumenctl list | grep -q other || fail "other is still listed"
""")


def test_stop(t):
    """lumenctl stop has a busy child power off in order, and waits for it. Its disk is nobody else's."""
    result = t.root(PRELUDE + """
MORE="lumen.rounds=1000"
child busy 0 busy
until_says busy "round 1 of"
mknod /twin b $(tr : " " <"/sys/class/block/$(readlink /dev/lumen-disk0)/dev") || fail "mknod"
for option in rw ro; do
	lumenctl create twin --kernel /lumen/kernel --memory 128M --disk "/twin,$option" || fail "create twin"
	! lumenctl start twin || fail "two children have one disk ($option)"
	lumenctl delete twin || fail "delete twin"
done
lumenctl stop busy || fail "stop" busy
lumenctl list
ends busy 0
grep "asked to power off: the child does" /run/lumen/busy/log || fail "it was not asked" busy
! lumenctl stop busy || fail "stop of a child that does not run"
""", timeout=200, **_disks(t, 1))
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "The child busy does not run.")
    t.contains(result.console, "The disk /twin is in use")


def test_again_and_again(t):
    """All that children had is back, by the driver's counters and the root's memory."""
    result = t.root(PRELUDE + """
once() { child "$1" 0 nothing; ends "$1" 0; lumenctl delete "$1" || fail "delete"; }
counters() { (cd /sys/class/misc/mshv && grep . partitions vps ports connections *_pages); }
once warm
counters >/tmp/before
before=$(free_kib)
i=0
while [ $((i += 1)) -le %d ]; do once "round$i"; echo "round $i is over"; done
after=$(free_kib)
counters >/tmp/after
cat /tmp/after
echo "$((i - 1)) rounds, $before KiB free before, $after KiB after"
cmp /tmp/before /tmp/after || { cat /tmp/before; fail "counters differ"; }
[ $((before - after)) -lt 1024 ] || fail "memory is missing"
""" % ROUNDS, timeout=200 + 40 * ROUNDS, **_disks(t, 1))
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "partitions:0")
    t.note(re.search(r"\d+ rounds,.*", result.console)[0].strip())


def test_synced_data_survives_a_killed_worker(t):
    """What a child synced before its worker was killed is there after the next boot."""
    result = t.root(PRELUDE + """
child writer 0 journal
until_says writer "journal: 12 synced"
kill -9 "$(worker_of writer)"
ends writer 123
last=$(sed -n 's/.*journal: \\([0-9]*\\) synced.*/\\1/p' /run/lumen/writer/console.log | tail -n 1)
echo "synced: $last"
MORE="lumen.records=$last"
child reader 0 journal-verify
ends reader 0
tr -d '\\r' </run/lumen/reader/console.log
""", timeout=400, **_disks(t, 1))
    t.equal(result.status, 0, "status of the script")
    synced = re.search(r"synced: (\d+)", result.console)
    t.check(synced and int(synced[1]) >= 12, "no records were synced")
    t.contains(result.console, f"PASS: {synced[1]} records")
    t.contains(result.console, "recovery")


def test_reading_takes_no_emulation(t):
    """While a child reads 256 MiB from its disk it makes no port or memory access that is emulated."""
    result = t.root(PRELUDE + """
MORE=lumen.mib=1000000
child reader 0 read
until_says reader "read: start"
read_mib()
{
	bytes=$(lumenctl stat reader | sed -n 's/^disk0.read.bytes //p')
	[ -n "$bytes" ] || fail "no counter of bytes read" reader
	echo $((bytes >> 20))
}
# until_read MIB: waits until that much has been read
until_read()
{
	tries=0
	until [ "$(read_mib)" -ge "$1" ]; do
		tries=$((tries + 1))
		[ $tries -le 600 ] || fail "it does not read" reader
		usleep 100000
	done
}
stat() { lumenctl stat reader | grep -E '^vp[0-9]+.(exits|VpApicMmio)|^disk0.read.bytes' | sed "s/^/$1 /"; }
until_read $(($(read_mib) + 16)) # the last line on the console is out by then
stat before
until_read $(($(read_mib) + 256))
stat after
lumenctl kill reader || fail "kill"
ends reader 123
""", timeout=300, **_disks(t, 1))
    t.equal(result.status, 0, "status of the script")
    during = {}
    for when, name, count in re.findall(r"(before|after) (\S+) (\d+)", result.console):
        name = name.rpartition(".")[2]
        during[name] = during.get(name, 0) + int(count) * (1 if when == "after" else -1)
    t.check(during["bytes"] >= 256 << 20, f"too little was read: {during}")
    t.check(during["hypercall"] > 0, f"no hypercalls were counted: {during}")
    for reason in ("io", "gpa_fault", "VpApicMmioAccesses"):
        t.equal(during.get(reason, 0), 0, f"exits for {reason} ({during})")
    t.note("counts: " + ", ".join(f"{name} {n}" for name, n in sorted(during.items())))
