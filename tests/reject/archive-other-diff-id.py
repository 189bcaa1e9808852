# SPDX-License-Identifier: MIT
from makers.archive import members, write


def make(dest):
    write(dest, members(diff_id="ab" * 32))
    return "has the diff ID sha256:"
