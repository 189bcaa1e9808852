# SPDX-License-Identifier: MIT
from makers.archive import members, write


def make(dest):
    config = members()["config.json"].replace(b'"config": {}',
                                              b'"author": "Gr\xfcn"')
    write(dest, members(config=config))
    return "a string that is not UTF-8"
