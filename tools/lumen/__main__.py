# SPDX-License-Identifier: BSD-2-Clause
"""The program. What can go wrong before the command line is read goes wrong here, in one sentence."""

import _signal as signal  # built in: Ctrl-C may come while the real one is read

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until somebody is there who says "interrupted"

import os  # noqa: E402
import sys  # noqa: E402

OUR_FAULT = 123  # status.OUR_FAULT: nothing of ours is imported yet

if sys.version_info < (3, 11):
    sys.stderr.write("lumen: python3 is older than 3.11 (Debian 12 has that).\n")
    sys.exit(OUR_FAULT)
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def complete_descriptors():
    """Whoever closed one of the first three gets /dev/null there: another file must not take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))


def run():
    from lumen.cli import main
    from lumen.session import terminated_like_an_exception
    with terminated_like_an_exception():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return main(sys.argv[1:])


def end(code):
    """Like sys.exit(), but an output that takes no more is no traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or OUR_FAULT
    os._exit(code)


complete_descriptors()
try:
    status = run()
except SystemExit as leaving:  # --help, a signal
    status = leaving.code if isinstance(leaving.code, int) else 0
end(status)
