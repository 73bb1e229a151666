# SPDX-License-Identifier: BSD-2-Clause
"""Where things are. All generated files are under build/."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
RELEASE = BUILD / "release"
UNIT = BUILD / "unit"
FUZZ = BUILD / "fuzz"
KERNELS = BUILD / "kernels"
IMAGES = BUILD / "images"
RUN = BUILD / "run"
LOG = BUILD / "log"
LWIP = BUILD / "lwip"

HYPERVISOR = RELEASE / "hypervisor/lumen.elf"
WORKER = RELEASE / "parent/worker/lumen-worker"
LUMENCTL = RELEASE / "parent/ctl/lumenctl"
DRIVER = RELEASE / "parent/driver/mshv.ko"
MSHV_CHECK = RELEASE / "parent/driver/mshv-check"
BUSYBOX = Path("/bin/busybox")
# Debian's hyperv-daemons, and the libraries that they want.
PROGRAMS = [*(Path("/usr/sbin") / name for name in ("hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon", "ethtool")),
            *(Path("/lib/x86_64-linux-gnu") / name for name in ("libc.so.6", "libm.so.6", "libmnl.so.0")),
            Path("/lib64/ld-linux-x86-64.so.2")]


def relative(path):
    """The path as seen from the repository root, where QEMU is started; no spaces come in that way."""
    try:
        return str(Path(path).relative_to(ROOT))
    except ValueError:
        return str(path)
