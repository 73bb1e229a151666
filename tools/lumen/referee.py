# SPDX-License-Identifier: BSD-2-Clause
"""The referee: KVM with its Hyper-V enlightenments, nested in the emulated machine.

A stock Debian kernel boots there and runs kernels (ELF files with a PVH note or a Multiboot header),
one after the other, each in a QEMU of its own with -accel kvm. Kernels that run on Lumen and use nothing but what the TLFS
says must do the same there.

    results = referee.run([Guest(kernel, append="...", cpus=2), ...], directory)

tools/referee/init is what runs inside; its comment lists the messages between it and us."""

import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lumen import build, deps, examples, images, kernels, paths, qemu, run as runs, session, status, ui
from lumen.status import Failure, bad

INIT = paths.ROOT / "tools/referee/init"
QEMU = "qemu-system-x86_64"
MODULES = ["virtio_pci", "virtio_console", "kvm_amd"]
# The firmware that Debian's QEMU loads for a PC without devices and with a kernel on its command line.
FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "pvh.bin", "linuxboot_dma.bin", "multiboot_dma.bin")
FIRMWARE_DIRECTORIES = (Path("/usr/share/qemu"), Path("/usr/share/seabios"))
# KVM gives its guests a TSC page only if the clock of its own kernel is the TSC.
APPEND = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable clocksource=tsc rdinit=/init"
# All that this KVM has; and a guest that uses what CPUID does not show gets what the TLFS says.
CPU = "host,hv-passthrough,hv-enforce-cpuid"
MEMORY = 256  # MiB for the stock kernel and QEMU, besides files and guests
CPUS = 2
BOOT_TIME = 120
KILL_TIME = 30
FOR_EVER = 1e6
# The last line on the console of a kernel that ends with a status (examples/kernel/kernel.h).
STATUS_LINE = re.compile(r"kernel: exit status (\d{1,3})")
# QEMU says this of a guest with more processors than the machine has: it is as we want it.
NO_NEWS = "exceeds the recommended cpus supported by KVM"


@dataclass(frozen=True)
class Guest:
    """One kernel to run. memory in MiB, timeout in seconds."""

    kernel: Path
    append: str = ""
    cpus: int = 1
    memory: int = 64
    timeout: float = 60.0
    cpu: str = CPU  # QEMU's -cpu


@dataclass
class Result:
    """How a guest ended: status as status.TABLE has it, its console, what else was said about it."""

    guest: Guest
    status: int = status.OUR_FAULT
    console: str = ""
    notes: list = field(default_factory=list)
    seconds: float = 0.0

    def evidence(self):
        """For a test that failed."""
        yield f"-- guest {self.guest.kernel.name}: status {self.status}"
        yield from self.console.replace("\r", "").splitlines()[-15:]
        yield from (f"note: {note}" for note in self.notes[-10:])


# How a guest ended.

def _reported(console):
    """The status that a guest reports in the last line of its console, or None. There is no device for
    that on the machine: the Hyper-V interface knows none."""
    lines = console.replace("\r", "").rstrip("\n").split("\n")
    match = STATUS_LINE.fullmatch(lines[-1])
    return min(int(match[1]), status.CHILD_MAX) if match else None


@dataclass
class _Ending:
    """What was seen of a guest's end."""

    killed: bool = False  # by us: its time was up
    triple_fault: bool = False
    panicked: bool = False
    stopped: bool = False  # KVM could not go on: QEMU has paused it
    reason: str = ""  # of the event SHUTDOWN
    code: int = 0  # exit status of QEMU


def judge(ending, console):
    """The status of a guest that ended so."""
    if ending.triple_fault or ending.panicked or ending.stopped:
        return status.CRASHED
    if ending.killed:
        return status.HUNG
    orderly = {"guest-shutdown": status.OK, "guest-reset": status.RESET}.get(ending.reason)
    if ending.code or orderly is None:
        return status.OUR_FAULT
    reported = _reported(console)
    return orderly if reported is None else reported


class _Session(session.Session):
    """The dialogue with tools/referee/init."""

    def __init__(self, guests, ended, *arguments):
        super().__init__(*arguments)
        self.results = [Result(guest) for guest in guests]
        self._tell_end = ended
        self.fault = ""
        self._current = None
        self._ending = _Ending()
        self._console_start = 0
        self._guest_started = 0.0
        self._ended = 0

    def _message(self, line):
        word, _, rest = line.partition(" ")
        handler = getattr(self, "_on_" + word.replace("-", "_"), None)
        self.messages.append(line)
        if handler:
            handler(rest)

    def unfinished(self):
        """Whether a guest has not come to its end."""
        return self._ended < len(self.results)

    def where(self):
        """For a message: what it was at."""
        if self.ready_after is None:
            return "while it starts"
        at = f"{self._ended + 1} of {len(self.results)}"
        return f"with guest {at}" if self._current else f"before guest {at}"

    def _on_ready(self, _):
        self.ready_after = self.elapsed()

    def _on_fault(self, text):
        self.fault = text
        self.left = True

    def _on_begin(self, number):
        self._current = self.results[int(number)]
        self._ending = _Ending()
        self._console_start = len(self.console)
        self._guest_started = time.monotonic()
        self.deadline = self._guest_started + self._current.guest.timeout

    def _on_note(self, text):
        if self._current and NO_NEWS not in text:
            self._current.notes.append(text)

    def _on_triple_fault(self, rip):
        self._ending.triple_fault = True
        self._on_note(f"triple fault at {rip}")

    def _on_qmp(self, text):
        try:
            said = json.loads(text)
        except ValueError:
            return
        data = said.get("data", {})
        event = said.get("event")
        if event == "SHUTDOWN":
            self._ending.reason = data.get("reason", "")
        elif event == "GUEST_PANICKED":
            self._ending.panicked = True
            self._on_note(f"panic: {json.dumps(data.get('info', {}))}")
        elif event == "STOP" and not self._ending.killed:
            # The event comes after a shutdown too, but then QEMU ends by itself.
            self._ending.stopped = not self._ending.reason
            if self._ending.stopped:
                self.tell("kill")

    def _on_end(self, rest):
        """Its console is in our socket, all of it: the next one starts when we say so."""
        self._take_console()
        result, self._current = self._current, None
        self._ending.code = int(rest.split()[1])
        result.console = self.console[self._console_start:].decode(errors="replace")
        result.status = judge(self._ending, result.console)
        result.seconds = time.monotonic() - self._guest_started
        self.deadline = time.monotonic() + KILL_TIME
        self._ended += 1
        self._tell_end(result)
        self.tell("next")

    def _take_console(self):
        before = -1
        while before < len(self.console) and self.running.console in self._open:
            before = len(self.console)
            self._console_readable()

    def _time_is_up(self):
        if self._current and not self._ending.killed:
            self._ending.killed = True
            self.deadline = time.monotonic() + KILL_TIME
            self.tell("kill")
        else:
            self.late = self.left = True


# The machine.

def _firmware(name):
    for directory in FIRMWARE_DIRECTORIES:
        if (directory / name).exists():
            return directory / name
    raise Failure(f"QEMU's firmware file {name} is not where Debian has it.")


def qemu_files():
    """Debian's QEMU and what it needs, at the paths that they have here and there."""
    return [*images.program(QEMU), *(_firmware(f) for f in FIRMWARE)]


def _base(kernel):
    """The part of the initrd that does not change between runs: QEMU and what it needs."""
    return images.small_initrd("referee", kernel, INIT, MODULES, qemu_files())


def _configuration(guests, mask, directory):
    """{name below /lumen: file} of what is to be run. A kernel that is run several times is there once."""
    kernels_, files = {}, {}
    (directory / "guests").mkdir(exist_ok=True)
    for number, guest in enumerate(guests):
        name = kernels_.setdefault(Path(guest.kernel), f"kernel{len(kernels_)}")
        conf = directory / f"guests/{number:04}.conf"
        conf.write_text(images.shell_assignments({
            "KERNEL": f"/lumen/{name}", "APPEND": guest.append, "CPUS": guest.cpus,
            "MEMORY": guest.memory, "CPU": guest.cpu, "MASK": mask}))
        files[f"guests/{conf.name}"] = conf
    return {**files, **{name: path for path, name in kernels_.items()}}


def _machine(guests, kernel, accel, cpus, processor, directory):
    # The first processor's SVM state is not safe from the others (docs/hacking.md): no guest runs there.
    spare = 1 if qemu.spoils_first_processor(accel, False) else 0
    append = f"{APPEND} {qemu.ONE_AFTER_THE_OTHER}" if spare else APPEND
    mask = f"{(1 << cpus) - 1 << spare:x}"
    initrd = directory / "referee.cpio"
    images.run_initrd(_base(kernel), initrd, {}, _configuration(guests, mask, directory))
    # The initrd is there twice while it is unpacked.
    memory = MEMORY + 2 * (initrd.stat().st_size >> 20) + max(guest.memory for guest in guests)
    return qemu.Machine(kernel=kernel.image, append=append, initrd=initrd, memory=memory,
                        cpus=cpus + spare, accel=accel, cpu=processor,
                        root_log=paths.relative(directory / "root.log"))


def run(guests, directory, cpus=CPUS, accel="auto", echo=None, processor="max",
        ended=lambda result: None):
    """Run them all in one boot; a Result for each, in order. directory: for the logs (run.Directory).
    cpus: processors that guests run on. echo: a file descriptor that consoles are copied to.
    processor: QEMU's name for the emulated one. ended: called with each Result when it is there. A
    Failure if the referee itself does not start, and also if it breaks down before the last guest's
    end."""
    accel = qemu.choose_accelerator(accel)
    with build.lock():
        kernel = kernels.get()
        machine = _machine(guests, kernel, accel, cpus, processor, directory)

    def boot():
        running = qemu.Running(machine, directory / "qemu.log")
        with open(directory / "console.log", "wb") as log:
            current = _Session(guests, ended, running, session.Limits(ready=BOOT_TIME), None, echo, log,
                               directory / "root.log")
            current.run()
        return current

    current = session.started(boot, accel, directory)
    if current.fault or current.late or current.unfinished():
        for name in ("qemu.log", "root.log"):
            print(f"--- the end of {name}:\n{ui.tail(directory / name, 12)}", file=sys.stderr)
        why = current.fault or (f"it hangs {current.where()}" if current.late else "it ended too early")
        raise Failure(f"the referee (KVM in the emulated machine): {why} "
                      f"(logs: {paths.relative(directory)}).")
    return current.results


def _refuse(options, name):
    """What the referee cannot do."""
    if name == "linux" or (name in examples.KERNELS and examples.KERNELS[name].vmbus):
        raise bad(f"the example {name} needs VMBus, which KVM does not have: not with --on kvm.")
    if options.disks:
        raise bad("--disk: disks are VMBus channels, which KVM does not have: not with --on kvm.")
    for option, given in (("--initrd", options.initrd), ("--gdb", options.gdb), ("--publish", options.publish),
                          ("--bare", options.bare)):
        if given:
            raise bad(f"{option} is not for --on kvm.")


def run_command(options, name):
    """./lumen run --on kvm"""
    _refuse(options, name)
    runs.check_files(options)
    is_example = name in examples.KERNELS and not options.kernel
    if not (options.kernel or is_example):
        raise bad("what to run? Give --kernel, or name an example that is a kernel.")
    with build.lock():
        deps.need(deps.MACHINE)
        if is_example:
            runs.prepare()
            examples.fill(name, options, None)
    guest = Guest(options.kernel, options.append, options.cpus, options.memory,
                  options.timeout or (FOR_EVER if sys.stdout.isatty() else runs.UNATTENDED_TIMEOUT))
    with runs.Directory(name or "kvm", others=name is None or is_example) as directory:
        result, = run([guest], directory, options.root_cpus, options.accel, sys.stdout.fileno())
        explain(result, directory)
    return result.status


def explain(result, directory):
    """Say in words how a guest ended, if that is not plain from its console."""
    meaning = {status.CRASHED: "the guest crashed", status.HUNG: "the time is up: the guest hung",
               status.RESET: "the guest asked for a reset", status.OUR_FAULT: "QEMU did not run it"}
    for note in result.notes:
        ui.say(note)
    if result.status in meaning:
        ui.say(f"{meaning[result.status]} (logs: {paths.relative(directory)}).")
