# SPDX-License-Identifier: BSD-2-Clause
"""Is this disk an image that is not raw? The worker refuses it; this saves the boot. The formats are
the worker's: its table is read, not repeated."""

import ast
import re

from lumen import paths
from lumen.status import bad

TABLE = paths.ROOT / "parent/worker/backends/disk_format.h"
ROW = re.compile(r'^\tX\("([^"]*)", "([^"]*)", (-?\d+), ("[^"]*")\)', re.M)


def formats():
    """(name, qemu-img's name, offset, magic) of each row."""
    for name, tool_name, offset, magic in ROW.findall(TABLE.read_text(encoding="ascii")):
        yield name, tool_name, int(offset), ast.literal_eval("b" + magic)


def check(path, size):
    """Raise a Failure with one sentence if the disk of so many bytes is an image of another format."""
    with open(path, "rb") as disk:
        for name, tool_name, offset, magic in formats():
            disk.seek(offset if offset >= 0 else max(size + offset, 0))
            if disk.read(len(magic)) == magic:
                raise bad(f"the disk {path} is a {name} image, and disks are raw here: convert it (qemu-img "
                          f"convert -f {tool_name} -O raw {path} NEW), or insist on it as it is "
                          "(--disk FILE,format=raw).")
