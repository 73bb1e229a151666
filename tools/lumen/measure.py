# SPDX-License-Identifier: BSD-2-Clause
"""What the measurements of ./lumen bench have in common."""

from dataclasses import dataclass

from lumen import run as runs, ui


@dataclass
class Value:
    """One measured number. most: the largest value that the project accepts, if there is one."""

    name: str
    value: float
    unit: str
    most: float | None = None


def boot(name, options, root_kernel, directory, prepare_session=None):
    """A run that must end well."""
    ui.say(f"measuring: {name}")
    result = runs.start(options, root_kernel, directory, False, prepare_session)
    runs.require_success(result, name)
    return result
