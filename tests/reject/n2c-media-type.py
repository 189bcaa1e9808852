# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, mediatype="text/html", paths=[])
    return "media type text/html"
