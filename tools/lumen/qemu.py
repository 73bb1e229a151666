# SPDX-License-Identifier: BSD-2-Clause
"""The machine: QEMU's command line, and QEMU as a child process that cannot outlive us."""

import os
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lumen import network, paths
from lumen.status import bad

# CPU flags (/proc/cpuinfo) of the processors that the hypervisor can drive. /dev/kvm says nothing:
# without nested virtualization it is there and of no use.
HYPERVISOR_FLAGS = ("svm",)
BARE_EXIT_PORT = 0xF4
# What QEMU would otherwise choose by its version, or by what it finds. "pc" boots faster than q35 and
# has all that is needed; the version fixes the rest of the machine. vmport is a second interface to
# the host, dump-guest-core the memory of all guests in a core file.
MACHINE = "pc-i440fx-7.2,vmport=off,dump-guest-core=off"
# No default device, file or window of QEMU's, and no process of its own: each device is named here.
ALONE = ["-nodefaults", "-no-user-config", "-monitor", "none", "-parallel", "none", "-display", "none",
         "-vga", "none", "-nic", "none", "-no-reboot",
         "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
# An image is locked against other machines. An error of its file (disk full, I/O) is the guest's
# error: QEMU's own way, to stop the machine, would stop every child and the root. Zeros are written
# as zeros, so that what a guest has written has its place.
DRIVE = ("if=none,format=raw,cache=writeback,aio=threads,discard=unmap,detect-zeroes=off,"
         "werror=report,rerror=report,file.locking=on")
# QEMU ends with the thread that started it: setpriv (util-linux) asks for that and becomes QEMU.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]


@dataclass
class Disk:
    """A file or block device given to a child."""

    path: Path
    read_only: bool = False
    raw: bool = False  # whatever it looks like


# What a disk's options set, as lumenctl has them (parent/common/child_config.c).
DISK_OPTIONS = {"ro": ("read_only", True), "rw": ("read_only", False),
                "format=raw": ("raw", True), "format=auto": ("raw", False)}


@dataclass
class Machine:
    """What to start. Sizes in MiB."""

    kernel: str
    append: str
    modules: list = field(default_factory=list)  # multiboot modules, "file arguments"
    cdrom: str = ""  # boot from this image instead: kernel, append and modules are in it
    initrd: str = ""  # instead of modules, for a Linux kernel
    memory: int = 1024
    cpus: int = 2
    accel: str = "tcg"
    disks: list = field(default_factory=list)
    network: bool = False  # a network card, with QEMU's user network behind it
    publish: list = field(default_factory=list)  # network.Publish
    terminal: bool = False  # lumen.console is a terminal (hvc0) in the root
    bare: bool = False  # no hypervisor: the kernel's own console is the machine's console
    icount: bool = False  # time is counted in instructions, and the processors take turns
    plugin: str = ""  # a QEMU plugin, "FILE,ARGUMENTS"; one that counts needs them to take turns
    cpu: str = "max"
    gdb: bool = False
    root_log: str = ""


def _cpu_flags():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return set(line.split())
    except OSError:
        pass
    return set()


def choose_accelerator(wanted, bare=False):
    """auto, tcg or kvm to tcg or kvm."""
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK)
    nested = bare or any(flag in _cpu_flags() for flag in HYPERVISOR_FLAGS)
    if wanted == "kvm" and not usable:
        raise bad("--accel kvm: there is no /dev/kvm that this user may open.")
    if wanted == "kvm" and not nested:
        raise bad("--accel kvm: this processor shows no svm flag, so KVM cannot run a hypervisor "
                  "inside; use --accel tcg.")
    if wanted == "auto":
        return "kvm" if usable and nested and not bare else "tcg"
    return wanted


# What the emulated processor does not offer: CMPXCHG16B, which leaves nonsense in RFLAGS with QEMU 7.2
# (docs/hacking.md), and fast string operations, for which Linux would copy byte by byte, not word by word.
HIDDEN = "-cx16,-erms,-fsrm"
# For a Linux on TCG, which does not speculate: its guards against that only cost, a sixth of all.
NO_SPECULATION = "mitigations=off"
# For a Linux on TCG's threads: while it patches its code at boot no other processor runs it
# (docs/hacking.md). Its init starts the others.
ONE_AFTER_THE_OTHER = "maxcpus=1 noreplace-smp"


def spoils_first_processor(accel, icount):
    """Whether the processors run in threads of their own under TCG. There the first one's SVM state is
    not safe from the others (docs/hacking.md): it must not run guests."""
    return accel == "tcg" and not icount


def _escape(text):
    """QEMU splits many values at commas; a doubled one is a comma."""
    return str(text).replace(",", ",,")


def _accel_arguments(machine):
    if machine.accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-rtc", "base=utc,clock=host"]
    words = ["-cpu", f"{machine.cpu},{HIDDEN}"]
    if machine.icount:
        # An instruction is a nanosecond. While all processors wait, time goes on as it does for us: a
        # disk that needs some of it must not look as if it needed none, or for ever.
        words += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on",
                  "-rtc", "base=2025-01-01,clock=vm", "-seed", "1"]
    else:
        words += ["-accel", "tcg,thread=multi", "-rtc", "base=utc,clock=host"]
    return words + (["-plugin", machine.plugin] if machine.plugin else [])


def _drive(index, disk):
    option = "on" if disk.read_only else "off"
    return ["-drive", f"{DRIVE},id=disk{index},read-only={option},file={_escape(disk.path)}"]


def _disk_arguments(machine):
    words = ["-device", "virtio-scsi-pci"] if machine.bare and machine.disks else []
    for index, disk in enumerate(machine.disks):
        words += _drive(index, disk)
        device = "scsi-hd" if machine.bare else "virtio-blk-pci"
        words += ["-device", f"{device},drive=disk{index},serial=lumen-disk{index}"]
    return words


def _console_arguments(machine, console_fd, control_fd):
    if machine.bare:
        return ["-chardev", f"socket,id=console,fd={console_fd}", "-serial", "chardev:console",
                "-device", f"isa-debug-exit,iobase={BARE_EXIT_PORT:#x},iosize=1"]
    port = "virtconsole" if machine.terminal else "virtserialport"
    return ["-serial", f"file:{machine.root_log}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=console,fd={console_fd}",
            "-device", f"{port},chardev=console,name=lumen.console",
            "-chardev", f"socket,id=control,fd={control_fd}",
            "-device", "virtserialport,chardev=control,name=lumen.control"]


def _kernel_arguments(machine):
    if machine.cdrom:
        return ["-drive", f"if=ide,media=cdrom,format=raw,file={_escape(machine.cdrom)}", "-boot", "d"]
    words = ["-kernel", paths.relative(machine.kernel), "-append", machine.append]
    if machine.modules:
        words += ["-initrd", ",".join(_escape(m) for m in machine.modules)]
    elif machine.initrd:
        words += ["-initrd", paths.relative(machine.initrd)]
    return words


def _gdb_arguments(machine):
    """For this machine's own users only: who talks to this port owns the machine, and -s listens on all addresses."""
    return ["-gdb", "tcp:127.0.0.1:1234", "-S"] if machine.gdb else []


def arguments(machine, console_fd, control_fd):
    """QEMU's command line. What its defaults still decide is no choice: the firmware is Debian's, random
    numbers are the emulated processor's RDRAND, queues and the like are the drivers' to negotiate."""
    return ["qemu-system-x86_64", "-name", "lumen", "-machine", MACHINE, *_accel_arguments(machine),
            "-smp", f"cpus={machine.cpus},sockets=1,cores={machine.cpus},threads=1",
            "-m", str(machine.memory), *ALONE,
            *_kernel_arguments(machine),
            *_console_arguments(machine, console_fd, control_fd),
            *_disk_arguments(machine), *_gdb_arguments(machine),
            *(network.qemu_arguments(machine.publish) if machine.network else [])]


class Running:
    """A started machine: its process and our ends of its console and control channel."""

    def __init__(self, machine, messages_path):
        self.console, console = socket.socketpair()
        self.control, control = socket.socketpair()
        fds = (console.fileno(), control.fileno())
        argv = arguments(machine, *fds)
        with open(messages_path, "wb") as messages:
            messages.write(os.fsencode(" ".join(map(str, argv)) + "\n"))
            messages.flush()
            # A process group of its own: Ctrl-C at a terminal is for us to handle.
            self.process = subprocess.Popen(
                DIE_WITH_PARENT + argv, cwd=paths.ROOT, pass_fds=fds, stdin=subprocess.DEVNULL,
                stdout=messages, stderr=messages, process_group=0)
        console.close()
        control.close()

    def stop(self, grace=5.0):
        """End the machine whatever it is doing, and wait for that."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        """Stop it and give up the channels."""
        self.stop()
        self.console.close()
        self.control.close()
