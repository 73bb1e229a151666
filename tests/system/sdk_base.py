# SPDX-License-Identifier: BSD-2-Clause
"""What of the guest SDK's base the examples do not use, on Lumen and on KVM: tests/guests/sdk.c."""

from lumen import paths

KERNEL = paths.RELEASE / "tests/guests/guest-sdk"


def _check(t, result, where):
    t.equal(result.status, 0, f"status on {where}")
    t.contains(result.console, "PASS: idle until a timer", f"the console on {where}")
    t.check("FAIL" not in result.console, f"a check failed on {where}")


def test_on_lumen(t):
    """Hypercalls of all forms, sets, APIC, SynIC, timers, idle."""
    result = yield t.shared_child(KERNEL, memory=64)
    _check(t, result, "Lumen")
    t.contains(result.console, "PASS: XMM input (0), registers preserved")


def test_crash(t):
    """A crash report with numbers and a message: the run ends as one that has crashed."""
    result = yield t.shared_child(KERNEL, memory=64, append="crash")
    t.equal(result.status, 120, "status")
    t.contains("\n".join(result.notes), "P2 0000000000003333", "the report")
    t.contains("\n".join(result.notes), "the test guest says goodbye", "the report")


def test_on_kvm(t):
    """The same on another implementation, on 1 and 2 processors."""
    results = yield [t.shared_referee(KERNEL), t.shared_referee(KERNEL, cpus=2)]
    for result in results:
        _check(t, result, "KVM")
