# SPDX-License-Identifier: BSD-2-Clause
"""What is read from the conformance image, and the matrix that is made of it."""

import unittest

import conformance_matrix as matrix
from lumen import conformance
from lumen.conformance import Check, Run

GOOD = """lumen: something else
TAP version 14
# conformance: 2 VPs, privileges 0000003000008e7f
1..4
ok 1 - CPUID: leaf 1 # TLFS: Hypervisor Discovery
ok 2 - TLB: a stale entry # SKIP feature not advertised # TLFS: HvCallFlushVirtualAddressSpace
not ok 3 - IPI: vector 0x0f # TLFS: HvCallSendSyntheticClusterIpi
  ---
  outcome: failure
  message: "expected 5, got 0"
  ...
not ok 4 - Timers: lazy # TLFS: Timers
  ---
  outcome: error
  message: "no page is left"
  ...
# conformance: 1 ok, 1 skipped, 1 failed, 1 errors
kernel: exit status 1
"""


class Image(unittest.TestCase):
    """The image's output."""

    def test_each_run_is_told_apart(self):
        console = "@begin 0\nbad\n@end 0 1\n@begin 1\ngood\n@end 1 "
        for text in (console, console.replace("\n", "\r\n")):
            self.assertEqual(conformance._part(text, 0)[0], "bad\n")
            self.assertTrue(conformance._part(text, 0)[1].startswith("1\n"))
            self.assertEqual(conformance._part(text, 1), ("good\n", ""))
            self.assertEqual(conformance._part(text, 2), ("", ""))

    def test_outcomes(self):
        run = conformance.parse(GOOD.replace("\n", "\r\n"), 2)
        self.assertEqual([c.outcome for c in run.checks], ["ok", "skip", "failure", "error"])
        self.assertEqual(run.checks[1].message, "feature not advertised")
        self.assertEqual(run.checks[2], Check("IPI: vector 0x0f", "HvCallSendSyntheticClusterIpi",
                                              "failure", "expected 5, got 0"))
        self.assertEqual(run.fault, "")

    def test_cut(self):
        """Output that ends too early, or skips a number, is not whole."""
        lines = GOOD.split("\n")
        self.assertIn("2 of 4", conformance.parse("\n".join(lines[:6]), 1).fault)
        self.assertIn("1 of 4", conformance.parse("\n".join(lines[:5] + lines[6:]), 1).fault)
        self.assertEqual(conformance.parse("", 1).fault, "the image has not begun")
        self.assertIn("Bail out", conformance.parse("Bail out! no hypervisor\n", 1).fault)

    def test_goes_on_behind_the_test_that_ended_the_machine(self):
        first = conformance.parse("\n".join(GOOD.split("\n")[:6]), 2)
        first.fault = "the machine ended in this test: a crash"
        rest = "1..4\n# not repeated: IPI: vector 0x0f # TLFS: T\nok 4 - Timers: lazy # TLFS: Timers\n"
        run = conformance.parse(rest, 2, first)
        self.assertEqual([c.outcome for c in run.checks], ["ok", "skip", "failure", "ok"])
        self.assertIn("a crash", run.checks[2].message)
        self.assertEqual(run.fault, "")

    def test_status_must_fit(self):
        for code, fault in ((1, False), (0, True), (120, True)):
            run = conformance._judge(conformance.parse(GOOD, 2), code)
            self.assertEqual(bool(run.fault), fault)

    def test_summary(self):
        runs = [Run(1, [Check("A: b", "S", "skip", "too few processors")]),
                Run(2, [Check("A: b", "S", "ok")]), Run(2, [Check("A: b", "S", "failure", "why")])]
        self.assertEqual(conformance.summary(runs), [
            {"name": "A: b", "section": "S", "outcome": {"1": "skip", "2": "failure"}, "message": "why"}])


def _results(**outcomes):
    return {"checks": [{"name": name, "section": "S", "outcome": said}
                       for name, said in outcomes.items()]}


class Matrix(unittest.TestCase):
    """tools/conformance_matrix.py"""

    def _checks(self, lumen, kvm):
        return list(matrix.pairs(_results(**lumen), _results(**kvm)))

    def test_every_difference_needs_a_sentence(self):
        checks = self._checks({"a": "ok", "b": "ok"}, {"a": "ok", "b": {"1": "skip", "2": "failure"}})
        entry = {"checks": ["b*"], "section": "S", "sentence": "Lumen."}
        self.assertEqual(matrix.explain(checks, [entry]), {0: ["b"]})
        with self.assertRaises(matrix.Wrong):
            matrix.explain(checks, [])

    def test_sentence_without_difference(self):
        checks = self._checks({"a": "ok"}, {"a": "skip"})
        with self.assertRaises(matrix.Wrong):
            matrix.explain(checks, [{"checks": ["a"], "section": "S", "sentence": "?"}])

    def test_results_of_different_images(self):
        with self.assertRaises(matrix.Wrong):
            self._checks({"a": "ok"}, {"b": "ok"})


if __name__ == "__main__":
    unittest.main()
