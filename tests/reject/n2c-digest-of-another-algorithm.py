# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, digest="sha512:" + "ab" * 64)
    return "key 'layers[0]': key 'digest'"
