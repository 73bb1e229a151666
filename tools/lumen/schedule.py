# SPDX-License-Identifier: BSD-2-Clause
"""Tasks that share the processors of this machine: builds, boots, fuzz targets, side by side.

A task says how many processors it keeps busy. Of those that wait the first (by rank, then by age) that
fits is started; so a wide one may have to wait until the others are done. A patient one is started at once
and takes, for the most part, what the others leave, as each of them waits now and then. How long each
took is in build/log/tasks.log."""

import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from lumen import ui
from lumen.report import Report
from lumen.status import Failure

PATIENT_NICE = 5  # a third of the weight of the others


@dataclass(eq=False)
class Task:
    """run is given a Report of the task's own, whose lines come out together when it ends. It may add
    tasks to the schedule. A Failure is a failed test with the task's name."""

    name: str
    run: Callable
    processors: int = 1
    rank: int = 1  # smaller: earlier
    patient: bool = False  # keeps no processor, at a lower priority


class Schedule:
    """Runs tasks until none is left. log: a file for how long each took."""

    def __init__(self, report, processors=None, log=None):
        self.processors = processors or os.cpu_count() or 1
        self.report = report
        self._free = self.processors
        self._waiting = []
        self._running = []
        self._changed = threading.Condition()
        self._started = time.monotonic()
        self._log = log
        self._ended = []  # (start, end, width, name) of each that has ended

    def add(self, *tasks):
        """From any thread."""
        with self._changed:
            self._waiting += tasks
            self._waiting.sort(key=lambda task: task.rank)
            self._changed.notify()

    def run(self):
        """In the main thread, which Ctrl-C and signals reach; the others end with it."""
        step = ui.Step("testing")
        with self._changed:
            while self._waiting or self._running:
                self._start_what_fits()
                step.tick(", ".join(task.name for task in self._running), heartbeat=False)
                self._changed.wait(1.0)
        ui.clear_line()
        if self._log:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.write_text("\n".join(self._times()))

    def _times(self):
        """Where the time has gone: a line for each task, in seconds from the start on."""
        end = time.monotonic() - self._started
        times = os.times()
        used = times.children_user + times.children_system
        yield "  start     end seconds processors task"
        for start, stop, width, name in sorted(self._ended):
            yield f"{start:7.1f} {stop:7.1f} {stop - start:7.1f} {width:10} {name}"
        yield (f"{end:.0f} s; processes used {used:.0f} of the {self.processors * end:.0f} s that "
               f"{self.processors} processors have\n")

    def _width(self, task):
        return 0 if task.patient else min(task.processors, self.processors)

    def _start_what_fits(self):
        for task in list(self._waiting):
            if self._width(task) > self._free:
                continue
            self._waiting.remove(task)
            self._running.append(task)
            self._free -= self._width(task)
            threading.Thread(target=self._run, args=(task,), name=task.name, daemon=True).start()

    def _run(self, task):
        part = Report(held=True)
        start = time.monotonic() - self._started
        if task.patient:  # this thread, and so the processes that it starts
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + PATIENT_NICE)
        try:
            task.run(part)
        except Failure as failure:
            part.not_ok(task.name, str(failure))
        except BaseException:  # pylint: disable=broad-except
            part.not_ok(task.name, traceback.format_exc())
        with self._changed:
            self.report.take(part)
            self._running.remove(task)
            self._ended.append((start, time.monotonic() - self._started, self._width(task), task.name))
            self._free += self._width(task)
            self._changed.notify()
