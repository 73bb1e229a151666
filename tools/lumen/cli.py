# SPDX-License-Identifier: BSD-2-Clause
"""The command line: one parser per command, one sentence and status 122 for a wrong one."""

import argparse
import re
import sys
import textwrap
import traceback
from pathlib import Path

from lumen import examples, kernels, network, paths, status, ui
from lumen.qemu import DISK_OPTIONS, Disk
from lumen.status import Failure

UNITS = {"K": 1 / 1024, "M": 1, "G": 1024}
MAX_CPUS = 64


class Parser(argparse.ArgumentParser):
    """argparse with our way to say that the command line is wrong. Descriptions are wrapped here, as
    the formatter leaves them and the table of exit statuses alone."""

    def __init__(self, *arguments, description="", **options):
        super().__init__(*arguments, description=textwrap.fill(description, 95), **options)

    def error(self, message):
        message = message[0].lower() + message[1:]
        raise Failure(f"{message.rstrip('.')}; see {self.prog} --help.", status.BAD_ARGUMENTS)


def memory_size(text):
    """512M, 1G, 262144K or a number of MiB, to MiB."""
    match = re.fullmatch(r"([0-9]{1,9})([KMG]?)i?B?", text, re.I | re.A)
    size = match and int(int(match[1]) * UNITS[match[2].upper() or "M"])
    if not match or not 16 <= size <= 60 * 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size from 16M to 60G")
    return size + size % 2  # the worker gives memory in pages of 2 MiB


def processors(text):
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_CPUS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processors from 1 to {MAX_CPUS}")
    return int(text)


def seconds(text):
    value = float(text) if re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", text) else 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds")
    return value


def disk(text):
    """FILE[,OPTION...]: from the end, as long as each says something new."""
    said = {}
    while True:
        path, comma, word = text.rpartition(",")
        option = DISK_OPTIONS.get(word)
        if comma and word.startswith("format=") and not option:
            raise argparse.ArgumentTypeError(f"{word}: the only format is raw")
        if not (comma and option) or option[0] in said:
            return Disk(file_path(text), **said)
        said[option[0]] = option[1]
        text = path


def file_path(text):
    if not text:
        raise argparse.ArgumentTypeError("'' is no file name")
    return Path(text).absolute()


def package_name(text):
    """As Debian has it (policy 5.6.7)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]{1,100}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a Debian package")
    return text


def run_name(text):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: 1 to 31 letters, digits, '-' and '_'")
    return text


def _machine_options(parser):
    parser.add_argument("--root-cpus", type=processors, default=2, metavar="N",
                        help="processors of the machine, all of them the root's too (2)")
    parser.add_argument("--accel", choices=("auto", "tcg", "kvm"), default="auto",
                        help="auto: KVM where this processor shows svm, else TCG")
    parser.add_argument("--memory", type=memory_size, metavar="SIZE",
                        help="memory for children (512M; an example that is a kernel: 64M)")
    parser.add_argument("--disk", type=disk, action="append", default=[], metavar="FILE[,OPTION...]",
                        help="a raw disk image or block device; options: ro, format=raw (it is raw though "
                        "it looks like an image of another format); can be given again")
    parser.add_argument("--net", type=network.net, default=network.SWITCH, metavar="SWITCH[,OPTION...]",
                        help="a network card for the child, on a switch in the root with a way out through QEMU; "
                        f"default: {network.SWITCH}; or none. Options: vlan=N (on another one than 1 there is no way "
                        "out), mac=M, queues=N, rate=N (bits per second), mtu=N, isolated")
    parser.add_argument("--publish", type=network.publish, action="append", default=[], metavar="HOST:GUEST[/udp]",
                        help=f"a port of this machine ({network.LISTEN}) leads to one of the child's; can be given "
                        "again")
    parser.add_argument("--timeout", type=seconds, metavar="S",
                        help="give up after S seconds, status 121 (on a terminal: never; else 600)")
    parser.add_argument("--gdb", action="store_true",
                        help="wait for gdb on port 1234 before the first instruction")
    parser.add_argument("--update", action="store_true",
                        help="take the newest stock kernel instead of the one fetched before")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)


def _example_table():
    lines = [f"  {name:9}{example.what}\n" for name, example in examples.KERNELS.items()]
    return "examples:\n  linux    a stock Debian kernel with its root file system on a VMBus disk\n" \
        + "".join(lines) + "\n"


def _add_run(commands):
    parser = commands.add_parser(
        "run", help="boot a child on the hypervisor",
        description="Boot one child partition. Its console is standard input and output; on a "
        "terminal Ctrl-] leaves. 'run linux' boots the example: a stock Debian kernel whose root "
        "file system is a VMBus disk. On a terminal it ends in the child's shell, otherwise the "
        "child checks itself and powers off. The other examples are small kernels on the guest SDK "
        "(examples/NAME/main.c); they check themselves, and service goes on until somebody stops it.",
        epilog=_example_table() + status.TABLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", type=run_name, metavar="NAME",
                        help=f"an example ({', '.join(('linux', *examples.KERNELS))}), "
                        "or with --kernel the child's name")
    parser.add_argument("--kernel", type=file_path, metavar="FILE",
                        help="a Linux bzImage, an ELF file with a PVH note, or a Multiboot image")
    parser.add_argument("--initrd", type=file_path, metavar="FILE", help="its initial RAM disk")
    parser.add_argument("--append", default="", metavar="TEXT",
                        help="its command line (for an example: added to it)")
    parser.add_argument("--cpus", type=processors, metavar="N",
                        help="the child's virtual processors (1; for smp 4)")
    parser.add_argument("--test-devices", action="store_true",
                        help="the ports that the images of kvm-unit-tests need (docs/conformance.md)")
    parser.add_argument("--on-crash", choices=("wait", "kill", "keep"), default="wait",
                        help="after the child has reported a crash: end it when it does nothing any more, "
                        "for it may write a dump (wait); at once; never")
    parser.add_argument("--legacy-timer", action="store_true",
                        help="a PC's timer, without interrupts, for kernels that calibrate by it "
                        "(docs/sdk.md)")
    parser.add_argument("--kernel-package", type=package_name, default=kernels.CLOUD, metavar="PACKAGE",
                        help=f"for an example: the Debian package with its kernel ({kernels.CLOUD})")
    parser.add_argument("--on", choices=("lumen", "kvm"), default="lumen",
                        help="kvm: on KVM's Hyper-V interface instead, nested in the same machine; "
                        "for kernels (ELF with a PVH note) that need no VMBus")
    _machine_options(parser)
    parser.set_defaults(call=_run)


def _add_shell(commands):
    parser = commands.add_parser(
        "shell", help="a shell in the root partition, with lumenctl",
        description="Boot the hypervisor and the root partition; a shell there, with lumenctl. "
        "Disks are /dev/lumen-disk0 and so on.",
        epilog=status.TABLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    _machine_options(parser)
    parser.set_defaults(call=_shell)


def _add_test(commands):
    parser = commands.add_parser(
        "test", help="run tests, all of them by default",
        description="unit: hosted, under ASan and UBSan. conformance: on the hypervisor. "
        "system: boots. fuzz: FUZZ_SECONDS (environment, 15) for each target.",
        epilog=status.TABLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE",
                        help="unit, conformance, system, fuzz")
    parser.add_argument("--only", metavar="PATTERN", default="",
                        help="only system tests whose name contains PATTERN")
    parser.add_argument("--list", action="store_true", help="only name the system tests")
    parser.set_defaults(call=_test)


def _add_conformance(commands):
    parser = commands.add_parser(
        "conformance", help="what the hypervisor does, measured against the TLFS",
        description="Boot the conformance image (tests/conformance) with 1, 2 and 4 virtual "
        "processors and print what did not succeed.",
        epilog=status.TABLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("lumen", "kvm"), default="lumen",
                        help="the hypervisor; kvm: nested in the same emulated machine (lumen)")
    parser.add_argument("--filter", default="", metavar="WORDS",
                        help="only tests with one of these in their names, separated by commas")
    parser.add_argument("--cpus", type=processors, metavar="N",
                        help="only with so many virtual processors")
    parser.add_argument("--repeat", type=processors, default=1, metavar="N",
                        help="so many times, in one boot (1)")
    parser.add_argument("--json", action="store_true",
                        help="one JSON object on standard output")
    parser.set_defaults(call=_conformance)


def _add_bench(commands):
    parser = commands.add_parser("bench", help="measure", description="Measure sizes, exits and times.",
                                 epilog=status.TABLE,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(call=_bench)


def _add_check(commands):
    parser = commands.add_parser(
        "check", help="format, clang-tidy, cppcheck, layering",
        description="Check the sources: clang-format, clang-tidy, cppcheck, who includes whom.",
        epilog=status.TABLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(call=_check)


def _options(args):
    from lumen.run import Options
    names = ("memory", "root_cpus", "accel", "timeout", "gdb", "bare", "kernel", "initrd", "append",
             "cpus", "test_devices", "legacy_timer", "on_crash", "net", "publish")
    given = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    example = examples.defaults(getattr(args, "name", None))
    if args.bare:  # without lumenctl, and without a hypervisor for children
        given["net"] = ""
    if given["net"] and not given["publish"]:
        del given["publish"]  # what the example wants
    return Options(disks=list(args.disk), **{**example, **given})


def _run(args):
    from lumen import referee, run
    if args.on == "kvm":
        return referee.run_command(_options(args), args.name)
    return run.run_command(_options(args), args.name, args.kernel_package, args.update)


def _shell(args):
    from lumen import run
    return run.shell_command(_options(args), args.update)


def _test(args):
    from lumen import tests
    return tests.test_command(args.suites, args.only, args.list)


def _conformance(args):
    from lumen import conformance
    return conformance.conformance_command(args.on, args.filter, args.cpus, args.repeat, args.json)


def _bench(args):
    from lumen import bench
    return bench.bench_command(args.json)


def _check(_args):
    from lumen import check
    return check.check_command()


def parser():
    """The whole command line."""
    top = Parser(prog="./lumen", description="Build, run and test Lumen.", epilog=status.TABLE,
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_run, _add_shell, _add_test, _add_conformance, _add_bench, _add_check):
        add(commands)
    return top


def _what_failed(error):
    """An error of the operating system in one sentence."""
    where = error.filename or "a file below build/ or the output"
    more = f" and {error.filename2}" if error.filename2 else ""
    return f"{ui.printable(str(where))}{ui.printable(str(more))}: {error.strerror or error}."


def _our_mistake(error):
    """A traceback is for us, not for whoever runs this."""
    try:
        paths.LOG.mkdir(parents=True, exist_ok=True)
        log = paths.LOG / "traceback.log"
        log.write_text(traceback.format_exc(), errors="backslashreplace")
        where = f"its traceback is in {paths.relative(log)}"
    except OSError:
        where = traceback.format_exc().splitlines()[-2].strip()
    return f"a mistake in ./lumen itself: {type(error).__name__}: {error} ({where})."


def main(argv):
    """Returns the exit status. Whatever goes wrong is one sentence."""
    try:
        args = parser().parse_args(argv)
        code = args.call(args)
        sys.stdout.flush()
        return code
    except Failure as failure:
        ui.say(str(failure))
        return failure.status
    except KeyboardInterrupt:
        print(file=sys.stderr)
        ui.say("interrupted.")
        return status.OUR_FAULT
    except BrokenPipeError:
        return status.OUR_FAULT
    except OSError as error:
        ui.say(_what_failed(error))
        return status.OUR_FAULT
    except UnicodeError as error:
        ui.say(f"a name or a text that is not UTF-8: {error}.")
        return status.OUR_FAULT
    except Exception as error:  # pylint: disable=broad-except
        ui.say(_our_mistake(error))
        return status.OUR_FAULT
