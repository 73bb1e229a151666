# SPDX-License-Identifier: BSD-2-Clause
"""tools/wireshark/lumen.lua in Debian's tshark, over captures that are written here. TAP; without tshark, skipped.

    test_dissector.py"""

import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "tools/wireshark/lumen.lua"
VMBUS, HYPERCALLS = 147, 148  # link types
TO_HOST, TO_GUEST = 1, 2
STORAGE = bytes.fromhex("d96361baa104294db60572e2ffb1dc7f")


def block(kind, body):
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def capture(link_type, frames):
    """A file with one interface."""
    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(1, struct.pack("<HHI", link_type, 0, 0))
    for number, frame in enumerate(frames):
        padding = bytes(-len(frame) % 4)
        data += block(6, struct.pack("<5I", 0, 0, number, len(frame), len(frame)) + frame + padding)
    return data


def dissect(link_type, frames, *fields):
    """What tshark says of each frame in these fields: a list of lists; many values of a field are one with commas."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "file.pcapng")
        file.write_bytes(capture(link_type, frames))
        words = [word for field in fields for word in ("-e", field)]
        done = subprocess.run(["tshark", "-X", f"lua_script:{SCRIPT}", "-r", file, "-T", "fields", *words], check=False,
                              capture_output=True, text=True, env={"HOME": directory, "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0 and "lumen.lua" not in done.stderr, done.stderr
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert len(rows) == len(frames), done.stdout
        return rows


def message(direction, payload, *, version=1, length=None, synic_type=1, vp=0, connection=0, status=0):
    length = len(payload) if length is None else length
    return struct.pack("<BBBBIIIII", version, direction, 2, length, synic_type, vp, connection, status, 0) + payload


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


def offer():
    """A disk's, with relid 7."""
    return (words(1, 0) + STORAGE + bytes(16) + bytes(16) + struct.pack("<HH", 1, 0) + bytes(120) +
            struct.pack("<HHIBBHI", 0, 0, 7, 0, 0, 1, 0x2007))


CONTACT = words(14, 0, 0x50003, 0) + struct.pack("<BBHI", 2, 0, 0, 0) + bytes(16)
GPADL = words(8, 0, 7, 9) + struct.pack("<HH", 8 + 3 * 8, 1) + words(8192 + 10, 4000) + struct.pack("<2Q", 0x1234, 0x1235)


def expect(rows, wanted):
    assert rows == wanted, "\n".join(f"{row} and not {want}" for row, want in zip(rows, wanted) if row != want)


def test_messages_have_names_and_fields():
    rows = dissect(VMBUS, [
        message(TO_HOST, CONTACT, connection=4),
        message(TO_GUEST, words(15, 0) + struct.pack("<BBHI", 1, 0, 0, 4)),
        message(TO_GUEST, offer(), vp=3),
        message(TO_HOST, GPADL, connection=4),
        message(TO_HOST, words(9, 0, 1, 9) + struct.pack("<Q", 0x1236), connection=4),
        message(TO_GUEST, words(6, 0, 7, 1, 0xC0000001)),
        message(TO_HOST, words(16, 0)),
    ], "_ws.col.Info", "lumen_vmbus.msgtype", "lumen_vmbus.direction", "lumen_vmbus.connection", "lumen_vmbus.vp",
        "lumen_vmbus.relid", "lumen_vmbus.page", "_ws.expert.message")
    expect(rows, [
        ["INITIATE_CONTACT: version 5.3, target_vp 0", "14", "1", "4", "", "", "", ""],
        ["VERSION_RESPONSE: version_supported 1", "15", "2", "", "0", "", "", ""],
        ["OFFER_CHANNEL: interface_type vstor scsi, relid 7", "1", "2", "", "3", "7", "", ""],
        ["GPADL_HEADER: relid 7, gpadl 9, range_count 1", "8", "1", "4", "", "7",
         "0x0000000000001234,0x0000000000001235", ""],
        ["GPADL_BODY: gpadl 9", "9", "1", "4", "", "", "0x0000000000001236", ""],
        ["OPEN_CHANNEL_RESULT: relid 7, status 0xc0000001", "6", "2", "", "0", "7", "", "The request has failed"],
        ["UNLOAD", "16", "1", "0", "", "", "", ""],
    ])


def test_the_members_of_a_union_are_those_of_the_version():
    old = words(14, 0, 0x20004, 0) + struct.pack("<Q", 0x123000) + bytes(16)
    rows = dissect(VMBUS, [
        message(TO_HOST, CONTACT),
        message(TO_HOST, old),
        message(TO_GUEST, words(15, 0) + struct.pack("<BBHI", 1, 0, 0, 0x20004)),
    ], "lumen_vmbus.target_info_sint", "lumen_vmbus.interrupt_page", "lumen_vmbus.message_connection_id",
        "lumen_vmbus.selected_version")
    expect(rows, [["2", "", "", ""], ["", "0x0000000000123000", "", ""], ["", "", "", "131076"]])


def test_malformed_messages_are_marked():
    rows = dissect(VMBUS, [
        message(TO_HOST, CONTACT)[:20],
        message(TO_HOST, CONTACT, version=2),
        message(TO_HOST, CONTACT, length=41),
        message(TO_HOST, b""),
        message(TO_HOST, words(14)),
        message(TO_HOST, words(14, 0, 0x50003)),
        message(TO_HOST, words(99, 0)),
        message(TO_HOST, words(0, 0)),
        message(TO_HOST, offer()),
        message(TO_HOST, words(8, 0, 7, 9) + struct.pack("<HH", 0, 0) + words(0xffffffff, 0xffffffff, 1)),
        message(TO_GUEST, words(4, 0), status=0x13),
        message(TO_HOST, words(14, 0), synic_type=0x80000000),
        message(TO_HOST, b"", synic_type=0x80000000),
        b"",
    ], "_ws.expert.message", "lumen_vmbus.payload")
    expect(rows, [
        ["The frame is too short", ""],
        ["The frame has a version that is not known here", ""],
        ["The message has another length than the frame says", ""],
        ["The message is shorter than its header", ""],
        ["The message is shorter than its header", ""],
        ["The message is shorter than its type's", ""],
        ["There is no such type", ""],
        ["There is no such type", ""],
        ["A message that only the receiver may send", ""],
        ["", ""],
        ["The hypervisor has not taken the message", ""],
        ["", "0e00000000000000"],
        ["", ""],
        ["The frame is too short", ""],
    ])


def call(control, result, version=1):
    return struct.pack("<B3xIIIQQ", version, 1, 2, 0, control, result)


def test_hypercalls_have_names_and_fields():
    rows = dissect(HYPERCALLS, [
        call(0x5C, 0),
        call(0x1005D, 0x12),
        call(0x0003_0005_0002_0050, 5 << 32),
        call(0x1234, 2),
        call(0x5C | 1 << 27, 3),
        call(0x5C | 1 << 63, 3),
        call(0x5C, 0)[:31],
        call(0x5C, 0, 9),
    ], "_ws.col.Info", "lumen_hypercall.code", "lumen_hypercall.fast", "lumen_hypercall.rep_count",
        "lumen_hypercall.rep_start", "lumen_hypercall.variable_header", "lumen_hypercall.status",
        "lumen_hypercall.reps_done", "lumen_hypercall.vp", "lumen_hypercall.cpu", "_ws.expert.message")
    good = ["0", "0", "0", "0"]
    expect(rows, [
        ["HvCallPostMessage", "0x0000005c", *good, "0x00000000", "0", "1", "2", ""],
        ["HvCallSignalEvent: INVALID_CONNECTION_ID", "0x0000005d", "1", "0", "0", "0", "0x00000012", "0", "1", "2",
         "The call is refused"],
        ["HvCallGetVpRegisters", "0x00000050", "0", "5", "3", "1", "0x00000000", "5", "1", "2", ""],
        ["call 0x1234: INVALID_HYPERCALL_CODE", "0x00001234", *good, "0x00000002", "0", "1", "2",
         "There is no such call,The call is refused"],
        ["HvCallPostMessage: INVALID_HYPERCALL_INPUT", "0x0000005c", *good, "0x00000003", "0", "1", "2",
         "Reserved bits are set,The call is refused"],
        ["HvCallPostMessage: INVALID_HYPERCALL_INPUT", "0x0000005c", *good, "0x00000003", "0", "1", "2",
         "Reserved bits are set,The call is refused"],
        ["", *[""] * 9, "The frame is too short"],
        ["", *[""] * 9, "The frame has a version that is not known here"],
    ])


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        words_of = name[5:].replace("_", " ")
        if not shutil.which("tshark"):
            print(f"ok {number} - {words_of} # SKIP tshark is not installed: ./lumen check runs this")
            continue
        try:
            test()
            print(f"ok {number} - {words_of}", flush=True)
        except AssertionError as problem:
            failed += 1
            print("".join(f"# {line}\n" for line in str(problem).splitlines()), end="")
            print(f"not ok {number} - {words_of}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
