# SPDX-License-Identifier: BSD-2-Clause
"""Parts of the harness that need no machine: command line, archives, kernels, disks, results."""

import argparse
import contextlib
import io
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import layering  # noqa: E402
from lumen import cli, cpio, examples, fuzz, images, kernelfile, network, qemu, run, stamp, unittests  # noqa: E402
from lumen.report import Report  # noqa: E402
from lumen.status import BAD_ARGUMENTS, Failure  # noqa: E402


def bzimage(version=0x20F, flags=1):
    data = bytearray(0x400)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, version)
    data[0x211] = flags
    return bytes(data)


def elf64(note_name=b"Xen", note_type=18):
    note = struct.pack("<III", len(note_name) + 1, 4, note_type) + note_name + b"\0" + b"\0" * 4
    header = bytearray(64)
    header[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, 1)
    program = struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, len(note), len(note), 4)
    return bytes(header) + program + note


class Files(unittest.TestCase):
    """Tests with a directory of their own."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name)

    def tearDown(self):
        self.directory.cleanup()

    def write(self, name, data):
        (self.path / name).write_bytes(data)
        return self.path / name


class CommandLine(unittest.TestCase):
    """Whatever is wrong is one sentence and status 122."""

    WRONG = [[], ["fly"], ["run"], ["run", "nothing-like-this"], ["run", "linux", "--cpus", "0"],
             ["run", "linux", "--cpus", "65"], ["run", "linux", "--memory", "1M"],
             ["run", "linux", "--memory", "lots"], ["run", "linux", "--timeout", "-1"],
             ["run", "linux", "--accel", "hvf"], ["run", "linux", "--disk", "/no/such/file"],
             ["run", "linux", "--kernel", "/no/such/file"], ["run", "a name"], ["run", "x" * 32],
             ["run", "linux", "--frob"],
             ["run", "linux", "--on", "xen"], ["run", "linux", "--on", "kvm"], ["run", "--on", "kvm"],
             ["run", "disk", "--on", "kvm"], ["run", "hello", "--cpus", "0"], ["shell", "extra"], ["test", "everything"],
             ["bench", "--xml"], ["check", "this"]]

    def test_wrong_ones(self):
        for argv in self.WRONG:
            with self.subTest(argv=argv):
                said = io.StringIO()
                with contextlib.redirect_stderr(said):
                    self.assertEqual(cli.main(argv), BAD_ARGUMENTS)
                self.assertEqual(said.getvalue().count("\n"), 1, said.getvalue())
                self.assertTrue(said.getvalue().endswith(".\n"), said.getvalue())

    def test_help_everywhere(self):
        for argv in ([], ["run"], ["shell"], ["test"], ["bench"], ["check"]):
            with contextlib.redirect_stdout(io.StringIO()) as said, self.assertRaises(SystemExit) as end:
                cli.main([*argv, "--help"])
            self.assertEqual(end.exception.code, 0)
            self.assertIn("exit status:", said.getvalue())

    def test_examples(self):
        """Each has its sources and its line in --help; what the command line says goes first."""
        with contextlib.redirect_stdout(io.StringIO()) as said, self.assertRaises(SystemExit):
            cli.main(["run", "--help"])
        for name, example in examples.KERNELS.items():
            self.assertTrue((ROOT / f"examples/{name}/main.c").exists(), name)
            self.assertRegex(said.getvalue(), rf"(?m)^  {name} +{re.escape(example.what)}$")
        parse = cli.parser().parse_args
        options = [cli._options(parse(["run", *words])) for words in (
            ["smp"], ["smp", "--cpus", "2"], ["hello", "--memory", "1G"], ["linux"])]
        self.assertEqual([(o.cpus, o.memory) for o in options],
                         [(4, 64), (2, 64), (1, 1024), (1, 512)])

    def test_networks(self):
        """A child has a network unless it is said otherwise, or there is no lumenctl to give it one."""
        parse = cli.parser().parse_args
        self.assertEqual([cli._options(parse(words)).net for words in (
            ["run", "linux"], ["shell"], ["run", "linux", "--net", "none"], ["shell", "--bare"],
            ["run", "linux", "--net", "default,vlan=7,queues=2"], ["run", "linux", "--net", "lan"])],
            ["lumen0", "lumen0", "", "", "lumen0,vlan=7,queues=2", "lan"])
        self.assertEqual(run.Options().net, "")

    def test_published_ports(self):
        """An example may have some, unless others are asked for or there is no network."""
        parse = cli.parser().parse_args
        self.assertEqual([[(port.host, port.guest) for port in cli._options(parse(["run", *words])).publish] for words in (
            ["http"], ["http", "--publish", "80:8080"], ["http", "--net", "none"], ["http", "--bare"], ["linux"])],
            [[(8080, 80)], [(80, 8080)], [], [], []])

    def test_sizes(self):
        self.assertEqual([cli.memory_size(t) for t in ("512M", "1G", "64", "65536K", "17M")],
                         [512, 1024, 64, 64, 18])

    def test_disks(self):
        disk = cli.disk("/a/b,ro")
        self.assertEqual((str(disk.path), disk.read_only), ("/a/b", True))
        self.assertFalse(cli.disk("/a/b").read_only)
        for text, path, read_only, raw in (
                ("/a,format=raw", "/a", False, True), ("/a,ro,format=raw", "/a", True, True),
                ("/a,format=raw,ro", "/a", True, True), ("/a,ro,rw", "/a,ro", False, False),
                ("/a,b", "/a,b", False, False)):
            disk = cli.disk(text)
            self.assertEqual((str(disk.path), disk.read_only, disk.raw), (path, read_only, raw))
        with self.assertRaises(argparse.ArgumentTypeError):
            cli.disk("/a,format=qcow2")

    def test_script_says_122_too(self):
        done = subprocess.run([str(ROOT / "lumen"), "run", "--what"], capture_output=True, check=False)
        self.assertEqual(done.returncode, BAD_ARGUMENTS)


class Kernels(Files):
    """What is a kernel and what is not."""

    def refused(self, data):
        with self.assertRaises(Failure) as failure:
            kernelfile.check(self.write("kernel", data))
        self.assertEqual(failure.exception.status, BAD_ARGUMENTS)

    def test_bzimage(self):
        kernelfile.check(self.write("kernel", bzimage()))
        self.refused(bzimage(version=0x209))
        self.refused(bzimage(flags=0))

    def test_elf(self):
        kernelfile.check(self.write("kernel", elf64()))
        self.refused(elf64(note_type=6))
        self.refused(elf64(note_name=b"GNU"))
        with self.assertRaisesRegex(Failure, "of type 18 is 'xen', not 'Xen'"):
            kernelfile.check(self.write("kernel", elf64(note_name=b"xen")))

    def test_elf_with_a_section_of_notes(self):
        data = bytearray(elf64())
        start, size = next((start, size) for kind, start, size in kernelfile._table(data, kernelfile.SEGMENTS)
                           if kind == kernelfile.PT_NOTE)
        struct.pack_into("<Q", data, 0x28, len(data))  # e_shoff
        struct.pack_into("<HH", data, 0x3A, 64, 2)
        sections = data + bytes(64) + struct.pack("<IIQQQQIIQQ", 0, kernelfile.SHT_NOTE, 0, 0, start, size, 0, 0, 4, 0)
        kernelfile.check(self.write("kernel", sections))
        struct.pack_into("<I", sections, struct.unpack_from("<Q", data, 0x20)[0], 0)  # no PT_NOTE
        kernelfile.check(self.write("kernel", sections))
        self.refused(sections[:-32])

    def test_cut_elf(self):
        whole = elf64()
        for length in range(4, len(whole) - 8):
            self.refused(whole[:length])

    def test_others(self):
        self.refused(b"")
        self.refused(b"#!/bin/sh\n")


class Disks(Files):
    """Disks that cannot be one are refused before anything boots."""

    def refused(self, *disks):
        with self.assertRaises(Failure) as failure:
            run.check_files(run.Options(disks=list(disks)))
        self.assertEqual(failure.exception.status, BAD_ARGUMENTS)

    def test_sizes(self):
        run.check_files(run.Options(disks=[qemu.Disk(self.write("good", b"\0" * 1024))]))
        self.refused(qemu.Disk(self.write("odd", b"\0" * 1000)))
        self.refused(qemu.Disk(self.write("empty", b"")))
        images = {"qcow2": b"QFI\xfb\0\0\0\3".ljust(1024, b"\0"), "vhd": b"\0" * 512 + b"conectix".ljust(512, b"\0"),
                  "vdi": (b"\0" * 64 + b"\x7f\x10\xda\xbe").ljust(1024, b"\0")}
        for name, data in images.items():
            path = self.write(name, data)
            self.refused(qemu.Disk(path))
            run.check_files(run.Options(disks=[qemu.Disk(path, raw=True)]))
        self.refused(qemu.Disk(self.path))

    def test_twice(self):
        good = self.write("good", b"\0" * 512)
        self.refused(qemu.Disk(good), qemu.Disk(good, read_only=True))
        both = [qemu.Disk(good, read_only=True), qemu.Disk(good, read_only=True)]
        run.check_files(run.Options(disks=both))

    def test_too_many(self):
        good = self.write("good", b"\0" * 512)
        self.refused(*[qemu.Disk(good, read_only=True)] * 9)

    def test_sparse_copy(self):
        source = self.path / "source"
        with open(source, "wb") as file:
            file.write(b"begin")
            file.truncate(64 << 20)
            file.seek(40 << 20)
            file.write(b"middle")
        images.copy_sparse(source, self.path / "copy")
        self.assertEqual((self.path / "copy").read_bytes(), source.read_bytes())
        self.assertLess((self.path / "copy").stat().st_blocks * 512, 8 << 20)


class Archives(Files):
    """cpio archives are what other programs take for cpio archives."""

    def test_busybox_reads_it(self):
        with open(self.path / "a.cpio", "wb") as out:
            archive = cpio.Archive(out)
            archive.file("deep/er/file", b"text\n", 0o755)
            archive.symlink("link", "deep")
            archive.finish()
        with open(self.path / "a.cpio", "rb") as archive:
            done = subprocess.run(["busybox", "cpio", "-t"], stdin=archive, capture_output=True,
                                  text=True, check=True)
        self.assertEqual(done.stdout.split(), ["deep", "deep/er", "deep/er/file", "link"])

    def test_config_survives_a_shell(self):
        odd = "a 'quoted' $HOME `id` \\ \"end\""
        text = images.shell_assignments({"APPEND": odd})
        done = subprocess.run(["sh", "-c", f"{text}printf %s \"$APPEND\""], capture_output=True,
                              text=True, check=True)
        self.assertEqual(done.stdout, odd)


class Machine(unittest.TestCase):
    """QEMU's command line."""

    def test_commas_and_modules(self):
        machine = qemu.Machine(kernel="k", append="a", modules=["kernel console=ttyS0,115200", "initrd"],
                               disks=[qemu.Disk(Path("/a,b"), True)], root_log="log")
        argv = qemu.arguments(machine, 5, 6)
        self.assertIn("kernel console=ttyS0,,115200,initrd", argv)
        drive = argv[argv.index("-drive") + 1]
        self.assertIn("file=/a,,b", drive)
        self.assertIn("read-only=on", drive)

    def test_gdb_is_for_this_machine_only(self):
        argv = qemu.arguments(qemu.Machine(kernel="k", append="a", gdb=True), 5, 6)
        self.assertEqual(argv[argv.index("-gdb") + 1], "tcp:127.0.0.1:1234")
        self.assertNotIn("-s", argv)

    def test_a_network_card_only_where_it_is_wanted(self):
        machine = qemu.Machine(kernel="k", append="a")
        self.assertNotIn("-netdev", qemu.arguments(machine, 5, 6))
        machine.network, machine.publish = True, [network.publish("8080:80"), network.publish("53:5353/udp")]
        argv = qemu.arguments(machine, 5, 6)
        self.assertTrue(argv[argv.index("-netdev") + 1].endswith(
            ",hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80,hostfwd=udp:127.0.0.1:53-10.0.2.15:5353"))

    def test_bare_status(self):
        self.assertEqual([run._bare_status(c) for c in (0, 1, 85, -9, 2)], [0, 0, 42, 123, 123])


class Results(unittest.TestCase):
    """What is counted, and that nothing passes by not running."""

    def counted(self, **entry):
        entry = {"name": "lumen:unit / prog", "stdout": "", "result": "OK", **entry}
        with contextlib.redirect_stdout(io.StringIO()):
            report = Report()
            unittests._count(report, entry)
        return report.passed, report.failed, report.skipped

    def test_tap(self):
        tap = "TAP version 13\n1..3\nok - a::b\nnot ok - a::c\nok - d # SKIP no\n"
        self.assertEqual(self.counted(stdout=tap, result="FAIL"), (1, 1, 1))

    def test_program_that_crashes_after_good_lines(self):
        self.assertEqual(self.counted(stdout="ok - a\n", result="ERROR"), (1, 1, 0))

    def test_program_without_lines(self):
        self.assertEqual(self.counted(), (1, 0, 0))
        self.assertEqual(self.counted(result="TIMEOUT"), (0, 1, 0))

    def test_fuzz_target_that_did_nothing(self):
        with contextlib.redirect_stdout(io.StringIO()):
            report = Report()
            fuzz._judge(report, Path("fuzz_x"), 0, "no such line")
            fuzz._judge(report, Path("fuzz_x"), 0, "stat::number_of_executed_units: 12")
            fuzz._judge(report, Path("fuzz_x"), 77, "stat::number_of_executed_units: 12")
        self.assertEqual((report.passed, report.failed), (1, 2))


class Stamps(Files):
    """A product is old when something that went into it changes."""

    def test_change(self):
        product, source = self.write("product", b"p"), self.write("source", b"1")
        stamp.made(product, stamp.key([source], "fact"))
        self.assertTrue(stamp.fresh(product, stamp.key([source], "fact")))
        self.assertFalse(stamp.fresh(product, stamp.key([source], "other")))
        source.write_bytes(b"22")
        self.assertFalse(stamp.fresh(product, stamp.key([source], "fact")))


class Layers(Files):
    """The layering check sees what it should."""

    def test_violation(self):
        for name in ("vmbus", "hypercall", "hypervisor/core"):
            (self.path / name).mkdir(parents=True)
        self.write("vmbus/ring.h", b"")
        self.write("hypercall/types.h", b"")
        self.write("hypercall/bad.h", b'#include "vmbus/ring.h"\n')
        self.write("vmbus/good.c", b'#include "hypercall/types.h"\n#include "ring.h"\n')
        self.write("hypervisor/core/bad.c", b'  # include <vmbus/ring.h>\n')
        found = list(layering.violations(self.path))
        self.assertEqual(len(found), 2, found)
        self.assertTrue(any(f.startswith("hypercall/bad.h:1:") for f in found))
        self.assertTrue(any(f.startswith("hypervisor/core/bad.c:1:") for f in found))


if __name__ == "__main__":
    unittest.main()
