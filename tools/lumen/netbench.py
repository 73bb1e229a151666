# SPDX-License-Identifier: BSD-2-Clause
"""What it costs stock Linux children to talk to their root and to each other by TCP and ping, with Lumen's
card and, in the same emulated machine with the same kernels and programs, with KVM's: virtio-net with vhost."""

from dataclasses import dataclass

from lumen import build, deps, images, measure as bench, modules, qemu, referee, run as runs, ui
from lumen.measure import Value
from lumen.status import Failure

STEPS = {"to": "MiB sent to the root", "from": "MiB from the root", "peer": "MiB to another child",
         "ping": "ping"}
QUEUES = (1, 4)
ATTEMPTS = 5
TIMEOUT = 200  # of a run that may never end
MEMORY = 192  # MiB of a child's
# From the clock, which is instructions.
FREQUENCY = "at an instruction per ns"

# In the root: a switch with a DHCP server, iperf3, and what children fetch. Then a child that serves, whose
# address the other one fetches, too; and that one.
COMMON = bench.FOLLOW + """
PATH=$PATH:/usr/bin
load() { while read -r module; do insmod "$module" 2>/dev/null; done <"$1"; }
load /lib/modules/order.net
ip link set lo up
make_switch
ip addr add 10.7.0.1/24 dev lan
printf '%s\\n' 'interface lan' 'start 10.7.0.10' 'end 10.7.0.99' 'option subnet 255.255.255.0' \\
	'option router 10.7.0.1' 'pidfile /run/udhcpd.pid' 'lease_file /run/udhcpd.leases' >/tmp/udhcpd.conf
: >/run/udhcpd.leases
udhcpd -S /tmp/udhcpd.conf
tar -x -f /lumen/iperf.tar -C /
httpd -h /lumen
iperf3 -s -D
append="console=ttyS0 quiet panic=-1 lumen.action=bench-net"
start_peer
tries=0
until grep -q "^bench: serves" "$peer_log" 2>/dev/null; do
	[ $((tries += 1)) -lt 600 ] || { cat "$peer_log"; exit 1; }
	usleep 100000
done
tr -d '\\r' <"$peer_log" | sed -n 's/^bench: serves //p' >/lumen/peer
start_measured
exec 5>/tmp/in 6</tmp/out
follow
"""

LUMEN_SCRIPT = """
peer_log=/run/lumen/peer/console.log
make_switch() { lumenctl switch add lan; }
counters() { lumenctl stat bench --json | tr -d '\\n'; }

# start NAME DISK WORDS
start()
{
	lumenctl create "$1" --kernel /lumen/kernel --initrd /lumen/initrd --disk "/dev/lumen-disk$2" \\
		--cpus $CPUS --memory ${MEMORY}M --net lan --append "$append $3" && lumenctl start "$1" || exit 1
}

start_peer() { start peer 1 lumen.serves; }

start_measured()
{
	start bench 0
	lumenctl console bench </tmp/in >/tmp/out &
}
""" + COMMON

# The VM that does nothing is there for the reason that tools/referee/init gives.
KVM_SCRIPT = """
peer_log=/tmp/peer.log
make_switch() { brctl addbr lan && ip link set lan up; }
counters() { echo '{}'; }
vm() { qemu-system-x86_64 -accel kvm -nodefaults -no-user-config -display none "$@"; }

# start NAME DISK WORDS SERIAL: the TAP is on the switch before the child looks for a network
start()
{
	tap=tap,id=net,ifname=tap$2,script=no,downscript=no,vhost=on card=virtio-net-pci,netdev=net,romfile=
	if [ $CPUS -gt 1 ]; then
		tap=$tap,queues=$CPUS card=$card,mq=on,vectors=$((2 * CPUS + 2)),mac=52:54:00:12:34:0$2
	else
		card=$card,mac=52:54:00:12:34:0$2
	fi
	vm -cpu host -machine pc-i440fx-7.2 -smp $CPUS -m $MEMORY -no-reboot -serial "$4" \\
		-kernel /lumen/kernel -initrd /lumen/initrd -append "$append lumen.bare $3" \\
		-device virtio-scsi-pci -device scsi-hd,drive=disk \\
		-drive "if=none,id=disk,format=raw,cache=none,file=/dev/lumen-disk$2" \\
		-netdev $tap -device $card </tmp/in >/tmp/out 2>/tmp/qemu.log &
	until brctl addif lan "tap$2" 2>/dev/null; do
		kill -0 $! || { cat /tmp/qemu.log; exit 1; }
		usleep 10000
	done
	ip link set "tap$2" up
}

start_peer()
{
	mount -t tracefs tracefs /sys/kernel/tracing
	tar -x -f /lumen/qemu.tar -C /
	load /lumen/order.kvm
	vm -machine none -daemonize || exit 1
	exec 7<>/tmp/in 8<>/tmp/out
	start peer 1 lumen.serves file:$peer_log
}

start_measured() { start bench 0 "" stdio; }
""" + COMMON


@dataclass(frozen=True)
class Side:
    """Who gives the children their cards."""

    name: str
    script: str
    bare: bool


LUMEN = Side("lumen", LUMEN_SCRIPT, False)
KVM = Side("kvm", KVM_SCRIPT, True)


def _kvm_modules(kernel):
    """Those of KVM and vhost that are not in the root's initrd, in their order."""
    there = modules.load_order(kernel, [*images.ROOT_MODULES, *images.ROOT_NET_MODULES])
    order = modules.load_order(kernel, ["kvm_amd", "vhost_net"])
    return [kernel.modules / path for path in order if path not in there]


def _fill(options, directory, root_kernel, side):
    with build.lock():
        _, pristine = runs.example_images(root_kernel)
        images.copy_sparse(pristine, directory / "peer.img")
        options.disks = [qemu.Disk(directory / "peer.img")]
        runs.example(options, root_kernel, directory)
    images.pack(directory / "iperf.tar", images.program("iperf3"))
    options.files = {"iperf.tar": directory / "iperf.tar"}
    if side.bare:
        images.pack(directory / "qemu.tar", referee.qemu_files())
        there = {f"kvm/{path.name}": path for path in _kvm_modules(root_kernel)}
        (directory / "order.kvm").write_text("".join(f"/lumen/{name}\n" for name in there))
        options.files |= {**there, "qemu.tar": directory / "qemu.tar", "order.kvm": directory / "order.kvm"}


def _name(side, queues):
    return f"bench-net-{side.name}-{queues}"


def _run(side, queues, root_kernel):
    options = runs.Options(name=_name(side, queues), mode="test", bare=side.bare, memory=640, timeout=TIMEOUT if side.bare else 600,
                           script=f"CPUS={queues} MEMORY={MEMORY}\n{side.script}", **bench.COUNTED)
    return bench.follow(STEPS, options, root_kernel, lambda o, d: _fill(o, d, root_kernel, side), count=True)


def _units(steps, step):
    return steps.results[step]["requests"] if step == "ping" else steps.results[step]["bytes"] >> 20


def _figures(steps):
    """{(step, what): number}"""
    for step in STEPS:
        units = _units(steps, step)
        yield (step, "instructions"), steps.spent(step) / units
        yield (step, "rate"), units / steps.results[step]["us"] * 1e6


def _attempt(side, queues, root_kernel):
    try:
        return dict(_figures(_run(side, queues, root_kernel)))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise Failure(f"the network bench gave no {error} (logs: build/run/{_name(side, queues)}).") from None


def _kvm(queues, root_kernel):
    """The emulated machine's KVM loses a guest now and then (docs/hacking.md): it panics, or spins for ever.
    Empty if it has done so each time: that is no fault of what is measured."""
    for _ in range(ATTEMPTS):
        try:
            return _attempt(KVM, queues, root_kernel)
        except Failure as failure:
            ui.say(f"KVM has lost a guest, as it seems: {failure}")
    return {}


def _measure(queues, root_kernel):
    cards = f"{queues} queue" + ("s" if queues > 1 else "")
    kvm = _kvm(queues, root_kernel)
    for (step, what), lumen in _attempt(LUMEN, queues, root_kernel).items():
        name = "instructions per {}, {}" if what == "instructions" else "{} a second " + FREQUENCY + ", {}"
        beside = "(KVM {:.0f}, {:.2f})".format(kvm[step, what], lumen / kvm[step, what]) if kvm else ""
        yield Value(name.format(STEPS[step], cards), round(lumen), beside)


def measure(root_kernel):
    """Lumen beside KVM, with one processor whose clock is its instructions."""
    deps.need(deps.BENCH)
    return [value for queues in QUEUES for value in _measure(queues, root_kernel)]
