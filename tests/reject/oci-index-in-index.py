# SPDX-License-Identifier: MIT
import json

from makers.layout import layout


def make(dest):
    _, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    inner = put(json.dumps(index).encode(), "index.v1+json")
    outer = put(json.dumps({"schemaVersion": 2, "manifests": [inner]}
                           ).encode(), "index.v1+json")
    (dest / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "manifests": [outer]}))
    return "an index in an index is not served"
