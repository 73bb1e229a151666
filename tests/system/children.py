# SPDX-License-Identifier: BSD-2-Clause
"""Several children: what happens to one is nothing to the others, and all of it comes back."""

import re

from lumen import paths, rootscript
from lumen.status import number_from_environment

ROUNDS = number_from_environment("CHILDREN_ROUNDS", 3)  # of test_again_and_again
RECONNECT = paths.RELEASE / "tests/guests/guest-reconnect"
REBINDS = number_from_environment("REBIND_ROUNDS", 5)  # of test_rebind

# Shell functions for scripts that run in the root.
PRELUDE = r"""
fail() { echo "FAIL: $1"; [ -z "$2" ] || tail -n 20 "$(of "$2")/console.log" "$(of "$2")/log"; exit 1; }

# of NAME: the directory of this job's child
of() { echo "/run/lumen/$JOB-$1"; }

# child NAME DISK ACTION: starts examples/linux on a disk (the variable DISK0 and so on)
child()
{
	lumenctl create "$JOB-$1" --kernel "$FILES/kernel" --initrd "$FILES/initrd" --memory 256M $OPTIONS \
		--append "$LINUX quiet lumen.action=$3 $MORE" --disk "$2" || fail "create $1"
	lumenctl start "$JOB-$1" || fail "start $1"
}

# until_says NAME TEXT: waits (at most 5 minutes) until the child's console says it, or the child has ended
until_says()
{
	tries=0 ended=
	until said "/run/lumen/$JOB-$1/console.log" "$2"; do
		tries=$((tries + 1))
		[ $tries -le 1500 ] && [ -z "$ended" ] || fail "$1 does not say $2" "$1"
		started "/run/lumen/$JOB-$1" && usleep 200000 || ended=1
	done
}

# ends NAME STATUS: waits for the child's end
ends()
{
	lumenctl wait "$JOB-$1" >wait.log 2>&1
	status=$?
	[ $status = "$2" ] || { cat wait.log; fail "$1 ended with $status, not $2" "$1"; }
}

worker_of()
{
	for process in /proc/[0-9]*; do
		if grep -q "lumen-worker.*$(of "$1")" "$process/cmdline" 2>/dev/null; then
			echo "${process#/proc/}"
			return
		fi
	done
	fail "$1 has no worker"
}
""" + rootscript.RESOURCES + rootscript.LINES


# Without a shared root: what is the job's own there.
ALONE = """
export JOB=alone FILES=/lumen DISK0=/dev/lumen-disk0
cd /tmp
"""


# Options of a child with several processors, whose Linux opens a sub-channel for each but the first.
SUBS = 'OPTIONS="--cpus 4" MORE="hv_storvsc.storvsc_vcpus_per_sub_channel=1"\n'


def _job(t, script, disks, files=None, **options):
    """A job with so many copies of the example's disk."""
    kernel, initrd, pristine = t.example_files()
    files = {"kernel": kernel, "initrd": initrd, **(files or {})}
    return t.shared_root(PRELUDE + script, files=files, memory=320 * max(disks, 1),
                         disks=[t.disk(t.copy_of(pristine, f"disk{i}.img")) for i in range(disks)], **options)


def _alone(t, script, timeout):
    """The same without others, for what they would disturb."""
    kernel, initrd, pristine = t.example_files()
    return t.root(ALONE + PRELUDE + script, kernel=kernel, initrd=initrd, memory=320, timeout=timeout,
                  disks=[t.disk(t.copy_of(pristine, "disk.img"))])


def test_disk_that_is_no_raw_one(t):
    """An image of another format is refused, with the command that converts it, unless it is insisted on."""
    result = yield _job(t, r"""
truncate -s 1M head.img tail.img
printf 'QFI\373\0\0\0\3' | dd of=head.img conv=notrunc 2>/dev/null
printf conectix | dd of=tail.img conv=notrunc bs=1 seek=$((1048576 - 512)) 2>/dev/null
for disk in head tail; do
	lumenctl create "$JOB-$disk" --kernel "$FILES/kernel" --memory 128M \
		--disk "$FILES/$disk.img" || fail "create $disk"
	lumenctl start "$JOB-$disk" 2>$disk.says
	[ $? = 122 ] || fail "start $disk"
	cat $disk.says
	lumenctl delete "$JOB-$disk"
	lumenctl create "$JOB-$disk" --kernel "$FILES/kernel" --memory 128M \
		--disk "$FILES/$disk.img,format=raw,ro" || fail "insist on $disk"
	lumenctl start "$JOB-$disk" || fail "start $disk as raw"
	lumenctl kill "$JOB-$disk"
done
""", disks=0)
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "qemu-img convert -f qcow2 -O raw /run/jobs/")
    t.contains(result.console, "qemu-img convert -f vpc -O raw /run/jobs/")


def test_others_go_on(t):
    """Of four children one panics, the worker of one is killed with -9, and lumenctl kill ends one, the
    latter two while they are busy; what the last reads back is right all the time."""
    result = yield _job(t, """
MORE="lumen.rounds=1000"
child steady $DISK0 busy
child lost $DISK1 busy
child killed $DISK2 busy
child panics $DISK3 panic
ends panics 120
until_says lost "round 1 of .* right"
kill -9 "$(worker_of lost)"
ends lost 123
until_says killed "round 1 of .* right"
lumenctl kill "$JOB-killed" || fail "kill"
ends killed 123
lumenctl delete "$JOB-killed" || fail "delete"
! lumenctl list | grep "$JOB-killed" || fail "it is still listed"
rounds=$(grep -c "round .* right" "$(of steady)/console.log")
until_says steady "round $((rounds + 2)) of .* right"
lumenctl stop "$JOB-steady" || fail "stop" steady
ends steady 0
! grep FAIL "$(of steady)/console.log" || fail "steady has noticed" steady
ls /dev/mshv >/dev/null || fail "no /dev/mshv"
! dmesg | grep -E 'BUG:|Oops|WARNING:' || fail "the root's kernel complains"
""", disks=4, timeout=500)
    t.equal(result.status, 0, "status of the script")


def test_stop(t):
    """lumenctl stop has a busy child of several processors power off in order, and waits for it. It reads
    its disk, and reads it right, on sub-channels too. Its disk is nobody else's."""
    result = yield _job(t, SUBS + """
MORE="$MORE lumen.rounds=1000"
child busy $DISK0 busy
until_says busy "round 2 of .* right"
lumenctl stat "$JOB-busy" | grep "^scsi[.]\\|^vmbus.*scsi"
mknod twin b $(tr : " " <"/sys/class/block/$(readlink $DISK0)/dev") || fail "mknod"
for option in rw ro; do
	lumenctl create "$JOB-twin" --kernel "$FILES/kernel" --memory 96M --disk "$FILES/twin,$option" ||
		fail "create twin"
	! lumenctl start "$JOB-twin" || fail "two children have one disk ($option)"
	lumenctl delete "$JOB-twin" || fail "delete twin"
done
lumenctl stop "$JOB-busy" || fail "stop" busy
lumenctl list
ends busy 0
grep "stop: the child does" "$(of busy)/log" || fail "it was not asked" busy
! lumenctl stop "$JOB-busy" || fail "stop of a child that does not run"
""", disks=1)
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "-busy does not run.")
    t.contains(result.console, "/twin is in use")
    packets = [int(count) for count in re.findall(r"scsi\.sub\d\.packets (\d+)", result.console)]
    t.equal(len(packets), 3, "open sub-channels")
    t.check(sum(packets) > 0, "requests came on one channel only")
    t.note(f"packets on sub-channels: {packets}")


def test_clock(t):
    """A stock child's clock is the root's, by time synchronisation; its heart beats."""
    result = yield _job(t, """
before=$(date +%s)
child clock $DISK0 clock
ends clock 0
after=$(date +%s)
tr -d '\\r' <"$(of clock)/console.log" >/tmp/said
said=$(sed -n 's/.*clock: \\([0-9]*\\).*/\\1/p' /tmp/said)
echo "the child says $said, between $before and $after"
[ "$before" -le "$said" ] && [ "$said" -le "$after" ] || fail "its clock is not ours" clock
for what in "TimeSync IC version 4.0" "Heartbeat IC version 3.0"; do
	grep -q "$what" /tmp/said || fail "no $what" clock
done
""", disks=1)
    t.equal(result.status, 0, "status of the script")


def test_again_and_again(t):
    """All that children had is back, by the driver's counters and the root's memory; also what one had whose
    sub-channels were busy when it was killed."""
    result = _alone(t, SUBS + """
once() { child "$1" $DISK0 nothing; ends "$1" 0; lumenctl delete "$JOB-$1" || fail "delete"; }
once warm
counters >/tmp/before
before=$(free_kib)
i=0
while [ $((i += 1)) -le %d ]; do once "round$i"; echo "round $i is over"; done
MORE="$MORE lumen.rounds=1000"
child killed $DISK0 busy
until_says killed "round 1 of .* right"
lumenctl stat "$JOB-killed" | grep "^scsi.sub3"
lumenctl kill "$JOB-killed" || fail "kill"
ends killed 123
lumenctl delete "$JOB-killed" || fail "delete"
after=$(free_kib)
counters >/tmp/after
cat /tmp/after
echo "$((i - 1)) rounds, $before KiB free before, $after KiB after"
cmp /tmp/before /tmp/after || { cat /tmp/before; fail "counters differ"; }
[ $((before - after)) -lt 1024 ] || fail "memory is missing"
""" % ROUNDS, 300 + 60 * ROUNDS)
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "partitions:0")
    t.contains(result.console, "scsi.sub3.packets")
    t.note(re.search(r"\d+ rounds,.*", result.console)[0].strip())


def test_rebind(t):
    """A child takes its devices from their drivers and gives them back, again and again, or leaves VMBus and
    comes back; and its host takes devices away and gives them back, the disks with their sub-channels, too.
    Nothing is left of that in the worker."""
    result = yield _job(t, SUBS + """
# descriptors NAME: how many the child's processes have open. opened NAME: which of its channels are open.
descriptors()
{
	for process in $(grep -l "lumen-worker.*$(of "$1")" /proc/[0-9]*/cmdline); do
		ls "${process%%cmdline}fd" 2>/dev/null
	done | wc -l
}
opened() { lumenctl stat "$JOB-$1" | sed -n 's/^vmbus.channel[0-9]*[.]\\(.*\\).state open$/\\1/p' | sort; }

# same_as_before NAME: soon the same channels are open as in a child without all that; then so are descriptors.
same_as_before()
{
	tries=0
	until [ "$(opened "$1")" = "$were_open" ]; do
		[ $((tries += 1)) -le 600 ] || fail "open: $(opened "$1"), before: $were_open" "$1"
		usleep 100000
	done
	echo "$1: open:" $were_open "descriptors: $had before, $(descriptors "$1") after"
	[ "$(descriptors "$1")" = "$had" ] || fail "descriptors are left open" "$1"
	! grep "channel has failed\\|broke a rule" "$(of "$1")/log" || fail "a channel has failed" "$1"
}

passes() { until_says "$1" "PASS: \\|FAIL: "; ! grep "FAIL: " "$(of "$1")/console.log" || fail "FAIL" "$1"; grep "PASS: " "$(of "$1")/console.log"; }

stops() { lumenctl stop "$JOB-$1" || fail "stop" "$1"; ends "$1" 0; }

# reconnects NAME ROUNDS
reconnects()
{
	lumenctl create "$JOB-$1" --kernel "$FILES/reconnect" --memory 32M --append "rounds=$2" \
		--disk $DISK0 || fail "create $1"
	lumenctl start "$JOB-$1" || fail "start $1"
	passes "$1"
}

# attach NAME DEVICE: the host gives the device back when the child has let go of it
attach()
{
	tries=0
	until lumenctl attach "$JOB-$1" "$2"; do
		[ $((tries += 1)) -le 200 ] || fail "attach $2" "$1"
		usleep 50000
	done
}

subs=$MORE
MORE="$subs lumen.rounds=1000"
child host $DISK0 busy
until_says host "round 1 of .* right"
were_open=$(opened host) had=$(descriptors host) round=0
while [ $((round += 1)) -le %d ]; do
	for device in heartbeat timesync shutdown; do
		lumenctl detach "$JOB-host" $device || fail "detach $device" host
	done
	for device in heartbeat timesync shutdown; do attach host $device; done
done
same_as_before host
stops host
[ "$(grep -c 'the child has let go of it' "$(of host)/log")" -ge %d ] || fail "nothing was let go of" host

MORE="$subs lumen.ram lumen.rounds=%d"
child guest $DISK0 rebind
passes guest
same_as_before guest
lumenctl detach "$JOB-guest" scsi || fail "detach scsi" guest
attach guest scsi
same_as_before guest
lumenctl stat "$JOB-guest" | grep "^scsi.sub"
stops guest

reconnects once 1
were_open=$(opened once) had=$(descriptors once)
lumenctl kill "$JOB-once"
ends once 123
reconnects often %d
same_as_before often
""" % (REBINDS, 3 * REBINDS, REBINDS, REBINDS), disks=1, timeout=400 + 40 * REBINDS,
                  files={"reconnect": RECONNECT})
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, f"unbound and bound {REBINDS} times")
    t.contains(result.console, f"disconnected {REBINDS} of {REBINDS} times")
    t.contains(result.console, "scsi scsi scsi scsi")
    t.contains(result.console, "often: open: scsi")


def test_synced_data_survives_a_killed_worker(t):
    """What a child synced before its worker was killed is there after the next boot."""
    result = yield _job(t, """
child writer $DISK0 journal
until_says writer "journal: 12 synced"
kill -9 "$(worker_of writer)"
ends writer 123
last=$(sed -n 's/.*journal: \\([0-9]*\\) synced.*/\\1/p' "$(of writer)/console.log" | tail -n 1)
echo "synced: $last"
MORE="lumen.records=$last"
child reader $DISK0 journal-verify
ends reader 0
tr -d '\\r' <"$(of reader)/console.log"
""", disks=1, timeout=500)
    t.equal(result.status, 0, "status of the script")
    synced = re.search(r"synced: (\d+)", result.console)
    t.check(synced and int(synced[1]) >= 12, "no records were synced")
    t.contains(result.console, f"PASS: {synced[1]} records")
    t.contains(result.console, "recovery")


def test_reading_takes_no_emulation(t):
    """While a child reads 256 MiB from its disk it makes no port or memory access that is emulated."""
    result = yield _job(t, """
MORE=lumen.mib=1000000
child reader $DISK0 read
until_says reader "read: start"
read_mib()
{
	bytes=$(lumenctl stat "$JOB-reader" | sed -n 's/^disk0.read.bytes //p')
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
stat() { lumenctl stat "$JOB-reader" | grep -E '^vp[0-9]+.(exits|VpApicMmio)|^disk0.read.bytes' | sed "s/^/$1 /"; }
until_read $(($(read_mib) + 16)) # the last line on the console is out by then
stat before
until_read $(($(read_mib) + 256))
stat after
lumenctl kill "$JOB-reader" || fail "kill"
ends reader 123
""", disks=1)
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
