# SPDX-License-Identifier: BSD-2-Clause
"""The integration components, with a stock Linux and Debian's hyperv-daemons in the child."""

import subprocess

from lumen import rootscript
from lumen.status import number_from_environment

PAUSE = number_from_environment("INTEGRATION_PAUSE", 10)  # seconds for which the child stands still; 60 by hand

SCRIPT = r"""
cd /tmp
child=/run/lumen/child
fail() { echo "FAIL: $1"; tail -n 30 $child/console.log $child/log; exit 1; }

says() { complete $child/console.log | grep "integration: $1"; }

tell() { lumenctl set-kvp child do "$1" || fail "set-kvp do $1"; }

info_says() { lumenctl info child >info; grep "$1" info; }

number=0
clock_is_right()
{
	number=$((number + 1))
	before=$(date +%s)
	tell "clock$number"
	until_it "no clock" says "clock$number [0-9]"
	after=$(date +%s)
	set -- $(says "clock$number ")
	echo "clock: $3 between $before and $after, ahead by $4 us"
	[ "$before" -le "$3" ] && [ "$3" -le "$after" ] && [ "$4" -gt -10000 ] && [ "$4" -lt 10000 ]
}

worker()
{
	for process in /proc/[0-9]*; do
		! grep -q "lumen-worker" "$process/cmdline" 2>/dev/null || echo "${process#/proc/}"
	done
}

lumenctl create child --kernel /lumen/kernel --initrd /lumen/initrd --memory 256M \
	--append "$LINUX quiet lumen.action=integration" --disk /dev/lumen-disk0 || fail create
lumenctl start child || fail start
! lumenctl stop child --timeout 5 || fail "stop of a child without a driver yet"
until_it "not ready" says ready

# What it says of itself.
until_it "no heartbeat" info_says "^heartbeat.state ok"
until_it "no pairs" info_says "^kvp.auto.OSName Debian"
cat info
for what in "auto.FullyQualifiedDomainName lumen-child.example" "auto.NetworkAddressIPv4 .*10.1.2.3" \
	"auto.OSBuildNumber 6.1" "auto.OSMajorVersion 12" "auto.ProcessorArchitecture x86_64"; do
	grep -q "^kvp.$what" info || fail "info: $what"
done
for what in shutdown heartbeat timesync kvp vss fcopy; do
	grep -q "^$what.version" info || fail "no version of $what"
done
grep "^timesync.offset_us" info || fail "no clock offset"
lumenctl info child --json | grep '"kvp.auto.OSName": "Debian' || fail "json"
lumenctl list | grep "heartbeat ok" || fail "list"

# Pairs of ours.
lumenctl set-kvp child colour "deep blue" || fail "set-kvp"
tell colour
until_it "the value is not in the pool" says "deep blue"
info_says "^kvp.external.colour deep blue" || fail "info: colour"
lumenctl delete-kvp child colour || fail "delete-kvp"
! info_says "^kvp.external.colour" || fail "colour is still there"
! lumenctl delete-kvp child colour 2>error || fail "deleted twice"
grep "no such key" error || fail "why it cannot be deleted"
! lumenctl set-addresses child none 10.0.0.1 255.0.0.0 "" "" 2>error || fail "addresses of no adapter"
grep "no such adapter" error || fail "why it has no addresses"
lumenctl set-kvp child "two words" "a value" || fail "a key of two words"
info_says "^kvp.external.two?words a value" || fail "info: two words"
lumenctl delete-kvp child "two words" || fail "delete two words"
for number in 1 2 3 4 5; do
	lumenctl set-kvp child long$number "$(head -c 1000 /dev/zero | tr '\0' x)" || fail "a long value"
done
info_says "^kvp.left_out [1-9]" || fail "info: what was left out"

# A file.
head -c 300001 /dev/urandom >file
lumenctl copy-to child file /root/from/host/file || fail "copy-to"
tell sum
sum=$(md5sum <file)
until_it "the file's sum is wrong" grep "${sum%% *}" $child/console.log
: >empty
lumenctl copy-to child empty /root/from/empty || fail "copy-to of nothing"
! lumenctl copy-to child file /proc/no/such/folder || fail "copy-to where nothing can be"

# A copy between freeze and thaw.
lumenctl freeze child || fail freeze
dd if=/dev/lumen-disk0 of=/dev/lumen-disk1 bs=1M iflag=direct || fail copy
lumenctl thaw child || fail thaw

# A freeze that nobody waits for any more is none. Killed later and later, until it is under way then.
delay=0
until grep "freeze: There is nobody any more who waits for it" $child/log; do
	[ $((delay += 20000)) -le 1000000 ] || fail "no freeze was killed on its way"
	lumenctl thaw child || fail "thaw of one that is not frozen"
	lumenctl freeze child --timeout 3600 &
	usleep $delay
	kill -9 $!
	wait
	usleep 100000
done
until_it "it is still frozen" lumenctl copy-to child empty /root/thawed --timeout 2

# The clock: at first, after the root's was set, and after a pause.
until_it "the clock is wrong" clock_is_right
date -s "@$(($(date +%s) + 3600))"
usleep 6000000
until_it "the clock is wrong after it was set" clock_is_right
pids=$(worker)
kill -STOP $pids
sleep PAUSE
lumenctl stop child --timeout 1 && fail "stop of a worker that stands still"
kill -CONT $pids
until_it "the clock is wrong after a pause" clock_is_right
until_it "no heartbeat after a pause" info_says "^heartbeat.state ok"

# Its end.
lumenctl restart child || fail restart
until_it "not ready again" says ready
lumenctl stop child || fail stop
lumenctl wait child
[ $? = 0 ] || fail "how it ended"
grep -E "^ *[0-9.]+ (stop|restart|freeze|heartbeat)" $child/log
""".replace("PAUSE", str(PAUSE))


def _debugfs(image, request):
    done = subprocess.run(["/sbin/debugfs", "-R", request, image], capture_output=True, text=True, check=True)
    return done.stdout


def test_daemons(t):
    """What the child says of itself, pairs, a file, a copy of its disk while it writes, its clock, its end."""
    kernel, initrd, pristine = t.example_files()
    copy = t.copy_of(pristine, "copy.img")
    result = t.root(rootscript.LINES + rootscript.UNTIL + SCRIPT, kernel=kernel, initrd=initrd, memory=320, timeout=500,
                    disks=[t.disk(t.copy_of(pristine, "disk.img")), t.disk(copy)])
    t.equal(result.status, 0, "status of the script")
    features = next(line for line in _debugfs(copy, "features").splitlines() if "features" in line)
    t.check("needs_recovery" not in features, f"the journal is to be replayed: {features}")
    t.contains(_debugfs(copy, "ls /data"), "kept", "what the child has written")
    check = subprocess.run(["/sbin/e2fsck", "-fn", copy], capture_output=True, text=True, check=False)
    t.equal(check.returncode, 0, f"e2fsck: {check.stdout}")
