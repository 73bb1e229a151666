# SPDX-License-Identifier: BSD-2-Clause
"""What is in a capture of lumenctl's (pcapng), for tests: read by what the format says, not by what wrote it."""

import struct
from dataclasses import dataclass

SECTION, INTERFACE, STATISTICS, FRAME = 0x0A0D0D0A, 1, 5, 6  # block types
NAME, DESCRIPTION = 2, 3  # options of an interface
FLAGS, LOST = 2, 4  # of a frame
RECEIVED, DROPPED = 4, 5  # of statistics
INBOUND = 1


class Malformed(Exception):
    """It is no such file."""


@dataclass
class Interface:
    """link_type: as tcpdump.org numbers them."""

    link_type: int
    name: str
    description: str
    received: int = None  # None: without statistics
    dropped: int = None


@dataclass
class Frame:
    """interface: its number. time: ns since 1970. lost: how many are known to be missing right before it."""

    interface: int
    time: int
    inbound: bool
    lost: int
    length: int
    data: bytes


def _blocks(data):
    """(type, body) of each block; both of its lengths have to be right."""
    while data:
        if len(data) < 12:
            raise Malformed("a piece of a block")
        kind, length = struct.unpack_from("<II", data)
        if length % 4 or not 12 <= length <= len(data) or struct.unpack_from("<I", data, length - 4) != (length,):
            raise Malformed(f"a block of type {kind} and length {length}")
        yield kind, data[8:length - 4]
        data = data[length:]


def _options(body):
    """{code: bytes} of the options with which a block ends."""
    found = {}
    while body:
        code, length = struct.unpack_from("<HH", body)
        if not code:
            if len(body) != 4:
                raise Malformed("something behind the last option")
            break
        found[code] = body[4:4 + length]
        body = body[4 + (length + 3 & ~3):]
    return found


class Capture:
    """A whole file: its interfaces and its frames in their order."""

    def __init__(self, data):
        self.interfaces, self.frames = [], []
        blocks = list(_blocks(data))
        if not blocks or blocks[0] != (SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)):
            raise Malformed("no section of this kind")
        readers = {INTERFACE: self._interface, FRAME: self._frame, STATISTICS: self._statistics}
        for kind, body in blocks[1:]:
            if kind not in readers:
                raise Malformed(f"a block of type {kind}")
            readers[kind](body)

    def _interface(self, body):
        options = _options(body[8:])
        if options[9] != b"\x09":
            raise Malformed("times that are not in ns")
        self.interfaces.append(Interface(struct.unpack_from("<H", body)[0], options[NAME].decode(),
                                         options[DESCRIPTION].decode()))

    def _frame(self, body):
        interface, high, low, captured, length = struct.unpack_from("<5I", body)
        options = _options(body[20 + (captured + 3 & ~3):])
        lost, = struct.unpack("<Q", options.get(LOST, bytes(8)))
        flags, = struct.unpack("<I", options[FLAGS])
        self.interfaces[interface]  # there is one
        self.frames.append(Frame(interface, high << 32 | low, flags & 3 == INBOUND, lost, length, body[20:20 + captured]))

    def _statistics(self, body):
        interface, = struct.unpack_from("<I", body)
        options = _options(body[12:])
        self.interfaces[interface].received, = struct.unpack("<Q", options[RECEIVED])
        self.interfaces[interface].dropped, = struct.unpack("<Q", options[DROPPED])

    def of(self, name):
        """The frames of an interface."""
        return [frame for frame in self.frames if self.interfaces[frame.interface].name == name]
