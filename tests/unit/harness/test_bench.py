# SPDX-License-Identifier: BSD-2-Clause
"""What ./lumen bench makes of what it hears and reads."""

import json
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from lumen import bench, diskbench, measure  # noqa: E402

MAP = """Discarded input sections

 .text.gone     0x0000000000000000       0x99 lib/libsdk.a(a.c.o)

Linker script and memory map

LOAD lib/libsdk.a
 .text.one      0x0000000000201000       0x10 lib/libsdk.a(a.c.o)
                0x0000000000201000                one
 .text.a_name_that_is_too_long_for_its_column
                0x0000000000201010        0x3 lib/libsdk.a(b.c.o)
 .rodata.two    0x0000000000202000      0x100 lib/libsdk.a(a.c.o)
 .text.empty    0x0000000000000000       0x77 lib/libsdk.a(b.c.o)
 .data.three    0x0000000000203000     0x1000 lib/libsdk.a(a.c.o)
 .text.main     0x0000000000204000     0x1000 lib/libkernel.a(main.c.o)
 .text          0x0000000000205000     0x1000 main.c.o
"""


def console(marks):
    """What the root prints: each mark with the counters of its moment."""
    lines = ["@time create 1.5", "noise", "@time init 4.0"]
    for mark, stats in marks:
        lines += [f"@step {mark}", f"@stat {json.dumps(stats)}"]
    return "\r\n".join(lines)


def counters(halt, msr, other_vp=0):
    return {"memory": 1, "vp0.exits.halt": halt, "vp0.exits.msr": msr, "vp1.exits.halt": other_vp,
            "vp0.exits.total": halt + msr, "vp1.exits.total": other_vp}


class Sizes(unittest.TestCase):
    """The linker's map."""

    def test_map(self):
        self.assertEqual(bench.linked_from(MAP, "libsdk.a"), 0x113)
        self.assertEqual(bench.linked_from(MAP, "libkernel.a"), 0x1000)
        self.assertEqual(bench.linked_from("", "libsdk.a"), 0)


class Disk(unittest.TestCase):
    """The disk's steps."""

    TEXT = console([
        ("before nothing", counters(10, 10)), ("after nothing requests=0 bytes=0 us=3", counters(12, 11)),
        ("before rand", counters(20, 20, 5)),
        ("after rand requests=100 bytes=409600 us=50", counters(52, 20, 15)),
        ("before seq", counters(0, 0)), ("after seq requests=2 bytes=2097152 us=7", counters(0, 0))])

    def setUp(self):
        self.steps = measure.Steps(("rand", "seq"))
        self.steps.take(self.TEXT)

    def test_take(self):
        self.assertEqual(self.steps.times, {"create": 1.5, "init": 4.0})
        self.assertEqual(self.steps.results["rand"], {"requests": 100, "bytes": 409600, "us": 50})
        self.assertEqual(self.steps.stats["before rand"]["vp0.exits.halt"], 20)

    def test_marks(self):
        self.assertEqual(self.steps.marks(), ["before nothing", "after nothing", "before rand", "after rand",
                                              "before seq", "after seq"])

    def test_exits(self):
        # 32 and 10 on two VPs, less the 2 of nothing; never below 0.
        self.assertEqual(self.steps.exits("rand"), {"halt": 40, "msr": 0, "total": 39})

    def test_instructions(self):
        self.steps.instructions = {"before nothing": 0, "after nothing": 1000, "before rand": 5000,
                                   "after rand": 26000, "before seq": 0, "after seq": 5000}
        self.assertEqual(self.steps.spent("rand"), 20000)
        self.assertEqual(self.steps.spent("seq"), 4000)
        self.assertEqual(diskbench._units(self.steps, "rand"), 100)
        self.assertEqual(diskbench._units(self.steps, "seq"), 2)


if __name__ == "__main__":
    unittest.main()
