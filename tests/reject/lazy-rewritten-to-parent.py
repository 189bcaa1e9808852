# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "^/nix/store", "repl": "/../.."}}}])
    return "which goes up"
