# SPDX-License-Identifier: MIT
"""Its block's header, behind the stream's, says that it takes 4 GiB of memory
to unpack, which libarchive would give."""

import lzma
import zlib

from makers.archive import members, write


def make(dest):
    write(dest, members())
    data = bytearray(lzma.compress(dest.read_bytes()))
    end = 12 + 4 * data[12]
    data[16] = 40
    data[end:end + 4] = zlib.crc32(data[12:end]).to_bytes(4, "little")
    dest.write_bytes(data)
    return "its dictionary takes 4096 MiB of memory to unpack"
