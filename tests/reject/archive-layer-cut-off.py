# SPDX-License-Identifier: MIT
import gzip

from makers.archive import members, write
from makers.data import sha256


def make(dest):
    layer = gzip.compress(bytes(range(256)) * 100)
    write(dest, members(layer[:-20], sha256(bytes(range(256)) * 100)))
    return "data ends too early"
