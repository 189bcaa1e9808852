# SPDX-License-Identifier: MIT
"""A layer of no paths is the end of a tar, which is two blocks."""

from makers.data import sha256
from makers.n2c import n2c


def make(dest):
    digest = "sha256:" + sha256(bytes(1024))
    n2c(dest, paths=[], digest=digest, diff_ids=digest, size=7)
    return "the layer has 1024 bytes, but it should have 7"
