# SPDX-License-Identifier: MIT
from makers.data import many


def make(dest):
    dest.write_bytes(many(b"layers", b"{},", 16))
    return "more values than 96 MiB of memory hold"
