# SPDX-License-Identifier: MIT
from makers.archive import members
from makers.layout import resized_layout


def make(dest):
    resized_layout(dest, config=True)
    size = len(members()["config.json"])
    return f"has {size} bytes, but its descriptor says {size + 1}"
