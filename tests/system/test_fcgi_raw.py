# SPDX-License-Identifier: MIT
"""Keeper, responder and waiter, without a web server between and with a
builder that does what the test says: what no client can be made to do."""

import json
import os
import re
import signal
import statistics
import struct
import threading
import time

import pytest

from harness.process import is_alive, kill, wait_for
from harness.registry import BUILD

import fakebuilder
from fastcgi import (ABORT, PARAMS, STDIN, Server, begin, pairs, record,
                     request_bytes)

WEB = "/v2/web/manifests/latest"
DIGEST = "sha256:" + "0123456789abcdef" * 4
SANITIZED = "-" in BUILD.name

pytestmark = pytest.mark.sanitized


@pytest.fixture
def serve(directory):
    """serve(settings, hold_ms): a server. It must end as it should."""
    servers = []

    def start(*settings, **more):
        servers.append(Server(directory, settings, **more))
        return servers[-1]

    yield start
    for server in servers:
        if server.popen.poll() is None:
            assert server.stop() == 0, server.output()
        else:
            server.clean()
        assert "Sanitizer" not in server.output(), server.output()


def published(server, name="web", **more):
    """An image in the cache: the digests of config, layer, manifest."""
    return ["sha256:" + digest
            for digest in fakebuilder.publish(server.cache, name, **more)]


def wait_builds(server, n, image=None):
    wait_for(f"{n} builds", lambda: server.builds(image) >= n)


def age(server, seconds, name="web"):
    """The image's tag was resolved so long ago."""
    published(server, name, resolved=int(time.time()) - seconds)


def forget(server, digest):
    hex_ = digest.partition(":")[2]
    (server.cache / "blobs/sha256" / hex_[:2] / hex_).unlink()


# What is answered at once

def test_manifest(serve):
    server = serve()
    manifest = published(server)[2]
    for reference in "latest", manifest:
        reply = server.get(f"/v2/web/manifests/{reference}")
        assert reply.status == 200
        assert reply.headers["Docker-Content-Digest"] == manifest
        assert reply.headers["ETag"] == f'"{manifest}"'
        assert "sha256:" + fakebuilder.digest(reply.body) == manifest
        head = server.get(f"/v2/web/manifests/{reference}", method="HEAD")
        assert head.headers.items() == reply.headers.items()
        assert head.body == b""
        for tag in f'"{manifest}"', f'W/"{manifest}"', f'"x", "{manifest}"':
            again = server.get(f"/v2/web/manifests/{reference}",
                               {"If-None-Match": tag})
            assert (again.status, again.body) == (304, b"")
            assert "Content-Length" not in again.headers
            assert again.headers["ETag"] == f'"{manifest}"'
    assert server.builds() == 0


def test_accept(serve):
    server = serve()
    published(server)
    old = "application/vnd.docker.distribution.manifest.v2+json"
    reply = server.get(WEB, {"Accept": old})
    assert reply.status == 404
    assert "vnd.oci.image.manifest" in reply.error()[1]
    # docker 20.10, as nginx passes it
    reply = server.get(WEB, [("Accept", old), (
        "Accept", "application/vnd.oci.image.manifest.v1+json")])
    assert reply.status == 200


@pytest.mark.parametrize("sendfile, field, value", (
    ("x-sendfile", "X-Sendfile", "{cache}/blobs/{path}"),
    ("x-accel-redirect", "X-Accel-Redirect", "/_blobs/{path}"),
))
def test_blob_by_server(serve, sendfile, field, value):
    server = serve(f"sendfile = {sendfile}")
    layer = published(server)[1]
    hex_ = layer.partition(":")[2]
    for method in "GET", "HEAD":
        reply = server.get(f"/v2/web/blobs/{layer}", method=method)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers[field] == value.format(
            cache=server.cache, path=f"sha256/{hex_[:2]}/{hex_}")
        assert reply.headers["Docker-Content-Digest"] == layer
        assert "immutable" in reply.headers["Cache-Control"]
    same = server.get(f"/v2/web/blobs/{layer}",
                      {"If-None-Match": f'"{layer}"'})
    assert same.status == 304 and field not in same.headers
    many = server.get(f"/v2/web/blobs/{layer}", {
        "Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 22, 2))})
    assert many.status == (400 if sendfile == "x-sendfile" else 200)
    beyond = server.get(f"/v2/web/blobs/{layer}",
                        {"Range": "bytes=99999999-"})
    assert beyond.status == 416 and field not in beyond.headers
    assert beyond.headers["Content-Range"].startswith("bytes */")


def test_blob_by_us(serve):
    server = serve("sendfile = none")
    layer = published(server)[1]
    body = fakebuilder.image_bytes("web")[1]
    path = f"/v2/web/blobs/{layer}"
    size = len(body)
    cases = (
        (None, 200, 0, size),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=500000-", 206, 500000, size),
        ("bytes=-7", 206, size - 7, size),
        ("bytes=1-99999999", 206, 1, size),
        ("bytes=0-1,5-6", 200, 0, size),
        ("bytes=2-1", 200, 0, size),
        ("lines=1-2", 200, 0, size),
    )
    for header, status, first, end in cases:
        reply = server.get(path, {"Range": header} if header else {})
        assert reply.status == status, header
        assert reply.body == body[first:end], header
        assert int(reply.headers["Content-Length"]) == end - first
        if status == 206:
            assert reply.headers["Content-Range"] == \
                f"bytes {first}-{end - 1}/{size}"
    beyond = server.get(path, {"Range": f"bytes={size}-"})
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{size}"
    changed = server.get(path, {"Range": "bytes=0-0", "If-Range": '"x"'})
    assert changed.status == 200
    head = server.get(path, {"Range": "bytes=0-0"}, method="HEAD")
    assert int(head.headers["Content-Length"]) == size and head.body == b""


def test_only_what_is_linked(serve):
    """Bytes that are there are unknown under another name, or when the flake
    of their name is another one now."""
    server = serve()
    _, layer, manifest = published(server)
    foreign = published(server, "foreign", url="github:else/where")
    _, named, _ = published(server, "other/web", url="github:me/other")
    for path, code in (
            (f"/v2/elsewhere/blobs/{layer}", "BLOB_UNKNOWN"),
            (f"/v2/elsewhere/manifests/{manifest}", "MANIFEST_UNKNOWN"),
            (f"/v2/web/blobs/{named}", "BLOB_UNKNOWN"),
            (f"/v2/foreign/blobs/{foreign[1]}", "BLOB_UNKNOWN"),
            (f"/v2/foreign/manifests/{foreign[2]}", "MANIFEST_UNKNOWN"),
            (f"/v2/web/blobs/{DIGEST}", "BLOB_UNKNOWN"),
            (f"/v2/web/manifests/{DIGEST}", "MANIFEST_UNKNOWN"),
            (f"/v2/web/blobs/sha512:{'a' * 128}", "BLOB_UNKNOWN")):
        reply = server.get(path)
        assert reply.status == 404 and reply.error()[0] == code, path
    assert server.get(f"/v2/other/web/blobs/{named}").status == 200
    assert server.builds() == 0
    # by tag, that other flake's image is no image at all: it is built
    server.behave("foreign:latest", "exit:3")
    assert server.get("/v2/foreign/manifests/latest").status == 403


def test_passive(serve):
    """What clients ask for on their own starts no build."""
    server = serve()
    tag = DIGEST.replace(":", "-")
    for tag in tag, tag + ".sig", "v1-esgztoc":
        reply = server.get(f"/v2/web/manifests/{tag}")
        assert reply.status == 404
        assert reply.error()[0] == "MANIFEST_UNKNOWN"
    reply = server.get(f"/v2/web/referrers/{DIGEST}?artifactType=a/b")
    assert reply.status == 200
    assert json.loads(reply.body)["manifests"] == []
    assert reply.headers["OCI-Filters-Applied"] == "artifactType"
    assert server.get("/v2/web/referrers/x").status == 400
    assert server.builds() == 0


def test_no_flake(serve):
    server = serve(unnamed=None)
    reply = server.get(WEB)
    assert reply.status == 404 and reply.error()[0] == "NAME_UNKNOWN"


@pytest.mark.parametrize("method", ("PUT", "POST", "PATCH", "DELETE", "FOO"))
def test_writes(serve, method):
    server = serve()
    body = b"x" * 300000 if method == "PUT" else b""
    reply = server.get(WEB, method=method, body=body)
    assert reply.status == 405 and reply.error()[0] == "UNSUPPORTED"
    assert reply.headers["Allow"] == "GET, HEAD"


# Waiting

def test_one_build_for_all(serve):
    server = serve()
    server.behave("web:latest", "wait", "publish")
    pending = [server.send("GET" if i % 2 else "HEAD", WEB)
               for i in range(50)]
    wait_builds(server, 1)
    (server.directory / "go").touch()
    replies = [p.reply() for p in pending]
    assert {r.status for r in replies} == {200}
    assert len({r.headers["Docker-Content-Digest"] for r in replies}) == 1
    assert server.builds() == 1


def test_hops(serve):
    """307 to itself, eight times; then until the end, and then 429."""
    server = serve("build-timeout = 1s", hold_ms=100)
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


def test_hop_joins(serve):
    """The build goes on between the hops, and ends one of them."""
    server = serve(hold_ms=200)
    server.behave("web:latest", "sleep:0.5", "publish")
    uri, hops = WEB, 0
    while True:
        reply = server.get(uri)
        if reply.status != 307:
            break
        uri, hops = reply.headers["Location"], hops + 1
    assert reply.status == 200 and hops >= 2
    assert server.builds() == 1


def test_others_while_many_wait(serve):
    """/v2/ and what is warm are answered at once while 60 pulls wait."""
    server = serve()
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


def test_thousand_wait(serve):
    server = serve()
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


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def sockets(pid):
    folder = f"/proc/{pid}/fd"
    n = 0
    for fd in os.listdir(folder):
        try:
            n += os.readlink(f"{folder}/{fd}").startswith("socket:")
        except OSError:
            pass
    return n


def test_client_leaves(serve):
    """The build goes on; the connection is closed at once."""
    server = serve()
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


def test_busy(serve):
    server = serve("max-builds = 1", "max-queue = 1")
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


# Failures

@pytest.mark.parametrize("code, status, answer", (
    ("nix-failed", 404, "MANIFEST_UNKNOWN"),
    ("unknown", 404, "MANIFEST_UNKNOWN"),
    ("upstream", 404, "MANIFEST_UNKNOWN"),
    ("timed-out", 404, "MANIFEST_UNKNOWN"),
    ("malformed", 404, "MANIFEST_UNKNOWN"),
    ("refused", 403, "DENIED"),
    ("system", 403, "DENIED"),
    ("busy", 429, "TOOMANYREQUESTS"),
))
def test_failure(serve, code, status, answer):
    server = serve()
    (server.directory / "message").write_text(
        "error: \033[31mbad\033[0m \"flake\"\n"
        "  at git+https://me:secret@example.org/x\n")
    server.behave("web:latest", f"fail:{code}")
    first = server.get(WEB)
    assert first.status == status
    error, message = first.error()
    assert error == answer
    assert message.startswith('web:latest: error: bad "flake"\n')
    assert "secret" not in message and "\033" not in message
    assert "flakehub log web:latest" in message
    # for error-max-age that is the answer, without another build
    assert server.get(WEB).body == first.body
    assert server.builds() == 1


def test_failure_ages(serve):
    server = serve("error-max-age = 0s")
    (server.directory / "message").write_text("no")
    server.behave("web:latest", "fail:nix-failed")
    assert server.get(WEB).status == 404
    time.sleep(1.1)
    server.behave("web:latest", "publish")
    assert server.get(WEB).status == 200


def test_long_failure(serve):
    server = serve()
    (server.directory / "message").write_text("x\n" * 1400)
    server.behave("web:latest", "fail:nix-failed")
    message = server.get(WEB).error()[1]
    assert message.endswith("flakehub log web:latest)")


@pytest.mark.parametrize("words, text", (
    ("kill:9", "killed by signal 9 (KILL)"),
    ("kill:11", "killed by signal 11 (SEGV)"),
    ("exit:3", "status 3"),
    ("exit:0", "gone from the cache"),
))
def test_builder_dies(serve, words, text):
    server = serve()
    server.behave("web:latest", words)
    reply = server.get(WEB)
    assert reply.status in (403, 429)
    assert text in reply.error()[1]
    server.behave("web:latest", "publish")
    assert server.get(WEB).status == 200


@pytest.mark.parametrize("words", ("kill:9", "exit:1"))
def test_builder_leaves_nothing(serve, words):
    """What it had started, and what hears nothing but SIGKILL."""
    server = serve()
    server.behave("web:latest", "leave", words)
    assert server.get(WEB).status >= 400
    pid = int((server.directory / "left").read_text())
    wait_for("its child ends", lambda: not is_alive(pid), 20)


def test_builder_cannot_start(serve):
    server = serve()
    server.builder.unlink()
    reply = server.get(WEB)
    assert reply.status == 403, reply


def test_killed_builder_beside_old_failure(serve):
    server = serve("error-max-age = 0s")
    server.cache.joinpath("builds").mkdir(exist_ok=True)
    fakebuilder.put_failure(server.cache, "web:latest", "nix-failed",
                            "of old", time.time() - 100)
    server.behave("web:latest", "exit:4")
    assert "of old" not in server.get(WEB).error()[1]


# Freshness

def test_max_age(serve):
    server = serve("max-age = 10s")
    published(server)
    assert server.get(WEB).status == 200 and server.builds() == 0
    age(server, 100)
    assert server.get(WEB).status == 200 and server.builds() == 1


def test_clock_set_back(serve):
    server = serve("max-age = 10s")
    age(server, -3600)
    assert server.get(WEB).status == 200 and server.builds() == 1


def test_refresh_behind(serve):
    server = serve("max-age = 1s", "stale-while-revalidate = 1h")
    age(server, 60)
    server.behave("web:latest", "wait", "publish")
    start = time.monotonic()
    for _ in range(5):
        assert server.get(WEB).status == 200
    assert time.monotonic() - start < 2
    wait_builds(server, 1)
    (server.directory / "go").touch()
    wait_for("the build ends", lambda: not server.builders())
    assert server.builds() == 1


def test_stale_if_error(serve):
    server = serve("max-age = 1s", "stale-if-error = 1h")
    age(server, 60)
    (server.directory / "message").write_text('host is "down"\nand more')
    server.behave("web:latest", "fail:upstream")
    for _ in range(2):
        reply = server.get(WEB)
        assert reply.status == 200
        warning = reply.headers["Warning"]
        assert warning.startswith('299 - "web:latest is')
        assert 'host is \\"down\\""' in warning
    assert server.builds() == 1
    assert "stale=served" in server.output()
    age(server, 7200)
    assert server.get(WEB).status == 404


def test_gone_is_no_error(serve):
    """That the image is no longer there is what the upstream says."""
    server = serve("max-age = 1s", "stale-if-error = 1h")
    age(server, 60)
    (server.directory / "message").write_text("no such attribute")
    server.behave("web:latest", "fail:unknown")
    assert server.get(WEB).status == 404


def test_torn_record(serve):
    server = serve()
    manifest = published(server)[2]
    name = manifest.partition(":")[2]
    file = server.cache / "repositories/web/_manifests" / name
    for text in "", "manifest", file.read_text()[:200]:
        file.write_text(text)
        assert server.get(f"/v2/web/manifests/{manifest}").status == 404
        assert server.get(WEB).status == 200


def test_cold(serve):
    """Bytes that have gone are made again, of the image that they are of."""
    server = serve()
    for i, path in ((1, "blobs"), (2, "manifests")):
        digests = published(server)
        forget(server, digests[i])
        image = f"web@{digests[2]}"
        server.behave(image, "sleep:0.1", "publish")
        reply = server.get(f"/v2/web/{path}/{digests[i]}")
        assert reply.status == 200
        assert server.builds(image) == i
    assert server.builds() == 2


def test_cold_by_tag(serve):
    server = serve()
    forget(server, published(server)[2])
    assert server.get(WEB).status == 200
    assert server.builds("web:latest") == 1


# Processes that die

def test_responder_dies(serve):
    """The keeper starts another, which joins the build under way."""
    server = serve()
    server.behave("web:latest", "wait", "publish")
    lost = server.send("GET", WEB)
    wait_builds(server, 1)
    for _ in range(3):
        time.sleep(1.05)  # a longer life than that of a broken program
        old = server.responder()
        os.kill(old, signal.SIGKILL)
        wait_for("another", lambda: server.responder() not in (None, old))
        assert server.get("/v2/").status == 200
    assert lost.read() == b""
    pending = server.send("GET", WEB)
    time.sleep(0.2)
    (server.directory / "go").touch()
    assert pending.reply().status == 200
    assert server.builds() == 1


def test_responder_dies_at_once(serve):
    """Again and again: started later each time, and never given up."""
    server = serve()
    for _ in range(5):
        old = wait_for("a responder", server.responder)
        os.kill(old, signal.SIGKILL)
        wait_for("it is gone", lambda: server.responder() != old)
    assert server.get("/v2/").status == 200


def test_keeper_dies(serve):
    """The responder does not stay behind on the socket; the build does, and
    its image is there for the next."""
    server = serve()
    server.behave("web:latest", "wait", "publish")
    pending = server.send("GET", WEB)
    wait_builds(server, 1)
    responder = server.responder()
    os.kill(server.keeper, signal.SIGKILL)
    reply = pending.reply()
    assert reply.status == 307
    wait_for("the responder ends", lambda: not is_alive(responder))
    server.popen.wait()
    assert server.builders()
    (server.directory / "go").touch()
    wait_for("the build ends", lambda: not server.builders())
    server.start()
    assert server.get(reply.headers["Location"]).status == 200


def test_builder_killed(serve):
    server = serve()
    server.behave("web:latest", "wait", "publish")
    pending = [server.send("GET", WEB) for _ in range(5)]
    wait_builds(server, 1)
    for pid in wait_for("a builder", server.builders):
        kill(pid, signal.SIGKILL)
    for p in pending:
        reply = p.reply()
        assert reply.status == 403
        assert "killed by signal 9" in reply.error()[1]
    (server.directory / "go").touch()
    assert server.get(WEB).status == 200


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_drain(serve, number):
    """Who waits is sent to whoever comes next; builders go on."""
    server = serve()
    server.behave("web:latest", "wait", "publish")
    first = server.send("GET", WEB)
    last = server.send("GET", WEB + "?w=8")
    wait_builds(server, 1)
    os.kill(server.keeper, number)
    assert first.reply().status == 307
    reply = last.reply()
    assert reply.status == 429 and reply.headers["Retry-After"]
    assert server.popen.wait(10) == 0
    assert server.builders()
    (server.directory / "go").touch()


def test_drain_drops_nothing(serve):
    """What was accepted is answered, also while the responder ends."""
    server = serve()
    stop = threading.Event()
    problems = []

    def ask():
        while not stop.is_set():
            reply = server.get("/v2/")
            if reply.status != 200:
                problems.append(reply)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        old = wait_for("a responder", server.responder)
        os.kill(old, signal.SIGTERM)
        wait_for("it is gone", lambda: server.responder() != old)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems


def test_harmless_signals(serve):
    server = serve()
    for number in signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE:
        for pid in server.keeper, server.responder():
            os.kill(pid, number)
    responder = server.responder()
    assert server.get("/v2/").status == 200
    assert server.responder() == responder


def test_responder_asked_to_end(serve):
    server = serve()
    old = server.responder()
    os.kill(old, signal.SIGTERM)
    wait_for("another", lambda: server.responder() not in (None, old))
    assert server.get("/v2/").status == 200


# Web servers that misbehave

MALFORMED = {
    "nothing": b"",
    "no FastCGI": b"GET / HTTP/1.0\r\n\r\n",
    "version 0": record(1, b"\0\1\0\0\0\0\0\0", version=0),
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "begin alone": begin(),
    "short begin": record(1, b"\0\1"),
    "other role": begin(role=3) + record(PARAMS) + record(STDIN),
    "params first": record(PARAMS, pairs({"A": "B"})),
    "length beyond": begin() + record(PARAMS, b"\x05\x05abc")
    + record(PARAMS) + record(STDIN),
    "huge lengths": begin() + record(PARAMS, b"\xff\xff\xff\xff" * 2)
    + record(PARAMS) + record(STDIN),
    "long length": begin() + record(PARAMS, b"\x80\x00\x00")
    + record(PARAMS),
    "no params": begin() + record(PARAMS) + record(STDIN),
    "aborted": begin() + record(ABORT),
    "NULs": begin() + record(PARAMS, pairs({
        b"REQUEST_URI\0": b"/v2/\0/x", b"\0": b"\0"})) + record(PARAMS)
    + record(STDIN),
    "no URI": begin() + record(PARAMS, pairs({"REQUEST_METHOD": "GET"}))
    + record(PARAMS) + record(STDIN),
    "no method": begin() + record(PARAMS, pairs({"REQUEST_URI": "/v2/"}))
    + record(PARAMS) + record(STDIN),
    "empty names": begin() + record(PARAMS, pairs([("", ""), ("", "x")]))
    + record(PARAMS) + record(STDIN),
    "long URI": request_bytes("GET", "/v2/" + "a" * 60000),
    "unknown record": struct.pack(">BBHHBx", 1, 42, 0, 0, 0)
    + request_bytes("GET", "/v2/"),
    "body": request_bytes("GET", "/v2/", body=b"x" * 200000),
}


if "address" in BUILD.name:
    # libfcgi 2.4.2 itself forgets 48 bytes for each of these.
    del MALFORMED["unknown record"]


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(serve, name):
    """Answered or hung up on; and the next request is served as ever."""
    server = serve()
    responder = server.responder()
    for _ in range(10):  # more than there are workers
        pending = server.raw(MALFORMED[name])
        if name not in ("begin alone", "nothing", "huge lengths"):
            pending.socket.shutdown(1)
            pending.read()
        pending.close()
    assert server.get("/v2/").status == 200
    assert server.responder() == responder, server.output()


def test_cut_anywhere(serve):
    """A connection that ends at any byte of a request."""
    server = serve()
    data = request_bytes("GET", WEB, {"Accept": "*/*"})
    server.behave("web:latest", "publish")
    responder = server.responder()
    for end in range(len(data)):
        server.raw(data[:end]).close()
    assert server.get("/v2/").status == 200
    assert server.responder() == responder


def test_storm(serve):
    """Clients that come, wait and leave while builds end and fail."""
    server = serve("max-age = 0s", "error-max-age = 0s", hold_ms=50)
    (server.directory / "message").write_text("no")
    for i in range(4):
        server.behave(f"ok{i}:latest", f"sleep:0.{i}", "publish")
        server.behave(f"bad{i}:latest", f"sleep:0.{i}", "fail:nix-failed")
    problems = []

    def run(seed):
        for i in range(25):
            kind = ("ok", "bad")[(seed + i) % 2]
            uri = f"/v2/{kind}{(seed + i) % 4}/manifests/latest"
            pending = server.send("GET", uri)
            if (seed + i) % 3 == 0:
                time.sleep(0.01 * (i % 8))
                pending.close()
                continue
            status = pending.reply().status
            if status not in (200, 307, 404 if kind == "bad" else 200):
                problems.append((uri, status))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    responder = server.responder()
    assert server.get("/v2/").status == 200
    assert server.responder() == responder
