# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest, diff_id="ab" * 32)
    return "has the diff ID sha256:"
