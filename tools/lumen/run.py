# SPDX-License-Identifier: BSD-2-Clause
"""./lumen run and ./lumen shell: from options to a machine, and what came of it."""

import fcntl
import math
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lumen import (build, deps, diskfile, examples, images, kernelfile, kernels, network, paths, qemu, session,
                   status, ui, userfiles)
from lumen.status import Failure, bad

ROOT_APPEND = "console=ttyS0 panic=-1 tsc=reliable rdinit=/init"
# For a machine whose first processor must not run guests: it gets one more, the hypervisor leaves the
# first one idle, and the root does not look for it.
SPARE_APPEND = "boot-processor=idle"
SPARE_ROOT_APPEND = f"disable_cpu_apicid=0 {qemu.ONE_AFTER_THE_OTHER}"
# A panic resets the child: whoever wants to look at it afterwards says otherwise.
CHILD_APPEND = "console=ttyS0 panic=-1"
# The root needs this much for itself, and the hypervisor for itself and its tables (MiB).
ROOT_MEMORY = 384
HYPERVISOR_MEMORY = 64
UNATTENDED_TIMEOUT = 600
# The root must be up after this many seconds. The worker ends a child in time; if it does not, we do.
ROOT_TIME = 180
WORKER_TIME = 30
LOGS = ("root.log", "root.first.log", "console.log", "qemu.log")
MAX_DISKS = 8
APPEND_MAX = 2047  # bytes
SECTOR = 512
EXAMPLES = ("linux", *examples.KERNELS)
EXAMPLE_PROGRAMS = ("examples/linux/lumen-report", "examples/linux/lumen-diskbench",
                    "examples/linux/lumen-clock", "examples/linux/lumen-agent")


@dataclass
class Options:
    """What a run is asked for. Sizes in MiB, times in seconds."""

    name: str = "child"
    kernel: Path | None = None
    initrd: Path | None = None
    append: str = ""
    disks: list = field(default_factory=list)
    memory: int = 512
    cpus: int = 1
    root_cpus: int = 2
    accel: str = "auto"
    timeout: float | None = None
    test_devices: bool = False
    legacy_timer: bool = False
    net: str = ""  # SWITCH[,OPTION...]; "": the child has no network card, nor has the machine
    publish: list = field(default_factory=list)  # network.Publish
    on_crash: str = "wait"
    gdb: bool = False
    bare: bool = False
    mode: str = "run"
    script: str = ""  # mode test: what the root runs
    files: dict = field(default_factory=dict)  # more files for the root: {name below /lumen: path}
    icount: bool = False
    plugin: str = ""
    hypervisor_append: str = ""
    root_append: str = ""  # more for the root's kernel
    cpu: str = "max"  # QEMU's name for the emulated processor
    grub: bool = False  # start the hypervisor from a CD image with GRUB instead of QEMU's own loader


def linux_append(accel):
    """What a Linux child's command line begins with."""
    return f"{CHILD_APPEND} {qemu.NO_SPECULATION}" if accel == "tcg" else CHILD_APPEND


def example_append(words, options):
    """The command line of examples/linux. Its init starts the processors that the kernel does not."""
    accel = qemu.choose_accelerator(options.accel)
    several = options.cpus > 1 and qemu.spoils_first_processor(accel, options.icount)
    return " ".join(filter(None, (linux_append(accel), several and f"{qemu.ONE_AFTER_THE_OTHER} lumen.start", words)))


@dataclass
class Result:
    """How a run ended, with all that was seen."""

    status: int
    raw: bytes  # the console
    notes: list
    messages: list
    seconds: float
    directory: Path
    ready_after: float | None

    @property
    def console(self):
        """As text."""
        return self.raw.decode(errors="replace")

    def evidence(self):
        """For a test that failed: where the logs are and how they end."""
        yield f"status {self.status}, logs in {paths.relative(self.directory)}"
        for name, lines in (("console.log", 15), ("root.log", 15), ("qemu.log", 3)):
            yield f"-- {name}:"
            yield from ui.tail(self.directory / name, lines).splitlines()
        yield from (f"note: {note}" for note in self.notes[-10:])

    @property
    def root_log(self):
        """The hypervisor's log and the root's console."""
        path = self.directory / "root.log"
        return path.read_text(errors="replace") if path.exists() else ""


class Directory:
    """build/run/<name>, held for as long as the run lasts. others: if that one is in use, <name>-2
    and so on will do."""

    def __init__(self, name, others=False):
        names = [name] + [f"{name}-{n}" for n in range(2, 10) if others]
        if not any(self._take(paths.RUN / candidate) for candidate in names):
            raise bad(f"a run with the name {name} is under way; give this one another name.")

    def _take(self, path):
        path.mkdir(parents=True, exist_ok=True)
        lock = open(path / ".lock", "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self.path, self._lock = path, lock
        return True

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self._lock.close()


def check_disk(disk):
    """A disk must exist, be readable (and writable) and hold whole sectors."""
    path, read_only = disk.path, disk.read_only
    _, comma, word = path.name.rpartition(",")
    if comma and not path.exists():
        raise bad(f"there is no disk {path}, and {word!r} is no option of one ({', '.join(qemu.DISK_OPTIONS)}).")
    with userfiles.open_binary(path, "the disk", not read_only, (stat.S_IFREG, stat.S_IFBLK)) as file:
        size = file.seek(0, os.SEEK_END)
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        userfiles.check_unused(file, path)
    if not size and is_file:
        raise bad(f"the disk {path} is empty; 'truncate -s 1G {path}' makes it a disk of 1 GiB.")
    if size < SECTOR or size % SECTOR:
        raise bad(f"the disk {path} has {size} bytes: not a whole number of {SECTOR}-byte sectors, "
                  "at least one.")
    if not disk.raw:
        diskfile.check(path, size)


def check_files(options):
    """Everything that can be found wrong before anything is built or booted."""
    qemu.choose_accelerator(options.accel, options.bare)
    if options.kernel:
        kernelfile.check(options.kernel)
    if options.initrd:
        userfiles.check_readable(options.initrd, "the initrd")
    _check_append(options.append)
    if len(options.disks) > MAX_DISKS:
        raise bad(f"{len(options.disks)} disks are too many: at most {MAX_DISKS}.")
    for disk in options.disks:
        check_disk(disk)
    _check_shared(options.disks)
    network.check(options.net, options.publish)


def _check_append(text):
    """What the worker takes (parent/common/child_config.c)."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise bad(f"--append {text!r}: a line break or another control character has no place there.")
    if len(os.fsencode(text)) > APPEND_MAX:
        raise bad(f"--append is {len(os.fsencode(text))} bytes long: at most {APPEND_MAX}.")


def _check_shared(disks):
    """One file may be several disks only if all of them are read-only."""
    seen = {}
    for disk in disks:
        which = userfiles.identity(disk.path)
        if which in seen and not (disk.read_only and seen[which]):
            raise bad(f"the disk {disk.path} is given twice, and not read-only each time.")
        seen[which] = disk.read_only


def prepare(bare=False, update=False, kernel_package=kernels.CLOUD):
    """Dependencies, the root's kernel, the build. Returns (root kernel, child's kernel)."""
    deps.need(deps.BUILD, deps.MACHINE)
    root = kernels.get(update=update)
    child = root
    if kernel_package != kernels.CLOUD:
        child = kernels.get(kernel_package, headers=False, update=update)
    build.release(root, EXAMPLE_PROGRAMS if bare else ())
    if not bare:
        build.need(paths.HYPERVISOR, paths.DRIVER, paths.WORKER, paths.LUMENCTL)
    return root, child


def example_images(child_kernel):
    """(initrd, pristine disk) of examples/linux for this kernel."""
    return images.example_linux(child_kernel, [paths.RELEASE / name for name in EXAMPLE_PROGRAMS])


def example(options, child_kernel, directory):
    """Fill in the parts of examples/linux that the options do not give."""
    initrd, pristine = example_images(child_kernel)
    disk = directory / "disk.img"
    images.copy_sparse(pristine, disk)
    options.kernel = options.kernel or child_kernel.image
    options.initrd = options.initrd or initrd
    options.disks = [qemu.Disk(disk), *options.disks]


def disk_options(disk):
    """What follows its name, for lumenctl."""
    return (",ro" if disk.read_only else "") + (",format=raw" if disk.raw else "")


def _words(options):
    """Disks as the root names them."""
    return " ".join(f"lumen-disk{i}{disk_options(d)}" for i, d in enumerate(options.disks))


def _root_config(options, terminal_size):
    columns, rows = terminal_size or ("", "")
    return {"MODE": options.mode, "NAME": options.name, "MEMORY": f"{options.memory}M",
            "CPUS": options.cpus, "TIMEOUT": math.ceil(options.timeout or 0) or "", "APPEND": options.append, "DISKS": _words(options),
            "TEST_DEVICES": "1" if options.test_devices else "",
            "LEGACY_TIMER": "1" if options.legacy_timer else "", "ON_CRASH": options.on_crash, "NET": options.net,
            "COLUMNS": columns, "ROWS": rows}


def _terminal_size():
    """(columns, rows) if there is a terminal that knows."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    size = tuple(os.get_terminal_size(sys.stdout.fileno()))
    return size if all(size) else None


def _run_files(options, directory):
    files = dict(options.files)
    if options.mode == "run" or options.kernel:
        files["kernel"] = options.kernel
    if options.initrd:
        files["initrd"] = options.initrd
    if options.mode == "test":
        script = directory / "test.sh"
        script.write_text(options.script)
        files["test.sh"] = script
    return files


def _mib(path):
    return (os.stat(path).st_size >> 20) + 1


def _root_machine(options, root_kernel, accel, directory):
    """The whole machine: hypervisor, root, and memory for the child."""
    base = images.root_initrd(root_kernel, {
        "bin/lumen-worker": paths.WORKER, "bin/lumenctl": paths.LUMENCTL, "lib/mshv.ko": paths.DRIVER})
    initrd = directory / "root.cpio"
    files = _run_files(options, directory)
    terminal = options.mode == "shell"
    images.run_initrd(base, initrd, _root_config(options, terminal and _terminal_size()), files)
    # The initrd is there twice while it is unpacked, and the kernel and initrd of the child stay.
    memory = ROOT_MEMORY + HYPERVISOR_MEMORY + 2 * _mib(initrd) + options.memory
    machine = qemu.Machine(
        kernel=paths.HYPERVISOR, append=options.hypervisor_append, memory=memory,
        cpus=options.root_cpus, disks=options.disks, terminal=terminal,
        network=bool(options.net), publish=options.publish,
        root_log=paths.relative(directory / "root.log"))
    root_append = " ".join(filter(None, (ROOT_APPEND, accel == "tcg" and qemu.NO_SPECULATION, options.root_append)))
    if options.bare:
        machine.kernel, machine.append, machine.initrd = root_kernel.image, root_append, initrd
        return machine
    if qemu.spoils_first_processor(accel, options.icount):
        machine.cpus += 1
        machine.append = f"{SPARE_APPEND} {machine.append}".rstrip()
        root_append += f" {SPARE_ROOT_APPEND}"
    machine.modules = [f"{paths.relative(root_kernel.image)} {root_append}", paths.relative(initrd)]
    return machine


def _bare_child_machine(options):
    """For trying an image: the child's kernel on the plain machine, disks by virtio-scsi."""
    append = f"{options.append} lumen.bare lumen.port={qemu.BARE_EXIT_PORT:#x}"
    return qemu.Machine(kernel=options.kernel, append=append, initrd=options.initrd or "",
                        memory=options.memory, cpus=options.cpus, disks=options.disks, bare=True)


def _machine(options, root_kernel, directory):
    accel = qemu.choose_accelerator(options.accel, options.bare)
    if options.bare and options.mode == "run":
        machine = _bare_child_machine(options)
    else:
        machine = _root_machine(options, root_kernel, accel, directory)
    machine.accel = accel
    if options.grub:
        machine.cdrom = images.grub_cd(machine, directory)
    machine.icount, machine.gdb, machine.cpu = options.icount, options.gdb, options.cpu
    machine.plugin = options.plugin
    return machine


def _limits(options):
    if options.gdb:
        return session.Limits()
    if options.bare and options.mode == "run":
        return session.Limits(end=options.timeout)
    return session.Limits(ROOT_TIME, options.timeout and options.timeout + WORKER_TIME)


def _boot(options, machine, directory, attach, prepare_session):
    """One boot, to its end. Returns the Session."""
    running = qemu.Running(machine, directory / "qemu.log")
    stdin = sys.stdin.fileno() if attach and sys.stdin else None
    echo = sys.stdout.fileno() if attach else None
    with open(directory / "console.log", "wb") as log:
        current = session.Session(running, _limits(options), stdin, echo, log,
                                  machine.root_log and directory / "root.log")
        if prepare_session:
            prepare_session(current)
        with session.raw_terminal(attach and sys.stdin.isatty() and sys.stdout.isatty()):
            current.run()
    return current


def start(options, root_kernel, directory, attach=False, prepare_session=None):
    """Boot and wait for the end. attach: our standard input and output are the console."""
    for old in LOGS:
        (directory / old).unlink(missing_ok=True)
    with build.lock():
        machine = _machine(options, root_kernel, directory)
    current = session.started(lambda: _boot(options, machine, directory, attach, prepare_session),
                              machine.accel, directory)
    code = current.code
    if machine.bare and not current.hung and not current.left:
        code = _bare_status(current.running.process.returncode)
    return Result(code, bytes(current.console), current.notes, current.messages,
                  current.elapsed(), directory, current.ready_after)


def _bare_status(code):
    """isa-debug-exit ends QEMU with 2 * status + 1; an ordinary power-off gives 0."""
    return status.OK if code == 0 else code >> 1 if code > 0 and code & 1 else status.OUR_FAULT


def _whose_fault(result):
    """What became of the machine, in words."""
    match = re.search(r"^lumen: panic: (.*)", result.root_log, re.M)
    if match:
        return f"the hypervisor stopped: {match[1]}"
    if result.ready_after is None:
        return "the root partition did not start"
    return "the machine ended without a word from the root partition"


def explain(result):
    """Say in words how it ended, if that is not plain from the console."""
    where = paths.relative(result.directory)
    meaning = {
        status.CRASHED: "the child crashed",
        status.HUNG: "the time is up: the child hung",
        status.RESET: "the child asked for a reset",
        status.OUR_FAULT: _whose_fault(result),
    }
    if result.status in meaning and not (result.status == status.OUR_FAULT and result.notes):
        ui.say(f"{meaning[result.status]} (logs: {where}).")
    if result.status == status.OUR_FAULT:
        for name in ("qemu.log", "root.log"):
            text = ui.tail(result.directory / name, 12)
            if text:
                print(f"--- the end of {where}/{name}:\n{text}", file=sys.stderr)


def _is_terminal():
    return sys.stdin.isatty() and sys.stdout.isatty()


def run_command(options, name, kernel_package, update):
    """./lumen run"""
    check_files(options)
    is_linux = name == "linux" and not (options.kernel and options.initrd)
    is_kernel = name in examples.KERNELS and not options.kernel
    if not (is_linux or is_kernel or options.kernel):
        known = ", ".join(EXAMPLES)
        raise bad(f"there is no example {name} (there are: {known}); to run a kernel give --kernel."
                  if name else f"what to run? Name an example ({known}) or give --kernel.")
    if not _is_terminal() and options.timeout is None:
        options.timeout = UNATTENDED_TIMEOUT
    options.name = name or "child"
    with build.lock():
        if is_kernel:
            examples.prepare(name)
        root_kernel, child_kernel = prepare(options.bare, update, kernel_package)
    with Directory(options.name, others=name is None or is_linux or is_kernel) as directory:
        if is_linux:
            action = " lumen.action=shell" if _is_terminal() and "lumen.action" not in options.append \
                else ""
            options.append = example_append(options.append, options) + action
        if is_linux or is_kernel:
            with build.lock():
                if is_linux:
                    example(options, child_kernel, directory)
                else:
                    examples.fill(name, options, directory)
        result = start(options, root_kernel, directory, attach=True)
    explain(result)
    return result.status


def shell_command(options, update):
    """./lumen shell"""
    options.mode, options.name = "shell", "shell"
    check_files(options)
    with build.lock():
        root_kernel, _ = prepare(options.bare, update)
    with Directory(options.name, others=True) as directory:
        result = start(options, root_kernel, directory, attach=True)
    if result.status >= status.CRASHED:
        explain(result)
    return result.status


def require_success(result, what):
    """For steps that are not themselves a test: any status but 0 is our fault."""
    if result.status != status.OK:
        raise Failure(f"{what} ended with status {result.status} "
                      f"(logs: {paths.relative(result.directory)}).")
