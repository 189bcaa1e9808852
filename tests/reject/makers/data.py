# SPDX-License-Identifier: MIT
"""Digests, and small bytes of what is large."""

import gzip
import hashlib
import struct
import zlib


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def compress(file):
    file.write_bytes(gzip.compress(file.read_bytes(), 1))


def many(key, value, megabytes):
    """JSON of so many MB whose key has values of a few bytes, which take a
    hundred times that in memory."""
    values = value * (megabytes * 1_000_000 // len(value))
    return b'{"%s": [%s]}' % (key, values[:-1])


def zeros(count, head=b""):
    """A gzip of head and that many MiB of zeros. Each is compressed to the
    same bytes; the checksum at the end is never reached."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = compressor.compress(head) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = (compressor.compress(bytes(1 << 20)) +
             compressor.flush(zlib.Z_FULL_FLUSH))
    return start + block * count + compressor.flush()


def gzip_of_zeros(counts):
    """A gzip of so many MiB of zeros for each count, a thousandth as large,
    and what they hash to."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    mib = bytes(1 << 20)
    block = compressor.compress(mib) + compressor.flush(zlib.Z_FULL_FLUSH)
    end, crc, hashed, made = compressor.flush(), 0, hashlib.sha256(), 0
    for count in sorted(counts):
        for made in range(made + 1, count + 1):
            crc = zlib.crc32(mib, crc)
            hashed.update(mib)
        yield (b"\x1f\x8b\x08" + bytes(7) + block * count + end +
               struct.pack("<LL", crc, count << 20), hashed.hexdigest())
