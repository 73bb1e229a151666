# SPDX-License-Identifier: BSD-2-Clause
"""Every argument that cannot be what it should be: ./lumen, as a program, says one sentence and has built
nothing. Names, files and descriptors as users have them."""

import contextlib
import fcntl
import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

from lumen import cli, kernelfile, network, qemu, run, userfiles  # noqa: E402
from lumen.status import Failure  # noqa: E402
from test_harness import bzimage, elf64  # noqa: E402

BAD, OUR_FAULT = 122, 123


class Tree(unittest.TestCase):
    """A tree with the harness in it, and nothing that could be built."""

    @classmethod
    def setUpClass(cls):
        cls.top = Path(tempfile.mkdtemp(prefix="lumen-tree-"))
        cls.tree = cls.top / "a tree, with: odd' names"
        cls.tree.mkdir()
        shutil.copy(ROOT / "lumen", cls.tree)
        shutil.copytree(ROOT / "tools", cls.tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "tests/system", cls.tree / "tests/system",
                        ignore=shutil.ignore_patterns("__pycache__"))
        cls.files = cls.top / "files"
        cls.files.mkdir()
        cls._make_files()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.top)

    @classmethod
    def _make_files(cls):
        make = cls.files
        (make / "kernel").write_bytes(elf64())
        (make / "disk").write_bytes(b"\0" * 4096)
        os.link(make / "disk", make / "twin")
        os.symlink("disk", make / "link")
        (make / "odd").write_bytes(b"\0" * 1000)
        (make / "empty").write_bytes(b"")
        (make / "gzip").write_bytes(b"\x1f\x8b\x08\0rest")
        (make / "zstd").write_bytes(b"\x28\xb5\x2f\xfdrest")
        (make / "old").write_bytes(bzimage(version=0x209))
        (make / "text").write_text("#!/bin/sh\n")
        (make / "secret").write_bytes(elf64())
        (make / "secret").chmod(0)
        (make / "directory").mkdir()
        os.symlink("loop", make / "loop")
        os.mkfifo(make / "fifo")
        cls.socket = socket.socket(socket.AF_UNIX)
        cls.socket.bind(str(make / "socket"))

    def judge(self, code, said, wanted, says):
        self.assertEqual((code, said.count("\n")), (wanted, 1), said)
        self.assertRegex(said, r"^lumen: .*\.\n$")
        self.assertIn(says, said)

    def refused(self, *argv, says=""):
        """In this process. Whatever wants to build, install or boot takes the lock first."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.chdir(self.files), \
                mock.patch("lumen.build._ProcessLock.__enter__", side_effect=AssertionError("building")):
            code = cli.main([os.fsdecode(word) for word in argv])
        self.judge(code, said.getvalue(), BAD, says)

    def lumen(self, *argv, program="lumen", **options):
        """As a program."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "timeout": 60, "check": False, "cwd": self.files, **options}
        return subprocess.run([os.fsencode(self.tree / program), *argv], **options)

    def program_refused(self, *argv, code=BAD, says="", **options):
        done = self.lumen(*argv, **options)
        self.judge(done.returncode, done.stderr.decode(), code, says)


class Numbers(Tree):
    """Not all that Python takes for a number is one."""

    ROWS = {
        "--cpus": ["", "0", "65", "-1", "1.0", "1e1", "\u00b2", "\u0661", "0x2", " 1", "1 ", "1_0", "9" * 5000],
        "--root-cpus": ["", "0", "65", "\u00b2"],
        "--memory": ["", "0", "1e3", "15M", "61G", "\u0661\u0661\u0661M", "1.5G", "-512M", "512MM", "5 12",
                     "9" * 5000, "M", "512\n"],
        "--timeout": ["", "0", "-1", "nan", "inf", "1e3", "1_0", "0x10", "\u0661", "1000000", "9" * 5000, "."],
        "--accel": ["", "hvf"], "--on": ["", "xen"],
    }

    def test_numbers(self):
        for option, texts in self.ROWS.items():
            for text in texts:
                with self.subTest(option=option, text=text[:20]):
                    self.refused("run", "linux", f"{option}={text}")


class Names(Tree):
    """Names of children, packages, tests; texts."""

    ROWS = [
        ["run", ""], ["run", "a b"], ["run", "../x"], ["run", "x" * 32], ["run", "n\nn"], ["run", "\u00e9"],
        ["run", b"\xff"], ["run", "-"], ["run"], ["run", "linux", "extra"], [""], [], ["fly"],
        ["run", "linux", "--kernel-package", ""], ["run", "linux", "--kernel-package", "../../x"],
        ["run", "linux", "--kernel-package=-o"], ["run", "linux", "--kernel-package", "A b"],
        ["run", "linux", "--append", "a\nb"], ["run", "linux", "--append", "a\tb\x1b"],
        ["run", "linux", "--append", "a" * 2048], ["run", "linux", "--append", "\u00e9" * 1024],
        ["test", "everything"], ["test", ""], ["test", "--only", "no such test"], ["test", "--only", b"\xff"],
        ["conformance", "--filter", "$(x)"], ["conformance", "--repeat", "0"], ["bench", "--xml"],
        ["check", "this"], ["shell", "extra"],
    ]

    def test_names(self):
        for argv in self.ROWS:
            with self.subTest(argv=argv):
                self.refused(*argv)

    NETS = ["", ",vlan=1", "x" * 16, "x/y", "a b", "-x", "\u00e9", "none,vlan=1", "default,vlan=0", "default,vlan=4095",
            "default,vlan=\u0661", "default,", "default,queues=17", "default,mac=03:00:00:00:00:01",
            "default,mac=02:00:00:00:00:1", "default,isolated=", "default,mac", "default,rate=", "default,rate=63999",
            "default,rate=11G", "default,rate=1m", "default,rate=100Mbit", "default,mtu=67", "default,mtu=9001"]
    PORTS = ["", "80", ":80", "80:", "0:1", "1:0", "65536:1", "1:65536", "1:2:3", "1:2/sctp", "1:\u0661", "a:b",
             "127.0.0.1:1:2"]

    def test_networks(self):
        for option, texts in (("--net", self.NETS), ("--publish", self.PORTS)):
            for text in texts:
                for command in (["run", "linux"], ["shell"]):
                    with self.subTest(option=option, text=text, command=command):
                        self.refused(*command, f"{option}={text}", says=option)
        self.refused("run", "linux", "--net", "none", "--publish", "8080:80", says="no network")
        self.refused("run", "linux", "--publish", "8080:80", "--publish", "8080:81", says="given twice")
        self.refused("run", "hello", "--on", "kvm", "--publish", "8080:80", says="not for --on kvm")

    def test_ports_in_use(self):
        for kind, suffix in ((socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "/udp")):
            with self.subTest(kind=kind), socket.socket(socket.AF_INET, kind) as holder:
                holder.bind((network.LISTEN, 0))
                if kind == socket.SOCK_STREAM:
                    holder.listen()
                port = holder.getsockname()[1]
                self.refused("run", "linux", "--publish", f"{port}:80{suffix}", says="in use")

    def test_lengths_from_the_environment(self):
        for variable in ("FUZZ_SECONDS", "CHILDREN_ROUNDS"):
            for text in ("", "0", "-1", "1.5", "\u00b2", "nan"):
                with self.subTest(variable=variable, text=text), mock.patch.dict(os.environ, {variable: text}):
                    self.refused("test", "fuzz", says=variable)


class UserFiles(Tree):
    """Files that are not what they should be, and files that are not files."""

    KERNELS = {"": "no file name", "nothing": "No such file", "directory": "a directory", "fifo": "a FIFO",
               "socket": "a socket", "/dev/zero": "a character device", "empty": "no kernel",
               "text": "no kernel", "old": "no kernel", "gzip": "zcat", "zstd": "zstdcat", "loop": "symbolic links",
               "kernel/x": "Not a directory", "x" * 300: "too long", b"no\xffname": "No such file",
               "new\nline": "No such file"}
    DISKS = {"": "no file name", ",ro": "no file name", "nothing": "No such file", "directory": "a directory",
             "directory,ro": "a directory", "fifo": "a FIFO", "fifo,ro": "a FIFO", "socket": "a socket",
             "/dev/null": "a character device", "odd": "1000 bytes", "empty": "", "loop": "symbolic links",
             b"no\xffname": "No such file", "no,thing": "'thing' is no option",
             "disk,serial=x": "'serial=x' is no option", "no,d/isk": "No such file"}
    INITRDS = {"": "no file name", "nothing": "No such file", "directory": "a directory", "fifo": "a FIFO",
               "socket": "a socket"}

    def test_kernels(self):
        for name, says in self.KERNELS.items():
            with self.subTest(kernel=name):
                self.refused("run", "x", "--kernel", name, says=says)

    def test_initrds(self):
        for name, says in self.INITRDS.items():
            with self.subTest(initrd=name):
                self.refused("run", "x", "--kernel", "kernel", "--initrd", name, says=says)

    def test_disks(self):
        for name, says in self.DISKS.items():
            for command in (["run", "linux"], ["shell"]):
                with self.subTest(disk=name, command=command):
                    self.refused(*command, "--disk", name, says=says)

    def test_one_image_twice(self):
        for other in ("disk", "link", "twin", "./disk", "disk,ro"):
            with self.subTest(other=other):
                self.refused("run", "linux", "--disk", "disk", "--disk", other, says="given twice")

    def test_too_many(self):
        self.refused("run", "linux", *["--disk", "disk,ro"] * 9, says="too many")

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_unreadable(self):
        self.refused("run", "x", "--kernel", "secret", says="Permission denied")
        self.refused("run", "linux", "--disk", "secret", says="Permission denied")

    def test_in_use_in_another_machine(self):
        """As QEMU locks an image that it may write."""
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, self.files / "disk"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        try:
            holder.stdout.readline()
            for disk in ("disk", "disk,ro", "twin"):
                self.refused("run", "linux", "--disk", disk, says=f"in use in another machine: process {holder.pid} (")
        finally:
            holder.communicate()

    def test_boot_protocols(self):
        for version in (0x20A, 0x20B, 0x20C, 0x20F):
            (self.files / "good").write_bytes(bzimage(version=version))
            kernelfile.check(self.files / "good")

    def test_readers_share(self):
        with userfiles.open_binary(self.files / "disk", "the disk") as file:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(userfiles.FLOCK, fcntl.F_RDLCK, 0, 100, 1, 0))
            run.check_disk(qemu.Disk(self.files / "disk", read_only=True))
            with self.assertRaises(Failure):
                run.check_disk(qemu.Disk(self.files / "disk"))


# Holds the locks of a machine that writes to an image, until its input ends.
HOLDER = """
import fcntl, struct, sys
with open(sys.argv[1], "r+b") as image:
    for at in (100, 101, 201):
        fcntl.fcntl(image, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, at, 1, 0))
    print("held", flush=True)
    sys.stdin.read()
"""


class Surroundings(Tree):
    """How the program is started, and where."""

    def test_by_a_symbolic_link(self):
        os.symlink(self.tree / "lumen", self.files / "l")
        os.symlink("l", self.files / "m")
        self.program_refused("run", "nothing-like-this", program=os.path.relpath(self.files / "m", self.tree))

    def test_without_descriptors(self):
        for closed in ("<&-", ">&-", "<&- >&-", "<&- >&- 2>&-"):
            with self.subTest(closed=closed):
                done = subprocess.run(["sh", "-c", f'"$1" run nothing-like-this {closed}', "sh",
                                       self.tree / "lumen"], stderr=subprocess.PIPE, timeout=60, check=False)
                self.assertEqual(done.returncode, BAD)
                self.assertEqual(done.stderr.count(b"\n"), 0 if "2>" in closed else 1, done.stderr)

    def test_list_of_some(self):
        done = self.lumen("test", "--list", "--only", "machine.root_b", stdout=subprocess.PIPE)
        self.assertEqual([line for line in done.stdout.splitlines() if line[:1] != b" "], [b"machine.root_boots"])

    def test_output_that_is_full(self):
        with open("/dev/full", "wb") as full:
            self.program_refused("test", "--list", stdout=full, code=OUR_FAULT, says="No space left")

    def test_output_that_nobody_reads(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = self.lumen("test", "--list", stdout=writer)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (OUR_FAULT, b""))

    def test_build_directory_that_cannot_be(self):
        """A file where build/ should be stands for another user's and for a full file system."""
        (self.tree / "build").unlink() if (self.tree / "build").is_file() else shutil.rmtree(
            self.tree / "build", ignore_errors=True)
        (self.tree / "build").write_text("")
        try:
            done = self.lumen("run", "hello")
            said = done.stderr.decode()
            self.assertEqual((done.returncode, said.count("\n")), (OUR_FAULT, 1), said)
            self.assertIn("build", said)
        finally:
            (self.tree / "build").unlink()

    def test_an_old_python(self):
        """The first module says so by itself, whatever the others look like to it."""
        first = (self.tree / "tools/lumen/__main__.py").read_text()
        compile(first, "__main__.py", "exec", flags=0, dont_inherit=True)
        self.assertLess(first.index("version_info"), first.index("from lumen"))

    def test_interrupted_at_once(self):
        """Ctrl-C while Python is still reading its modules."""
        for delay in ("0.02", "0.05", "0.1", "0.2"):
            with self.subTest(delay=delay):
                done = subprocess.run(["timeout", "-s", "INT", delay, self.tree / "lumen", "test", "--list"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
                self.assertNotIn(b"Traceback", done.stderr)

    def test_a_mistake_of_ours_is_a_sentence(self):
        (self.tree / "tools/lumen/examples.py").rename(self.tree / "tools/lumen/examples.kept")
        shutil.copy(ROOT / "tools/lumen/examples.py", self.tree / "tools/lumen/examples.py")
        with open(self.tree / "tools/lumen/examples.py", "a", encoding="ascii") as file:
            file.write("\ndef defaults(name):\n    return {}[name]\n")
        try:
            done = self.lumen("run", "hello")
            self.assertEqual((done.returncode, done.stderr.count(b"\n")), (OUR_FAULT, 1), done.stderr)
            self.assertIn(b"a mistake in ./lumen itself: KeyError", done.stderr)
            self.assertIn("KeyError", (self.tree / "build/log/traceback.log").read_text())
        finally:
            (self.tree / "tools/lumen/examples.kept").rename(self.tree / "tools/lumen/examples.py")


if __name__ == "__main__":
    unittest.main()
