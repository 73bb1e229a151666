# SPDX-License-Identifier: BSD-2-Clause
"""Kernel modules and what they depend on, from the modules.dep and modules.softdep of depmod."""

from lumen.status import Failure


def _name(path):
    return path.rsplit("/", 1)[-1].split(".", 1)[0].replace("-", "_")


def _read_dep(directory):
    """{module name: (path, [paths of all that it needs])}"""
    table = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        table[_name(path)] = (path, needed.split())
    return table


def _read_softdep(directory):
    """{module name: [names that go before it]}"""
    table = {}
    for line in (directory / "modules.softdep").read_text().splitlines():
        words = line.split()
        if words[:1] == ["softdep"] and "pre:" in words:
            rest = words[words.index("pre:") + 1:]
            table[words[1].replace("-", "_")] = rest[: rest.index("post:")] if "post:" in rest else rest
    return table


def load_order(kernel, wanted):
    """Paths (below the module directory) to insert one after the other. A name that is no module is
    taken to be built in; but a kernel with none of them is an error."""
    dep, soft = _read_dep(kernel.modules), _read_softdep(kernel.modules)
    order, seen = [], set()

    def add(name):
        path, needed = dep.get(name, (None, []))
        if path is None or name in seen:
            return
        seen.add(name)
        for before in soft.get(name, []):
            add(before.replace("-", "_"))
        for other in reversed(needed):
            add(_name(other))
        order.append(path)

    for name in wanted:
        add(name)
    if not order:
        raise Failure(f"kernel {kernel.release} has none of the modules {', '.join(wanted)}.")
    return order
