# SPDX-License-Identifier: MIT
import tarfile

from makers.archive import empty_tar, entry
from makers.data import sha256
from makers.layout import tar_of_layout


def make(dest):
    name = "blobs/sha256/" + sha256(empty_tar())
    tar_of_layout(dest, [(entry(name, tarfile.SYMTYPE, sha256(empty_tar())), b"")],
            without=name)
    return "links in a loop"
