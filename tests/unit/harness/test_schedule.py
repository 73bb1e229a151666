# SPDX-License-Identifier: BSD-2-Clause
"""Tasks side by side, and tests that share a boot: what is run when, and whose result is whose."""

import contextlib
import io
import os
import sys
import tempfile
import threading
import types
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from lumen import sharedroot, systemtests  # noqa: E402
from lumen.report import Report  # noqa: E402
from lumen.schedule import PATIENT_NICE, Schedule, Task  # noqa: E402
from lumen.sharedroot import Job, JobResult  # noqa: E402
from lumen.status import Failure  # noqa: E402


def run(tasks, processors=2):
    """(lines, report) of a schedule; tasks: a function of the schedule."""
    report = Report()
    schedule = Schedule(report, processors)
    schedule.add(*tasks(schedule))
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()):
        schedule.run()
    return said.getvalue().splitlines(), report


class Schedules(unittest.TestCase):
    """Processors are shared, results are not."""

    def test_who_is_patient_waits_for_nobody(self):
        together = threading.Barrier(2, timeout=60)
        nice = []

        def patient(_):
            together.wait()
            nice.append(os.getpriority(os.PRIO_PROCESS, 0))

        run(lambda _: [Task("wide", lambda _: together.wait(), 5),
                       Task("patient", patient, patient=True)])
        self.assertEqual(nice, [min(PATIENT_NICE + os.getpriority(os.PRIO_PROCESS, 0), 19)])

    def test_side_by_side(self):
        """Two that wait for each other end, so they ran at once."""
        both = threading.Barrier(2)
        lines, _ = run(lambda _: [Task(n, lambda report, n=n: (both.wait(20), report.ok(n))) for n in "ab"])
        self.assertEqual(sorted(lines), ["ok a", "ok b"])

    def test_never_more_than_there_are(self):
        used, most, guard = [0], [0], threading.Lock()

        def work(width):
            with guard:
                used[0] += width
                most[0] = max(most[0], used[0])
            threading.Event().wait(0.001)
            with guard:
                used[0] -= width

        run(lambda _: [Task(str(i), lambda _, w=w: work(w), w) for i, w in enumerate((1, 2, 3, 1, 2, 1) * 4)], 3)
        self.assertEqual(most[0], 3)

    def test_one_that_is_too_wide_is_alone(self):
        lines, _ = run(lambda _: [Task("wide", lambda report: report.ok("wide"), 64)], 1)
        self.assertEqual(lines, ["ok wide"])

    def test_rank_then_age(self):
        order = []
        run(lambda _: [Task(n, lambda _, n=n: order.append(n), rank=r) for n, r in
                       (("late", 2), ("first", 1), ("second", 1), ("build", 0))], 1)
        self.assertEqual(order, ["build", "first", "second", "late"])

    def test_how_long_each_took(self):
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory, "log/tasks.log")
            schedule = Schedule(Report(held=True), 2, log)
            schedule.add(Task("a", lambda _: None), Task("wide", lambda _: None, 5))
            with contextlib.redirect_stderr(io.StringIO()):
                schedule.run()
            self.assertRegex(log.read_text(), r"(?s) seconds .* 1 a\n.* 2 wide\n.*of the \d+ s that 2 processors")

    def test_tasks_add_tasks(self):
        def tasks(schedule):
            return [Task("build", lambda _: schedule.add(Task("test", lambda report: report.ok("test"))))]
        self.assertEqual(run(tasks)[0], ["ok test"])

    def test_lines_of_a_task_stay_together(self):
        both = threading.Barrier(2)

        def work(report, name):
            for _ in range(50):
                report.ok(name)
                report.remark(name)
                if both.n_waiting or not both.broken:
                    with contextlib.suppress(threading.BrokenBarrierError):
                        both.wait(5)
        lines, report = run(lambda _: [Task(n, lambda part, n=n: work(part, n)) for n in "ab"])
        self.assertEqual(len({line[-1] for line in lines[:100]}), 1)
        self.assertEqual((report.passed, report.failed), (100, 0))

    def test_what_fails_is_counted(self):
        def fails(_):
            raise Failure("one sentence")

        def breaks(_):
            raise ValueError("a mistake")
        lines, report = run(lambda _: [Task("f", fails), Task("b", breaks),
                                       Task("s", lambda part: part.skip("s", "why"))], 1)
        self.assertEqual((report.passed, report.failed, report.skipped), (0, 2, 1))
        self.assertEqual(lines[:2], ["not ok f", "# one sentence"])
        self.assertIn("# ValueError: a mistake", lines)


def record(number, out=b"", console=b"", notes=b"", log=b"", status=0):
    head = f"@job {number} status {status} seconds 3 bytes {len(out)} {len(console)} {len(notes)} {len(log)}\n"
    return f"@start {number}\n".encode() + head.encode() + out + console + notes + log


class SharedRoot(unittest.TestCase):
    """What comes back from the root, from machines that end and children that lie."""

    def test_parts(self):
        ended, started = sharedroot.parse(record(1, b"out\n", b"con\r\n", b"a\nb\n", b"log", 7))
        self.assertEqual(ended, {1: JobResult(7, "out\ncon\r\n", ["a", "b"], "log", 3)})
        self.assertEqual(started, {1})

    def test_a_child_cannot_forge(self):
        lie = record(1, b"all is well")
        ended, started = sharedroot.parse(record(0, console=lie) + record(2, b"true"))
        self.assertEqual((set(ended), started), ({0, 2}, {0, 2}))
        self.assertEqual(ended[0].console.encode(), lie)

    def test_stray_text_is_passed_over(self):
        self.assertEqual(set(sharedroot.parse(b"sh: x\n" + record(0) + b"cat: y\n" + record(1))[0]), {0, 1})

    def test_every_cut(self):
        whole = record(0, b"out", b"con", b"note", b"log")
        for length in range(len(whole)):
            self.assertEqual(sharedroot.parse(whole[:length])[0], {})

    def machine(self, *consoles):
        """sharedroot.run() with machines that say this; what they were given."""
        given = []

        def start(options, *_):
            given.append(options)
            return types.SimpleNamespace(raw=consoles[len(given) - 1], status=123, notes=["it broke"],
                                         directory=Path("/nowhere"))

        jobs = [Job(f"job {n}") for n in range(3)]
        with mock.patch("lumen.run.start", start), mock.patch("lumen.run.Directory"), \
                mock.patch("lumen.sharedroot._options", lambda jobs, _: [job.script for job in jobs]):
            return sharedroot.run(jobs, None), given

    def test_the_machine_ends_under_one(self):
        """That one has failed; the one that had not begun gets another machine."""
        results, given = self.machine(record(0, b"fine") + b"@start 1\n", record(0, b"late"))
        self.assertEqual(given, [["job 0", "job 1", "job 2"], ["job 2"]])
        self.assertEqual([result.status for result in results], [0, 123, 0])
        self.assertIn("the machine ended under it (status 123)", results[1].notes)

    def test_the_machine_does_not_start(self):
        results, given = self.machine(b"")
        self.assertEqual(len(given), 1)
        self.assertEqual([result.status for result in results], [123] * 3)

    def test_room(self):
        jobs = [Job("", disks=[None] * n) for n in (14, 14, 9, 30, 1)]
        self.assertEqual(sharedroot._what_fits([0, 1, 2, 3], jobs), [0, 1])
        self.assertEqual(sharedroot._what_fits([3, 4], jobs), [3])


class Attempts(unittest.TestCase):
    """Tests that yield."""

    def judged(self, function, run_all=lambda wishes: [JobResult(int(w.script)) for w in wishes]):
        """(passed, failed, skipped) of a test that is run with these results."""
        report = Report(held=True)
        attempt = systemtests._Attempt("a.test", function, None)
        wish = attempt.begin(report)
        if wish is not None:
            systemtests._run_shared(report, [(attempt, wish)], run_all)
        return report.passed, report.failed, report.skipped

    def test_one_and_several(self):
        def test(t):
            one = yield Job("1")
            two, three = yield [Job("2"), Job("3")]
            t.equal([one.status, two.status, three.status], [1, 2, 3], "statuses")
        self.assertEqual(self.judged(test), (1, 0, 0))

    def test_ends(self):
        def fails(t):
            result = yield Job("1")
            t.equal(result.status, 0, "status")

        def breaks(t):
            yield Job("1")
            raise ValueError

        def breaks_at_once(t):
            raise ValueError
            yield

        def skips(t):
            t.skip("why")
            yield

        self.assertEqual([self.judged(f) for f in (fails, breaks, breaks_at_once, skips)],
                         [(0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1)])

    def test_no_boot(self):
        def test(t):
            yield Job("1")

        def run_all(_):
            raise Failure("no machine")
        self.assertEqual(self.judged(test, run_all), (0, 1, 0))

    def test_a_context_ends_with_the_test(self):
        ended = []

        @contextlib.contextmanager
        def context():
            try:
                yield
            finally:
                ended.append(True)

        def test(t):
            with context():
                yield Job("1")
                t.check(not ended, "ended early")
                raise ValueError
        self.assertEqual(self.judged(test), (0, 1, 0))
        self.assertEqual(ended, [True])


if __name__ == "__main__":
    unittest.main()
