# SPDX-License-Identifier: MIT
from makers.archive import members
from makers.data import sha256
from makers.layout import layout


def make(dest):
    blobs, _ = layout(dest)
    (blobs / sha256(members()["config.json"])).unlink()
    return "is not there"
