# SPDX-License-Identifier: MIT
from makers.archive import members
from makers.layout import layout


def make(dest):
    config = members()["config.json"].replace(b'"config": {}',
                                              b'"author": "Gr\xfcn"')
    layout(dest, config=config)
    return "a string that is not UTF-8"
