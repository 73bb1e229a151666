# SPDX-License-Identifier: BSD-2-Clause
"""The images on a plain machine, without the hypervisor: what fails here is not its fault."""


def test_child_self_check_notices_damage(t):
    """One changed byte in one file of the disk, and the self-check fails."""
    kernel, initrd, pristine = t.example_files()
    image = pristine.read_bytes()
    marker = b"# Powers off at once"
    t.equal(image.count(marker), 1, "copies of the text in the image")
    damaged = t.scratch("damaged.img")
    damaged.write_bytes(image.replace(marker, marker.lower()))
    result = t.child(kernel, initrd=initrd, append="console=ttyS0 lumen.action=check",
                     disks=[t.disk(damaged)], bare=True)
    t.equal(result.status, 1, "status")
    t.contains(result.console, "FAIL: ")


def test_child_status(t):
    """The status that a child reports is the status of the run."""
    result = t.linux("nothing", "lumen.status=42", bare=True)
    t.equal(result.status, 42, "status")


def test_root_finds_ports_and_disks(t):
    """The root partition's init finds its channels to us and the disks in their order."""
    disks = [t.disk(t.scratch("one.img", 1)), t.disk(t.scratch("two.img", 2), read_only=True)]
    result = t.root('for d in /dev/lumen-disk*; do echo "$d $(blockdev --getsize64 $d)'
                    ' $(blockdev --getro $d)"; done; exit 7', disks=disks, bare=True)
    t.equal(result.status, 7, "status")
    t.equal(result.console.split("\n")[:2],
            ["/dev/lumen-disk0 1048576 0", "/dev/lumen-disk1 2097152 1"], "the disks")
