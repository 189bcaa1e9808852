# SPDX-License-Identifier: MIT
"""The responder, and FastCGI that is none. FUZZ_ROUNDS and FUZZ_SEED have more
of it, or other."""

import concurrent.futures
import os
import struct

import pytest

from harness.process import is_alive, rss, wait_for
from harness.registry import SANITIZED

import fakebuilder
import fcgifuzz
from fastcgi import PARAMS, STDIN, Server, begin, record

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "300"))
SEED = os.environ.get("FUZZ_SEED", "1")
CLIENTS = 8
# Heaps of eight threads, after the largest requests that there are.
GROWTH_MAX = 24 << 20

pytestmark = pytest.mark.sanitized


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def play(server, rounds):
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for _ in pool.map(lambda n: fcgifuzz.play(server.path, SEED, n),
                          rounds):
            pass


def test_fuzz(directory, monkeypatch):
    """After it /v2/ and an image are answered rightly, by the same processes,
    with as many descriptors as before and as much memory as half way."""
    suppressions = directory / "suppressions"
    # libfcgi 2.4.2 itself forgets 48 bytes for a record that it does not know.
    suppressions.write_text("leak:libfcgi\n")
    monkeypatch.setenv("LSAN_OPTIONS", f"suppressions={suppressions}:"
                       "print_suppressions=0")
    server = Server(directory, ("max-age = 1d", "error-max-age = 1d"))
    try:
        manifest = fakebuilder.publish(server.cache, "warm")[2]
        responder = server.responder()
        assert server.get("/v2/").status == 200
        before = {pid: descriptors(pid) for pid in (responder, server.keeper)}
        play(server, range(ROUNDS // 2))
        half = rss(responder)
        play(server, range(ROUNDS // 2, ROUNDS))
        assert server.responder() == responder, server.output()
        reply = server.get("/v2/")
        assert reply.status == 200 and reply.body == b"{}"
        reply = server.get("/v2/warm/manifests/latest")
        assert fakebuilder.digest(reply.body) == manifest
        for pid, number in before.items():
            wait_for("descriptors are closed",
                     lambda p=pid, n=number: descriptors(p) <= n)
        if not SANITIZED:
            assert rss(responder) - half < GROWTH_MAX
        assert is_alive(server.keeper)
        assert server.stop() == 0, server.output()
    finally:
        if server.popen.poll() is None:
            server.stop()
        else:
            server.clean()
    assert "Sanitizer" not in server.output(), server.output()


if not SANITIZED:  # a sanitizer's malloc has ends of its own
    def test_length_of_2_gib(directory):
        """libfcgi 2.4.2, as Debian 12 has it, ends the process at one length
        of a parameter. That is for who may write to the socket, and no more
        than a responder: the keeper starts the next."""
        server = Server(directory)
        try:
            lengths = struct.pack(">II", (1 << 32) - 2, 1 << 31)
            pending = server.raw(begin() + record(PARAMS, lengths)
                                 + record(PARAMS) + record(STDIN))
            pending.read()
            assert server.get("/v2/").status == 200
            assert server.stop() == 0
        finally:
            server.clean()
