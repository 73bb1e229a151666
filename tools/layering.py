#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Who may include whom, and whose files a meson.build may name. Prints each violation, and where the table
of docs/architecture.md ("Layers") says something else; status 1 if any."""

import re
import sys
from pathlib import Path

# A source file belongs to the longest prefix that fits it; it may include files of its own layer and
# of the layers named here. Prefixes that are not listed are outside the rules (tests, examples).
ALLOWED = {
    "base": (),
    "hypercall": (),
    "x86": (),
    "vmbus": ("hypercall",),
    "hypervisor": ("hypercall", "x86"),
    "drivers/proto": ("hypercall", "vmbus"),
    "guest-sdk": ("hypercall", "vmbus"),
    "drivers/common": ("hypercall", "drivers/proto"),
    "drivers/vsc": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "guest-sdk"),
    "drivers/vsc/ic": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsc", "guest-sdk"),
    "drivers/vsc/net": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsc", "guest-sdk"),
    "drivers/vsc/socket": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsc", "guest-sdk"),
    "drivers/vsc/storage": ("hypercall", "vmbus", "drivers/proto", "drivers/vsc", "guest-sdk"),
    "sdk": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsc", "guest-sdk"),
    "drivers/vsp": ("hypercall", "vmbus", "drivers/proto", "drivers/common"),
    "drivers/vsp/ic": ("hypercall", "drivers/proto", "drivers/common", "drivers/vsp"),
    "drivers/vsp/net": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsp"),
    "drivers/vsp/socket": ("hypercall", "vmbus", "drivers/proto", "drivers/common", "drivers/vsp"),
    "drivers/vsp/storage": ("hypercall", "vmbus", "drivers/proto", "drivers/vsp"),
    "parent/include": ("hypercall",),
    "parent/common": ("hypercall", "drivers/proto", "parent/include"),
    "parent/driver": ("hypercall", "parent/include"),
    "parent/worker": ("hypercall", "x86", "vmbus", "parent/include", "parent/common",
                      "parent/worker/devices", "parent/worker/platform"),
    "parent/worker/backends": ("drivers/vsp/net", "drivers/vsp/storage", "parent/common",
                               "parent/worker"),
    "parent/worker/devices": ("hypercall", "vmbus", "drivers/vsp", "drivers/vsp/ic",
                              "drivers/vsp/net", "drivers/vsp/socket", "drivers/vsp/storage",
                              "parent/common", "parent/worker", "parent/worker/backends"),
    "parent/worker/platform": ("hypercall", "parent/include", "parent/common", "parent/worker"),
    "parent/ctl": ("hypercall", "parent/include", "parent/common"),
}

# What every layer may include.
EVERYWHERE = ("base",)

# What a meson.build may name besides: the driver's ioctls are an interface of the kernel to the worker.
NAMED_ALSO = {"parent/worker": ("parent/driver",)}

# Where <lumen/...> is.
PUBLIC = ("guest-sdk/include", "drivers/vsc/include")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
NAMED = re.compile(r"'((?:\.\./)+[\w./-]+)'")  # another directory's file or folder


def layer_of(path):
    """The layer that a path (relative to the root) belongs to, or None."""
    parts = path.split("/")
    for depth in range(len(parts) - 1, 0, -1):
        prefix = "/".join(parts[:depth])
        if prefix in ALLOWED:
            return prefix
    return None


def included_file(root, source, kind, name):
    """The file of ours that an include names, relative to the root; None if it is not ours."""
    candidates = [root / name, *(root / public / name for public in PUBLIC)]
    if kind == '"':
        candidates.insert(0, source.parent / name)
    for candidate in candidates:
        if candidate.is_file():
            return candidate.resolve().relative_to(root).as_posix()
    return None


def named(root, source):
    """Yield (line number, path) of what a source includes or a meson.build names of ours."""
    for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
        if source.name == "meson.build":
            for name in NAMED.findall(line):
                path = (source.parent / name).resolve()
                if path.exists() and path.is_relative_to(root):
                    yield number, path.relative_to(root).as_posix() + "/" * path.is_dir()
            continue
        match = INCLUDE.match(line)
        target = match and included_file(root, source, match[1], match[2])
        if target:
            yield number, target


def violations(root):
    """Yield one sentence per name that the rules forbid."""
    root = root.resolve()
    for top in sorted({prefix.split("/")[0] for prefix in ALLOWED}):
        for source in sorted([*(root / top).rglob("*.[chS]"), *(root / top).rglob("meson.build")]):
            rel = source.relative_to(root).as_posix()
            layer = layer_of(rel)
            if layer is None:
                continue
            allowed = (layer, *ALLOWED[layer], *EVERYWHERE)
            if source.name == "meson.build":
                allowed += (None, *NAMED_ALSO.get(layer, ()))
            for number, target in named(root, source):
                if layer_of(target) not in allowed:
                    yield f"{rel}:{number}: {layer} may not use {target}"


def document_rows():
    """The table's rows as they have to stand in docs/architecture.md."""
    return [f"| `{layer}/` | {', '.join(f'`{other}/`' for other in may) or 'nothing of ours'} |"
            for layer, may in ALLOWED.items()]


def stale_rows(root):
    """Yield one sentence per row of the document that is missing, or is no rule."""
    text = (root / "docs/architecture.md").read_text().partition("\n## Layers\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for row in sorted(set(rows) ^ set(document_rows())):
        yield f"docs/architecture.md: {'no rule' if row in rows else 'missing'}: {row}"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = [*violations(root), *stale_rows(root)]
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
