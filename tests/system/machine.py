# SPDX-License-Identifier: BSD-2-Clause
"""The machine: the root partition on the hypervisor and its driver, processors that lack something,
GRUB."""

import re

from lumen import build, paths


def test_root_boots(t):
    """The stock root finds Hyper-V, all processors and /dev/mshv, and powers off."""
    result = t.root("dmesg | grep 'Hypervisor detected'; nproc; ls /dev/mshv; lumenctl list; exit 3",
                    root_cpus=2)
    t.equal(result.status, 3, "status")
    t.contains(result.console, "Hypervisor detected: Microsoft Hyper-V")
    t.contains(result.console, "\n2\n")
    t.contains(result.console, "/dev/mshv")


def test_root_on_four_processors(t):
    """The same with four, and with its guards against speculation."""
    result = t.root("nproc; cat /sys/devices/system/cpu/vulnerabilities/spectre_v2; exit 4", root_cpus=4,
                    root_append="mitigations=auto")
    t.equal(result.status, 4, "status")
    t.contains(result.console, "4\n")
    t.contains(result.console, "Mitigation: Retpolines")


def test_driver(t):
    """The ioctls of /dev/mshv against the hypervisor, by mshv-check in the root."""
    build.need(paths.MSHV_CHECK)
    result = t.root("/lumen/mshv-check", files={"mshv-check": paths.MSHV_CHECK})
    t.equal(result.status, 0, "status of mshv-check")
    t.check(re.search(r"^\d+ passed, 0 failed", result.console, re.M), "mshv-check does not end")


def test_no_svm(t):
    """A processor without SVM: one sentence, no boot."""
    result = t.root("exit 0", cpu="max,-svm")
    t.equal(result.status, 123, "status")
    t.contains(result.root_log, "lumen: panic: ", "the hypervisor's log")
    t.contains(result.root_log, "SVM", "the hypervisor's log")
    t.check("Linux version" not in result.root_log, "the root was started")


def test_grub(t):
    """GRUB starts the hypervisor, by Multiboot2, as QEMU's own loader does."""
    result = t.root("grep -c processor /proc/cpuinfo; ls /dev/mshv; exit 5", grub=True)
    t.equal(result.status, 5, "status")
    t.contains(result.console, "/dev/mshv")
