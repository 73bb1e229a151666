# SPDX-License-Identifier: BSD-2-Clause
"""Is this file a kernel that a child can be given? The worker looks closer; this saves the boot."""

import contextlib
import struct

from lumen import userfiles
from lumen.status import bad

PVH_NOTE_TYPE = 18  # XEN_ELFNOTE_PHYS32_ENTRY
PT_NOTE = 4
SHT_NOTE = 7
MULTIBOOT_MAGIC = 0x1BADB002
# How the file of a compressed kernel begins, and what shows its contents.
COMPRESSED = {b"\x1f\x8b": ("gzip", "zcat"), b"\xfd7zXZ\0": ("xz", "xzcat"), b"BZh": ("bzip2", "bzcat"),
              b"\x28\xb5\x2f\xfd": ("zstd", "zstdcat"), b"\x04\x22\x4d\x18": ("lz4", "lz4cat"),
              b"\x02\x21\x4c\x18": ("lz4", "lz4cat"), b"\x89LZO": ("lzo", "lzop -dc")}


def _is_bzimage(data):
    """Linux boot protocol 2.10 or later, loaded high: what the worker boots."""
    if len(data) < 0x268 or data[0x202:0x206] != b"HdrS":
        return False
    version, = struct.unpack_from("<H", data, 0x206)
    return version >= 0x20A and data[0x211] & 1 == 1


# Where the two tables of an ELF file are described, and what is taken of an entry: (of the header: where
# the table begins, the entries' size and number), (of an entry: kind, offset and size in the file).
SEGMENTS = {64: ("<Q", 0x20, 0x36, "<I4xQ16xQ"), 32: ("<I", 0x1C, 0x2A, "<II8xI")}
SECTIONS = {64: ("<Q", 0x28, 0x3A, "<4xI16xQQ"), 32: ("<I", 0x20, 0x2E, "<4xI8xII")}


def _table(data, kind):
    """(kind, offset, size) of each entry of one of the tables of an ELF file for x86."""
    word, start_at, count_at, entry = kind[64 if data[4] == 2 else 32]
    start, = struct.unpack_from(word, data, start_at)
    size, count = struct.unpack_from("<HH", data, count_at)
    for index in range(count if start else 0):
        yield struct.unpack_from(entry, data, start + index * size)


def _owners_at(data, at, size):
    """The owners of the notes of the PVH entry's type in one place."""
    end = min(at + size, len(data))
    while at + 12 <= end:
        name_size, desc_size, note = struct.unpack_from("<III", data, at)
        if note == PVH_NOTE_TYPE:
            yield data[at + 12:at + 12 + name_size].rstrip(b"\0")
        at += 12 + (name_size + 3 & ~3) + (desc_size + 3 & ~3)


def _note_owners(data):
    """The same of the whole file; what is damaged in it ends the list."""
    owners = []
    with contextlib.suppress(struct.error, IndexError):
        for table, wanted in ((SEGMENTS, PT_NOTE), (SECTIONS, SHT_NOTE)):
            for kind, start, size in _table(data, table):
                owners += list(_owners_at(data, start, size)) if kind == wanted else []
    return owners


def _has_multiboot_header(data):
    """Three words in the first 8 KiB: the magic, flags, and what makes their sum 0."""
    for at in range(0, min(len(data), 8192) - 11, 4):
        words = struct.unpack_from("<III", data, at)
        if words[0] == MULTIBOOT_MAGIC and sum(words) & 0xFFFFFFFF == 0:
            return True
    return False


def check(path):
    """Raise a Failure with one sentence unless the file looks like a kernel."""
    with userfiles.open_binary(path, "the kernel") as source:
        data = source.read()
    if _has_multiboot_header(data):
        return
    if data[:4] == b"\x7fELF":
        owners = _note_owners(data)
        if b"Xen" in owners:
            return
        other = f' (the owner of its note of type {PVH_NOTE_TYPE} is {owners[0].decode("ascii", "replace")!r}, ' \
            "not 'Xen')" if owners else ""
        raise bad(f"{path} is an ELF file without a PVH note{other} and without a Multiboot header: "
                  "no kernel that Lumen can boot.")
    for magic, (name, program) in COMPRESSED.items():
        if data.startswith(magic):
            raise bad(f"{path} is compressed with {name}: what is in it may be a kernel "
                      f"({program} <{path} >KERNEL).")
    if not _is_bzimage(data):
        raise bad(f"{path} is no kernel: no Linux bzImage, no ELF file, and no Multiboot image.")
