# SPDX-License-Identifier: MIT
"""Members whose names alone are 20 MB, in a small gzip."""

from makers.archive import members, write
from makers.data import compress


def make(dest):
    files = {f"{i:03}" + "/n" * 100_000: b"" for i in range(100)}
    write(dest, {**files, **members()})
    compress(dest)
    return "names have more than"
