# SPDX-License-Identifier: BSD-2-Clause
"""Overlay pages of children that move about (tests/guests/hostile/overlays.c)."""

from lumen import paths

HOSTILE = paths.RELEASE / "tests/guests/guest-hostile"


def test_tables_come_and_go(t):
    """VPs move their pages where no memory is, others make hypercalls nearby: nobody else notices."""
    result = t.child(HOSTILE, append="mode=move-apart", timeout=180, memory=32, cpus=4, root_cpus=3)
    t.equal(result.status, 0, "status")
    t.contains(result.console, "PASS: processor 2 has a SIM page")


def test_tour_of_pages(t):
    """Every page that a guest places goes through 80 large pages that are in use, and none fails."""
    result = yield t.shared_child(HOSTILE, append="mode=tour", timeout=180, memory=256)
    t.equal(result.status, 0, "status")
