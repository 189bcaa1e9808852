# SPDX-License-Identifier: MIT
from makers.archive import members, write


def make(dest):
    files = members()
    del files["config.json"]
    write(dest, files)
    return "has no member 'config.json'"
