# SPDX-License-Identifier: MIT
"""A GNU sparse file that says to have 8 EiB."""

import tarfile

from makers.archive import entry, LAYER, members, write


def make(dest):
    write(dest, members())
    info = entry(LAYER, b"S")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\0"
    header[398:410] = b"00000000000\0"
    header[483:495] = b"\x80\0\0\0" + (2**62).to_bytes(8, "big")
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    files = members()
    del files[LAYER]
    write(dest, files)
    dest.write_bytes(bytes(header) + dest.read_bytes())
    return "is a sparse file"
