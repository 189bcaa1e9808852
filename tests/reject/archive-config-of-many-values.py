# SPDX-License-Identifier: MIT
from makers.archive import members, write
from makers.data import compress, many


def make(dest):
    write(dest, members(config=many(b"x", b"{},", 16)))
    compress(dest)
    return "more values than 96 MiB of memory hold"
