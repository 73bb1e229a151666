# SPDX-License-Identifier: BSD-2-Clause
"""The Debian packages that each command needs: found out by looking for a file or a program of theirs."""

import glob
import os
import shutil

from lumen import ui
from lumen.status import Failure

# package, program or absolute path (a pattern) that shows it is there, why
BUILD = [
    ("gcc", "gcc", "to compile"),
    ("libc6-dev", "/usr/include/stdio.h", "to compile"),
    ("binutils", "objcopy", "to link"),
    ("make", "make", "to build the root's kernel module"),
    ("meson", "meson", "to build"),
    ("ninja-build", "ninja", "to build"),
    ("pkg-config", "pkg-config", "to find libraries"),
    ("libelf-dev", "/usr/include/libelf.h", "for the worker's ELF loader"),
    ("liburing-dev", "/usr/include/liburing.h", "for the worker's disks"),
    ("libxen-dev", "/usr/include/xen/arch-x86/hvm/start_info.h", "for the PVH boot protocol"),
    ("acpica-tools", "iasl", "to compile the child's ACPI tables"),
]
MACHINE = [
    ("qemu-system-x86", "qemu-system-x86_64", "the machine to run on"),
    ("seabios", "/usr/share/seabios/bios-256k.bin", "its firmware"),
    ("busybox-static", "/usr/share/doc/busybox-static", "user space of the root and the example"),
    ("e2fsprogs", "mke2fs", "to make file systems"),
    ("kmod", "depmod", "to index kernel modules"),
    ("hyperv-daemons", "/usr/sbin/hv_kvp_daemon", "the example's side of lumenctl info and others"),
    ("ethtool", "/usr/sbin/ethtool", "for the example's network card"),
    ("libmnl0", "/lib/x86_64-linux-gnu/libmnl.so.0", "for the example's network card"),
]
DISK = [
    ("e2fsprogs", "mke2fs", "to make file systems"),
    ("fdisk", "sfdisk", "to make the partitions of examples/disk"),
]
TEST = [
    ("busybox-static", "/usr/share/doc/busybox-static", "for the harness's own tests"),
    ("libcriterion-dev", "/usr/include/criterion/criterion.h", "for the unit tests"),
    ("clang", "clang", "for the fuzz targets"),
    ("strace", "strace", "to kill lumenctl at each of its system calls"),
    ("libclang-rt-dev", "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a",
     "for the fuzz targets"),
    ("llvm", "/usr/lib/llvm-*/bin/llvm-symbolizer", "for readable fuzz reports"),
]
LWIP = [
    ("dpkg-dev", "dpkg-source", "to unpack lwIP's source"),
]
BENCH = [
    ("iperf3", "iperf3", "to measure the network"),
]
SDK = [
    ("clang", "clang", "for a kernel that is built with it"),
]
GRUB = [
    ("grub-common", "grub-mkrescue", "for the GRUB boot test"),
    ("grub-pc-bin", "/usr/lib/grub/i386-pc/multiboot2.mod", "for the GRUB boot test"),
    ("xorriso", "xorriso", "for the GRUB boot test"),
    ("mtools", "mformat", "for the GRUB boot test"),
]
CHECK = [
    ("clang-format", "clang-format", "to check formatting"),
    ("clang-tidy", "clang-tidy", "to check the code"),
    ("cppcheck", "cppcheck", "to check the code"),
    ("clang", "clang", "to check the code"),
    ("tshark", "tshark", "to run the dissector of captures"),
]


def present(probe):
    """True if the program (by name) or file (by absolute pattern) exists."""
    if probe.startswith("/"):
        return bool(glob.glob(probe))
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(probe, path=path) is not None


def missing(tables):
    """The (package, why) pairs that are not there, in order, each once."""
    found = {}
    for table in tables:
        for package, probe, why in table:
            if not present(probe):
                found.setdefault(package, why)
    return list(found.items())


def as_root():
    """The words that go before a command that needs root rights."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo"]
    return None


def apt(what, *words):
    prefix = as_root()
    if prefix is None:
        raise Failure("packages are missing and this is neither root nor is there sudo; as root: "
                      "apt-get " + " ".join(words))
    env = ["env", "DEBIAN_FRONTEND=noninteractive"]
    ui.command(what, [*prefix, *env, "apt-get", "-q", *words])


def need(*tables):
    """Install what is missing, saying what and why."""
    wanted = missing(tables)
    if not wanted:
        return
    ui.say("installing what is missing here:")
    for package, why in wanted:
        ui.say(f"  {package:18} {why}")
    names = [package for package, _ in wanted]
    install = ("install", "-y", "--no-install-recommends", *names)
    try:
        apt("installing packages", *install)
    except Failure:
        ui.say("once more with fresh package lists")
        apt("updating package lists", "update")
        apt("installing packages", *install)
    left = missing(tables)
    if left:
        raise Failure("still missing after apt-get: " + ", ".join(package for package, _ in left) + ".")
