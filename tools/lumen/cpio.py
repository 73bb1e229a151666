# SPDX-License-Identifier: BSD-2-Clause
"""Writes cpio archives ("newc") for initial RAM file systems, owned by root, without root rights."""

import os
import stat


class Archive:
    """An archive being written to a binary file object."""

    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.directories = set()

    def _pad(self, length):
        self.out.write(b"\0" * (-length % 4))

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + raw)
        self._pad(110 + len(raw))
        self.out.write(data)
        self._pad(len(data))

    def _parents(self, name):
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self.directory("/".join(parts[:depth]))

    def directory(self, name, mode=0o755):
        if name not in self.directories:
            self._parents(name)
            self.directories.add(name)
            self._entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        """A regular file with these bytes."""
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, path):
        """A regular file with the contents and permissions of a host file."""
        with open(path, "rb") as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            self.file(name, source.read(), mode)

    def symlink(self, name, target):
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name, major, minor, mode=0o600):
        self._parents(name)
        self._entry(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def finish(self):
        self._entry("TRAILER!!!", 0)
        self._pad_to_page()

    def _pad_to_page(self):
        """Archives are concatenated: the next one must start at a multiple of four."""
        self.out.write(b"\0" * (-self.out.tell() % 512))
