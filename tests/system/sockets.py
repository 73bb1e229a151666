# SPDX-License-Identifier: BSD-2-Clause
"""VMBus sockets, with the stock hv_sock driver in the child: lumenctl exec and copy, programs on both sides,
and what is left when one of them is killed; and with the SDK's."""

from lumen import paths, rootscript
from lumen.status import number_from_environment

STREAM = number_from_environment("SOCKETS_STREAM", 1)  # MiB through standard input and output; 10 by hand
MIB = number_from_environment("SOCKETS_MIB", 64)  # of the sparse file; 1024 by hand
ROW = number_from_environment("SOCKETS_ROW", 20)  # connections one after the other; 1000 by hand
PROGRAM = paths.RELEASE / "tests/guests/linux-sockets"
STREAMS = paths.RELEASE / "tests/guests/guest-streams"

SCRIPT = r"""
cd /tmp
child=/run/lumen/child
fail()
{
	echo "FAIL: $1"
	tail -n 30 $child/console.log $child/log
	lumenctl stat child | grep "^socket"
	timeout 15 lumenctl exec child -- dmesg | tail -n 15
	exit 1
}

status_is() { wanted=$1; shift; "$@"; got=$?; [ $got = "$wanted" ] || fail "status $got, not $wanted: $*"; }
in_child() { lumenctl exec child -- "$@"; }
sum() { md5sum "$@" | cut -d' ' -f1; }
stat_of() { lumenctl stat child | sed -n "s/^$1 //p"; }
since() { now=$(cut -d' ' -f1 /proc/uptime); echo "$1: $now"; }

worker()
{
	for process in /proc/[0-9]*; do
		! grep -q "lumen-worker" "$process/cmdline" 2>/dev/null || echo "${process#/proc/}"
	done
}

# Of the worker and of its supervisor.
descriptors() { for pid in $(worker); do ls /proc/"$pid"/fd; done | wc -l; }

there_are() { [ "$(stat_of socket.connections)" = "$1" ]; }

# What connections cost, all of it, is given back.
is_clean() { there_are 0 && [ "$(descriptors)" = "$before" ]; }
clean() { until_it "after $1 something is left: $(descriptors) descriptors, not $before" is_clean; since "$1"; }

start()
{
	lumenctl start child || fail start
	until_it "not ready" grep -q "sockets: ready" $child/console.log
	before=$(descriptors)
}

lumenctl create child --kernel /lumen/kernel --initrd /lumen/initrd --memory 256M \
	--append "$LINUX quiet lumen.action=sockets" --disk /dev/lumen-disk0 || fail create
start
since ready

# A command's status, and its three files.
status_is 0 in_child true
status_is 7 in_child sh -c 'exit 7'
status_is 137 in_child sh -c 'kill -9 $$'
status_is 127 in_child /no/such/command
in_child sh -c 'echo out; echo errors >&2' >out 2>errors
[ "$(cat out)" = out ] && [ "$(cat errors)" = errors ] || fail "output and errors"
[ "$(in_child printf '%s,' 'a b' '' 'c$d')" = 'a b,,c$d,' ] || fail "words"
status_is 122 lumenctl exec child true 2>error
grep -q "needs --" error || fail "what is wrong with it"
status_is 122 lumenctl exec nobody -- true 2>error

# MiB each way.
head -c $((@STREAM@ << 20)) /dev/urandom >data
in_child md5sum <data | grep -q "^$(sum data)" || fail "through standard input"
in_child sh -c 'cat >/tmp/data' <data || fail "into a file"
[ "$(in_child cat /tmp/data | sum)" = "$(sum data)" ] || fail "through standard output"
[ "$(in_child yes | head -n 1)" = y ] || fail "nobody reads on"
since exec

# Signals, also to a command that reads nothing of what it is sent, and when nobody reads ours.
for signal in INT TERM; do
	lumenctl exec child -- sh -c 'echo started; exec sleep 1000' <data >out &
	pid=$!
	until_it "sleep does not start" grep -q started out
	kill -$signal $pid
	wait $pid
	status=$?
	[ $status = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: status $status"
done
lumenctl exec child -- sh -c 'trap "echo trapped; exit 3" INT; echo started; while :; do usleep 10000; done' >out &
pid=$!
until_it "the trap is not set" grep -q started out
kill -INT $pid
wait $pid
[ $? = 3 ] && grep -q trapped out || fail "a trap in the child"
since signals

# A shell on a terminal: its size, and Ctrl-C for what runs there and not for the shell.
/lumen/sockets pty 33 77 "# " "stty size; tty; sh -c 'echo sleep\"\"ing; exec sleep 1000'
" sleeping "$(printf '\003')" "# " "exit 5
" -- lumenctl exec child >shell
[ $? = 5 ] || fail "the shell's status: $(cat shell)"
grep -q "33 77" shell && grep -q /dev/pts shell || fail "the shell's terminal: $(cat shell)"
since shell

# Files: with holes, both ways; and what cannot be.
dd if=/dev/zero of=sparse bs=1M count=0 seek=@MIB@ 2>/dev/null
dd if=data of=sparse bs=1M count=1 seek=3 conv=notrunc 2>/dev/null
dd if=data of=sparse bs=1000 count=3 seek=20001 conv=notrunc 2>/dev/null
chmod 751 sparse
lumenctl copy sparse child:/data/sparse || fail "copy into the child"
[ "$(in_child stat -c '%s %a' /data/sparse)" = "$((@MIB@ << 20)) 751" ] || fail "size and mode in the child"
in_child md5sum /data/sparse | grep -q "^$(sum sparse)" || fail "the sum in the child"
[ "$(in_child du -k /data/sparse | cut -f1)" -lt 4096 ] || fail "holes in the child"
since "copied in"
mkdir folder
lumenctl copy child:/data/sparse folder || fail "copy out of the child"
cmp sparse folder/sparse || fail "it is another one"
[ "$(stat -c '%s %a' folder/sparse)" = "$((@MIB@ << 20)) 751" ] || fail "size and mode"
[ "$(du -k folder/sparse | cut -f1)" -lt 4096 ] || fail "holes"
since "copied out"
: >empty
lumenctl copy empty child:/tmp && [ "$(in_child stat -c %s /tmp/empty)" = 0 ] || fail "an empty file"
status_is 123 lumenctl copy data child:/no/such/folder/data 2>error
grep -q "No such file" error || fail "why it cannot be copied there"
status_is 123 lumenctl copy child:/no/file here 2>error
status_is 123 lumenctl copy child:/dev/null here 2>error
[ ! -e here ] || fail "a target of nothing"
status_is 123 lumenctl copy data child:/dev/null
status_is 122 lumenctl copy data here 2>error
in_child sh -c 'mkdir /tmp/small && mount -t tmpfs -o size=100k tmpfs /tmp/small'
status_is 123 lumenctl copy data child:/tmp/small 2>error
grep -q "No space" error || fail "why it does not fit"
[ -z "$(in_child ls -A /tmp/small)" ] || fail "a part is left"
clean "exec and copy"

# Room for rings, which Linux has in one piece each: what was copied goes.
in_child sh -c 'umount /tmp/small; rm /tmp/data /data/sparse; echo 3 >/proc/sys/vm/drop_caches' || fail "room"

# Programs of the root's and of the child's: many at once, and many in a row.
lumenctl copy /lumen/sockets child:/tmp/sockets || fail "copy a program"
lumenctl exec child -- /tmp/sockets echo vsock:77 >echo &
in_child_echo=$!
until_it "nobody listens in the child" grep -q listening echo
connect="child:$child/vsock:77"
/lumen/sockets drive "child:$child/vsock:78" 1 1 1 >nobody &
nobody=$!
/lumen/sockets drive "$connect" 100 20000 1 || fail "100 at once, to the child"
since "100 at once"
/lumen/sockets drive "$connect" 1 1000 @ROW@ || fail "in a row, to the child"
since "in a row"
/lumen/sockets echo unix:$child/vsock_88 >echo.root &
in_root_echo=$!
until_it "nobody listens in the root" grep -q listening echo.root
in_child /tmp/sockets drive vsock:88 100 20000 1 || fail "100 at once, to the root"
in_child /tmp/sockets drive vsock:88 1 1000 @ROW@ || fail "in a row, to the root"
in_child /tmp/sockets drive vsock:89 1 1 1 && fail "connected to nobody"
[ "$(stat_of socket.refused)" -ge 1 ] || fail "the refusal is not counted"
since "to nobody"

# As many as there may be, and no more: the others are refused, and the child's agent goes on after that.
/lumen/sockets hold "$connect" 150 >held &
holder=$!
until_it "150 are not held" grep -q held held
/lumen/sockets hold "$connect" 20 >refused && fail "more than there may be"
grep -q "as many connections" refused || fail "why not: $(cat refused)"
kill -9 $holder
wait $holder
in_child true || fail "exec after that"
since "as many as there may be"

wait $nobody && fail "connected to nobody in the child"
grep -q "Nobody in the child listens" nobody || fail "why not: $(cat nobody)"

# Whoever is killed, nothing is left: who connects; who listens; the agent; the child.
/lumen/sockets hold "$connect" 20 >held.20 &
holder=$!
until_it "20 are not held" grep -q held held.20
[ "$(stat_of socket.connections)" -ge 21 ] || fail "connections are not counted"
kill -9 $in_child_echo
wait $in_child_echo
until_it "exec's is left" there_are 20
kill -9 $holder
wait $holder
clean "kill in the root and in the child"
/lumen/sockets echo unix:$child/vsock_89 >echo.slow &
slow=$!
until_it "nobody listens in the root again" grep -q listening echo.slow
kill -STOP $slow
in_child /tmp/sockets flood vsock:89 >flooded || fail flood
grep "and no more" flooded || fail "a program that does not read does not stop the child"
kill -9 $slow
in_child sh -c '/tmp/sockets hold vsock:88 30 >/dev/null & usleep 1500000; kill -9 $!' || fail "kill in the child"
since "kill in the child"
in_child sleep 1000 &
sleeper=$!
until_it "no sleep" in_child pidof sleep
in_child sh -c 'kill -9 $(sed "s/.*) . \([0-9]*\) .*/\1/" /proc/$(pidof sleep)/stat); kill -9 $(pidof sleep)'
wait $sleeper
[ $? = 123 ] || fail "exec without its agent"
since "kill of the agent"
lumenctl exec child -- sleep 1000 &
sleeper=$!
until_it "no sleep again" in_child pidof sleep
kill -9 $sleeper
until_it "the command goes on without lumenctl" in_child sh -c '! pidof sleep'
clean "kill of lumenctl"
in_child sleep 1000 &
sleeper=$!
until_it "no sleep at last" in_child pidof sleep
kill -9 $in_root_echo
lumenctl kill child
wait $sleeper
[ $? = 123 ] || fail "exec without its child"
[ -z "$(worker)" ] && [ ! -e $child/vsock ] || fail "something of the worker is left"
since end
""".replace("@MIB@", str(MIB)).replace("@ROW@", str(ROW)).replace("@STREAM@", str(STREAM))


def test_stock_child(t):
    """exec, copy, connections at once and in a row, and the end of either end: in one boot."""
    kernel, initrd, pristine = t.example_files()
    result = t.root(rootscript.LINES + rootscript.UNTIL + SCRIPT, kernel=kernel, initrd=initrd,
                    files={"sockets": PROGRAM}, memory=384, timeout=200 + 2 * MIB // 4 + ROW // 2,
                    disks=[t.disk(t.copy_of(pristine, "disk.img"))])
    t.equal(result.status, 0, "status of the script")


# The SDK's kernel serves programs here, and is a client of theirs.
STREAMS_SCRIPT = r"""
fail() { echo "FAIL: $1"; tail -n 20 "$at/console.log" "$at/log"; lumenctl stat "$name" | grep ^socket; exit 1; }
there_are() { [ "$(lumenctl stat "$name" | sed -n "s/^socket.connections //p")" = "$1" ]; }
drive() { port=$1; shift; "$FILES/sockets" drive "child:$at/vsock:$port" "$@"; }

# streams KIND ROW ROUNDS
streams()
{
	name=$JOB-$1 at=/run/lumen/$JOB-$1
	lumenctl create "$name" --kernel "$FILES/kernel" --memory 32M --append "$1" || fail create
	lumenctl start "$name" || fail start
	until_it "not ready" grep -q "streams: ready" $at/console.log

	# Many at once, and in a row.
	drive 77 8 102400 1 || fail "8 at once, to the kernel"
	drive 77 1 100 "$2" || fail "$2 in a row, to the kernel"
	"$FILES/sockets" echo "unix:$at/vsock_88" >"echo.$1" &
	server=$!
	until_it "nobody listens in the root" grep -q listening "echo.$1"
	drive 76 1 1000 "$3" || fail "8 at once to the root"
	drive 75 1 1000 1 || fail "to nobody in the root"
	until_it "connections are left" there_are 0

	# Whoever is killed, the kernel goes on.
	"$FILES/sockets" hold "child:$at/vsock:77" 20 >"held.$1" &
	holder=$!
	until_it "20 are not held" grep -q held "held.$1"
	there_are 20 || fail "connections are not counted"
	kill -9 $holder $server
	until_it "connections of the dead are left" there_are 0
	drive 77 8 20000 2 || fail "after that"

	drive 74 1 1 1 >"end.$1" && fail "port 74 says something back"
	lumenctl wait "$name" >"wait.$1" 2>&1
	status=$?
	tr -d '\r' <"$at/console.log"
	[ $status = 0 ] || { cat "wait.$1"; fail "the kernel's status is $status"; }
}

streams interrupts 70 2 # in a row are more than the bus has channels
streams polled 5 1
"""


def test_sdk(t):
    """A kernel with the SDK's sockets and programs of the root: 100 KiB each way, 8 at once, half-closed, as
    client and as server, and killed; with interrupts and polled."""
    result = yield t.shared_root(rootscript.UNTIL + STREAMS_SCRIPT, files={"sockets": PROGRAM, "kernel": STREAMS},
                                 memory=96)
    t.equal(result.status, 0, "status of the script")
    for text, times in (("PASS: 8 at once, and each has its bytes back", 3), ("PASS: nobody listens", 2),
                        ("FAIL", 0)):
        t.equal(result.console.count(text), times, text)
