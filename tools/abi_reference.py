#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes docs/abi.md, the reference of the hypervisor's interface, from the headers in hypercall/.

  abi_reference.py             writes docs/abi.md
  abi_reference.py --check     status 1 if docs/abi.md is not what would be written
  abi_reference.py --tlfs DIR  compares the calls with the TLFS pages in DIR (tlfs/hypercalls)

The compiler (CC, or cc) tells sizes and offsets; texts are the comments of the headers."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ROOT / "hypercall"
OUTPUT = ROOT / "docs" / "abi.md"

FIELD = re.compile(r"^(?P<type>[\w ]+?)\s+(?P<name>\w+)(?P<array>\[[^]]*\])?;$")
END = re.compile(r"^}\s*(?P<names>[\w, ]*);$")
OPEN = re.compile(r"^(?P<kind>struct|union)\s*(?P<tag>\w*)\s*{$")
DEFINE = re.compile(r"^#define (\w+)\s+(.+)$")
ENUMERATOR = re.compile(r"^(\w+) = (\w+),$")


def split_comment(line):
    """A line without its trailing comment, and that comment."""
    code, _, comment = line.partition("//")
    return code.strip(), comment.strip()


def read(name):
    return (HEADERS / name).read_text()


def rows(text, macro):
    """The rows of an X-macro table, each a list of its arguments."""
    start = re.search(r"^#define %s\(X\)" % macro, text, re.M).end()
    body = []
    for line in text[start:].split("\n"):
        body.append(line.rstrip("\\").strip())
        if not line.endswith("\\"):
            break
    arguments = re.findall(r'X\(((?:[^()"]|"[^"]*")*)\)', " ".join(body))
    return [re.findall(r'\s*("[^"]*"|[^,]+)(?:,|$)', row) for row in arguments]


class Struct:
    """A struct or union: kind, tag, the header's comment above it, and its fields in order. A field
    is a tuple of depth, C path (None for what cannot be named), type, array ("{" if its own fields
    follow), comment."""

    def __init__(self, kind, tag, comment):
        self.kind, self.tag, self.comment, self.fields = kind, tag, comment, []

    @property
    def name(self):
        return f"{self.kind} {self.tag}"


def parse_body(lines, at, depth):
    """The fields from line AT up to the closing brace: (fields, the brace's names, next line).
    Paths are relative to the struct that the body belongs to."""
    fields = []
    while True:
        code, comment = split_comment(lines[at])
        at += 1
        if match := OPEN.match(code):
            inner, names, at = parse_body(lines, at, depth + 1)
            for name in names or [None]:
                label = f"{match['kind']} {name or ''}".strip()
                fields.append((depth, name, label, "{", ""))
                prefix = f"{name}." if name else ""
                fields += [(d, path and prefix + path, t, a, c) for d, path, t, a, c in inner]
        elif match := END.match(code):
            return fields, [n.strip() for n in match["names"].split(",") if n.strip()], at
        elif match := FIELD.match(code):
            fields.append((depth, match["name"], match["type"], match["array"] or "", comment))
        elif code:
            raise ValueError(f"cannot parse: {lines[at - 1]}")


def structs(name):
    """All structs and unions at the outermost level of a header."""
    lines, found, above, at = read(name).split("\n"), [], [], 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("// "):
            above.append(line[3:])
            continue
        if (match := OPEN.match(line)) and match["tag"]:
            struct = Struct(match["kind"], match["tag"], " ".join(above))
            struct.fields, _, at = parse_body(lines, at, 0)
            found.append(struct)
        above = []
    return found


def layouts(all_structs, headers=None):
    """Asks the compiler: {(struct name, path): (offset, size)}, {struct name: size}. Without headers: of all in
    hypercall/."""
    names = headers or [f"hypercall/{path.name}" for path in sorted(HEADERS.glob("*.h"))]
    source = [f'#include "{name}"' for name in names]
    source += ["#include <stdio.h>", "int main(void)", "{"]
    wanted = []
    for struct in all_structs:
        wanted.append((struct.name, None))
        source.append(f'printf("0 %zu\\n", sizeof({struct.name}));')
        for _, path, _, array, _ in struct.fields:
            if not path:
                continue
            wanted.append((struct.name, path))
            size = "(size_t)0" if array == "[]" else f"sizeof((({struct.name} *)0)->{path})"
            source.append(f'printf("%zu %zu\\n", offsetof({struct.name}, {path}), {size});')
    source += ["return 0;", "}"]
    with tempfile.TemporaryDirectory() as directory:
        program, binary = Path(directory, "layout.c"), Path(directory, "layout")
        program.write_text("\n".join(source))
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run([*compiler, "-std=gnu11", "-I", ROOT, "-o", binary, program], check=True)
        output = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    return dict(zip(wanted, [tuple(map(int, line.split())) for line in output.splitlines()]))


def table(heads, body):
    """A Markdown table."""
    escaped = [[str(cell).replace("|", "\\|") for cell in row] for row in body]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in escaped] + [""]


def struct_lines(struct, layout):
    """A struct's fields with offsets and sizes."""
    body = []
    for depth, path, kind, array, comment in struct.fields:
        indent = "&nbsp;&nbsp;" * depth
        name = path.split(".")[-1] if path else ""
        if array == "{":
            offset = layout[struct.name, path][0] if path else ""
            body.append((offset, "", f"{indent}*{kind}*", comment))
            continue
        offset, size = layout[struct.name, path]
        body.append((offset, size or "list", f"{indent}`{name}{array}`", f"{comment}"))
    size = layout[struct.name, None][1]
    return [f"`{struct.name}`, {size} bytes", ""] + table(["offset", "size", "field", ""], body)


class Call:
    """A row of HV_HYPERCALL_TABLE. structs: tags of its input and output, those that it has."""

    def __init__(self, row):
        code, self.name, self.type, kind, *numbers, privilege, target = row
        self.code = int(code, 16)
        self.kind = "rep" if kind == "Rep" else "simple"
        self.structs = {direction: f"hv_{direction}_{self.type}" for direction, kinds in
                        (("input", ("In", "InOut", "Rep")), ("output", ("Out", "InOut")))
                        if kind in kinds}
        self.input_element, self.output_element, self.fast, self.variable = map(int, numbers)
        self.privilege = privilege.replace("HV_PRIVILEGE_", "").replace(" | ", " or ")
        self.target = target.split(" | ")

    def size(self, direction, layout):
        """Bytes of its fixed header."""
        tag = self.structs.get(direction)
        return layout[f"struct {tag}", None][1] if tag else 0


def calls_of_table():
    return [Call(row) for row in rows(read("table.h"), "HV_HYPERCALL_TABLE")]


def call_lines(call, by_tag, layout, statuses, targets):
    """A call's section."""
    traits = [f"code `0x{call.code:04x}`", call.kind]
    traits += ["may be fast"] * call.fast + ["variable header"] * call.variable
    if call.privilege != "NONE":
        traits.append(f"privilege {call.privilege}")
    lines = [f"### HvCall{call.name}", "", ", ".join(traits) + ".", ""]
    if call.target != ["HV_TARGET_NONE"]:
        lines += ["Partition: " + ", ".join(targets[name] for name in call.target) + ".", ""]
    for direction, tag in call.structs.items():
        struct = by_tag[tag]
        if direction == "input" and struct.comment:
            lines += [struct.comment, ""]
        head, *body = struct_lines(struct, layout)
        lines += [f"{direction.capitalize()}: {head}", *body]
    for text, size in (("Input", call.input_element), ("Output", call.output_element)):
        if size:
            lines += [f"{text} list: elements of {size} bytes.", ""]
    if named := [status for name, status in statuses if name == call.name]:
        lines += ["Documented statuses: " + ", ".join(named) + ".", ""]
    return lines


def defines(name, wanted):
    """The constants of a header whose names fit: [(name, value, comment)]."""
    found = []
    for line in read(name).split("\n"):
        code, comment = split_comment(line)
        if (match := DEFINE.match(code)) and re.fullmatch(wanted, match[1]):
            found.append((match[1], match[2], comment))
    return found


def enumerators(name, tag):
    """The members of an enum that is written out: [(name, value)]."""
    body = re.search(r"^(?:__extension__ )?enum %s {[^\n]*\n(.*?)^};" % tag, read(name), re.M | re.S)[1]
    codes = [split_comment(line)[0] for line in body.split("\n")]
    return [match.groups() for code in codes if (match := ENUMERATOR.match(code))]


def code_cells(found):
    return [[f"`{cell}`" for cell in row[:2]] + list(row[2:]) for row in found]


def constants_lines():
    """The sections on everything that is a number."""
    lines = ["## Statuses", ""]
    lines += table(["number", "HV_STATUS_", ""],
                   [(f"`{number}`", name, text.strip('"'))
                    for name, number, text in rows(read("status.h"), "HV_STATUS_TABLE")])
    lines += ["## CPUID leaves", ""]
    lines += table(["leaf", "", ""], [(f"`{value}`", name, comment) for name, value, comment in
                                      defines("cpuid.h", r"(HV|LUMEN)_CPUID_(?!1_)\w+")])
    for title, header, wanted in (
            ("Privileges", "cpuid.h", r"HV_PRIVILEGE_\w+"),
            ("Features (0x40000003 EDX)", "cpuid.h", r"HV_FEATURE_EDX_\w+"),
            ("Hints (0x40000004 EAX)", "cpuid.h", r"HV_HINT_\w+"),
            ("MSRs", "msr.h", r"HV_X64_MSR_\w+")):
        found = [row for row in defines(header, wanted)
                 if re.match(r"0x4000|\(?1u?l* <<|0ull", row[1])]
        lines += [f"## {title}", ""] + table(["name", "value", ""], code_cells(found))
    for title, header, tag in (
            ("Message types", "synic.h", "hv_message_type"),
            ("Intercept types", "intercept.h", "hv_intercept_type"),
            ("Partition properties", "partition.h", "hv_partition_property_code")):
        lines += [f"## {title}", ""]
        lines += table(["name", "value"], code_cells(enumerators(header, tag)))
    for title, header, macro in (
            ("Registers", "registers.h", "HV_REGISTER_TABLE"),
            ("Counters of a virtual processor", "stats.h", "HV_STATS_VP_COUNTERS"),
            ("Counters of a partition", "stats.h", "HV_STATS_PARTITION_COUNTERS")):
        lines += [f"## {title}", ""]
        lines += table(["name", "number"], code_cells(rows(read(header), macro)))
    events = [[number, text.strip('"'), a.strip('"'), b.strip('"')] for number, _, text, a, b in
              rows(read("lumen_trace.h"), "LUMEN_TRACE_EVENTS")]
    return lines + ["## Events of the trace ring", ""] + table(["number", "event", "a", "b"], events)


def document():
    """The whole of docs/abi.md."""
    calls = calls_of_table()
    targets = {name: comment for name, _, comment in defines("table.h", r"HV_TARGET_\w+")}
    statuses = rows(read("table.h"), "HV_HYPERCALL_STATUS_TABLE")
    all_structs = [s for path in sorted(HEADERS.glob("*.h")) for s in structs(path.name)]
    by_tag = {struct.tag: struct for struct in all_structs}
    layout = layouts(all_structs)
    lines = ["# The hypervisor's interface", "",
             "<!-- Made by tools/abi_reference.py from hypercall/*.h: change those. -->", "",
             "Numbers and layouts are those of the Hyper-V Top Level Functional Specification (TLFS);",
             "names are its names. Names that begin with LUMEN are Lumen's own.", "",
             "## Calls", ""]
    lines += table(["code", "call", "kind", "input", "element", "output", "element", "fast",
                    "privilege"],
                   [(f"`0x{c.code:04x}`", f"[{c.name}](#hvcall{c.name.lower()})", c.kind,
                     f"{c.size('input', layout)}{' + variable' if c.variable else ''}",
                     c.input_element or "", c.size("output", layout) or "", c.output_element or "", "yes" if c.fast else "",
                     "" if c.privilege == "NONE" else c.privilege) for c in calls])
    for call in calls:
        lines += call_lines(call, by_tag, layout, statuses, targets)
    lines += ["## Structures", ""]
    for struct in all_structs:
        if not re.match(r"hv_(input|output)_", struct.tag):
            lines += ["### " + struct.tag, ""] + ([struct.comment, ""] if struct.comment else [])
            lines += struct_lines(struct, layout)
    return "\n".join(lines + constants_lines()).rstrip() + "\n"


def compare_with_tlfs(directory):
    """Prints where rows differ from the pages of the TLFS in code or kind. The number of those."""
    wrong = 0
    for call in calls_of_table():
        page = Path(directory, f"HvCall{call.name}.md")
        if not page.exists():
            print(f"HvCall{call.name}: no page")
            continue
        match = re.search(r"`0x([0-9A-Fa-f]+)`\s*\((Simple|Rep)\)", page.read_text())
        says = (int(match[1], 16), match[2].lower())
        if says != (call.code, call.kind):
            print(f"HvCall{call.name}: 0x{call.code:04x} {call.kind}, the page says "
                  f"0x{says[0]:04x} {says[1]}")
            wrong += 1
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--tlfs", metavar="DIR")
    options = parser.parse_args()
    if options.tlfs:
        return 1 if compare_with_tlfs(options.tlfs) else 0
    text = document()
    if options.check:
        if OUTPUT.exists() and OUTPUT.read_text() == text:
            return 0
        print("docs/abi.md is not up to date: run tools/abi_reference.py", file=sys.stderr)
        return 1
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
