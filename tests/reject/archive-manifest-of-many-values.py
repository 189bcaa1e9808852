# SPDX-License-Identifier: MIT
from makers.archive import members, write
from makers.data import compress, many


def make(dest):
    write(dest, members(manifest=b"[" + many(b"x", b"[],", 4) + b"]"))
    compress(dest)
    return "more values than 96 MiB of memory hold"
