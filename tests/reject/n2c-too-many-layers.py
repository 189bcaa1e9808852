# SPDX-License-Identifier: MIT
import json

from makers.n2c import n2c


def make(dest):
    n2c(dest)
    image = json.loads(dest.read_text())
    image["layers"] *= 1001
    dest.write_text(json.dumps(image))
    return "key 'layers': more than 1000 of them"
