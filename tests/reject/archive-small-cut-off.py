# SPDX-License-Identifier: MIT
"""So small that nothing comes out of it."""

from makers.archive import members, write
from makers.data import compress


def make(dest):
    write(dest, members())
    compress(dest)
    dest.write_bytes(dest.read_bytes()[:-20])
    return "nothing can be unpacked from it"
