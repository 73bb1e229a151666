#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs test_*.py of this directory and prints TAP."""

import sys
import traceback
import unittest
from pathlib import Path


class TapResult(unittest.TestResult):
    """One line per test, its trace behind it if it failed."""

    def _line(self, good, test, error=None):
        print(f"{'ok' if good else 'not ok'} {self.testsRun} - {test.id()}", flush=True)
        for line in traceback.format_exception(*error) if error else []:
            print("# " + line.rstrip().replace("\n", "\n# "))

    def addSuccess(self, test):
        self._line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line(False, test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._line(False, subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"ok {self.testsRun} - {test.id()} # SKIP {reason}", flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._line(False, test, err)


def main():
    suite = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    print(f"1..{suite.countTestCases()}")
    return 0 if suite.run(TapResult()).wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
