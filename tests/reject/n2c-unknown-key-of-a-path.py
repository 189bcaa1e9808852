# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[{"path": "@greeting@", "excluded": True}])
    return "the key 'excluded'"
