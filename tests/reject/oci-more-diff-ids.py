# SPDX-License-Identifier: MIT
import json

from makers.archive import members
from makers.layout import layout


def make(dest):
    files = members()
    config = json.loads(files["config.json"])
    config["rootfs"]["diff_ids"] *= 2
    layout(dest, config=json.dumps(config).encode())
    return "expected one for each of the 1 layers, not 2"
