# SPDX-License-Identifier: BSD-2-Clause
"""The guest SDK as somebody else's kernel has it: installed, and used as docs/sdk.md says."""

import itertools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lumen import paths, rootscript

FENCE = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.M | re.S)
GREETING = "Hello from the first block of the disk."
PROGRAM = paths.RELEASE / "tests/guests/linux-sockets"


def _call(t, words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    t.equal(done.returncode, 0, f"status of {words[0]} ({done.stdout[-800:]}{done.stderr[-800:]})")


def _install(t, directory):
    """Install the SDK below directory; returns where its pkg-config file is."""
    build, prefix = directory / "build", directory / "prefix"
    _call(t, ["meson", "setup", str(build), str(paths.ROOT), "-Dsdk=true", f"--prefix={prefix}"])
    _call(t, ["meson", "install", "-C", str(build)])
    return next(prefix.rglob("lumen-guest.pc")).parent


def _write_files(directory):
    """The files that docs/sdk.md shows, each from all of its pieces."""
    text = (paths.ROOT / "docs/sdk.md").read_text()
    for name in {match[1] for match in FENCE.finditer(text)}:
        pieces = [match[2] for match in FENCE.finditer(text) if match[1] == name]
        (directory / name).write_text("\n".join(pieces))


# The kernels of docs/sdk.md: what build.sh is called with.
POLLER, SLEEPER = "10.7.0.5", "10.7.0.6"
SLEEPING = ["vectors.S", "interrupts.c"]
KERNELS = {"polling": ["talk.c"], "sleeping": SLEEPING, "polling-ping": ["ping.c", "talk.c"],
           "sleeping-ping": [*SLEEPING, "ping.c", "talk.c", f"-DADDRESS={SLEEPER.replace('.', ',')}"]}


def _kernel(t, directory, compiler, files, pkg_config_path):
    """Build a kernel of docs/sdk.md in an empty directory."""
    directory.mkdir()
    _write_files(directory)
    env = os.environ | {"CC": compiler, "PKG_CONFIG_PATH": str(pkg_config_path)}
    _call(t, ["sh", "build.sh", *files], cwd=directory, env=env)
    return directory / "kernel.elf"


PING = r"""
fail() { echo "FAIL: $1"; tail -n 20 "/run/lumen/$JOB-"*/console.log "/run/lumen/$JOB-"*/log; exit 1; }

# answers NAME ADDRESS: a child with this kernel does, with data of all sizes, and its host finds nothing wrong
answers()
{
	lumenctl create "$JOB-$1" --kernel "$FILES/$1" --memory 64M --net "$JOB" || fail "create $1"
	"$FILES/sockets" echo "unix:/run/lumen/$JOB-$1/vsock_1024" &
	echo=$!
	until_it "nobody listens for $1" [ -S "/run/lumen/$JOB-$1/vsock_1024" ]
	lumenctl start "$JOB-$1" || fail "start $1"
	tries=0
	until ping -c 1 -W 1 "$2" >/dev/null; do
		[ $((tries += 1)) -le 60 ] && [ "$(cat "/run/lumen/$JOB-$1/status")" = started ] || fail "$1 does not answer"
	done
	for size in 0 1 57 1472; do
		ping -c 3 -i 0.05 -s $size "$2" || fail "ping $1 with $size bytes"
	done
	for cause in bad_message bad_headers bad_length bad_memory spoofed wire_refused; do
		lumenctl stat "$JOB-$1" | grep "^net.$cause 0$" || fail "$1: $cause"
	done
	grep "^A kernel was here.$" "/run/lumen/$JOB-$1/console.log" || fail "$1 does not hear what it has said"
	lumenctl kill "$JOB-$1" || fail "kill $1"
	kill $echo
}

while read -r module; do insmod "$module" 2>/dev/null; done </lib/modules/order.net
lumenctl switch add "$JOB" || fail "switch add"
ip addr add 10.7.0.1/24 dev "$JOB"
"""


def _build(t):
    """{kind-compiler: kernel in the test's directory}"""
    kernels = {}
    with tempfile.TemporaryDirectory() as name:
        pkg_config_path = _install(t, Path(name))
        for compiler, (kind, files) in itertools.product(("gcc", "clang"), KERNELS.items()):
            which = f"{kind}-{compiler}"
            kernels[which] = t.scratch(f"{which}.elf")
            shutil.copy(_kernel(t, Path(name, which), compiler, files, pkg_config_path), kernels[which])
    return kernels


def _disk(t):
    path = t.scratch("disk.img", 1)
    with open(path, "r+b") as file:
        file.write(GREETING.encode())
    return t.disk(path, read_only=True)


def _ping_job(t, kernels):
    """One after the other; which of them sleep is in their names, and so is their address."""
    words = "".join(f"answers {which} {SLEEPER if which.startswith('sleeping') else POLLER}\n" for which in kernels)
    return t.shared_root(rootscript.UNTIL + PING + words, files=kernels | {"sockets": PROGRAM}, memory=64)


def test_kernel_outside_this_tree(t):
    """The kernels of docs/sdk.md, built outside with gcc and with clang: those with a disk have the time and what
    is on it, those with a network card answer ARP and ping; where a program listens, it is talked to."""
    kernels, disk = _build(t), _disk(t)
    pinged = {which: kernel for which, kernel in kernels.items() if "-ping-" in which}
    others = [which for which in kernels if which not in pinged]
    *results, ping = yield [*(t.shared_child(kernels[which], memory=64, disks=[disk]) for which in others),
                            _ping_job(t, pinged)]
    for which, result in zip(others, results):
        t.equal(result.status, 0, f"status, {which}")
        t.check(re.search(r"Running for [1-9]\d* us, it says\.", result.console),
                f"{which}: no time on the console")
        t.contains(result.console, f"2048 blocks of 512 bytes. It begins with: {GREETING}")
        t.equal("LUMEN_REFUSED" in result.console, which.startswith("polling"), f"{which}: nobody listens")
    t.equal(ping.status, 0, "status of the pings")
