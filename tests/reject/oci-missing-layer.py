# SPDX-License-Identifier: MIT
from makers.archive import empty_tar
from makers.data import sha256
from makers.layout import layout


def make(dest):
    blobs, _ = layout(dest)
    (blobs / sha256(empty_tar())).unlink()
    return "is not there"
