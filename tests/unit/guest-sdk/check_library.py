#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest SDK as a kernel's author gets it: TAP on standard output.

  check_library.py ROOT PAIR_C SOURCE...

Each source compiles with gcc and clang for each kind of kernel; lumen.c and lumen.h do so alone, in
an empty directory; each part links alone, with no more of the library than it is said to need; each
header is one that C++ takes; and no name but lumen_* gets into the kernel.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FREESTANDING = ["-std=gnu11", "-O2", "-ffreestanding", "-mno-red-zone", "-mgeneral-regs-only",
                "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Werror"]
KINDS = {"kernel": ["-fno-pie", "-mcmodel=kernel"], "PIE": ["-fPIE"]}
# Functions in tables have the parameters of their table.
HOUSE = ["-Wno-unused-parameter", "-Wmissing-prototypes", "-Wundef", "-Wshadow"]
# What a kernel may compile its own files with, the pair and the headers among them.
STRICT = ["-Wshadow", "-Wredundant-decls", "-Wundef", "-Wstrict-prototypes", "-Wmissing-prototypes",
          "-Wold-style-definition", "-Wpointer-arith", "-Wcast-qual", "-Wwrite-strings", "-pedantic"]
CXX = ["-ffreestanding", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Wshadow",
       "-Wredundant-decls", "-Werror"]
CXX_STANDARDS = ("c++11", "c++20")
# Bytes of stack, without what the kernel's own functions and handlers take (docs/sdk.md).
LARGE = r"lumen_(?:tlb_flush_list|\w+_ex)"
LONG = r"lumen_(?:\w*(?:open|close|connect|accept|scan|gpadl)\w*|disk_\w+)"
STACK = {LARGE: 4608, LONG: 2048, rf"(?!{LARGE}|{LONG})lumen_\w+": 1024}
# What compilers call by themselves, weak.
COMPILERS_OWN = {"memcmp", "memcpy", "memmove", "memset"}

# What a kernel may call, and the objects that come with it.
DETECT = {"detect"}
CALL = {"hypercall", "hypercall_page", "platform"}
CLOCK = {"clock", "platform"} | DETECT
STRING = {"string"}
PARTS = {
    "detection": ("detect", "struct lumen_hypervisor h; lumen_detect(&h)", DETECT | STRING),
    "clock": ("clock", "lumen_clock_start(); lumen_clock_ns()", CLOCK),
    "frequency": ("clock", "lumen_tsc_hz()", CLOCK | {"frequency"}),
    "hypercalls": ("hypercall", "lumen_hypercall_enable(0); lumen_hypercall_fast(1, 2, 3)",
                   CALL | DETECT | {"hypercall_enable"}),
    "XMM hypercalls": ("hypercall", "lumen_hypercall_xmm(1, 0, 0, 0, 0)",
                       DETECT | STRING | {"hypercall_xmm", "hypercall_xmm_page", "hypercall_page"}),
    "status names": ("status", "lumen_status_name(0)", {"status"}),
    "explanations": ("status", "lumen_explain(0, 0, 0, 0)", DETECT | {"explain", "status"}),
    "SynIC": ("synic", "lumen_synic_start(0); lumen_sint_handle(0, 0)",
              DETECT | STRING | {"synic", "platform"}),
    "timers": ("timer", "lumen_timer_start(0, 0)", DETECT | {"timer"}),
    "APIC": ("apic", "lumen_apic_start(0, 0); lumen_eoi()", DETECT | {"apic", "platform"}),
    "assist page": ("apic", "lumen_vp_assist_enable(0)", DETECT | {"apic", "platform"}),
    "VP index and sets": ("vp", "lumen_vp_index()", DETECT | STRING | {"vp"}),
    "start by SIPI": ("vp", "lumen_vp_start_sipi(1, 1)", CLOCK | {"apic", "vp_sipi", "platform_now"}),
    "start by hypercall": ("vp", "lumen_vp_start(1, 0)", CALL | STRING | {"vp_start"}),
    "TLB flush": ("tlb", "lumen_tlb_flush(0, 0, 1)", CALL | DETECT | STRING | {"tlb", "vp"}),
    "IPI": ("ipi", "lumen_ipi_send(32, 1)", CALL | DETECT | STRING | {"ipi", "vp"}),
    "spinlock": ("spin", "struct lumen_spinlock l = { 0 }; lumen_spin_lock(&l)",
                 CALL | DETECT | {"spin"}),
    "idle": ("idle", "lumen_idle()", DETECT | {"idle"}),
    "ACPI tables": ("acpi", "lumen_acpi_table(0)", STRING | {"acpi", "platform"}),
    "power": ("power", "lumen_exit_status(0); lumen_power_off(); lumen_reset()",
              DETECT | STRING | {"acpi", "platform", "power"}),
    "crash report": ("crash", "lumen_crash_report(0, 0, 0)",
                     DETECT | STRING | {"crash", "platform"}),
}

# What a kernel may call, and the objects of its neighbours, which do not come with it.
WITHOUT = {
    "a disk": ("storage", "lumen_storage_open(0, 0, 0)", r"ic|ic_\w+|net\w*|rndis|pipe|utf16|\w*socket\w*"),
    "a network card": ("net", "lumen_net_open(0, 0, 0)", r"storage\w*|ic|ic_\w+|pipe|utf16|\w*socket\w*"),
    "a socket": ("socket", "lumen_socket_connect(0, 0, 0)", r"storage\w*|net\w*|rndis|ic|ic_\w+|utf16"),
    "a heartbeat": ("ic", "lumen_heartbeat_open(0, 0)", r"storage\w*|net\w*|rndis|ic_(?!vsc|heartbeat)\w+|utf16"),
    "backup": ("ic", "lumen_vss_open(0, 0, 0)", r"storage\w*|net\w*|rndis|ic_(?!vsc|vss)\w+|utf16"),
}

PROGRAM = """#include <stddef.h>
#include "{header}"
#include "{platform}"
void *lumen_alloc_pages(size_t count) {{ return (void *)(count * 0); }}
void lumen_free_pages(void *pages, size_t count) {{ (void)pages; (void)count; }}
void _start(void);
void _start(void) {{ {calls}; }}
"""

count = failures = 0


def report(good, what, why=""):
    global count, failures
    count += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}")
    for line in why.splitlines()[:20] if not good else ():
        print(f"# {line}")


def run(command, directory):
    """Empty if it went well, otherwise what it said."""
    done = subprocess.run([str(word) for word in command], cwd=directory, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout or f"status {done.returncode}" if done.returncode else ""


def compilers():
    return [name for name in ("gcc", "clang") if shutil.which(name)]


def check_sources(root, sources, where):
    """One kind with each compiler, as the pair is compiled with all of them. The objects of the first
    are for check_parts()."""
    include = ["-I", root, "-I", root / "guest-sdk/include", "-I", root / "drivers/vsc/include"]
    for compiler, kind in zip(compilers(), KINDS):
        (where / compiler).mkdir()
        said = run([compiler, *FREESTANDING, *HOUSE, *KINDS[kind], *include,
                    "-include", root / "sdk/names.h", "-c", *sources], where / compiler)
        report(not said, f"the sources compile with {compiler}, {kind}", said)


def check_pair(pair, where):
    for path in (pair, pair.with_suffix(".h")):
        shutil.copy(path, where)
    (where / "kernel.c").write_text(
        PROGRAM.format(header="lumen.h", platform="lumen.h", calls="lumen_clock_start(); lumen_clock_ns()"))
    for compiler in compilers():
        for kind, kind_args in KINDS.items():
            args = [compiler, *FREESTANDING, *STRICT, *kind_args, "-ffunction-sections",
                    "-fdata-sections", "-nostdinc"]
            include = subprocess.run([compiler, "-print-file-name=include"], text=True, check=True,
                                     stdout=subprocess.PIPE).stdout.strip()
            said = run([*args, "-isystem", include, "-c", "lumen.c", "kernel.c"], where)
            report(not said, f"lumen.c compiles alone with {compiler}, {kind}", said)
    said = run(["gcc", "-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,-z,noexecstack", "kernel.o",
                "lumen.o", "-o", "kernel"], where)
    names = subprocess.run(["nm", "kernel"], cwd=where, text=True, stdout=subprocess.PIPE,
                           check=False).stdout
    extra = re.findall(r".* \w*(?:hypercall|synic|vmbus|storage|explain)\w*", names)
    report(not said and not extra, "of lumen.c a clock links the clock", said + "\n".join(extra))


def globals_of(objects, where):
    names = subprocess.run(["nm", "-g", "--defined-only", *objects], cwd=where, text=True,
                           stdout=subprocess.PIPE, check=True).stdout
    return set(re.findall(r"^[0-9a-f]+ \w (\w+)$", names, re.M))


def check_names(root, objects, where):
    """What a kernel gets to see, of the library and of the pair, begins with lumen_."""
    for what, files in (("the library", objects), ("lumen.c", [where / "pair/lumen.o"])):
        names = globals_of(files, where)
        others = {name for name in names if not name.startswith("lumen_")} - COMPILERS_OWN
        report(names and not others, f"all names of {what} begin with lumen_", "\n".join(sorted(others)))
    unused = internal_names(root) - globals_of(objects, where)
    report(not unused, "names.h has no names that there are not", "\n".join(sorted(unused)))


def check_cxx(root, pair, where):
    """Each public header alone, and lumen.h, as C++; and a function links by its name in C."""
    include = ["-I", root, "-I", root / "guest-sdk/include", "-I", root / "drivers/vsc/include"]
    headers = sorted([*(root / "guest-sdk/include/lumen").glob("*.h"),
                      *(root / "drivers/vsc/include/lumen").glob("*.h")])
    for compiler in (name for name in ("g++", "clang++") if shutil.which(name)):
        for standard in CXX_STANDARDS:
            args = [compiler, *CXX, f"-std={standard}"]
            said = "".join(run([*args, *include, "-fsyntax-only", "-x", "c++", "-include", header,
                                "/dev/null"], where) for header in headers)
            report(not said, f"each header is {standard} to {compiler}", said)
        (where / "kernel.cc").write_text(
            '#include "lumen.h"\nextern "C" void kernel() { lumen_clock_start(); lumen_eoi(); }\n')
        said = run([*args, "-I", pair.parent, "-c", "kernel.cc", "-o", "kernel-cc.o"], where)
        wanted = "" if said else subprocess.run(["nm", "kernel-cc.o"], cwd=where, text=True, check=True,
                                                stdout=subprocess.PIPE).stdout
        report("U lumen_clock_start\n" in wanted, f"lumen.h has names of C to {compiler}", said + wanted)


def internal_names(root):
    """What the names of names.h become."""
    return set(re.findall(r"^#define \w+\s+(\w+)$", (root / "sdk/names.h").read_text(), re.M))


def check_stack(root, pair, where):
    """What the functions need of a stack, with all that they call by name, is what docs/sdk.md says."""
    said = run(["gcc", *FREESTANDING, *KINDS["kernel"], "-fcallgraph-info=su", "-c", pair,
                "-o", where / "stack.o"], where)
    graph = (where / "stack.ci").read_text() if not said else ""
    frames = {m[1]: int(m[2]) for m in re.finditer(r'title: "([^"]+)" label: "[^"]*?(\d+) bytes', graph)}
    calls = {}
    for caller, called in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
        calls.setdefault(caller, set()).add(called)

    def depth(name, above=()):
        below = calls.get(name, set()) - {name, *above}
        return frames.get(name, 0) + 8 + max((depth(n, (*above, name)) for n in below), default=0)

    needs = {name: depth(name) for name in frames
             if name.startswith("lumen_") and name not in internal_names(root)}
    for pattern, limit in STACK.items():
        worst = {name: need for name, need in needs.items() if re.fullmatch(pattern, name)}
        report(worst and max(worst.values()) <= limit, f"{pattern} stays within {limit} bytes of stack",
               said or str(sorted(worst.items(), key=lambda w: -w[1])[:3]))


def members(where, archive):
    """The objects that the linker has taken from the archive."""
    text = (where / "map").read_text().split("Memory Configuration")[0]
    return {Path(m).stem for m in re.findall(re.escape(str(archive)) + r"\(([^)]+)\)", text)}


def link_alone(root, where, header, calls):
    """(the archive's objects that a kernel with these calls links, what went wrong)"""
    include = ["-I", root, "-I", root / "guest-sdk/include", "-I", root / "drivers/vsc/include"]
    args = ["gcc", *FREESTANDING, *KINDS["kernel"], *include]
    (where / "part_main.c").write_text(PROGRAM.format(header=f"lumen/{header}.h",
                                                      platform="lumen/platform.h", calls=calls))
    said = run([*args, "-Wno-nonnull", "-nostdlib", "-static", "-Wl,-z,noexecstack", "-Wl,-Map,map",
                "part_main.c", where / "libparts.a", "-o", "part"], where)
    return members(where, where / "libparts.a") if not said else set(), said


def check_parts(root, objects, where):
    run(["ar", "rcs", where / "libparts.a", *objects], where)
    for name, (header, calls, wanted) in PARTS.items():
        taken, said = link_alone(root, where, header, calls)
        report(not said and taken <= wanted and taken,
               f"{name} alone links {' '.join(sorted(taken))}",
               said or f"more than {' '.join(sorted(wanted))}")
    for name, (header, calls, others) in WITHOUT.items():
        taken, said = link_alone(root, where, header, calls)
        extra = {part for part in taken if re.fullmatch(others, part)}
        report(taken and not extra, f"{name} links nothing of its neighbours'", said or " ".join(sorted(extra)))


def main():
    root, pair = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    sources = [Path(name).resolve() for name in sys.argv[3:]]
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        for part in ("sources", "pair", "parts", "cxx"):
            (where / part).mkdir()
        check_sources(root, sources, where / "sources")
        check_pair(pair, where / "pair")
        objects = sorted((where / "sources/gcc").glob("*.o"))
        check_parts(root, objects, where / "parts")
        check_names(root, objects, where)
        check_cxx(root, pair, where / "cxx")
        check_stack(root, pair, where)
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
