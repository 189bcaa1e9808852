# SPDX-License-Identifier: MIT
"""Four layers that are let through each, but not all together."""

import json

from makers.archive import write
from makers.data import gzip_of_zeros


def make(dest):
    files, names, ids = {}, [], []
    for layer, diff_id in gzip_of_zeros([500, 501, 502, 503]):
        names.append(f"{len(names)}.tar")
        files[names[-1]] = layer
        ids.append(f"sha256:{diff_id}")
    config = {"rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = [{"Config": "config.json", "Layers": names}]
    write(dest, {**files, "config.json": json.dumps(config).encode(),
                 "manifest.json": json.dumps(manifest).encode()})
    return "all together"
