# SPDX-License-Identifier: MIT
"""A program and a file, both at /x."""

from makers.n2c import n2c


def make(dest):
    options = {"rewrite": {"regex": "^.*$", "repl": "/x"}}
    n2c(dest, paths=[{"path": path, "options": options}
                     for path in ("@hello@/bin/hello", "@greeting@")])
    return "of different modes"
