# SPDX-License-Identifier: MIT
import gzip

from makers.archive import members, write


def make(dest):
    write(dest, members(layer=bytes(range(256)) * 1000))
    dest.write_bytes(gzip.compress(dest.read_bytes())[:-5000])
    return ""
