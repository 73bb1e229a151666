# SPDX-License-Identifier: BSD-2-Clause
"""The network card, with the stock Linux driver in the child and a bridge in the root."""

import base64
import hashlib
import http.server
import json
import threading
import urllib.request

from lumen import examples, network, paths, rootscript
from lumen.pcapng import Capture
from lumen.status import number_from_environment

MIB = number_from_environment("NET_MIB", 16)  # of each transfer
MEMORY = 224 + 2 * MIB  # of a child: half of it may be files
ROUNDS = number_from_environment("NET_ROUNDS", 3)  # of test_rounds

# lan MTU: a bridge with an address, a DHCP server, and a web server with a file of so many MiB.
PRELUDE = r"""
cd /tmp
child=/run/lumen/child
fail() { echo "FAIL: $1"; tail -n 40 $child/console.log $child/log; lumenctl stat child; exit 1; }

lan()
{
	while read -r module; do insmod "$module"; done </lib/modules/order.net
	ip link set lo up
	lumenctl switch add lan --mtu "$1" || fail "switch add"
	ip addr add 10.7.0.1/24 dev lan
	mkdir -p www /var/lib/misc
	cat >udhcpd.conf <<END
interface lan
start 10.7.0.10
end 10.7.0.99
option subnet 255.255.255.0
option router 10.7.0.1
option dns 10.7.0.1
pidfile /run/udhcpd.pid
lease_file /run/udhcpd.leases
END
	: >/run/udhcpd.leases
	udhcpd -S udhcpd.conf
	dd if=/dev/urandom of=www/data bs=1M count=@MIB@ 2>/dev/null
	httpd -h www -p 80
}

says() { complete $child/console.log | sed -n "s/^net: $1 //p"; }

# until_says WHAT [TIMES]
until_says()
{
	tries=0
	until said $child/console.log "^net: $1" && [ "$(complete $child/console.log | grep -c "^net: $1")" -ge "${2:-1}" ]; do
		[ $((tries += 1)) -le 300 ] && started $child || fail "it does not say $1"
		usleep 200000
	done
}

start()
{
	lumenctl create child --kernel /lumen/kernel --initrd /lumen/initrd --memory @MEMORY@M "$@" \
		--append "$LINUX quiet lumen.action=${ACTION:-net} $MORE" --disk /dev/lumen-disk0 || fail create
	lumenctl start child || fail start
}

count() { lumenctl stat child | sed -n "s/^net\.$1 //p"; }

both_ways()
{
	until_says serves
	sum=$(md5sum <www/data | cut -d' ' -f1)
	says data
	[ "$(says data | cut -d' ' -f1)" = "$sum" ] || fail "what came is not what was sent"
	ip=$(says address)
	ping -c 3 -i 0.2 "$ip" || fail "ping"
	[ "$(wget -q -O - "http://$ip/data" | md5sum | cut -d' ' -f1)" = "$sum" ] || fail "what came back is not what was sent"
	lumenctl stat child | grep "^net"
}
"""


def _root(t, script, cpus=1, timeout=200):
    kernel, initrd, pristine = t.example_files()
    prelude = PRELUDE.replace("@MIB@", str(MIB)).replace("@MEMORY@", str(MEMORY))
    return t.root(rootscript.LINES + prelude + script, kernel=kernel, initrd=initrd,
                  memory=164 + MEMORY + 2 * MIB, cpus=cpus, timeout=timeout, disks=[t.disk(t.copy_of(pristine, "disk.img"))])


PART, RATE = 768 << 10, 2 * 10 ** 6  # bytes that are timed, and bits per second that a card may carry
AT_ONCE = 128 << 10  # bytes that it may carry before that (port_rate.h)
AT_LEAST = (PART - AT_ONCE) * 8 * 100 // RATE  # hundredths of a second, that no machine can be faster than
AT_MOST = 6 * AT_LEAST  # what is dropped has to be sent once more


def test_stock_child(t):
    """A child without a card gets one: DHCP, ping, a file each way, with one processor. It goes, and another one
    comes, which may carry little: that it does, each way."""
    result = _root(t, r"""
lan 1500
port_gone()
{
	tries=0
	while [ -e "/sys/class/net/lu-$1" ]; do
		[ $((tries += 1)) -lt 50 ] || fail "the TAP is still there"
		usleep 100000
	done
}

# took COMMAND...: in hundredths of a second
took()
{
	before=$(cut -d' ' -f1 /proc/uptime | tr -d .)
	"$@" || fail "$*"
	echo $(($(cut -d' ' -f1 /proc/uptime | tr -d .) - before))
}

start
until_says "no card yet"
[ -z "$(count mac)" ] || fail "a card"
lumenctl attach child net && fail "a card that was not said"
lumenctl attach child net=wan && fail "a switch that is not there"
lumenctl attach child net=lan,rate=1m && fail "a rate that is none"
lumenctl attach child heartbeat=lan && fail "a heartbeat on a switch"
lumenctl detach child net && fail "no card is taken away"
lumenctl attach child net=lan,mac=02:15:5d:01:02:03 || fail attach
lumenctl attach child net=lan,mac=02:15:5d:01:02:04 && fail "a second card"
port_gone 010204
both_ways
set -- $(says data)
[ $((${5%.*} - ${3%.*})) -lt $((@MIB@ * 8388608 / @RATE@)) ] || fail "a card that may carry all there is is slow"
[ "$(count mac)" = 02:15:5d:01:02:03 ] || fail "mac"
arp -an 2>/dev/null | grep -i 02:15:5d:01:02:03 || grep -i 02:15:5d:01:02:03 /proc/net/arp || fail "another address"
for cause in bad_message bad_headers bad_length bad_memory spoofed wire_refused unfinished; do
	[ "$(count $cause)" = 0 ] || fail "$cause"
done
lumenctl detach child net || fail detach
until_says gone
port_gone 010203

rmmod act_police || fail rmmod
lumenctl attach child net=lan,rate=2M && fail "a rate without its module"
insmod "$(grep act_police /lib/modules/order.net)"
lumenctl attach child net=lan,mac=02:15:5d:01:02:03,rate=@RATE@,mtu=1400 || fail "attach again"
until_says back
[ "$(count mtu)" = 1400 ] || fail "mtu"
lumenctl switch show
ping -c 1 "$(says address)" || fail "ping after it came back"
lumenctl exec child -- dd if=/tmp/data of=/tmp/part bs=1024 count=$((@PART@ / 1024)) || fail part
lumenctl exec child -- md5sum /tmp/part
from=$(took wget -q -O part "http://$(says address)/part")
md5sum part
mv part www/part
to=$(took lumenctl exec child -- wget -q -O /dev/null http://10.7.0.1/part)
echo "hundredths of a second: $from from the child, $to to it, of @AT_LEAST@ to @AT_MOST@"
for time in $from $to; do
	[ $time -ge @AT_LEAST@ ] || fail "faster than it may be"
	[ $time -le @AT_MOST@ ] || fail "much slower than it may be"
done
lumenctl stop child || fail stop
port_gone 010203
""".replace("@RATE@", str(RATE)).replace("@MIB@", str(MIB)).replace("@PART@", str(PART)).replace("@AT_LEAST@", str(AT_LEAST)).replace(
        "@AT_MOST@", str(AT_MOST)))
    t.equal(result.status, 0, "status of the script")
    for text in ("The card lan,rate=1m has a rate that is not from 64K to 10G", "The child has no such device.",
                 "There is no switch wan", "child was created without a network card", "load its modules", "2Mbit/s"):
        t.contains(result.console, text)


def test_four_queues(t):
    """With four processors each has a channel, which many flows use; a frame's place is by its flow."""
    result = _root(t, r"""
lan 1500
MORE=lumen.flows=8
start --cpus 4 --net lan,queues=4
both_ways
for queue in 1 2 3; do
	[ "$(count sub$queue.packets)" -gt 0 ] || fail "queue $queue"
done
lumenctl stop child || fail stop
""", cpus=2)
    t.equal(result.status, 0, "status of the script")


def test_rounds(t):
    """Link down and up, MTU up to 9000 and back, other ring sizes, a VLAN of the child's own, driver unbound and
    bound, again and again."""
    result = _root(t, r"""
lan 9000
echo 0 >/sys/class/net/lan/bridge/vlan_filtering
ip link add link lan name lan.7 type vlan id 7
ip addr add 10.8.0.1/24 dev lan.7
ip link set lan.7 up
ACTION=net-rounds MORE=lumen.rounds=@ROUNDS@
start --net lan
lumenctl wait child || fail "it ends badly"
tr -d '\r' <$child/console.log | grep "^net: @ROUNDS@ rounds are right" || fail "no end"
""".replace("@ROUNDS@", str(ROUNDS)), timeout=120 + 20 * ROUNDS)
    t.equal(result.status, 0, "status of the script")


def _check_capture(t, data):
    """Twelve pings and their answers, each behind what it answers, with the times, directions and bytes that they have."""
    capture = Capture(data)
    net = capture.interfaces[0]
    t.equal([one.link_type for one in capture.interfaces], [1, 147, 148], "interfaces")
    t.equal((net.name, net.description), ("lu-010203", "lumen child 02:15:5d:01:02:03"), "the port")
    pings, times = {}, []
    for frame in capture.of(net.name):
        t.equal(len(frame.data), frame.length, "bytes captured")
        times.append(frame.time)
        if frame.data[12:14] == b"\x08\0" and frame.data[23] == 1:
            number = frame.data[41]
            pings.setdefault((frame.length, number), []).append((frame.data[34], frame.inbound))
    sent_and_answered = [(8, True), (0, False)]
    t.equal(pings, {(42 + size, number): sent_and_answered for size in (0, 1, 18, 100, 999, 1472) for number in (0, 1)},
            "pings by length and number: type and direction")
    t.check(times == sorted(times) and times[-1] - times[0] > 10 ** 8, "the frames' times")
    t.equal((net.received, net.dropped), (len(times), 0), "the statistics")
    t.check(capture.of("hypercalls"), "an echo without a hypercall")


def test_echo(t):
    """A kernel on the SDK (examples/echo) answers ARP, and ping of all sizes, one after the other and in a flood;
    the host finds nothing wrong with it, and goes on when the root has deleted its port."""
    result = t.root(PRELUDE.replace("@MIB@", "1") + r"""
lan 1500
lumenctl create child --kernel /lumen/echo --memory 64M --append ip=10.7.0.5 --net lan,mac=02:15:5d:01:02:03 ||
	fail create
lumenctl start child || fail start
tries=0
until grep -q "Answering at 10.7.0.5" $child/console.log 2>/dev/null; do
	[ $((tries += 1)) -le 300 ] && [ "$(cat $child/status)" = started ] || fail "it does not answer"
	usleep 200000
done
lumenctl capture child -o capture & capture=$!
until [ -s capture ]; do kill -0 $capture || fail capture; usleep 50000; done
for size in 0 1 18 100 999 1472; do
	ping -c 2 -i 0.1 -s $size 10.7.0.5 || fail "ping with $size bytes"
done
kill $capture
wait $capture || fail "capture ends badly"
lumenctl capture nobody -o capture2 && fail "a capture of nobody"
echo "=== capture"
base64 capture
echo "=== end"
ping -c 200 -i 0.002 -q 10.7.0.5 || fail "many pings"
grep -i "10.7.0.5 .*02:15:5d:01:02:03" /proc/net/arp || fail "ARP"
ping -c 1 -W 1 10.7.0.6 && fail "an address that is nobody's answers"
for cause in bad_message bad_headers bad_length bad_memory spoofed wire_refused unfinished; do
	[ "$(count $cause)" = 0 ] || fail "$cause"
done
[ "$(count sent)" -ge 213 ] || fail "sent $(count sent)"
# Somebody takes the port away: that is logged, and nobody waits for it again and again.
ip link del lu-010203 || fail "no port"
tries=0
until grep -q "the TAP is gone" $child/log; do
	[ $((tries += 1)) -le 50 ] || fail "nobody has noticed"
	usleep 100000
done
turns=$(count turns)
sleep 1
[ $(($(count turns) - turns)) -le 10 ] || fail "$(($(count turns) - turns)) turns in a second"
lumenctl kill child || fail kill
""", files={"echo": examples.kernel("echo")}, memory=128, timeout=200)
    t.equal(result.status, 0, "status of the script")
    _check_capture(t, base64.b64decode(result.console.partition("=== capture")[2].partition("===")[0]))


PEERS = rootscript.LINES + r"""
fail()
{
	echo "FAIL: $1"
	for child in a b c d; do tail -n 20 "/run/lumen/$JOB-$child/console.log" "/run/lumen/$JOB-$child/log"; done
	lumenctl switch show
	exit 1
}

# peer NAME ADDRESS NET-OPTIONS [WORDS]: its card's address ends as its own does
peer()
{
	lumenctl create "$JOB-$1" --kernel "$FILES/kernel" --initrd "$FILES/initrd" --memory 96M \
		--net "$JOB,$3,mac=02:15:5d:09:00:0${2##*.}" \
		--append "$LINUX quiet peer.address=$2 $4" || fail "create $1"
	lumenctl start "$JOB-$1" || fail "start $1"
}

until_says()
{
	tries=0
	until said "/run/lumen/$JOB-$1/console.log" "^peer: $2"; do
		[ $((tries += 1)) -le 600 ] && started "/run/lumen/$JOB-$1" || fail "$1 does not say $2"
		usleep 100000
	done
}

# stat_of NAME COUNTER
stat_of() { lumenctl stat "$JOB-$1" | sed -n "s/^net\.$2 //p"; }

port_of() { echo "lu-09000$1"; }

# How many frames the switch has put out to a port.
put_out() { cat "/sys/class/net/$(port_of $1)/statistics/tx_packets"; }
"""


def test_vlans(t):
    """Children in one VLAN reach each other, unless both are isolated; one in another VLAN gets not a single
    frame, whatever others forge, nor does the root."""
    kernel, _, _ = t.example_files()
    initrd = t.small_initrd("peer", paths.ROOT / "tests/guests/peer-init", ["hv_vmbus", "hv_netvsc", "macvlan", "8021q"])
    result = yield t.shared_root(PEERS + r"""
while read -r module; do insmod "$module" 2>/dev/null; done </lib/modules/order.net
lumenctl switch add "$JOB" || fail "switch add"
ip addr add 10.9.0.9/24 dev "$JOB"
peer b 10.9.0.2 vlan=10,isolated
peer c 10.9.0.3 vlan=20,isolated
until_says b up
until_says c up
peer a 10.9.0.1 vlan=10 "peer.asks=10.9.0.2,10.9.0.3,10.9.0.9 peer.forges=10.9.0.2 peer.tags=10.9.0.3"
peer d 10.9.0.4 vlan=20,isolated,rate=20M peer.asks=10.9.0.3
until_says a done
until_says d done
for answer in "10.9.0.2 reached" "10.9.0.3 silent" "10.9.0.9 silent" "10.9.0.2 silent -I other" \
	"10.9.0.3 silent -I eth0.20"; do
	until_says a "$answer"
done
until_says d "10.9.0.3 silent"
[ "$(stat_of a spoofed)" -ge 3 ] || fail "a has forged no address"
! ping -c 1 -W 2 10.9.0.1 >/dev/null || fail "the root reaches VLAN 10"
echo "put out: $(put_out 1) $(put_out 2) $(put_out 3)"
[ "$(put_out 2)" -ge 9 ] || fail "b has got too little"
[ "$(put_out 3)" = 0 ] || fail "c has got something"
[ "$(cat "/sys/class/net/$(port_of 4)/statistics/rx_packets")" -ge 5 ] || fail "d has sent nothing"
[ "$(stat_of c received)" = 0 ] || fail "c has been given something"
[ "$(cat "/sys/class/net/$(port_of 1)/brport/unicast_flood")" = 0 ] || fail "what a is not sent comes to it"
[ "$(cat "/sys/class/net/$(port_of 1)/brport/learning")" = 0 ] || fail "a's port learns"
lumenctl switch del "$JOB" 2>refusal && fail "a switch with ports is removed"
cat refusal
lumenctl create "$JOB-e" --kernel "$FILES/kernel" --net "$JOB,mac=02:15:5d:09:00:01" || fail "create e"
lumenctl start "$JOB-e" 2>refusal && fail "two cards with one address"
cat refusal
lumenctl switch show "$JOB"
echo "=== json"
lumenctl switch show "$JOB" --json
echo "=== end"
for child in a b c d; do lumenctl kill "$JOB-$child" || fail kill; done
# A port stays for a moment behind its worker's end.
tries=0
until lumenctl switch del "$JOB"; do
	[ $((tries += 1)) -le 100 ] || fail "switch del"
	usleep 100000
done
""", files={"kernel": kernel, "initrd": initrd}, memory=4 * 96)
    t.equal(result.status, 0, "status of the script")
    t.contains(result.console, "has 4 ports: lumenctl switch show says which.")
    shown, = json.loads(result.console.partition("=== json\n")[2].partition("=== end")[0])
    ports = {port["child"].rpartition("-")[2]: (port["mac"], port["vlan"], port["isolated"], port["rate"])
             for port in shown["ports"]}
    t.equal(ports, {"a": ("02:15:5d:09:00:01", 10, False, 0), "b": ("02:15:5d:09:00:02", 10, True, 0),
                    "c": ("02:15:5d:09:00:03", 20, True, 0), "d": ("02:15:5d:09:00:04", 20, True, 20 * 10 ** 6)}, "ports")
    t.contains(result.console, "up, isolated, 20Mbit/s")
    t.check(all(port["up"] and port["locked"] for port in shown["ports"]), "a port is down, or not held to its address")


PAGE = b"from the machine that runs QEMU\n" * 1000


class _Pages(http.server.BaseHTTPRequestHandler):
    """One page at every address."""

    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


def test_default(t):
    """As ./lumen run has it: the example's shell has an address, a name server and a way out, and a published
    port leads to the child."""
    port, got = network.free_port(), []

    def type_commands(session):
        session.type(f"ping -c 1 -W 5 {network.MACHINE} && cat /etc/resolv.conf\n"
                     f"wget -q -O /tmp/page http://{network.MACHINE}:{pages.server_port}/ && md5sum /tmp/page\n"
                     "for try in 1 2 3 4 5 6 7 8 9; do ping -6 -c 1 -W 2 fec0::2 >/tmp/ping && break; sleep 1; done\n"
                     "tail -n 2 /tmp/ping; mkdir /tmp/www && echo it is the child >/tmp/www/who && httpd -h /tmp/www && echo ser''ves\n")

    def fetch(session):
        with urllib.request.urlopen(f"http://{network.LISTEN}:{port}/who", timeout=60) as answer:
            got.append(answer.read())
        session.type("exit\n")

    def prepare(session):
        session.when("child# ", type_commands)
        session.when("\nserves", fetch)

    with http.server.ThreadingHTTPServer((network.LISTEN, 0), _Pages) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        result = t.linux("shell", session=prepare, net=network.net("default"),
                         publish=[network.publish(f"{port}:80")])
        pages.shutdown()
    t.equal(result.status, 0, "status")
    t.contains(result.console, f"network: eth0 has the address {network.CHILD}")
    t.contains(result.console, f"nameserver {network.NAMES}")
    t.equal(result.console.count("1 packets received"), 2, "pings that were answered, by IPv4 and IPv6")
    t.contains(result.console, f"{hashlib.md5(PAGE).hexdigest()}  /tmp/page")
    t.equal(got, [b"it is the child\n"], "the published page")
