# SPDX-License-Identifier: MIT
import tarfile

from makers.archive import entry, LAYER, members, write


def make(dest):
    files = members()
    del files[LAYER]
    write(dest, files,
          [(entry(LAYER, tarfile.SYMTYPE, "../../etc/passwd"), b"")])
    return "is a link out of the archive"
