# SPDX-License-Identifier: MIT
from makers.archive import gzip_of_tar
from makers.data import sha256
from makers.n2c import n2c


def make(dest):
    n2c(dest, **{"layer-path": "@busybox-layer@", "size": 0,
                 "digest": "sha256:" + sha256(gzip_of_tar()),
                 "mediatype": "application/vnd.oci.image.layer.v1.tar+gzip"})
    return "has the diff ID sha256:"
