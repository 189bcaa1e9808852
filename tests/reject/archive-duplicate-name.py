# SPDX-License-Identifier: MIT
from makers.archive import entry, LAYER, members, write


def make(dest):
    write(dest, members(), [(entry("./" + LAYER), b"x")])
    return "two members named 'layer.tar'"
