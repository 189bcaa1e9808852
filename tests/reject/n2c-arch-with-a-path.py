# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[])
    dest.write_text(dest.read_text().replace("amd64", "../.."))
    return "key 'arch': expected a GOARCH"
