# SPDX-License-Identifier: BSD-2-Clause
"""Results of tests, one line each, and their sum."""

import sys
from dataclasses import dataclass, field

from lumen import ui


@dataclass
class Report:
    """Counts what it prints. Lines follow TAP: "ok NAME", "not ok NAME", "# text". held: keeps the
    lines instead, for another report to take() them together."""

    held: bool = False
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    lines: list = field(default_factory=list)

    def _print(self, text):
        if self.held:
            self.lines.append(text)
        else:
            ui.clear_line()
            print(text, flush=True)

    def take(self, part):
        """All that a held report says."""
        self.passed += part.passed
        self.failed += part.failed
        self.skipped += part.skipped
        if part.lines:
            self._print("\n".join(part.lines))

    def ok(self, name, remark=""):
        self.passed += 1
        self._print(f"ok {name}{remark and ' # ' + remark}")

    def not_ok(self, name, why=""):
        """why: text that tells what was expected and what was seen."""
        self.failed += 1
        self._print("\n".join([f"not ok {name}", *(f"# {line}" for line in why.rstrip().splitlines())]))

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
