# SPDX-License-Identifier: BSD-2-Clause
"""The images: the root partition's initrd (cached part and per-run part) and the example Linux."""

import hashlib
import os
import re
import shlex
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

from lumen import cpio, modules, paths, stamp, ui
from lumen.status import Failure

SOURCE = Path(__file__).resolve()
ROOT_INIT = paths.ROOT / "parent/root/init"
ROOT_NETWORK = paths.ROOT / "parent/root/network"
START_PROCESSORS = SOURCE.with_name("start-processors")
EXAMPLE = paths.ROOT / "examples/linux"
OS_RELEASE = Path("/etc/os-release")

ROOT_MODULES = ["virtio_pci", "virtio_blk", "virtio_console"]
# Loaded if some child has a network card; the last four are for a limited rate.
ROOT_NET_MODULES = ["tun", "bridge", "8021q", "sch_tbf", "sch_ingress", "cls_matchall", "act_police"]
# And for the machine's own.
ROOT_UPLINK_MODULES = ["virtio_net"]
# The child's own drivers for its disk and file system, and for requests to power off; BARE serves
# the trial without a hypervisor.
COMMON_MODULES = ["sd_mod", "ext4", "crc32c_generic", "crc32c_intel"]
CHILD_MODULES = ["hv_vmbus", "hv_storvsc", *COMMON_MODULES, "hv_utils"]
BARE_MODULES = ["virtio_pci", "virtio_scsi", *COMMON_MODULES]

FREE_MIB = 100
FIXED_UUID = "4c756d65-6e00-4000-8000-000000000001"


def _generators():
    """The files of the harness whose change makes every image old."""
    return [SOURCE, SOURCE.with_name("cpio.py"), SOURCE.with_name("modules.py"), START_PROCESSORS]


def _write(product, digest, fill):
    """Write an archive through fill(archive), in place only when complete."""
    product.parent.mkdir(parents=True, exist_ok=True)
    partial = product.with_name(product.name + ".partial")
    with open(partial, "wb") as out:
        archive = cpio.Archive(out)
        fill(archive)
        archive.finish()
    partial.rename(product)
    stamp.made(product, digest)


def _add_base(archive, init):
    """What every initrd has: busybox, a console to complain on, mount points, /init."""
    archive.copy("bin/busybox", paths.BUSYBOX)
    archive.copy(f"bin/{START_PROCESSORS.name}", START_PROCESSORS)
    archive.symlink("bin/sh", "busybox")
    for name in ("dev", "proc", "sys", "run", "tmp", "mnt", "etc"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.copy("init", init)


def _add_modules(archive, kernel, wanted, list_name, behind=()):
    """The modules in the order to insert them, and that order as a file. Without those that are there when
    they are inserted: behind, and what it needs."""
    there = modules.load_order(kernel, behind) if behind else []
    order = [path for path in modules.load_order(kernel, wanted) if path not in there]
    for path in order:
        name = "lib/modules/" + path
        if name not in archive.directories:
            archive.copy(name, kernel.modules / path)
            archive.directories.add(name)
    archive.file(f"lib/modules/{list_name}", "".join(f"/lib/modules/{p}\n" for p in order).encode())


def root_initrd(kernel, programs):
    """The part of the root's initrd that does not change between runs.

    programs: {path in the initrd: host file}; those that do not exist are left out, which only the
    trial without a hypervisor accepts."""
    programs = {name: path for name, path in programs.items() if path.exists()}
    product = paths.IMAGES / "root.cpio"
    digest = stamp.key([*_generators(), ROOT_INIT, ROOT_NETWORK, paths.BUSYBOX, kernel.image, *programs.values()],
                       sorted(programs), ROOT_MODULES, ROOT_NET_MODULES, ROOT_UPLINK_MODULES)
    if not stamp.fresh(product, digest):
        def fill(archive):
            _add_base(archive, ROOT_INIT)
            _add_modules(archive, kernel, ROOT_MODULES, "order")
            _add_modules(archive, kernel, ROOT_NET_MODULES, "order.net")
            _add_modules(archive, kernel, ROOT_UPLINK_MODULES, "order.uplink", behind=ROOT_MODULES)
            archive.copy("bin/network", ROOT_NETWORK)
            for name, path in programs.items():
                archive.copy(name, path)
        _write(product, digest, fill)
    return product


def small_initrd(name, kernel, init, wanted_modules, files=()):
    """An initrd of busybox, an init, kernel modules and host files at the paths that they have here: a
    whole small system, or the part of one that does not change between runs."""
    product = paths.IMAGES / f"{name}.cpio"
    digest = stamp.key([*_generators(), init, paths.BUSYBOX, kernel.image, *files],
                       wanted_modules)
    if not stamp.fresh(product, digest):
        def fill(archive):
            _add_base(archive, init)
            _add_modules(archive, kernel, wanted_modules, "order")
            for path in files:
                archive.copy(str(path).lstrip("/"), path)
        _write(product, digest, fill)
    return product


def program(name):
    """A program of this machine and the shared libraries that it needs, its loader among them."""
    path = shutil.which(name)
    if not path:
        raise Failure(f"there is no program {name} here.")
    done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    if done.returncode or "not found" in done.stdout:
        raise Failure(f"ldd does not find all libraries of {path}.")
    return [Path(path), *sorted(Path(found) for found in set(re.findall(r"(/\S+) \(0x", done.stdout)))]


def pack(product, files):
    """A tar archive of files of this machine, at the paths that they have here."""
    with tarfile.open(product, "w") as archive:
        for path in files:
            archive.add(path.resolve(), arcname=str(path).lstrip("/"))


def shell_assignments(config):
    """{NAME: value} as lines that a shell can source."""
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in config.items())


def run_initrd(base, out_path, config, files):
    """base and, behind it, what this run adds: /lumen/run.conf and {name below /lumen: host file}."""
    with open(out_path, "wb") as out:
        with open(base, "rb") as source:
            shutil.copyfileobj(source, out)
        archive = cpio.Archive(out)
        archive.file("lumen/run.conf", os.fsencode(shell_assignments(config)))
        for name, path in files.items():
            archive.copy(f"lumen/{name}", path)
        archive.finish()


def _tree_files(tree):
    return sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink())


def _digest(path):
    """MD5: it finds damage as well as any, and an emulated processor takes a quarter of SHA-256's time."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "md5").hexdigest()


def _write_manifest(tree):
    """/manifest: the digest of every file, in the format of md5sum -c."""
    lines = [f"{_digest(p)}  /{p.relative_to(tree).as_posix()}\n" for p in _tree_files(tree)]
    (tree / "manifest").write_text("".join(lines))


def _install(source, target, mode):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _fill_example_tree(tree, kernel, helpers):
    for name in ("bin", "sbin", "dev", "proc", "sys", "run", "tmp", "etc", "root", "data", "var/lib"):
        (tree / name).mkdir(parents=True)
    _install(paths.BUSYBOX, tree / "bin/busybox", 0o755)
    (tree / "bin/sh").symlink_to("busybox")
    for name in ("init", "poweroff"):
        _install(EXAMPLE / f"sbin-{name}", tree / "sbin" / name, 0o755)
    (tree / "sbin/reboot").symlink_to("poweroff")
    for path in paths.PROGRAMS:
        _install(path, tree / path.relative_to("/"), 0o755)
    _install(OS_RELEASE, tree / "etc/os-release", 0o644)
    for script in sorted((EXAMPLE / "actions").iterdir()):
        _install(script, tree / "lib/lumen" / script.name, 0o755)
    for script in sorted((EXAMPLE / "bin").iterdir()):
        _install(script, tree / "bin" / script.name, 0o755)
    for helper in helpers:
        _install(helper, tree / "bin" / helper.name, 0o755)
    target = tree / f"lib/modules/{kernel.release}"
    shutil.copytree(kernel.modules, target, symlinks=True,
                    ignore=shutil.ignore_patterns("build", "source"))
    _write_manifest(tree)


def _size_mib(tree):
    """Room for the tree, the journal, the inode tables and the free space that is promised."""
    used = sum((p.stat().st_size + 4095) // 4096 * 4096 for p in _tree_files(tree))
    return (used * 105 // 100 >> 20) + 32 + FREE_MIB


def _make_ext4(tree, product):
    partial = product.with_name(product.name + ".partial")
    partial.unlink(missing_ok=True)
    ui.command("making the example's root file system", [
        "env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", "mke2fs", "-q", "-t", "ext4", "-L", "lumen",
        "-U", FIXED_UUID, "-m", "0", "-d", tree,
        "-E", f"root_owner=0:0,lazy_itable_init=0,hash_seed={FIXED_UUID}",
        partial, f"{_size_mib(tree)}M"])
    partial.rename(product)


def _example_disk(kernel, directory, helpers):
    product = directory / "root.ext4"
    sources = [EXAMPLE / "sbin-init", EXAMPLE / "sbin-poweroff",
               *sorted((EXAMPLE / "actions").iterdir()), *sorted((EXAMPLE / "bin").iterdir()),
               *helpers, *paths.PROGRAMS, OS_RELEASE]
    digest = stamp.key([*_generators(), paths.BUSYBOX, kernel.image, *sources], FREE_MIB)
    if not stamp.fresh(product, digest):
        tree = directory / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir(parents=True)
        _fill_example_tree(tree, kernel, helpers)
        _make_ext4(tree, product)
        shutil.rmtree(tree)
        stamp.made(product, digest)
    return product


def _example_initrd(kernel, directory, helpers):
    product = directory / "initrd.cpio"
    init = EXAMPLE / "initrd-init"
    helpers = [*helpers, EXAMPLE / "bin/lumen-disk"]
    digest = stamp.key([*_generators(), init, paths.BUSYBOX, kernel.image, *helpers],
                       CHILD_MODULES, BARE_MODULES)
    if not stamp.fresh(product, digest):
        def fill(archive):
            _add_base(archive, init)
            _add_modules(archive, kernel, CHILD_MODULES, "order")
            _add_modules(archive, kernel, BARE_MODULES, "order.bare")
            for helper in helpers:
                archive.copy(f"bin/{helper.name}", helper)
        _write(product, digest, fill)
    return product


def example_linux(kernel, helpers):
    """(initrd, pristine disk image) of examples/linux for this kernel; helpers are programs for /bin."""
    directory = paths.IMAGES / f"linux-{kernel.release}"
    directory.mkdir(parents=True, exist_ok=True)
    return _example_initrd(kernel, directory, helpers), _example_disk(kernel, directory, helpers)


def _grub_config(machine, module_names):
    """Multiboot2: what GRUB is to load, and with which arguments."""
    lines = ["set timeout=0", "insmod multiboot2", f"multiboot2 /boot/lumen.elf {machine.append}"]
    for name, module in zip(module_names, machine.modules):
        lines.append(f"module2 /boot/{name} {module.partition(' ')[2]}")
    return "\n".join([*lines, "boot", ""])


def grub_cd(machine, directory):
    """A CD image that starts the machine's hypervisor and modules from GRUB."""
    tree, product = directory / "cd", directory / "grub.iso"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copyfile(machine.kernel, tree / "boot/lumen.elf")
    names = [f"module{number}" for number in range(len(machine.modules))]
    for name, module in zip(names, machine.modules):
        shutil.copyfile(paths.ROOT / module.partition(" ")[0], tree / "boot" / name)
    (tree / "boot/grub/grub.cfg").write_text(_grub_config(machine, names))
    ui.command("making a CD image with GRUB", ["grub-mkrescue", "-o", product, tree])
    shutil.rmtree(tree)
    return product


def copy_sparse(source, target):
    """Copy an image file with its holes."""
    with open(source, "rb") as src, open(target, "wb") as dst:
        size = os.fstat(src.fileno()).st_size
        dst.truncate(size)
        offset = 0
        while offset < size:
            try:
                start = os.lseek(src.fileno(), offset, os.SEEK_DATA)
            except OSError:
                break  # nothing but a hole to the end
            offset = os.lseek(src.fileno(), start, os.SEEK_HOLE)
            _copy_range(src.fileno(), dst.fileno(), start, offset)
    target.chmod(stat.S_IRUSR | stat.S_IWUSR)


def _copy_range(src, dst, start, end):
    while start < end:
        data = os.pread(src, min(end - start, 1 << 22), start)
        if not data:
            return
        os.pwrite(dst, data, start)
        start += len(data)
