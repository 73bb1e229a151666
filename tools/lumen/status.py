# SPDX-License-Identifier: BSD-2-Clause
"""The exit statuses of ./lumen, and the exception that carries one of them with its sentence."""

import os

OK = 0
CHILD_MAX = 99  # 1..99: what the child itself reported
CRASHED = 120
HUNG = 121
BAD_ARGUMENTS = 122
OUR_FAULT = 123
RESET = 124

TABLE = """\
exit status:
  0      the child powered off in order, or the command did what it was asked
  1..99  the child's own status, or the number of failed tests or checks (at most 99)
  120    the child crashed (triple fault, panic)
  121    it hung: --timeout passed
  122    wrong arguments, or a file that cannot be what it should be
  123    our own fault: hypervisor, root partition, worker or harness
  124    the child asked for a reset
"""


class Failure(Exception):
    """One clear sentence for the user and the exit status that goes with it."""

    def __init__(self, sentence, status=OUR_FAULT):
        super().__init__(sentence)
        self.status = status


def bad(sentence):
    """A Failure that is the caller's: wrong arguments or unusable files."""
    return Failure(sentence, BAD_ARGUMENTS)


def count(failed):
    """The exit status for a number of failures."""
    return min(failed, CHILD_MAX)


def number_from_environment(variable, default):
    """A test's length that its caller may change: a positive number."""
    text = os.environ.get(variable, str(default))
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10 ** 9):
        raise bad(f"{variable}={text} is not a number from 1 to 999999999.")
    return int(text)
