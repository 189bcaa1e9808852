# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest, layer=b"It is a text.\n" * 100)
    return " is no tar"
