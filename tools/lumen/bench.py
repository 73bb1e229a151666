# SPDX-License-Identifier: BSD-2-Clause
"""./lumen bench: sizes, the cost of a hypercall, and what a disk and a network cost a child."""

import json
import re
import struct

from lumen import build, deps, diskbench, examples, kernels, measure, netbench, paths, run as runs, status
from lumen.measure import Value
from lumen.status import Failure

HYPERCALL_KERNEL = paths.RELEASE / "tests/bench/bench-hypercall"
DISK_MAP = paths.RELEASE / "tests/bench/bench-disk.map"
SDK = "liblumen-guest.a"
SHF_WRITE, SHF_ALLOC, SHT_NOBITS = 1, 2, 8


def _sections(data):
    """(type, flags, size) of each section of a 32-bit or 64-bit ELF file."""
    if data[4] == 2:
        offset, = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        layout, take = "<IIQQQQ", (1, 2, 5)
    else:
        offset, = struct.unpack_from("<I", data, 0x20)
        size, count = struct.unpack_from("<HH", data, 0x2E)
        layout, take = "<IIIIII", (1, 2, 5)
    for index in range(count):
        fields = struct.unpack_from(layout, data, offset + index * size)
        yield tuple(fields[i] for i in take)


def text_and_rodata(path):
    """Bytes of code and constants that are in memory when the image runs."""
    return sum(size for kind, flags, size in _sections(path.read_bytes())
               if flags & SHF_ALLOC and not flags & SHF_WRITE and kind != SHT_NOBITS)


def linked_from(link_map, archive):
    """Bytes of code and constants that an image has from an archive, by the linker's map of it."""
    _, _, kept = link_map.partition("\nLinker script and memory map\n")
    pieces = re.findall(r"^ \.(?:text|rodata)\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)\(", kept, re.M)
    return sum(int(size, 16) for address, size, origin in pieces
               if int(address, 16) and origin.rpartition("/")[2] == archive)


def source_lines(directory):
    """Lines of code and of comments, blank ones not counted, of the C and assembly files."""
    return sum(1 for path in directory.rglob("*") if path.suffix in (".c", ".h", ".S", ".ld")
               for line in path.read_text().splitlines() if line.strip())


def _sizes():
    yield Value("hypervisor text and rodata", round(text_and_rodata(paths.HYPERVISOR) / 1024, 1),
                "KiB", 128)
    yield Value("examples/hello text and rodata", round(text_and_rodata(examples.kernel("hello")) / 1024,
                                                        1), "KiB", 12)
    yield Value("SDK for VMBus and a disk", round(linked_from(DISK_MAP.read_text(), SDK) / 1024, 1),
                "KiB", 40)
    yield Value("hypervisor source with x86/",
                sum(source_lines(paths.ROOT / part) for part in ("hypervisor", "x86")), "lines", 11500)


def _hypercall(root_kernel):
    """Instructions of a null hypercall, counted by the emulator: the same in every run."""
    options = runs.Options(name="bench-hypercall", kernel=HYPERCALL_KERNEL, root_cpus=1,
                           memory=64, accel="tcg", icount=True, timeout=300)
    with runs.Directory(options.name) as directory:
        result = measure.boot("null hypercall", options, root_kernel, directory)
    match = re.search(r"bench: null-hypercall (\d+) wrong 0\b", result.console)
    if not match:
        raise Failure("the hypercall bench printed no result (logs: build/run/bench-hypercall).")
    yield Value("null hypercall", int(match[1]), "instructions", 142)


def _print(values):
    for value in values:
        limit = f"  (at most {value.most:g})" if value.most is not None else ""
        print(f"{value.name:60} {value.value:>10} {value.unit}{limit}")


def bench_command(as_json):
    """All of it; status 1 if a number is larger than the project accepts."""
    with build.lock():
        deps.need(deps.BUILD, deps.MACHINE)
        root_kernel = kernels.get()
        build.release(root_kernel)
    build.need(paths.HYPERVISOR, paths.DRIVER, paths.WORKER, paths.LUMENCTL, DISK_MAP)
    values = [*_sizes(), *_hypercall(root_kernel), *diskbench.measure(root_kernel),
              *netbench.measure(root_kernel)]
    if as_json:
        print(json.dumps({v.name: {"value": v.value, "unit": v.unit, "most": v.most} for v in values},
                         indent=2))
    else:
        _print(values)
    return status.count(sum(v.most is not None and v.value > v.most for v in values))
