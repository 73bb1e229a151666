# SPDX-License-Identifier: BSD-2-Clause
"""The network of a run: the child's card on a switch in the root, which the machine's own card leads out of.

That one is QEMU's user network: a DHCP server, a name server and a way out, for whoever is on the wire. So
the switch needs nothing but the card as one more port, and children have the addresses that QEMU's guests
have; the first one to ask for an address gets CHILD, which is where published ports lead."""

import argparse
import re
import socket
from dataclasses import dataclass

from lumen.status import bad

SWITCH = "lumen0"
MACHINE = "10.0.2.2"  # whoever runs QEMU
NAMES = "10.0.2.3"  # the name server
CHILD = "10.0.2.15"
# Where published ports listen: for this machine's own users only.
LISTEN = "127.0.0.1"

# As lumenctl has them (parent/common/child_config.c, bridge.c). The root's switch is made by this name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", re.A)
MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}", re.I | re.A)


@dataclass(frozen=True)
class Publish:
    """A port of this machine that leads to one of the child's."""

    host: int
    guest: int
    udp: bool = False

    @property
    def kind(self):
        return "udp" if self.udp else "tcp"


def _number(text, last):
    return re.fullmatch("[0-9]{1,5}", text, re.A) is not None and 1 <= int(text) <= last


def _rate(text):
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)", text, re.A)
    return match is not None and 64 * 10 ** 3 <= int(match[1]) * 1000 ** " KMGT".index(match[2] or " ") <= 10 ** 10


OPTIONS = {"vlan": lambda text: _number(text, 4094), "mac": MAC.fullmatch, "queues": lambda text: _number(text, 16),
           "rate": _rate, "mtu": lambda text: _number(text, 9000) and int(text) >= 68, "isolated": lambda text: not text}


def net(text):
    """SWITCH[,OPTION...] as lumenctl takes it; none is "", default is SWITCH."""
    if text == "none":
        return ""
    name, *options = text.split(",")
    name = SWITCH if name == "default" else name
    if not NAME.fullmatch(name) or name == "none":
        raise argparse.ArgumentTypeError(
            f"{name!r} is no switch: default, none, or up to 15 letters, digits, '-', '_' and '.'")
    for option in options:
        key, equals, value = option.partition("=")
        if key not in OPTIONS or bool(equals) == (key == "isolated") or not OPTIONS[key](value):
            raise argparse.ArgumentTypeError(f"{option!r} is not vlan=N (1 to 4094), mac=M (as 02:15:5d:00:00:01), "
                                             "queues=N (1 to 16), rate=N (64K to 10G), mtu=N (68 to 9000) or isolated")
    return ",".join([name, *options])


def publish(text):
    """HOST:GUEST[/udp]"""
    match = re.fullmatch(r"([0-9]+):([0-9]+)(/udp|/tcp)?", text, re.A)
    if not match or not _number(match[1], 65535) or not _number(match[2], 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:GUEST or HOST:GUEST/udp, ports from 1 to 65535")
    return Publish(int(match[1]), int(match[2]), match[3] == "/udp")


def check(net_, published):
    """What can be found wrong before anything is booted: QEMU would only end."""
    if published and not net_:
        raise bad("--publish: the child has no network (--net none).")
    seen = set()
    for port in published:
        if (port.host, port.udp) in seen:
            raise bad(f"--publish: port {port.host} of this machine is given twice.")
        seen.add((port.host, port.udp))
        _check_free(port)


def _check_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0 if port.udp else 1)
        try:
            probe.bind((LISTEN, port.host))
        except OSError as error:
            raise bad(f"--publish: port {port.host} of this machine cannot be had: {error.strerror}.") from None


def free_port(kind=socket.SOCK_STREAM):
    """One of this machine's that can be published, for a test."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LISTEN, 0))
        return probe.getsockname()[1]


def qemu_arguments(published):
    """The machine's card and the network behind it. Without a ROM: nobody boots from there."""
    forwards = "".join(f",hostfwd={p.kind}:{LISTEN}:{p.host}-{CHILD}:{p.guest}" for p in published)
    return ["-netdev", f"user,id=uplink,net=10.0.2.0/24,host={MACHINE},dns={NAMES},dhcpstart={CHILD}{forwards}",
            "-device", "virtio-net-pci,netdev=uplink,romfile="]
