# SPDX-License-Identifier: MIT
import json

from makers.layout import layout


def make(dest):
    own = "ab" * 32
    me = {"mediaType": "application/vnd.oci.image.index.v1+json",
          "digest": f"sha256:{own}", "size": 1}
    blobs, _ = layout(dest, index=[me])
    (blobs / own).write_text(json.dumps({"schemaVersion": 2,
                                         "manifests": [me]}))
    return "hashes to another digest"
