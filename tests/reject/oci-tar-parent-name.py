# SPDX-License-Identifier: MIT
from makers.archive import entry
from makers.layout import tar_of_layout


def make(dest):
    tar_of_layout(dest, [(entry("blobs/../../evil"), b"x")])
    return "member 'blobs/../../evil': expected a relative name"
