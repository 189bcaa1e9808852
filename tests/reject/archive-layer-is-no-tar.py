# SPDX-License-Identifier: MIT
"""Bytes that are no gzip, whatever their first two say."""

from makers.archive import members, write


def make(dest):
    write(dest, members(b"\x1f\x8b" + b"no gzip" * 100, "ab" * 32))
    return "the gzip data is broken"
