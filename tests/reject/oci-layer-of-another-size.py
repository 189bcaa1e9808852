# SPDX-License-Identifier: MIT
from makers.layout import resized_layout


def make(dest):
    resized_layout(dest, layer=True)
    return "has 10240 bytes, but it should have 10241"
