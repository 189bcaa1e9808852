# SPDX-License-Identifier: MIT
import json

from makers.layout import layout


def make(dest):
    blobs, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    name = index["manifests"][0]["digest"].removeprefix("sha256:")
    index["manifests"].append(
        put((blobs / name).read_bytes() + b"\n", "manifest.v1+json"))
    (dest / "index.json").write_text(json.dumps(index))
    return "do not say what platforms they are for"
