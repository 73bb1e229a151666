# SPDX-License-Identifier: BSD-2-Clause
"""One child: that a stock Linux runs, and what is said about children that do not end well."""

from lumen import paths

CALIBRATE = paths.RELEASE / "tests/guests/guest-calibrate"
SPIN = paths.RELEASE / "tests/guests/guest-spin"
PROCESSOR = paths.RELEASE / "tests/guests/guest-processor"
TRIPLE_FAULT = paths.RELEASE / "tests/guests/guest-triple-fault"


def _judge_self_check(t, result, status=0):
    t.equal(result.status, status, "status")
    t.contains(result.console, "self-check: 0 failed")
    t.equal(result.console.count("PASS: "), 3, "checks passed")


def test_self_check(t):
    """A stock Linux finds Hyper-V, its disk on VMBus, its root on /dev/sda; its self-check passes."""
    result = yield t.shared_linux()
    _judge_self_check(t, result)
    t.contains(result.console, "Hypervisor detected: Microsoft Hyper-V")
    t.contains(result.console, "Vmbus version:")
    t.contains(result.console, "on /dev/sda (driver hv_storvsc)")


def test_self_check_two_processors(t):
    """The same with two virtual processors, and a kernel that guards itself against speculation."""
    result = yield t.shared_linux(append="mitigations=auto", cpus=2)
    _judge_self_check(t, result)
    t.contains(result.console, "2 processor(s)")


def test_self_check_four_on_two(t):
    """The same with four virtual processors on a machine with two."""
    result = yield t.shared_linux(cpus=4)
    _judge_self_check(t, result)
    t.contains(result.console, "4 processor(s)")


def test_self_check_one_root_processor(t):
    """The same on a machine with one processor, which root and child share. The status that a child
    reports is the status of the run."""
    _judge_self_check(t, t.linux(append="lumen.status=42", root_cpus=1), 42)


def test_reset(t):
    """A child that asks for a reset gets status 124."""
    result = yield t.shared_linux("reset")
    t.equal(result.status, 124, "status")


def test_panic(t):
    """A panic is a crash, reported with the kernel's crash parameters and registers."""
    result = yield t.shared_linux("panic")
    t.equal(result.status, 120, "status")
    t.contains(result.console, "Kernel panic - not syncing")
    t.contains("\n".join(result.notes).lower(), "rip", "the report")


def test_hang(t):
    """A child that does not end is ended, with the status for that."""
    result = yield t.shared_linux("hang", timeout=60)
    t.equal(result.status, 121, "status")
    t.contains(result.console, "hang: waiting for ever")


def test_spin(t):
    """So is one that spins with interrupts off."""
    result = yield t.shared_child(SPIN, memory=64, timeout=8)
    t.equal(result.status, 121, "status")
    t.contains(result.console, "spin: interrupts are off")


def test_waits_for_a_timer(t):
    """A kernel that waits for a PC's timer is ended, and it is said what it waited for."""
    result = yield t.shared_child(CALIBRATE, memory=64, timeout=10)
    t.equal(result.status, 121, "status")
    said = "\n".join(result.notes)
    t.contains(said, "It seems to wait for the 8254 timer (PIT)", "the report")
    t.contains(said, "--legacy-timer", "the report")
    t.contains(said, "port 0x61: ", "the report")
    t.contains(said, "| waiting for the timer", "the report")


def test_legacy_timer(t):
    """With --legacy-timer it measures the TSC's frequency in four ways, within 5 %."""
    result = yield t.shared_child(CALIBRATE, memory=64, options=["--legacy-timer"])
    t.equal(result.status, 0, "status")
    t.equal(result.console.count("PASS: "), 4, "ways that work")


def test_triple_fault(t):
    """A triple fault is a crash, reported with registers."""
    result = yield t.shared_child(TRIPLE_FAULT, memory=64)
    t.equal(result.status, 120, "status")
    t.contains(result.console, "triple-fault: now")
    t.contains("\n".join(result.notes).lower(), "rip", "the report")


def test_hidden_features(t):
    """Instructions and register bits that CPUID does not offer to a child are not there."""
    result = yield t.shared_child(PROCESSOR, memory=64)
    t.equal(result.status, 0, "checks that failed")
    t.contains(result.console, "PASS: CR4 bit 24 is not offered")


def test_no_disk(t):
    """A child without a disk boots, and its initrd says what is missing."""
    kernel, initrd, _ = t.example_files()
    result = yield t.shared_child(kernel, initrd=initrd, append="console=ttyS0 quiet lumen.wait=5")
    t.equal(result.status, 90, "status")
    t.contains(result.console, "no disk after 5 s")


def test_read_only_disk(t):
    """A read-only disk refuses writes, and stays as it was."""
    scratch = t.scratch("second.img", 8)
    scratch.write_bytes(b"lumen" * 1000 + b"\0" * (8 * 1048576 - 5000))
    before = scratch.read_bytes()
    result = yield t.shared_linux("read-only", disks=[t.disk(scratch, read_only=True)])
    t.equal(result.status, 0, "status")
    t.equal(scratch.read_bytes() == before, True, "the disk as before")


def test_disk_full(t):
    """An image on a host file system that is full: I/O errors for this disk of the child, and no more."""
    with t.small_file_system(4) as directory:
        image = directory / "sparse.img"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        result = yield t.shared_linux("disk-full", disks=[t.disk(image)])
    t.equal(result.status, 0, "status")
    t.equal(result.console.count("PASS: "), 3, "checks passed")


def test_too_little_memory(t):
    """A kernel that does not fit into its memory is refused with one sentence."""
    kernel, initrd, _ = t.example_files()
    result = yield t.shared_child(kernel, initrd=initrd, memory=16)
    t.equal(result.status, 122, "status")
    t.equal(result.console, "", "the console")
    t.check(result.notes, "there is no sentence")
