# SPDX-License-Identifier: MIT
from makers.archive import members, write
from makers.data import compress


def make(dest):
    write(dest, members(config=b"{" + b" " * 100_000_000 + b"}"))
    compress(dest)
    return "config.json has more than"
