# SPDX-License-Identifier: MIT
from makers.archive import entry, members, write


def make(dest):
    write(dest, members(), [(entry("/etc/passwd"), b"x")])
    return "member '/etc/passwd': expected a relative name"
