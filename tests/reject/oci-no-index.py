# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest)
    (dest / "index.json").unlink()
    return "index.json is not there"
