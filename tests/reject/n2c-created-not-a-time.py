# SPDX-License-Identifier: MIT
import json

from makers.n2c import n2c


def make(dest):
    n2c(dest, paths=[])
    dest.write_text(json.dumps({
        **json.loads(dest.read_text()), "created": "yesterday"}))
    return "key 'created': expected a time"
