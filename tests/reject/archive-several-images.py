# SPDX-License-Identifier: MIT
import json

from makers.archive import LAYER, members, write


def make(dest):
    image = {"Config": "config.json", "Layers": [LAYER]}
    write(dest, members(manifest=json.dumps(
        [{**image, "RepoTags": ["one:1"]},
         {**image, "Config": "other.json"}]).encode()))
    return "has several images (one:1, other.json)"
