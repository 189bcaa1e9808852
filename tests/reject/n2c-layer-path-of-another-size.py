# SPDX-License-Identifier: MIT
from makers.archive import empty_tar, gzip_of_tar
from makers.data import sha256
from makers.n2c import n2c


def make(dest):
    n2c(dest, **{"layer-path": "@busybox-layer@", "size": 7,
                 "digest": "sha256:" + sha256(gzip_of_tar()),
                 "diff_ids": "sha256:" + sha256(empty_tar()),
                 "mediatype": "application/vnd.oci.image.layer.v1.tar+gzip"})
    return f" has {len(gzip_of_tar())} bytes, not 7"
