# SPDX-License-Identifier: MIT
from makers.archive import empty_tar
from makers.data import sha256
from makers.layout import layout


def make(dest):
    blobs, _ = layout(dest)
    name = blobs / sha256(empty_tar())
    name.unlink()
    name.symlink_to(name.name)
    return "too many symlinks"
