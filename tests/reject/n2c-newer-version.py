# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest)
    dest.write_text(dest.read_text().replace('"version": 1', '"version": 2'))
    return "key 'version': expected 1, not 2"
