# SPDX-License-Identifier: MIT
"""In two layers, each of which has few enough."""

import json

from makers.n2c import n2c


def make(dest):
    perms = [{"regex": "x"}] * 2501
    n2c(dest, paths=[{"path": "@greeting@", "options": {"perms": perms}}])
    image = json.loads(dest.read_text())
    image["layers"] *= 2
    dest.write_text(json.dumps(image))
    return "more than 5000 expressions in an image"
