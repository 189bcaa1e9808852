# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest)
    with open(dest / "index.json", "ab") as f:
        f.truncate(100_000_000)
    return "index.json has more than"
