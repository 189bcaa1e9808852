# SPDX-License-Identifier: MIT
"""OCI layouts."""

import json
import shutil

from makers.archive import LAYER, members, write
from makers.data import sha256


def layout(dest, index=None, layer=None, claim=None, diff_id=None,
           config=None):
    """An OCI layout of one layer, as a directory."""
    blobs = dest / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (dest / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def put(body, type_, name=None):
        name = name or sha256(body)
        (blobs / name).write_bytes(body)
        return {"mediaType": f"application/vnd.oci.image.{type_}",
                "digest": f"sha256:{name}", "size": len(body)}
    files = members(layer, diff_id, config)
    manifest = {"schemaVersion": 2, "config": put(
        files["config.json"], "config.v1+json"), "layers": [
            put(files[LAYER], "layer.v1.tar", claim)]}
    if index is None:
        index = [put(json.dumps(manifest).encode(), "manifest.v1+json")]
    (dest / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "manifests": index}))
    return blobs, put


def resize(descriptor):
    return {**descriptor, "size": descriptor["size"] + 1}


def resized_layout(dest, config=False, layer=False, member=False,
                   members=1):
    """A layout whose descriptors are right but for a size that is one more
    than there is."""
    blobs, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    name = index["manifests"][0]["digest"].removeprefix("sha256:")
    manifest = json.loads((blobs / name).read_text())
    if config:
        manifest["config"] = resize(manifest["config"])
    if layer:
        manifest["layers"] = [resize(manifest["layers"][0])]
    image = put(json.dumps(manifest).encode(), "manifest.v1+json")
    image["platform"] = {"os": "linux", "architecture": "amd64"}
    index["manifests"] = [image] * (members - 1) + [
        resize(image) if member else image]
    (dest / "index.json").write_text(json.dumps(index))


def tar_of_layout(dest, more=(), without=None):
    """The same in a tar, with these TarInfos and their data."""
    folder = dest.with_name(dest.name + ".d")
    layout(folder)
    files = {str(file.relative_to(folder)): file.read_bytes()
             for file in sorted(folder.rglob("*")) if file.is_file()}
    shutil.rmtree(folder)
    if without:
        del files[without]
    write(dest, files, more)
