# SPDX-License-Identifier: MIT
import json

from makers.layout import layout


def make(dest):
    """An index that would be served as it is."""
    layout(dest)
    index = json.loads((dest / "index.json").read_text())
    image = index["manifests"][0]
    index["manifests"] = [
        {**image, "platform": {"os": "linux", "architecture": name}}
        for name in ("amd64", "arm64")]
    index["annotations"] = {"title": "Gr?n"}
    (dest / "index.json").write_bytes(
        json.dumps(index).encode().replace(b"?", b"\xfc"))
    return "a string that is not UTF-8"
