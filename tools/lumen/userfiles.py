# SPDX-License-Identifier: BSD-2-Clause
"""Files that a user names: looked at before anything is built or booted, and without waiting for them."""

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

from lumen.status import bad

KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
         stat.S_IFCHR: "a character device", stat.S_IFBLK: "a block device", stat.S_IFREG: "a file"}
# QEMU's image locks (its docs: "file.locking"): a byte for each thing that a user of an image does, and a
# hundred further on one for each that it allows to nobody else.
QEMU_LOCKS, QEMU_LOCKS_END = 100, 300
QEMU_WRITES = 101
FLOCK = "hhqqi4x"  # struct flock


def open_binary(path, what, write=False, kinds=(stat.S_IFREG,)):
    """An open file; or a Failure with one sentence if it is not of one of these kinds, or not for us."""
    try:
        # A FIFO would wait for its other end.
        fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        kind = _kind(path)
        if kind and kind not in kinds:
            raise bad(f"{what} {path} is {KINDS[kind]}.") from None
        hint = ""
        if write and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and os.access(path, os.R_OK):
            hint = " (add ,ro to use it read-only)"
        raise bad(f"{what} {path} cannot be {'opened' if write else 'read'}: {error.strerror}{hint}.") from None
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    if kind not in kinds:
        os.close(fd)
        raise bad(f"{what} {path} is {KINDS[kind]}.")
    return os.fdopen(fd, "r+b" if write else "rb", buffering=0)


def _kind(path):
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None


def check_readable(path, what):
    """A Failure unless it is a file that can be read."""
    open_binary(path, what).close()


def identity(path):
    """What two names of one file have in common, and two nodes of one device."""
    info = os.stat(path)
    return ("device", info.st_rdev) if stat.S_ISBLK(info.st_mode) else (info.st_dev, info.st_ino)


def _locked(file, first, end):
    query = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, first, end - first, 0)
    answer = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, query))
    return answer[0] != fcntl.F_UNLCK


def _users(path):
    """The processes that have a file open, as far as we may see."""
    wanted = identity(path)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(identity(fd) == wanted for fd in (process / "fd").iterdir()) and process.name != str(os.getpid()):
                yield f"process {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:
            continue


def check_unused(file, path):
    """A Failure if another machine uses this image in a way that forbids ours."""
    span = (QEMU_LOCKS, QEMU_LOCKS_END) if file.writable() else (QEMU_WRITES, QEMU_WRITES + 1)
    if _locked(file, *span):
        who = ", ".join(_users(path)) or "a process that is not yours"
        raise bad(f"the disk {path} is in use in another machine: {who}.")
