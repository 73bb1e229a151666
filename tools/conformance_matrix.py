#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/conformance.md from the results of the conformance suite on Lumen and on KVM.

    tools/conformance_matrix.py           writes the part of docs/conformance.md between its two marks
    tools/conformance_matrix.py --check   says whether it is up to date

The results are tests/conformance/results/lumen.json and kvm.json (./lumen conformance [--on kvm]
--json). A check that does not end alike on both is a difference, and needs a sentence in
tests/conformance/results/differences.json: who is right, by which section of the TLFS. A difference
without a sentence, and a sentence without a difference, are errors."""

import fnmatch
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "tests/conformance/results"
PAGE = ROOT / "docs/conformance.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"
WORDS = {"ok": "pass", "skip": "do not apply", "failure": "fail", "error": "errors"}
SIDES = ("lumen", "kvm")
ORDER = ("ok", "skip", "failure", "error")


class Wrong(Exception):
    """The files do not fit together."""


@dataclass
class Row:
    """A feature in the matrix: counts by side and outcome."""

    counts: dict = field(default_factory=lambda: {side: dict.fromkeys(ORDER, 0) for side in SIDES})


def load(name):
    with open(RESULTS / name, encoding="utf-8") as file:
        return json.load(file)


def outcome(check):
    """One word for a check: the worst of its outcomes; "skip" only if it never ran."""
    said = check["outcome"]
    if isinstance(said, str):
        return said
    ran = [word for word in said.values() if word != "skip"]
    return max(ran, key=ORDER.index)


def feature(name):
    return name.split(":", 1)[0]


def group(name):
    """The line of the matrix: single registers and calls that have no line of their own together."""
    first = feature(name)
    for prefix, line in (("HV_X64_MSR_SINT", "HV_X64_MSR_SINT0 to 15"),
                         ("HV_X64_MSR_STIMER", "HV_X64_MSR_STIMER0 to 3"),
                         ("HV_X64_MSR_CRASH", "HV_X64_MSR_CRASH_P0 to 4, CTL"),
                         ("HV_X64_MSR_TSC_EMULATION", "Other MSRs"),
                         ("HV_X64_MSR_STIME_UNHALTED", "Other MSRs"),
                         ("HV_X64_MSR_", "Other MSRs"),
                         ("MSR holes", "Numbers that are no MSRs"),
                         ("Unknown call codes", "Unknown call codes")):
        if first.startswith(prefix):
            return line
    return first


def pairs(lumen, kvm):
    """(name, section, {side: outcome}, {side: check}) of each check, in Lumen's order."""
    sides = {"lumen": {c["name"]: c for c in lumen["checks"]},
             "kvm": {c["name"]: c for c in kvm["checks"]}}
    missing = set(sides["lumen"]) ^ set(sides["kvm"])
    if missing:
        raise Wrong(f"not in both results: {', '.join(sorted(missing)[:5])}")
    for name, check in sides["lumen"].items():
        both = {side: sides[side][name] for side in SIDES}
        yield name, check["section"], {side: outcome(both[side]) for side in SIDES}, both


def is_difference(words):
    """Whether a sentence is owed: a failure anywhere, or a check that only one of the two passes."""
    return any(word in ("failure", "error") for word in words.values())


def explain(checks, differences):
    """{index of a sentence: [names]}; an error if a name has none, or a sentence no name."""
    used = {index: [] for index in range(len(differences))}
    for name, _, words, _ in checks:
        if not is_difference(words):
            continue
        for index, entry in enumerate(differences):
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in entry["checks"]):
                used[index].append(name)
                break
        else:
            raise Wrong(f"no sentence for {name!r}: {words}")
    for index, names in used.items():
        if not names:
            raise Wrong(f"nothing differs as {differences[index]['checks']} says")
    return used


def cell(counts):
    """What a side says of a feature."""
    words = [f"{counts[word]} {WORDS[word]}" for word in ORDER if counts[word]]
    if counts["ok"] and len(words) == 1:
        return f"{counts['ok']}"
    return ", ".join(words)


def matrix(checks):
    rows = {}
    for name, _, words, _ in checks:
        row = rows.setdefault(group(name), Row())
        for side in SIDES:
            row.counts[side][words[side]] += 1
    yield "| feature | Lumen | KVM |\n|---|---|---|\n"
    for name, row in rows.items():
        yield f"| {name} | {cell(row.counts['lumen'])} | {cell(row.counts['kvm'])} |\n"


def sentences(checks, differences):
    used = explain(checks, differences)
    messages = {name: both for name, _, _, both in checks}
    yield "| checks | example | who is right |\n|---|---|---|\n"
    for index, names in used.items():
        entry = differences[index]
        example = names[0]
        said = next((messages[example][side].get("message", "") for side in SIDES
                     if outcome(messages[example][side]) in ("failure", "error")), "")
        what = f"{example}: {said}" if said else example
        what = what.replace("|", "\\|")
        yield f"| {len(names)} | {what} | {entry['sentence']} (TLFS: {entry['section']}) |\n"


def totals(side, result, checks):
    counts = dict.fromkeys(ORDER, 0)
    for _, _, words, _ in checks:
        counts[words[side]] += 1
    vps = ", ".join(map(str, result["vps"]))
    return (f"- {side.capitalize() if side == 'lumen' else 'KVM'}, with {vps} VPs: "
            f"{counts['ok']} pass, {counts['skip']} do not apply, "
            f"{counts['failure']} fail, {counts['error']} errors\n")


def generated():
    """The generated part of the page."""
    lumen, kvm = load("lumen.json"), load("kvm.json")
    for result in (lumen, kvm):
        if result["faults"]:
            raise Wrong(f"the results on {result['on']} are not whole: {result['faults'][0]}")
    checks = list(pairs(lumen, kvm))
    text = [f"{len(checks)} checks.\n\n", totals("lumen", lumen, checks), totals("kvm", kvm, checks),
            "\n### Feature by feature\n\nA number alone: so many checks, all pass.\n\n",
            *matrix(checks), "\n### Every difference\n\n", *sentences(checks, load("differences.json"))]
    return "".join(text)


def main():
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after and END not in rest:
        raise Wrong(f"{PAGE.name} has no marks")
    new = before + BEGIN + generated() + END + after
    if "--check" in sys.argv[1:]:
        return int(new != page)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Wrong, OSError, ValueError, KeyError) as error:
        sys.exit(f"conformance_matrix: {error}")
