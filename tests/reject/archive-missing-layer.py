# SPDX-License-Identifier: MIT
from makers.archive import LAYER, members, write


def make(dest):
    files = members()
    del files[LAYER]
    write(dest, files)
    return "has no member 'layer.tar'"
