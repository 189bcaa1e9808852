# SPDX-License-Identifier: MIT
"""6 GiB of zeros in 6 MB, as a member of a gzip."""

from makers.archive import entry
from makers.data import zeros


def make(dest):
    info = entry("zeros")
    info.size = 6 << 30
    dest.write_bytes(zeros(6 << 10, info.tobuf()))
    return "expands to more than"
