# SPDX-License-Identifier: BSD-2-Clause
"""lumenctl capture of a small child, from its first instruction to its end: what it and its host say to each
other over VMBus, and its hypercalls. (A network card's frames: net.py.)"""

import base64
import shutil
import struct
import subprocess

from lumen import paths, rootscript
from lumen.pcapng import Capture

RECONNECT = paths.RELEASE / "tests/guests/guest-reconnect"
POST_MESSAGE, SIGNAL_EVENT = 0x5C, 0x5D
# By their numbers in vmbus/protocol.h, each with whether it is the child that hears it.
OFFER, REQUEST_OFFERS, ALL_OFFERS, OPEN, OPEN_RESULT = (1, True), (3, False), (4, True), (5, False), (6, True)
CLOSE, GPADL_HEADER, GPADL_CREATED, TEARDOWN, TORNDOWN = (7, False), (8, False), (10, True), (11, False), (12, True)
CONTACT, VERSION_RESPONSE, UNLOAD, UNLOAD_COMPLETE = (14, False), (15, True), (16, False), (17, True)
ONCE = [CONTACT, VERSION_RESPONSE, REQUEST_OFFERS, OFFER, ALL_OFFERS, GPADL_HEADER, GPADL_CREATED, OPEN, OPEN_RESULT]
WANTED = [*ONCE, CLOSE, TEARDOWN, TORNDOWN, UNLOAD, UNLOAD_COMPLETE, *ONCE]

SCRIPT = r"""
fail() { echo "FAIL: $1"; cat said; tail -n 20 /run/lumen/$JOB/console.log /run/lumen/$JOB/log; exit 1; }

lumenctl create $JOB --kernel $FILES/reconnect --memory 32M --append rounds=1 --disk $DISK0,ro || fail create
lumenctl capture $JOB --start -o capture 2>said & capture=$!
until_it "it does not connect again" grep -q "PASS: connected" /run/lumen/$JOB/console.log
lumenctl stat $JOB | sed -n 's/^vmbus.messages/stat &/p; s/^vp0.exits.hypercall /stat hypercalls /p'
# One that comes now hears of nothing that was before it.
lumenctl capture $JOB --only vmbus,hypercalls -o late 2>/dev/null & late=$!
until_it "no second capture" [ -s late ]
lumenctl kill $JOB || fail kill
wait $capture || fail "the capture's end"
wait $late || fail "the second capture's end"
cat said
for file in capture late; do
	echo "=== $file"
	base64 $file
done
echo "=== end"
"""


def _message(frame):
    """(type, whether the child hears it) of a VMBus message, whose header has to be right (capture_wire.h)."""
    version, direction, sint, length, synic_type, _, connection, status = struct.unpack_from("<BBBBIIII", frame.data)
    assert (version, synic_type, status) == (1, 1, 0) and length == len(frame.data) - 24 and length >= 8
    assert direction == (2 if frame.inbound else 1) and (sint, connection > 0) == ((2, False) if frame.inbound else (0, True))
    return struct.unpack_from("<I", frame.data, 24)[0], frame.inbound


def _in_order(wanted, found):
    """Those of `wanted` that do not come in this order."""
    found = iter(found)
    return [word for word in wanted if word not in found]


def _check_calls(t, capture):
    """Every message that the child has posted is a call of it, shortly before; its VP counted as many calls."""
    calls = [struct.unpack("<B3xIIIQQ", frame.data) for frame in capture.of("hypercalls")]
    t.check(all((version, vp) == (1, 0) and result & 0xffff == 0 for version, vp, _, _, _, result in calls), f"{calls}")
    codes = [control & 0xffff for _, _, _, _, control, _ in calls]
    posted = [frame for frame in capture.of("vmbus") if not frame.inbound]
    t.equal(codes.count(POST_MESSAGE), len(posted), "messages posted by hypercall")
    t.check(codes.count(SIGNAL_EVENT) >= 4, f"{codes}")
    times = [frame.time for frame, code in zip(capture.of("hypercalls"), codes) if code == POST_MESSAGE]
    apart = [message.time - time for message, time in zip(posted, times)]
    t.check(all(-10 ** 9 < ns < 10 ** 10 for ns in apart), f"ns between calls and their messages: {apart}")
    return len(calls)


def _check_dissected(t, data):
    """tshark, where it is installed, finds nothing malformed, and what was asked for by name."""
    if not shutil.which("tshark"):
        return
    file = t.scratch("capture.pcapng")
    file.write_bytes(data)
    done = subprocess.run(["tshark", "-X", f"lua_script:{paths.ROOT}/tools/wireshark/lumen.lua", "-r", file, "-T", "fields",
                           "-e", "_ws.col.Info", "-e", "_ws.expert.message"], capture_output=True, text=True, check=True)
    for line in ("INITIATE_CONTACT: version 5.3, target_vp 0\t", "ALL_OFFERS_DELIVERED\t", "HvCallPostMessage\t"):
        t.contains(done.stdout, line + "\n")
    t.contains(done.stdout, "OFFER_CHANNEL: interface_type vstor scsi, relid ")
    t.check(all(line.endswith("\t") for line in done.stdout.splitlines()), done.stdout)


def test_from_start_to_end(t):
    """A small child connects, opens its disk, leaves, and connects once more: all of it is in the capture, in order."""
    result = yield t.shared_root(rootscript.UNTIL + SCRIPT, files={"reconnect": RECONNECT}, memory=64,
                                 disks=[t.disk(t.scratch("disk.img", 1))])
    t.equal(result.status, 0, f"status of the script: {result.console}")
    said, data, late, _ = result.console.split("=== ")
    data = base64.b64decode(data.partition("\n")[2])
    capture, late = Capture(data), Capture(base64.b64decode(late.partition("\n")[2]))
    counted = dict(line.split()[1:] for line in said.splitlines() if line.startswith("stat "))
    t.equal([(one.link_type, one.name, one.dropped) for one in capture.interfaces],
            [(147, "vmbus", 0), (148, "hypercalls", 0)], "interfaces and what they have lost")
    messages = [_message(frame) for frame in capture.of("vmbus")]
    t.equal(messages[0], CONTACT, "the first message")
    t.equal(_in_order(WANTED, messages), [], f"missing in {messages}")
    t.equal(len([heard for _, heard in messages if not heard]), int(counted["vmbus.messages_in"]), "messages to the host")
    t.equal(_check_calls(t, capture), int(counted["hypercalls"]), "hypercalls that the VP has counted")
    for name in "vmbus", "hypercalls":
        times = [frame.time for frame in capture.of(name)]
        t.equal(times, sorted(times), f"the times of {name}")
    t.equal([len(late.of("vmbus")), *(one.dropped for one in late.interfaces)], [0, 0, 0], "what came late")
    _check_dissected(t, data)
