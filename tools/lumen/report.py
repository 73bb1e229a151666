# SPDX-License-Identifier: BSD-2-Clause
"""Results of tests, one line each, and their sum."""

import sys
from dataclasses import dataclass


@dataclass
class Report:
    """Counts what it prints. Lines follow TAP: "ok NAME", "not ok NAME", "# text"."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def _print(self, text):
        print(text, flush=True)

    def ok(self, name, remark=""):
        self.passed += 1
        self._print(f"ok {name}{remark and ' # ' + remark}")

    def not_ok(self, name, why=""):
        """why: text that tells what was expected and what was seen."""
        self.failed += 1
        self._print(f"not ok {name}")
        for line in why.rstrip().splitlines():
            self._print(f"# {line}")

    def skip(self, name, why):
        self.skipped += 1
        self._print(f"ok {name} # SKIP {why}")

    def remark(self, text):
        self._print(f"# {text}")

    def sum(self):
        """The last line of ./lumen test."""
        sys.stderr.flush()
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        self._print(f"{self.passed} passed, {self.failed} failed{skipped}")
