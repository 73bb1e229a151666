# SPDX-License-Identifier: BSD-2-Clause
"""A stock Linux panics, and its crash kernel writes what was in memory to the disk."""

import struct

from lumen import cpio, paths

LOADER = paths.RELEASE / "tests/guests/linux-kexec"
MEMORY = 320  # MiB, of which the crash kernel has
CRASH = 128
MARKER = b"lumen: what was in memory"

# What both kernels' init begin with: their drivers, and the disk.
PRELUDE = """#!/bin/sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "$module"; done </lib/modules/order
tries=0
until dd if=/dev/sda of=/dev/null bs=512 count=1 2>/dev/null; do
	tries=$((tries + 1))
	[ $tries -le 600 ] || { echo "kdump: no disk"; poweroff -f; }
	usleep 50000
done
"""

# The first kernel's VMBus is in full use when it dies, a sub-channel included.
FIRST = PRELUDE + f"""
linux-kexec /crash/kernel /crash/initrd "console=ttyS0 quiet nr_cpus=1 reset_devices panic=-1" || poweroff -f
echo "kdump: loaded, disk on $(ls -d /sys/bus/vmbus/drivers/hv_storvsc/*/channels/* | wc -l) channels"
while :; do dd if=/dev/sda of=/dev/null bs=64k iflag=direct 2>/dev/null; done &
while :; do dd if=/dev/sda of=/dev/null bs=64k iflag=direct skip=1 2>/dev/null; done &
echo "{MARKER.decode()}" >/dev/kmsg
echo 1 >/proc/sys/kernel/sysrq
stty onlcr # waits until the lines above are out: the kernel's would come in between
echo c >/proc/sysrq-trigger
"""

SECOND = PRELUDE + """
echo "kdump: $(cat /proc/vmcore | wc -c) bytes"
cat /proc/vmcore >/dev/sda && sync && echo "kdump: written"
poweroff -f
"""


def _initrd(t, name, base, init, files):
    """The example's initrd with another init, and more files."""
    path = t.scratch(name)
    with open(path, "wb") as out:
        out.write(base.read_bytes())
        archive = cpio.Archive(out)
        archive.file("init", init.encode(), 0o755)
        for inside, file in files.items():
            archive.copy(inside, file)
        archive.finish()
    return path


def _program_headers(core):
    offset, = struct.unpack_from("<Q", core, 0x20)
    size, count = struct.unpack_from("<HH", core, 0x36)
    for index in range(count):
        kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", core, offset + index * size)
        yield kind, start, length


def _notes(core, start, length):
    """(owner, type, description) of each note in a segment."""
    at, end = start, start + length
    while at + 12 <= end:
        name_size, size, kind = struct.unpack_from("<III", core, at)
        name = at + 12
        description = name + (name_size + 3 & ~3)
        yield core[name:name + name_size].rstrip(b"\0"), kind, core[description:description + size]
        at = description + (size + 3 & ~3)


def test_vmcore(t):
    """After the report of a panic the crash kernel boots, finds the disk on VMBus again, and writes a vmcore;
    read back, it is that of the kernel that died, with its registers and its log. The status is that of a
    crash."""
    kernel, initrd, _ = t.example_files()
    crash = _initrd(t, "crash.cpio", initrd, SECOND, {})
    first = _initrd(t, "first.cpio", initrd, FIRST,
                    {"bin/linux-kexec": LOADER, "crash/kernel": kernel, "crash/initrd": crash})
    disk = t.scratch("core.img", MEMORY)
    # A kernel at a random place may leave no room for the other one in a piece.
    result = t.child(kernel, initrd=first, memory=MEMORY, cpus=2, disks=[t.disk(disk)], timeout=400,
                     append=f"console=ttyS0 quiet nokaslr crashkernel={CRASH}M "
                            "hv_storvsc.storvsc_vcpus_per_sub_channel=1")
    t.contains(result.console, "kdump: loaded, disk on 2 channels")
    t.contains(result.console, "kdump: written")
    t.equal(result.status, 120, "status")
    core = disk.read_bytes()
    t.equal(core[:5], b"\x7fELF\x02", "the vmcore's begin")
    t.equal(struct.unpack_from("<H", core, 16)[0], 4, "its type, ET_CORE")
    headers = list(_program_headers(core))
    notes = [note for kind, start, length in headers if kind == 4 for note in _notes(core, start, length)]
    t.check(any(owner == b"CORE" and kind == 1 and len(text) == 336 for owner, kind, text in notes),
            "no PRSTATUS note")
    info = b"".join(text for owner, _, text in notes if owner == b"VMCOREINFO")
    t.contains(info.decode(errors="replace"), f"OSRELEASE={t.kernel.release}\n", "VMCOREINFO")
    memory = sum(length for kind, _, length in headers if kind == 1)
    t.check(memory > (MEMORY - CRASH - 16) << 20, f"only {memory >> 20} MiB of memory are in it")
    t.check(any(MARKER in core[start:start + length] for kind, start, length in headers if kind == 1),
            "the log of the kernel that died is not in it")
    t.note(f"{memory >> 20} MiB")
