# SPDX-License-Identifier: MIT
from makers.archive import entry, members, write


def make(dest):
    write(dest, members(), [(entry("../evil"), b"x")])
    return "member '../evil': expected a relative name"
