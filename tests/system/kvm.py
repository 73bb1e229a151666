# SPDX-License-Identifier: BSD-2-Clause
"""The referee: kernels on KVM's own Hyper-V interface, nested in the emulated machine."""

from lumen import paths

GUESTS = paths.RELEASE / "tests/guests"


def test_bad_ends(t):
    """One boot, several kernels: a triple fault, a hang, and again a triple fault, on 1 and 2 processors."""
    crash, spin = GUESTS / "guest-triple-fault", GUESTS / "guest-spin"
    results = t.referee([(crash, {}), (spin, {"timeout": 10, "cpus": 2}), (crash, {"cpus": 2})])
    t.equal([r.status for r in results], [120, 121, 120], "statuses")
    t.equal([r.console for r in results],
            ["triple-fault: now\r\n", "spin: interrupts are off\r\n", "triple-fault: now\r\n"],
            "consoles")
    t.contains("\n".join(results[0].notes), "triple fault at 0x", "the report")
