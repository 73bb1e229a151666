# SPDX-License-Identifier: BSD-2-Clause
"""Made once, kept until something that went into it changes."""

import hashlib
import json
import os


def describe(path):
    """What identifies a file's state without reading it."""
    info = os.stat(path)
    return [str(path), info.st_size, info.st_mtime_ns, info.st_mode]


def key(files, *facts):
    """A digest over the state of files and over plain facts."""
    parts = [describe(f) for f in files] + [repr(f) for f in facts]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fresh(product, digest):
    """True if the product exists and was made from what the digest stands for."""
    note = product.with_name(product.name + ".key")
    return product.exists() and note.exists() and note.read_text() == digest


def made(product, digest):
    """Remember what the product was made from."""
    product.with_name(product.name + ".key").write_text(digest)
