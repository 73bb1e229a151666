#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes the tables of tools/wireshark/lumen.lua from the headers and the message table that they repeat.

  dissector_tables.py          writes them
  dissector_tables.py --check  status 1 if they are not what would be written

The compiler (CC, or cc) tells sizes and offsets."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import abi_reference

ROOT = abi_reference.ROOT
OUTPUT = ROOT / "tools/wireshark/lumen.lua"
BEGIN, END = "-- tables begin\n", "-- tables end\n"
PROTOCOL, WIRE, CALL = "vmbus/protocol.h", "parent/common/capture_wire.h", "hypercall/call.h"

ROW = re.compile(r"^\tROW\((\w+),\s*(TO_\w+),\s*[^,]+,\s*(.+)\),$", re.M)
GUID = re.compile(r"#define (\w+)_GUID\s*\\?\s*{\s*(0x\w+), (0x\w+), (0x\w+),\s*\\?\s*{\s*([^}]*)}", re.S)
DIRECTIONS = {"TO_HOST": 1, "TO_GUEST": 2}

# The parts of a hypercall's input and result value: name, title, mask in call.h.
BITS = [
    ("code", "Code", "HV_CALL_CODE_MASK"),
    ("fast", "Fast", "HV_CALL_FAST"),
    ("variable_header", "Variable header (8 bytes each)", "HV_CALL_VARIABLE_HEADER_MASK"),
    ("nested", "Nested", "HV_CALL_NESTED"),
    ("rep_count", "Rep count", "HV_CALL_REP_COUNT_MASK"),
    ("rep_start", "Rep start", "HV_CALL_REP_START_MASK"),
    ("reserved_low", "Reserved", "(HV_CALL_RSVD_MASK & 0xffffffffu)"),
    ("reserved_high", "Reserved", "(HV_CALL_RSVD_MASK & ~0xffffffffull)"),
    ("status", "Status", "HV_RESULT_STATUS_MASK"),
    ("reps_done", "Reps done", "HV_RESULT_REPS_MASK"),
]


def evaluate(headers, expressions):
    """What the compiler says of some expressions that are numbers."""
    source = [f'#include "{header}"' for header in headers] + ["#include <stdio.h>", "int main(void)", "{"]
    source += [f'printf("%llu\\n", (unsigned long long)({expression}));' for expression in expressions]
    with tempfile.TemporaryDirectory() as directory:
        program, binary = Path(directory, "program.c"), Path(directory, "program")
        program.write_text("\n".join([*source, "return 0;", "}"]))
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run([*compiler, "-std=gnu11", "-I", ROOT, "-o", binary, program], check=True)
        output = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    return [int(line) for line in output.split()]


def structs_of(header):
    """{tag: Struct} of a header."""
    return {struct.tag: struct for struct in abi_reference.structs(f"../{header}")}


class Layout:
    """Structs of some headers, and where the compiler puts their fields."""

    def __init__(self, *headers):
        self.structs = {}
        for header in headers:
            self.structs.update(structs_of(header))
        self.places = abi_reference.layouts(self.structs.values(), headers)

    def size(self, tag):
        return self.places[f"struct {tag}", None][1]

    def fields(self, tag, begin=0, prefix=""):
        """[(name, type, offset, size)]: those of structs inside among them, and no reserved ones."""
        found = []
        for _, path, kind, array, _ in self.structs[tag].fields:
            if not path or array == "{" or path.startswith("rsvd") or kind == "struct vmbus_message_header":
                continue
            name = prefix + path.split(".")[-1]
            offset, size = self.places[f"struct {tag}", path]
            if kind.startswith("struct ") and kind != "struct vmbus_guid":
                found += self.fields(kind[7:], begin + offset, name + "_")
            else:
                found.append((name, "bytes" if array else lua_type(kind), begin + offset, size))
        return found


def lua_type(kind):
    return "guid" if kind == "struct vmbus_guid" else re.fullmatch(r"(uint\d+)_t", kind)[1]


def message_lines(layout, numbers):
    """The message table: each row of messages.c, with its struct's fields if it has one."""
    lines = ["local messages = {"]
    rows = ROW.findall((ROOT / "vmbus/messages.c").read_text())
    sizes = evaluate([PROTOCOL], [re.sub(r"SIZE\((\w+)\)", r"sizeof(struct vmbus_\1)", size).replace(
        "HEADER", "sizeof(struct vmbus_message_header)") for _, _, size in rows])
    if len(rows) + 1 != numbers["COUNT"]:
        raise ValueError("rows of vmbus/messages.c that are not understood")
    for (name, direction, _), size in zip(rows, sizes):
        lines.append(f'\t[{numbers[name]}] = {{ name = "{name}", direction = {DIRECTIONS[direction]}, size = {size}, fields = {{')
        tag = f"vmbus_{name.lower()}"
        for field, kind, offset, length in layout.fields(tag) if tag in layout.structs else ():
            lines.append(f'\t\t{{ "{field}", "{kind}", {offset}, {length} }},')
        lines.append("\t} },")
    return [*lines, "}"]


def message_numbers():
    found = re.findall(r"^\tVMBUS_MESSAGE_(\w+) = (\d+),$", (ROOT / PROTOCOL).read_text(), re.M)
    numbers = {name: int(number) for name, number in found}
    return {**numbers, "COUNT": len(numbers) + 1}


def check_types(layout, numbers):
    """Fields of the same name are one field of the dissector's, so they have to be of one type."""
    kinds = {}
    for name in numbers:
        for field, kind, _, _ in layout.fields(f"vmbus_{name.lower()}") if f"vmbus_{name.lower()}" in layout.structs else ():
            if kinds.setdefault(field, kind) != kind:
                raise ValueError(f"{field} is {kind} and {kinds[field]}")


def frame_lines(layout):
    lines = ["local frames = {"]
    for name in ("vmbus", "hypercall"):
        fields = "".join(f"\t\t{field} = {{ {offset}, {size} }},\n"
                         for field, _, offset, size in layout.fields(f"capture_{name}"))
        lines.append(f"\t{name} = {{\n\t\tsize = {layout.size(f'capture_{name}')},\n{fields}\t}},")
    return [*lines, "}"]


def bit_lines():
    lines = ["local call_bits = {"]
    for (name, title, _), mask in zip(BITS, evaluate([CALL], [mask for _, _, mask in BITS])):
        at = 0 if mask < 1 << 32 else 4
        names = ", names = statuses" if name == "status" else ""
        lines.append(f'\t{name} = {{ title = "{title}", at = {at}, mask = 0x{mask >> 8 * at:08x}{names} }},')
    return [*lines, "}"]


def guid_lines():
    """The devices: what the wire headers call *_GUID."""
    found = []
    for header in sorted((ROOT / "drivers/proto").glob("*.h")):
        for name, one, two, three, rest in GUID.findall(header.read_text()):
            rest = "".join(f"{int(byte, 16):02x}" for byte in re.findall(r"0x\w+", rest))
            guid = f"{int(one, 16):08x}-{int(two, 16):04x}-{int(three, 16):04x}-{rest[:4]}-{rest[4:]}"
            found.append(f'\t["{guid}"] = "{name.lower().replace("_", " ")}",')
    return ["local interfaces = {", *found, "}"]


def tables():
    """All of them, as text."""
    layout, numbers = Layout(PROTOCOL, WIRE), message_numbers()
    check_types(layout, numbers)
    to_host, to_guest, synic_type = evaluate([WIRE, PROTOCOL], [
        "CAPTURE_TO_HOST", "CAPTURE_TO_GUEST", "VMBUS_SYNIC_MESSAGE_TYPE"])
    if (to_host, to_guest) != tuple(DIRECTIONS.values()):
        raise ValueError("the directions of messages and of captures differ")
    lines = [f'local directions = {{ [{to_host}] = "to the host", [{to_guest}] = "to the guest" }}',
             f"local vmbus_synic_type = {synic_type}",
             f"local message_header_size = {layout.size('vmbus_message_header')}"]
    lines += message_lines(layout, numbers) + guid_lines()
    lines += ["local calls = {", *(f'\t[0x{call.code:04x}] = "HvCall{call.name}",'
                                   for call in abi_reference.calls_of_table()), "}"]
    statuses = abi_reference.rows(abi_reference.read("status.h"), "HV_STATUS_TABLE")
    lines += ["local statuses = {", *(f'\t[{number.strip()}] = "{name.strip()}",' for name, number, *_ in statuses), "}"]
    return "\n".join(lines + frame_lines(layout) + bit_lines()) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = OUTPUT.read_text()
    before, rest = text.split(BEGIN)
    made = before + BEGIN + tables() + END + rest.split(END)[1]
    if made == text:
        return 0
    if options.check:
        print("tools/wireshark/lumen.lua is not up to date: run tools/dissector_tables.py", file=sys.stderr)
        return 1
    OUTPUT.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
