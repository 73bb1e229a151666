# SPDX-License-Identifier: BSD-2-Clause
"""The harness behind ./lumen: dependencies, build, images, machine, tests. Standard library only."""
