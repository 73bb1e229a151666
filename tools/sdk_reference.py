#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes docs/sdk-reference.md from the SDK's public headers.

  sdk_reference.py             writes docs/sdk-reference.md
  sdk_reference.py --check     status 1 if that file is not what would be written, or if a header
                               declares a function that no comment describes

A header's first comment introduces its section; a comment belongs to the declarations that follow it
up to the next empty line."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "sdk-reference.md"
SDK = ROOT / "guest-sdk/include/lumen"
ORDER = ("platform", "status", "detect", "clock", "hypercall", "calls", "vp", "tlb", "ipi", "spin", "apic",
         "idle", "synic", "timer", "crash", "acpi", "power", "vmbus", "segment", "storage", "net",
         "ic")

FUNCTION = re.compile(r"^(?:__attribute__\(\(\w+\)\) )?[\w ]+[ *]\**(lumen_\w+)\(", re.M)
SKIPPED = re.compile(r"^(#ifndef LUMEN_\w+_H|#define LUMEN_\w+_H|#endif|#include .*|#undef .*|LUMEN_DECLS_\w+)$")
HEADING = re.compile(r"^--- (.*?)\s*(---)?$")


@dataclass
class Block:
    """Lines of a header between empty lines: the comment that comes first, and the code."""

    comment: list
    code: list


def blocks(text):
    """The header's blocks in order; an empty line ends one, but for those inside braces."""
    found, current, depth, continued = [], Block([], []), 0, False
    for line in text.split("\n"):
        if not line and depth == 0 and not continued:
            if current.comment or current.code:
                found.append(current)
            current = Block([], [])
            continue
        if line.startswith("//") and not current.code:
            current.comment.append(line[2:].removeprefix(" "))
        elif not SKIPPED.match(line):
            current.code.append(line)
        code = line.split("//")[0]
        depth += code.count("{") - code.count("}")
        continued = line.endswith("\\")
    return found


def prose(comment):
    """A comment as Markdown: its lines as they are, indented ones as code."""
    lines = []
    for line in comment:
        if line.startswith("\t"):
            if lines and lines[-1] and not lines[-1].startswith("    "):
                lines.append("")
            line = "    " + line.expandtabs(8).lstrip()
        else:
            if lines and lines[-1].startswith("    "):
                lines.append("")
            line = line.replace("<", "&lt;").replace("*", "\\*")
        lines.append(line)
    return lines


def is_internal(block):
    """What users do not call: X-macro machinery and inline helpers."""
    text = "\n".join(block.code)
    return bool(re.search(r"^(static inline|#define \w+\(.*\\$)", text, re.M)) and not block.comment


def section(name, path):
    first, *rest = blocks(path.read_text())
    introduction = first.comment[1:]  # after the licence
    lines = [f"## `<lumen/{name}.h>`", "", *prose(introduction), ""]
    for block in rest:
        heading = block.comment and HEADING.match(block.comment[0])
        if heading:
            words, _, more = heading[1].rstrip("-. ").partition(". ")
            lines += [f"### {words[0].upper()}{words[1:]}", ""]
            block.comment[0:1] = [more] if more else []
            if block.comment:
                block.comment[-1] = block.comment[-1].removesuffix(" ---")
        if is_internal(block):
            continue
        if block.code:
            lines += ["```c", *block.code, "```", ""]
        if block.comment:
            lines += [*prose(block.comment), ""]
    return lines


def headers():
    """(name, path) in the order of the document."""
    paths = {path.stem: path for path in (*SDK.glob("*.h"), *ROOT.glob("drivers/vsc/include/lumen/*.h"))}
    unknown = sorted(set(paths) - set(ORDER))
    return [(name, paths[name]) for name in (*ORDER, *unknown) if name in paths]


def undescribed():
    """Functions that have no comment, neither their block's nor their heading's."""
    for name, path in headers():
        heading_describes = False
        for block in blocks(path.read_text())[1:]:
            if block.comment and HEADING.match(block.comment[0]):
                heading_describes = len(block.comment) > 1
            if block.comment or heading_describes or is_internal(block):
                continue
            for function in FUNCTION.findall("\n".join(block.code)):
                yield f"<lumen/{name}.h>: {function}"


def document():
    lines = ["# The guest SDK: reference", "",
             "<!-- Made by tools/sdk_reference.py from the SDK's headers: change those. -->", "",
             "How to begin, what to give and what runs where: [sdk.md](sdk.md). \"Any context\" includes "
             "interrupt", "handlers and code with locks held; \"thread context\" may wait.", ""]
    for name, path in headers():
        lines.append(f"- [`<lumen/{name}.h>`](#lumen{name}h)")
    lines.append("")
    for name, path in headers():
        lines += section(name, path)
    text = "\n".join(lines)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def check():
    problems = [f"{where} has no description" for where in undescribed()]
    if not OUTPUT.exists() or OUTPUT.read_text() != document():
        problems.append("docs/sdk-reference.md is not up to date: run tools/sdk_reference.py")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def main(arguments):
    if arguments == ["--check"]:
        return check()
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    OUTPUT.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
