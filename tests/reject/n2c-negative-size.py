# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, size=-1, paths=[])
    return "key 'size': expected a number of bytes"
