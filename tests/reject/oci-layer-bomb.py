# SPDX-License-Identifier: MIT
"""6 GiB of zeros in 6 MB, as a blob."""

from makers.data import zeros
from makers.layout import layout


def make(dest):
    layout(dest, layer=zeros(6 << 10), diff_id="ab" * 32)
    return "expands to more than"
