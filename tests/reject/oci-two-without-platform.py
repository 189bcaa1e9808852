# SPDX-License-Identifier: MIT
import json

from makers.layout import layout


def make(dest):
    _, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    index["manifests"] *= 2
    (dest / "index.json").write_text(json.dumps(index))
    return "do not say what platforms they are for"
