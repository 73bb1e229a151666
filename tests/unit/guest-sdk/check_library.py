#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest SDK as a kernel's author gets it: TAP on standard output.

  check_library.py ROOT PAIR_C SOURCE...

Each source compiles with gcc and clang for each kind of kernel; lumen.c and lumen.h do so alone, in
an empty directory; and each part links alone, with no more of the library than it is said to need.
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
              DETECT | STRING | {"synic", "synic_handle", "platform"}),
    "timers": ("timer", "lumen_timer_start(0, 0)", DETECT | {"timer"}),
    "APIC": ("apic", "lumen_apic_start(0, 0); lumen_eoi()", DETECT | {"apic"}),
    "assist page": ("apic", "lumen_vp_assist_enable(0)", DETECT | {"vp_assist", "platform"}),
    "VP index and sets": ("vp", "lumen_vp_index()", DETECT | STRING | {"vp"}),
    "start by SIPI": ("vp", "lumen_vp_start_sipi(1, 1)", CLOCK | {"apic", "vp_sipi", "platform_now"}),
    "start by hypercall": ("vp", "lumen_vp_start(1, 0)", CALL | STRING | {"vp_start"}),
    "TLB flush": ("tlb", "lumen_tlb_flush(0, 0, 1)", CALL | DETECT | STRING | {"tlb", "vp"}),
    "IPI": ("ipi", "lumen_ipi_send(32, 1)", CALL | DETECT | STRING | {"ipi", "vp"}),
    "spinlock": ("spin", "struct lumen_spinlock l = { 0 }; lumen_spin_lock(&l)",
                 CALL | DETECT | {"spin"}),
    "idle": ("idle", "lumen_idle()", DETECT | {"idle"}),
    "crash report": ("crash", "lumen_crash_report(0, 0, 0)",
                     DETECT | STRING | {"crash", "platform"}),
}

PROGRAM = """#include <stddef.h>
#include "{header}"
void *lumen_alloc_pages(size_t count);
void lumen_free_pages(void *pages, size_t count);
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
        said = run([compiler, *FREESTANDING, *HOUSE, *KINDS[kind], *include, "-c", *sources],
                   where / compiler)
        report(not said, f"the sources compile with {compiler}, {kind}", said)


def check_pair(pair, where):
    for path in (pair, pair.with_suffix(".h")):
        shutil.copy(path, where)
    (where / "kernel.c").write_text(
        PROGRAM.format(header="lumen.h", calls="lumen_clock_start(); lumen_clock_ns()"))
    for compiler in compilers():
        for kind, kind_args in KINDS.items():
            args = [compiler, *FREESTANDING, *kind_args, "-ffunction-sections", "-fdata-sections",
                    "-nostdinc"]
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


def members(where, archive):
    """The objects that the linker has taken from the archive."""
    text = (where / "map").read_text().split("Memory Configuration")[0]
    return {Path(m).stem for m in re.findall(re.escape(str(archive)) + r"\(([^)]+)\)", text)}


def check_parts(root, objects, where):
    include = ["-I", root, "-I", root / "guest-sdk/include"]
    args = ["gcc", *FREESTANDING, *KINDS["kernel"], *include]
    archive = where / "libparts.a"
    run(["ar", "rcs", archive, *objects], where)
    for name, (header, calls, wanted) in PARTS.items():
        (where / "part_main.c").write_text(PROGRAM.format(header=f"lumen/{header}.h", calls=calls))
        said = run([*args, "-Wno-nonnull", "-nostdlib", "-static", "-Wl,-z,noexecstack", "-Wl,-Map,map",
                    "part_main.c", archive, "-o", "part"], where)
        taken = members(where, archive) if not said else set()
        report(not said and taken <= wanted and taken,
               f"{name} alone links {' '.join(sorted(taken))}",
               said or f"more than {' '.join(sorted(wanted))}")


def main():
    root, pair = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    sources = [Path(name).resolve() for name in sys.argv[3:]]
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        for part in ("sources", "pair", "parts"):
            (where / part).mkdir()
        check_sources(root, sources, where / "sources")
        check_pair(pair, where / "pair")
        check_parts(root, sorted((where / "sources/gcc").glob("*.o")), where / "parts")
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
