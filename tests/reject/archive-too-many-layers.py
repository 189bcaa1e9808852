# SPDX-License-Identifier: MIT
import json

from makers.archive import LAYER, members, write


def make(dest):
    write(dest, members(manifest=json.dumps(
        [{"Config": "config.json", "Layers": [LAYER] * 1001}]).encode()))
    return "key 'Layers': more than 1000 of them"
