# SPDX-License-Identifier: MIT
"""It is what its digest says, and a line of text."""

from makers.data import sha256
from makers.n2c import n2c


def make(dest):
    digest = "sha256:" + sha256(b"Hello from nothing\n")
    n2c(dest, **{"layer-path": "@greeting@", "size": 0, "digest": digest,
                 "diff_ids": digest})
    return "-greeting is no tar"
