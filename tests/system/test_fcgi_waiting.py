# SPDX-License-Identifier: MIT
"""Requests that wait for a build: parked, sent round, left."""

import os
import re
import statistics
import time

import pytest

from harness.process import rss, wait_for
from harness.registry import SANITIZED

from fastcgi import WEB, age, published, wait_builds

pytestmark = pytest.mark.sanitized


def test_one_build_for_all(fcgi):
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    pending = [server.send("GET" if i % 2 else "HEAD", WEB)
               for i in range(50)]
    wait_builds(server, 1)
    (server.directory / "go").touch()
    replies = [p.reply() for p in pending]
    assert {r.status for r in replies} == {200}
    assert len({r.headers["Docker-Content-Digest"] for r in replies}) == 1
    assert server.builds() == 1


def test_hops(fcgi):
    """307 to itself, eight times; then until the end, and then 429."""
    server = fcgi("build-timeout = 1s", hold_ms=100)
    server.behave("web:latest", "wait", "publish")
    uri = WEB + "?ns=docker.io"
    for hop in range(1, 9):
        reply = server.get(uri)
        assert reply.status == 307
        uri = reply.headers["Location"]
        assert uri == f"{WEB}?ns=docker.io&w={hop}"
    last = server.send("HEAD", uri)
    reply = server.get(uri)
    assert reply.status == 429
    code, message = reply.error()
    assert code == "TOOMANYREQUESTS" and int(reply.headers["Retry-After"])
    assert re.search(r"web:latest is still being built, for \d s", message)
    assert "flakehub log web:latest" in message
    assert last.reply().status == 429
    (server.directory / "go").touch()
    assert server.get(WEB).status in (200, 307)
    assert server.builds() == 1


def test_hop_joins(fcgi):
    """The build goes on between the hops, and ends one of them."""
    server = fcgi(hold_ms=200)
    server.behave("web:latest", "sleep:0.5", "publish")
    uri, hops = WEB, 0
    while True:
        reply = server.get(uri)
        if reply.status != 307:
            break
        uri, hops = reply.headers["Location"], hops + 1
    assert reply.status == 200 and hops >= 2
    assert server.builds() == 1


def test_others_while_many_wait(fcgi):
    """/v2/ and what is warm are answered at once while 60 pulls wait."""
    server = fcgi()
    published(server, "warm")
    server.behave("web:latest", "wait", "publish")
    pending = [server.send("GET", WEB) for _ in range(60)]
    wait_builds(server, 1)
    for path in "/v2/", "/v2/warm/manifests/latest":
        times = []
        for _ in range(100):
            start = time.monotonic()
            assert server.get(path).status == 200
            times.append(time.monotonic() - start)
        if not SANITIZED:
            # bench/waiting.py has the strict limit, on an idle machine.
            assert statistics.median(times) < 0.05, times
    (server.directory / "go").touch()
    assert {p.reply().status for p in pending} == {200}


def test_thousand_wait(fcgi):
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    before = rss(server.responder())
    pending = [server.send("GET", WEB, timeout=60) for _ in range(1000)]
    wait_for("all are parked", lambda: sockets(server.responder()) > 1000)
    start = time.monotonic()
    assert server.get("/v2/").status == 200
    if not SANITIZED:
        assert time.monotonic() - start < 1
        assert rss(server.responder()) - before < 1000 * 16 * 1024
        assert before < 8 << 20
    (server.directory / "go").touch()
    assert {p.reply().status for p in pending} == {200}
    assert server.builds() == 1
    wait_for("connections are closed",
             lambda: sockets(server.responder()) < 20)


def sockets(pid):
    folder = f"/proc/{pid}/fd"
    n = 0
    for fd in os.listdir(folder):
        try:
            n += os.readlink(f"{folder}/{fd}").startswith("socket:")
        except OSError:
            pass
    return n


def test_client_leaves(fcgi):
    """The build goes on; the connection is closed at once."""
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    idle = sockets(server.responder())
    pending = [server.send("GET", WEB) for _ in range(10)]
    wait_builds(server, 1)
    wait_for("they are parked",
             lambda: sockets(server.responder()) == idle + 10)
    for p in pending:
        p.close()
    wait_for("they are gone", lambda: sockets(server.responder()) == idle)
    assert server.builders()
    (server.directory / "go").touch()
    wait_for("the build ends", lambda: not server.builders())
    reply = server.get(WEB)
    assert reply.status == 200 and server.builds() == 1
    assert "status=499" in server.output()


def test_busy(fcgi):
    server = fcgi("max-builds = 1", "max-queue = 1")
    for name in "a", "b", "c":
        server.behave(f"{name}:latest", "wait", "publish")
    a = server.send("GET", "/v2/a/manifests/latest")
    b = server.send("GET", "/v2/b/manifests/latest")
    wait_builds(server, 2)
    reply = server.get("/v2/c/manifests/latest")
    assert reply.status == 429 and reply.error()[0] == "TOOMANYREQUESTS"
    assert reply.headers["Retry-After"]
    # what is under way may be joined
    a2 = server.send("GET", "/v2/a/manifests/latest")
    (server.directory / "go").touch()
    assert [p.reply().status for p in (a, b, a2)] == [200] * 3
    assert server.get("/v2/c/manifests/latest").status == 200
    # with an older image there is no need to be refused
    (server.directory / "go").unlink()
    for name in "d", "e":
        server.behave(f"{name}:latest", "wait")
    d = server.send("GET", "/v2/d/manifests/latest")
    e = server.send("GET", "/v2/e/manifests/latest")
    wait_builds(server, 1, "e:latest")
    wait_builds(server, 1, "d:latest")
    age(server, 3600, "c")
    reply = server.get("/v2/c/manifests/latest")
    assert reply.status == 200 and "too many builds" in reply.headers["Warning"]
    d.close()
    e.close()
    (server.directory / "go").touch()
