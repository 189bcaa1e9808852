# SPDX-License-Identifier: MIT
import tarfile

from makers.archive import entry, LAYER, members, write


def make(dest):
    files = members()
    del files[LAYER]
    write(dest, files, [(entry(LAYER, tarfile.SYMTYPE, "other"), b""),
                        (entry("other", tarfile.SYMTYPE, LAYER), b"")])
    return "links in a loop"
