# SPDX-License-Identifier: BSD-2-Clause
"""Is this file a kernel that a child can be given? The worker looks closer; this saves the boot."""

import struct

from lumen.status import bad

PVH_NOTE_TYPE = 18  # XEN_ELFNOTE_PHYS32_ENTRY
PT_NOTE = 4
MULTIBOOT_MAGIC = 0x1BADB002


def _is_bzimage(data):
    """Linux boot protocol 2.12 or later with a 64-bit entry."""
    if len(data) < 0x268 or data[0x202:0x206] != b"HdrS":
        return False
    version, = struct.unpack_from("<H", data, 0x206)
    return version >= 0x20C and data[0x211] & 1 == 1


def _program_headers(data):
    """(type, offset, size) of each program header of an ELF file for x86, 32 or 64 bits."""
    wide = data[4] == 2
    if wide:
        offset, = struct.unpack_from("<Q", data, 0x20)
        size, count = struct.unpack_from("<HH", data, 0x36)
    else:
        offset, = struct.unpack_from("<I", data, 0x1C)
        size, count = struct.unpack_from("<HH", data, 0x2A)
    for index in range(count):
        at = offset + index * size
        if wide:
            kind, _, start, _, _, length = struct.unpack_from("<IIQQQQ", data, at)
        else:
            kind, start, _, _, length = struct.unpack_from("<IIIII", data, at)
        yield kind, start, length


def _has_pvh_note(data):
    for kind, start, length in _program_headers(data):
        at, end = start, min(start + length, len(data))
        while kind == PT_NOTE and at + 12 <= end:
            name_size, desc_size, note = struct.unpack_from("<III", data, at)
            name = data[at + 12:at + 12 + name_size].rstrip(b"\0")
            if name == b"Xen" and note == PVH_NOTE_TYPE:
                return True
            at += 12 + (name_size + 3 & ~3) + (desc_size + 3 & ~3)
    return False


def _has_multiboot_header(data):
    """Three words in the first 8 KiB: the magic, flags, and what makes their sum 0."""
    for at in range(0, min(len(data), 8192) - 11, 4):
        words = struct.unpack_from("<III", data, at)
        if words[0] == MULTIBOOT_MAGIC and sum(words) & 0xFFFFFFFF == 0:
            return True
    return False


def check(path):
    """Raise a Failure with one sentence unless the file looks like a kernel."""
    try:
        with open(path, "rb") as source:
            data = source.read()
    except OSError as error:
        raise bad(f"the kernel {path} cannot be read: {error.strerror}.") from None
    if _has_multiboot_header(data):
        return
    if data[:4] == b"\x7fELF":
        try:
            if _has_pvh_note(data):
                return
        except (struct.error, IndexError):
            pass
        raise bad(f"{path} is an ELF file without a PVH note and without a Multiboot header: "
                  "no kernel that Lumen can boot.")
    if not _is_bzimage(data):
        raise bad(f"{path} is no kernel: neither a Linux bzImage nor an ELF file.")
