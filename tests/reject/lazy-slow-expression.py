# SPDX-License-Identifier: MIT
"""Steps by the million at each place that it may begin at."""

from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "(.*)(.*)(.*)(.*)(.*)(.*)[#%]", "repl": ""}}}])
    return "takes too long on /nix/store/"
