# SPDX-License-Identifier: MIT
from makers.archive import members, write


def make(dest):
    write(dest, members(b"It is a text.\n" * 100))
    return "archive-layer-is-a-text: it is no tar"
