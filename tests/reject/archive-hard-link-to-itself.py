# SPDX-License-Identifier: MIT
import tarfile

from makers.archive import entry, LAYER, members, write


def make(dest):
    files = members()
    del files[LAYER]
    write(dest, files, [(entry(LAYER, tarfile.LNKTYPE, LAYER), b"")])
    return "links in a loop"
