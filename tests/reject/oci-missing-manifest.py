# SPDX-License-Identifier: MIT
from makers.layout import layout


def make(dest):
    layout(dest, index=[{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:" + "ab" * 32, "size": 1}])
    return "is not there"
