# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "(?<=/)x", "repl": ""}}}])
    return "'(?<' is a look-behind, which is not done here"
