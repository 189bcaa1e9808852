# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, mediatype="application/vnd.oci.image.layer.v1.tar+gzip",
        paths=[])
    return "a layer of paths is a plain tar"
