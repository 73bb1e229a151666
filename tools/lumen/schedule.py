# SPDX-License-Identifier: BSD-2-Clause
"""Tasks that share the processors of this machine: builds, boots, fuzz targets, side by side.

A task says how many processors it keeps busy. Of those that wait the first (by rank, then by age) that
fits is started; so a wide one may have to wait until the others are done, which costs nothing, as it
fills the machine by itself."""

import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from lumen import ui
from lumen.report import Report
from lumen.status import Failure


@dataclass(eq=False)
class Task:
    """run is given a Report of the task's own, whose lines come out together when it ends. It may add
    tasks to the schedule. A Failure is a failed test with the task's name."""

    name: str
    run: Callable
    processors: int = 1
    rank: int = 1  # smaller: earlier


class Schedule:
    """Runs tasks until none is left."""

    def __init__(self, report, processors=None):
        self.processors = processors or os.cpu_count() or 1
        self.report = report
        self._free = self.processors
        self._waiting = []
        self._running = []
        self._changed = threading.Condition()

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

    def _width(self, task):
        return min(task.processors, self.processors)

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
        try:
            task.run(part)
        except Failure as failure:
            part.not_ok(task.name, str(failure))
        except BaseException:  # pylint: disable=broad-except
            part.not_ok(task.name, traceback.format_exc())
        with self._changed:
            self.report.take(part)
            self._running.remove(task)
            self._free += self._width(task)
            self._changed.notify()
