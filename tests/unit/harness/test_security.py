# SPDX-License-Identifier: BSD-2-Clause
"""docs/security.md names a test for each promise: there are such tests."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# Test(suite, name), and what test files make of it: BOTH_WAYS(suite, name),
# ParameterizedTest(type, suite, name).
UNIT = re.compile(r"^[A-Z]\w*\((?:[\w* ]+, )?(\w+), (\w+)[,)]", re.M)
SYSTEM = re.compile(r"^def test_(\w+)\(", re.M)
NAMED = re.compile(r"`(\w+(?:::|\.)\w+)`")


def tests():
    """All tests by the names that the document uses."""
    names = set()
    for path in (ROOT / "tests/unit").rglob("*.c"):
        names |= {f"{suite}::{name}" for suite, name in UNIT.findall(path.read_text())}
    for path in (ROOT / "tests/system").glob("*.py"):
        names |= {f"{path.stem}.{name}" for name in SYSTEM.findall(path.read_text())}
    ctl = (ROOT / "tests/unit/parent/test_ctl.py").read_text()
    return names | {f"parent_ctl::{name}" for name in SYSTEM.findall(ctl)}


def promises():
    """(promise, [test]) for each row of the tables that have a column of tests."""
    for line in (ROOT / "docs/security.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        named = NAMED.findall(cells[-1])
        if line.startswith("|") and len(cells) == 2 and set(line) - set("|- "):
            yield cells[0], named


class Security(unittest.TestCase):
    def test_each_promise_has_tests(self):
        rows = [(promise, named) for promise, named in promises() if promise]
        self.assertGreater(len(rows), 20)
        for promise, named in rows:
            self.assertTrue(named, promise)

    def test_the_tests_exist(self):
        there = tests()
        for promise, named in promises():
            for name in named:
                self.assertTrue(name in there, f"{name}: there is no such test ({promise})")


if __name__ == "__main__":
    unittest.main()
