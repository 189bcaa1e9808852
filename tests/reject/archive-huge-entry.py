# SPDX-License-Identifier: MIT
from makers.archive import entry, members, write


def make(dest):
    write(dest, members())
    info = entry("huge")
    info.size = 8 << 30
    dest.write_bytes(info.tobuf() + dest.read_bytes())
    return "it is cut off"
