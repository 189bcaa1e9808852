# SPDX-License-Identifier: MIT
from makers.n2c import n2c


def make(dest):
    n2c(dest, **{"layer-path": "/etc/passwd"})
    return "expected a path in the image's closure, not /etc/passwd"
