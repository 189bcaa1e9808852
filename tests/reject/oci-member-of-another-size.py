# SPDX-License-Identifier: MIT
from makers.layout import resized_layout


def make(dest):
    resized_layout(dest, member=True, members=2)
    return "bytes, but its descriptor says"
