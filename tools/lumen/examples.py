# SPDX-License-Identifier: BSD-2-Clause
"""The examples that are kernels on the guest SDK (examples/NAME/main.c), and the disk of one of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lumen import deps, images, paths, qemu, stamp, ui

SOURCE = Path(__file__).resolve()
SECTOR = 512
DISK_SECTORS = 24576
FILES_START, FILES_SECTORS = 2048, 16384
SCRATCH_START, SCRATCH_SECTORS = 18432, 4096
NUMBERS = 20000
GREETING = "This is a file on an ext2 file system, read by examples/disk.\n"
# What examples/disk writes to the first sector of the second partition, again and again.
WRITTEN = "Written by examples/disk. "
DISK_GUID = "4c756d65-6e00-4000-8000-000000000002"


@dataclass(frozen=True)
class Example:
    """What it shows, and what it runs with unless the command line says otherwise. memory in MiB."""

    what: str
    cpus: int = 1
    memory: int = 64
    vmbus: bool = False  # it needs VMBus
    disk: bool = False  # and a disk on it


KERNELS = {
    "hello": Example("finds the hypervisor, starts the clock, prints"),
    "tick": Example("synthetic timers, by message and by interrupt"),
    "smp": Example("starts processors, interrupts them, flushes their TLBs", cpus=4),
    "disk": Example("partitions, a file, a block written, on a VMBus disk", vmbus=True, disk=True),
    "echo": Example("answers ARP and ping, sends UDP datagrams back; needs a network", vmbus=True),
    "service": Example("stops when its host says so, answers heartbeats, is told the time", vmbus=True),
}


def defaults(name):
    """Options of a run that the example's name gives."""
    found = KERNELS.get(name)
    return {"cpus": found.cpus, "memory": found.memory} if found else {}


def kernel(name):
    """The image that the build has made."""
    return paths.RELEASE / f"examples/{name}.elf"


def _fill_tree(tree):
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "data").mkdir(parents=True)
    (tree / "greeting").write_text(GREETING)
    (tree / "data/numbers").write_text("".join(f"{n:05}\n" for n in range(NUMBERS)))


def _make_disk(directory, product):
    """A GPT by sfdisk, and an ext2 file system by mke2fs in its first partition."""
    tree, files, script = directory / "tree", directory / "files.ext2", directory / "partitions"
    partial = product.with_name(product.name + ".partial")
    _fill_tree(tree)
    files.unlink(missing_ok=True)
    path = "PATH=/usr/sbin:/sbin:/usr/bin:/bin"
    ui.command("making the file system of examples/disk", [
        "env", path, "mke2fs", "-q", "-t", "ext2", "-b", "1024", "-m", "0", "-d", tree,
        "-E", "root_owner=0:0", files, f"{FILES_SECTORS * SECTOR // 1024}k"])
    with open(partial, "wb") as image:
        image.truncate(DISK_SECTORS * SECTOR)
        image.seek(FILES_START * SECTOR)
        image.write(files.read_bytes())
    script.write_text(f"label: gpt\nlabel-id: {DISK_GUID}\n"
                      f"start={FILES_START}, size={FILES_SECTORS}, type=linux, name=files\n"
                      f"start={SCRATCH_START}, size={SCRATCH_SECTORS}, type=linux, name=scratch\n")
    ui.command("making the partitions of examples/disk", [
        "env", path, "sh", "-c", 'sfdisk --quiet "$1" <"$2"', "sh", partial, script])
    shutil.rmtree(tree)
    partial.rename(product)


def pristine_disk():
    """The disk of examples/disk as it is before a run."""
    deps.need(deps.DISK)
    directory = paths.IMAGES / "disk"
    directory.mkdir(parents=True, exist_ok=True)
    product = directory / "disk.img"
    digest = stamp.key([SOURCE])
    if not stamp.fresh(product, digest):
        _make_disk(directory, product)
        stamp.made(product, digest)
    return product


def fill(name, options, directory):
    """Complete the options of a run of this example."""
    options.kernel = kernel(name)
    if KERNELS[name].disk and not options.disks:
        disk = directory / "disk.img"
        images.copy_sparse(pristine_disk(), disk)
        options.disks = [qemu.Disk(disk)]
