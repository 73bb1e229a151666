# SPDX-License-Identifier: BSD-2-Clause
"""The examples that are kernels on the guest SDK (examples/NAME/main.c), and the disks of two of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from lumen import deps, images, lwip, network, paths, qemu, stamp, ui

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
WWW = paths.ROOT / "examples/http/www"
WWW_MIB = 16
WWW_NUMBERS = 100000
PATH = "PATH=/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass(frozen=True)
class Example:
    """What it shows, and what it runs with unless the command line says otherwise. memory in MiB."""

    what: str
    cpus: int = 1
    memory: int = 64
    vmbus: bool = False  # it needs VMBus
    disk: object = None  # and a disk on it: the function that makes it,
    tree: Path | None = None  # of what is below this directory
    lwip: bool = False  # it is built with lwIP
    publish: tuple = ()  # network.Publish: ports that lead to it


def _numbers(count):
    return "".join(f"{n:05}\n" for n in range(count))


def _ext2(what, tree, product, block_size, kib):
    """A file system with the files below tree."""
    product.unlink(missing_ok=True)
    ui.command(f"making the file system of {what}", [
        "env", PATH, "mke2fs", "-q", "-t", "ext2", "-b", str(block_size), "-m", "0", "-d", tree,
        "-E", "root_owner=0:0", product, f"{kib}k"])


def _fill_tree(tree):
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "data").mkdir(parents=True)
    (tree / "greeting").write_text(GREETING)
    (tree / "data/numbers").write_text(_numbers(NUMBERS))


def _make_disk(directory, product):
    """A GPT by sfdisk, and an ext2 file system by mke2fs in its first partition."""
    tree, files, script = directory / "tree", directory / "files.ext2", directory / "partitions"
    _fill_tree(tree)
    _ext2("examples/disk", tree, files, 1024, FILES_SECTORS * SECTOR // 1024)
    with open(product, "wb") as image:
        image.truncate(DISK_SECTORS * SECTOR)
        image.seek(FILES_START * SECTOR)
        image.write(files.read_bytes())
    script.write_text(f"label: gpt\nlabel-id: {DISK_GUID}\n"
                      f"start={FILES_START}, size={FILES_SECTORS}, type=linux, name=files\n"
                      f"start={SCRATCH_START}, size={SCRATCH_SECTORS}, type=linux, name=scratch\n")
    ui.command("making the partitions of examples/disk", [
        "env", PATH, "sh", "-c", 'sfdisk --quiet "$1" <"$2"', "sh", product, script])
    shutil.rmtree(tree)


def _make_www(directory, product):
    """An ext2 file system with the pages of examples/http, and a file that is longer than they are."""
    tree = directory / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(WWW, tree)
    (tree / "numbers.txt").write_text(_numbers(WWW_NUMBERS))
    _ext2("examples/http", tree, product, 4096, WWW_MIB << 10)
    shutil.rmtree(tree)


KERNELS = {
    "hello": Example("finds the hypervisor, starts the clock, prints"),
    "tick": Example("synthetic timers, by message and by interrupt"),
    "smp": Example("starts processors, interrupts them, flushes their TLBs", cpus=4),
    "disk": Example("partitions, a file, a block written, on a VMBus disk", vmbus=True, disk=_make_disk),
    "echo": Example("answers ARP and ping, sends UDP datagrams back; needs a network", vmbus=True),
    "service": Example("stops when its host says so, answers heartbeats, is told the time", vmbus=True),
    "http": Example("a web server with lwIP: the files of its disk, at port 8080 of this machine", vmbus=True,
                    disk=_make_www, tree=WWW, lwip=True, publish=(network.Publish(8080, 80),)),
}


def defaults(name):
    """Options of a run that the example's name gives."""
    found = KERNELS.get(name)
    return {"cpus": found.cpus, "memory": found.memory, "publish": list(found.publish)} if found else {}


def prepare(name):
    """What building it needs, before anything is built."""
    if KERNELS[name].lwip:
        lwip.get()


def kernel(name):
    """The image that the build has made."""
    return paths.RELEASE / f"examples/{name}.elf"


def pristine_disk(name="disk"):
    """The disk of an example as it is before a run."""
    deps.need(deps.DISK)
    directory = paths.IMAGES / name
    directory.mkdir(parents=True, exist_ok=True)
    product = directory / "disk.img"
    partial = product.with_name(product.name + ".partial")
    tree = KERNELS[name].tree
    digest = stamp.key([SOURCE, *sorted(tree.rglob("*") if tree else ())])
    if not stamp.fresh(product, digest):
        KERNELS[name].disk(directory, partial)
        partial.rename(product)
        stamp.made(product, digest)
    return product


def fill(name, options, directory):
    """Complete the options of a run of this example."""
    options.kernel = kernel(name)
    if KERNELS[name].disk and not options.disks:
        disk = directory / "disk.img"
        images.copy_sparse(pristine_disk(name), disk)
        options.disks = [qemu.Disk(disk)]
