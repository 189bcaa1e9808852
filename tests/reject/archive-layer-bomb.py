# SPDX-License-Identifier: MIT
"""6 GiB of zeros in 6 MB, as a layer."""

from makers.archive import members, write
from makers.data import zeros


def make(dest):
    write(dest, members(zeros(6 << 10), "ab" * 32))
    return "expands to more than"
