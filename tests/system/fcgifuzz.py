# SPDX-License-Identifier: MIT
"""FastCGI as no web server speaks it, out of a seed: the same bytes for the
same seed and round, for test_fcgi_fuzz.py.

Where libfcgi may take a byte for the length of a parameter it is below 128,
or the length is told: of nearly 2 GiB it would ask malloc(3), and end the
process when that has none (test_length_of_2_gib)."""

import random
import socket
import struct

from fastcgi import (ABORT, BEGIN, END, PARAMS, STDIN, STDOUT, begin, length,
                     pairs, record, request_bytes)

DIGEST = "sha256:" + "0123456789abcdef" * 4
URIS = ("/v2/", "/v2/warm/manifests/latest", f"/v2/warm/blobs/{DIGEST}",
        "/v2/warm/tags/list?n=1", f"/v2/warm/referrers/{DIGEST}", "/",
        "/v2/../x", "/v2/%00", "/v2/" + "a/" * 200, "", "*", "/v2/\x7f")
METHODS = "GET", "HEAD", "PUT", "", "G" * 5000
HEADERS = (("Range", "bytes=0-0,5-6"), ("Accept", "*/*"), ("Host", "h"),
           ("If-None-Match", "*"), ("Accept", "a/b;q=0"))
GET_VALUES, UNKNOWN = 9, 11


def some(rng, items):
    return [rng.choice(items) for _ in range(rng.randrange(4))]


def request(rng):
    body = rng.randbytes(rng.choice((0, 0, 1, 70000)))
    return request_bytes(rng.choice(METHODS), rng.choice(URIS),
                         some(rng, HEADERS), body)


def any_record(rng):
    """A record of which each field may be wrong."""
    data = bytes(rng.randrange(128) for _ in range(rng.choice((0, 1, 8, 300))))
    return struct.pack(
        ">BBHHBB", rng.choice((1, 1, 1, 0, 127)), rng.randrange(14),
        rng.choice((0, 1, 1, 2, 32639)),
        rng.choice((len(data), len(data), len(data) + 1, 32639)),
        rng.choice((0, 0, 7, 127)), 0) + data


def flipped(rng):
    data = bytearray(request(rng))
    for _ in range(rng.randrange(1, 9)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(7)
    return bytes(data)


def huge_params(rng):
    """Up to a MB of them: a few that are long, or many."""
    n = rng.choice((1, 10, 3000))
    params = pairs([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/v2/")]
                   + [(f"HTTP_X{i}", "x" * rng.randrange(1, 1000000 // n))
                      for i in range(n)])
    cut = rng.choice((100, 8192, 65535))
    chunks = [params[i:i + cut] for i in range(0, len(params), cut)][:1000]
    return (begin() + b"".join(record(PARAMS, c) for c in chunks)
            + record(PARAMS) + record(STDIN))


def wrong_lengths(rng):
    """Parameters that say they are longer than what there is, or shorter."""
    name, value = b"REQUEST_URI", rng.choice(URIS).encode("latin-1")
    lengths = [rng.choice((len(x), 0, len(x) + 1, 127, 128, 1 << 20))
               for x in (name, value)]
    params = b"".join(length(n) for n in lengths) + name + value
    return (begin() + record(PARAMS, params * rng.randrange(1, 4))
            + record(PARAMS) + record(STDIN))


def interleaved(rng):
    """Two requests of other numbers, record by record."""
    uri = pairs([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/v2/")])
    records = [record(kind, data, request=number)
               for number in (1, rng.choice((2, 0, 65535)))
               for kind, data in ((BEGIN, b"\0\1\0\0\0\0\0\0"),
                                  (PARAMS, uri), (PARAMS, b""), (STDIN, b""))]
    if rng.random() < 0.5:
        rng.shuffle(records)
    return b"".join(records)


def aborted(rng):
    data = request(rng)
    at = rng.randrange(len(data))
    return data[:at] + record(ABORT) + data[at:]


def answers(rng):
    """What only an application sends, and questions to it."""
    return b"".join(
        record(rng.choice((STDOUT, END, GET_VALUES, UNKNOWN)),
               rng.choice((b"", pairs({"FCGI_MPXS_CONNS": ""}))),
               request=rng.choice((0, 1))) for _ in range(5)) + request(rng)


def garbage(rng):
    return b"".join(any_record(rng) for _ in range(rng.randrange(1, 9)))


KINDS = (request, flipped, huge_params, wrong_lengths, interleaved, aborted,
         answers, garbage)


def send(connection, data, rng):
    """At once, in pieces, or a part of it alone."""
    if rng.random() < 0.3:
        data = data[:rng.randrange(len(data) + 1)]
    if rng.random() < 0.3:
        piece = max(rng.choice((1, 7, 1000)), len(data) // 500)
        for i in range(0, len(data), piece):
            connection.sendall(data[i:i + piece])
    else:
        connection.sendall(data)


def play(path, seed, number):
    """One round: send, and then read to the end, or go."""
    rng = random.Random(f"{seed}.{number}")
    data = rng.choice(KINDS)(rng)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(str(path))
        try:
            send(connection, data, rng)
            if rng.random() < 0.3:
                return
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up, which is an answer to that
