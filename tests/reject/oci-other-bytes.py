# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest, claim="ab" * 32)
    return "hashes to sha256:"
