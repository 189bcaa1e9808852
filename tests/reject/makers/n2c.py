# SPDX-License-Identifier: MIT
"""nix2container's JSON."""

import json


def n2c(dest, **layer):
    """nix2container's JSON of one layer."""
    digest = "sha256:" + "ab" * 32
    dest.write_text(json.dumps({
        "version": 1, "image-config": {}, "arch": "amd64", "layers": [{
            "digest": digest, "diff_ids": digest, "size": 1,
            "mediatype": "application/vnd.oci.image.layer.v1.tar",
            **layer}]}))
