# SPDX-License-Identifier: MIT
"""A sparse file whose map is 160 MiB, in 640 KB of gzip."""

import tarfile
import zlib

from makers.archive import entry


def make(dest):
    header = bytearray(entry("x", b"S").tobuf(tarfile.GNU_FORMAT))
    extent = b"00000001000\0" + b"00000000000\0"
    header[386:410] = extent
    header[482] = 1
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    block = extent * 21 + b"\1" + bytes(7)
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = (compressor.compress(header) +
             compressor.flush(zlib.Z_FULL_FLUSH))
    mib = (compressor.compress(block * 2048) +
           compressor.flush(zlib.Z_FULL_FLUSH))
    dest.write_bytes(start + mib * 160 + compressor.flush())
    return "a member's header of more than"
