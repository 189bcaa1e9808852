# SPDX-License-Identifier: MIT
"""Else a second gzip may be many GB that hold nothing."""

from makers.archive import members, write
from makers.data import compress


def make(dest):
    write(dest, members())
    compress(dest)
    compress(dest)
    return "is no image and no package"
