#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes lumen.h and lumen.c of the guest SDK's headers and sources: one pair to drop into a kernel.

  amalgamate.py --out DIR --root DIR --names FILE --include DIR... --headers FILE... --sources FILE...
                [--depfile FILE]

lumen.h has the public headers and what they include; lumen.c the rest. Names that the file of
--names #defines are replaced as it says. Names that a source has for things of its own (static
functions, types, constants) and that another source uses, too, for whatever, get the source's name
in front; macros of a source end with it. What this cannot do does not compile, and
tests/unit/guest-sdk compiles the pair.
"""

import argparse
import re
from pathlib import Path

LICENCE = Path(__file__).resolve().parent.parent / "LICENSE"

TOKEN = re.compile(r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>\.?\d[\w.]*)
  | (?P<space>\s+)
  | (?P<other>->|.)
""", re.VERBOSE | re.DOTALL)

OURS = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"[^\n]*\n', re.MULTILINE)
STRING_H = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<string\.h>[^\n]*\n", re.MULTILINE)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*\n", re.MULTILINE)
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)
TAG = re.compile(r"\b(?:struct|union|enum) (\w+)")
RENAMED = re.compile(r"^#define (\w+)\s+(\w+)$", re.MULTILINE)
SPDX = re.compile(r"\A// SPDX-License-Identifier:[^\n]*\n")
GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\n(.*)\n#endif[^\n]*\n*\Z", re.MULTILINE | re.DOTALL)

def tokens(text):
    """Yield (kind, text) for all of a C text."""
    for match in TOKEN.finditer(text):
        yield match.lastgroup, match.group()


def bare(text):
    """The tokens without comments, directives and white space."""
    text = DIRECTIVE.sub("\n", re.sub(r"\\\n", " ", text))
    return [(kind, t) for kind, t in tokens(text) if kind not in ("comment", "space")]


def skip_group(code, i):
    """The index behind the bracket that closes the one at i."""
    depth = 0
    while i < len(code):
        depth += code[i][1] in "([{"
        depth -= code[i][1] in ")]}"
        i += 1
        if not depth:
            break
    return i


def enumerators(code, i):
    """The names of the constants between the braces, the first of which is at i."""
    end, names, i = skip_group(code, i) - 1, [], i + 1
    while i < end:
        if code[i][0] == "name":
            names.append(code[i][1])
        while i < end and code[i][1] != ",":
            i = skip_group(code, i) if code[i][1] in "([{" else i + 1
        i += 1
    return names


def statements(code):
    """Split into what ends with ; or with a body at file scope."""
    start = i = 0
    while i < len(code):
        is_body = code[i][1] == "{"
        if code[i][1] in "([{":
            i = skip_group(code, i)
            # The body of a function: nothing of a declaration follows it.
            if not is_body or code[i - 1][1] != "}" or not looks_like_function(code[start:i]):
                continue
        elif code[i][1] != ";":
            i += 1
            continue
        else:
            i += 1
        yield code[start:i]
        start = i


def looks_like_function(code):
    """Is this `... name(...) {...}`?"""
    depth = 0
    for position, (_, text) in enumerate(code):
        if text == "{" and not depth:
            return position > 0 and code[position - 1][1] == ")"
        if text == "=" and not depth:
            return False
        depth += text in "(["
        depth -= text in ")]"
    return False


def own_names(text):
    """Names of file scope that nobody else is meant to see."""
    names = set()
    for statement in statements(bare(text)):
        words = [t for _, t in statement]
        i = 0
        while i < len(words) and words[i] != "=":
            if words[i] in ("struct", "union", "enum"):
                has_tag = i + 1 < len(words) and statement[i + 1][0] == "name"
                brace = i + 1 + has_tag
                if brace < len(words) and words[brace] == "{":
                    if has_tag:
                        names.add(words[i + 1])
                    if words[i] == "enum":
                        names.update(enumerators(statement, brace))
                    i = skip_group(statement, brace)
                    continue
            i += 1
        if "static" in words[:3]:
            names.update(declared(statement))
    return names - {"__attribute__"}


def declared(statement):
    """The name that a static declaration gives."""
    i, last = 0, None
    while i < len(statement):
        kind, text = statement[i]
        if text == "__attribute__" or text == "_Alignas":
            i = skip_group(statement, i + 1)
            continue
        if text == "{":
            i = skip_group(statement, i)
            continue
        if text in "([=;":
            break
        if kind == "name":
            last = text
        i += 1
    return {last} if last else set()


def rename(text, table):
    """The text with names replaced, but not those of members (.name, ->name)."""
    out, before = [], ""
    for kind, t in tokens(text):
        if kind == "name" and before not in (".", "->"):
            t = table.get(t, t)
        if kind not in ("space", "comment"):
            before = t
        out.append(t)
    return "".join(out)


class Amalgamation:
    """Expands includes of ours, each once."""

    def __init__(self, root, include, names):
        self.root, self.include, self.done = root, include, set()
        self.names = dict(RENAMED.findall(names.read_text()))

    def find(self, name, source):
        for directory in [source.parent, *self.include]:
            if (directory / name).is_file():
                return (directory / name).resolve()
        raise SystemExit(f"{source}: {name} is not found")

    def headers(self, sources):
        """All headers of ours that the sources include, by others too."""
        found, left = set(), list(sources)
        while left:
            path = left.pop()
            new = {self.find(m[1], path) for m in OURS.finditer(path.read_text())} - found
            found |= new
            left += new
        return found

    def expand(self, path, change=lambda text: text):
        """The file with what it includes in front of it."""
        path = path.resolve()
        if path in self.done:
            return ""
        self.done.add(path)
        text = SPDX.sub("", path.read_text())
        before = "".join(self.expand(self.find(m[1], path)) for m in OURS.finditer(text))
        text = GUARD.sub(r"\2\n", STRING_H.sub("", OURS.sub("", text)))
        title = path.relative_to(self.root).as_posix()
        text = re.sub(r"\n{3,}", "\n\n", rename(change(text), self.names)).strip("\n")
        return f"{before}// ===== {title} =====\n{text}\n\n"


def banner(what):
    licence = "".join(f"// {line}".rstrip() + "\n" for line in LICENCE.read_text().splitlines())
    return (f"// SPDX-License-Identifier: BSD-2-Clause\n// {what}\n"
            f"// Made by tools/amalgamate.py from Lumen's guest SDK.\n//\n{licence}")


def make_header(work, headers):
    body = "".join(work.expand(path) for path in headers)
    return (banner("The guest SDK in one header; lumen.c is its source.") +
            f"#ifndef LUMEN_H\n#define LUMEN_H\n\n{body}#endif\n")


def used_names(text):
    """(names, names of members) that occur in a text."""
    names, members, before = set(), set(), ""
    for kind, t in bare(text):
        if kind == "name":
            (members if before in (".", "->") else names).add(t)
        before = t
    return names, members


def own_tables(work, sources):
    """For each source, what its own names become: those that another one uses, for whatever, get the
    source's in front. Not those of members, nor tags that headers have, too."""
    texts = {path: path.read_text() for path in sources}
    used = {path: used_names(text) for path, text in texts.items()}
    tags = set().union(*(TAG.findall(path.read_text()) for path in work.headers(sources)))
    taken = set().union(*(names for names, _ in used.values()))
    for path, text in texts.items():
        elsewhere = set().union(*(names for other, (names, _) in used.items() if other != path))
        own = (own_names(text) & elsewhere) - used[path][1] - tags
        table = {name: f"{path.stem}_{name}" for name in own}
        yield path, {old: f"{new}_" if new in taken else new for old, new in table.items()}


def make_source(work, sources):
    parts = []
    for path, table in own_tables(work, sources):
        macros = sorted(set(DEFINE.findall(path.read_text())))
        text = work.expand(path, lambda text, table=table: rename(text, table))
        ends = "".join(f"#undef {table.get(name, name)}\n" for name in macros)
        parts.append(text + (ends + "\n" if ends else ""))
    return (banner("The guest SDK in one source; lumen.h is its header.") +
            '#include "lumen.h"\n\n'
            "// A kernel that uses a part leaves the rest to the linker (-ffunction-sections, "
            "--gc-sections).\n"
            '#pragma GCC diagnostic ignored "-Wunused-function"\n'
            "// Functions in tables have the parameters of their table.\n"
            '#pragma GCC diagnostic ignored "-Wunused-parameter"\n\n' + "".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--names", type=Path, required=True)
    parser.add_argument("--include", type=Path, nargs="+", required=True)
    parser.add_argument("--headers", type=Path, nargs="+", required=True)
    parser.add_argument("--sources", type=Path, nargs="+", required=True)
    parser.add_argument("--depfile", type=Path)
    args = parser.parse_args()
    work = Amalgamation(args.root.resolve(), args.include, args.names)
    (args.out / "lumen.h").write_text(make_header(work, args.headers))
    (args.out / "lumen.c").write_text(make_source(work, args.sources))
    if args.depfile:
        used = " ".join(str(path) for path in sorted(work.done | {args.names}))
        args.depfile.write_text(f"{args.out / 'lumen.c'} {args.out / 'lumen.h'}: {used}\n")


if __name__ == "__main__":
    main()
