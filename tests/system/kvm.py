# SPDX-License-Identifier: BSD-2-Clause
"""The referee: kernels on KVM's own Hyper-V interface, nested in the emulated machine."""

from lumen import examples, paths
from lumen.status import Failure

GUESTS = paths.RELEASE / "tests/guests"
BENCH_HYPERCALL = paths.RELEASE / "tests/bench/bench-hypercall"


def test_bad_ends(t):
    """One boot, several kernels: a triple fault, a hang, and again a triple fault, on 1 and 2 processors."""
    crash, spin = GUESTS / "guest-triple-fault", GUESTS / "guest-spin"
    results = yield [t.shared_referee(crash), t.shared_referee(spin, timeout=10, cpus=2),
                     t.shared_referee(crash, cpus=2)]
    t.equal([r.status for r in results], [120, 121, 120], "statuses")
    t.equal([r.console for r in results],
            ["triple-fault: now\r\n", "spin: interrupts are off\r\n", "triple-fault: now\r\n"],
            "consoles")
    t.contains("\n".join(results[0].notes), "triple fault at 0x", "the report")


def test_examples(t):
    """The examples that need no VMBus check themselves, as on Lumen: hello, tick, smp."""
    runs = [("hello", 1), ("tick", 1), ("tick", 2), ("smp", 1), ("smp", 2), ("smp", 4)]
    results = yield [t.shared_referee(examples.kernel(name), cpus=cpus) for name, cpus in runs]
    for (name, cpus), result in zip(runs, results):
        what = f"{name} on {cpus}"
        t.equal(result.status, 0, f"status of {what}")
        t.contains(result.console, "PASS: ", f"the console of {what}")
        t.check("FAIL" not in result.console, f"{what}: a check failed")
    t.contains(results[0].console, "Linux KVM Hv")
    t.contains(results[0].console, "The clock is the reference TSC page")


def test_hypercall(t):
    """A hypercall with an unknown code, a thousand times."""
    result = yield t.shared_referee(BENCH_HYPERCALL)
    t.equal(result.status, 0, "status")
    t.contains(result.console, " wrong 0")


def test_no_kvm(t):
    """A machine without SVM: one sentence."""
    try:
        t.referee([(BENCH_HYPERCALL, {})], processor="Nehalem")
    except Failure as failure:
        t.contains(str(failure), "the kernel has no KVM for this processor", "the failure")
    else:
        t.check(False, "it ran all the same")
