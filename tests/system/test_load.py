# SPDX-License-Identifier: MIT
"""Hundreds of pulls at once, of what is there and of what must be built first;
clients that are slow, that vanish, that never finish what they began to say.

The builder is a stand-in that publishes when the test says so: how long a
build takes is no matter of a machine's load here. tests/torture/load.py does
the same with Nix, and with a clock."""

import asyncio
import concurrent.futures
import contextlib
import os
import resource

import pytest

import fakebuilder
import fastcgi
from harness import clients, crowd, fetch
from harness.process import wait_for
from harness.webserver import SENDFILE, SERVERS, WebServer

WARM = [f"warm-{n}" for n in range(10)]
COLD = [f"cold-{n}" for n in range(10)]
PULLS_EACH = 10
IDLE = 1000 - PULLS_EACH * len(COLD) - 100


@pytest.fixture(autouse=True)
def descriptors():
    """Both ends of the web server's connections are counted, not ours alone.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (min(max(soft, 8192), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def registry(directory, name, *settings):
    server = fastcgi.Server(directory, (
        "max-age = 1h", f"sendfile = {SENDFILE[name]}", *settings))
    server.path.chmod(0o666)
    for image in WARM:
        fakebuilder.publish(server.cache, image)
    for image in COLD:
        server.behave(f"{image}:latest", "wait", "publish")
    web = None
    try:
        web = WebServer(name, directory / "web", server.path, server.cache)
        yield server, web
        assert server.stop() == 0
        assert "Sanitizer" not in server.output(), server.output()
    finally:
        if web:
            web.stop()
        if server.popen.returncode is None:
            server.clean()


def holdings(pid):
    """How many descriptors and threads a process has."""
    return (len(os.listdir(f"/proc/{pid}/fd")),
            len(os.listdir(f"/proc/{pid}/task")))


async def until(what, condition, seconds=60):
    await asyncio.to_thread(wait_for, what, condition, seconds)


def pulls(clients, images):
    return [asyncio.ensure_future(clients.pull(image))
            for _ in range(PULLS_EACH) for image in images]


@pytest.mark.parametrize("name", SERVERS)
def test_warm_never_behind_cold(directory, name):
    """200 pulls of 20 images, of which 10 are cold, on 1,000 connections: the
    100 warm ones are done before any cold image is."""
    async def main(server, port):
        clients = crowd.Crowd(port, connections=2000)
        idle = [await clients.half_open() for _ in range(IDLE)]
        cold = pulls(clients, COLD)
        await until("ten builders", lambda: server.builds() == len(COLD))
        warm = await asyncio.gather(*pulls(clients, WARM))
        assert len(warm) == 100 and not any(task.done() for task in cold)
        # A thousand, all at once.
        more = pulls(clients, WARM)
        await asyncio.gather(*more)
        assert clients.most >= 1000, clients.most
        (server.directory / "go").touch()
        done = await asyncio.gather(*cold)
        assert len({pull.digest for pull in done}) == len(COLD)
        assert server.builds() == len(COLD)
        for writer in idle:
            clients.hang_up(writer)

    with registry(directory, name) as (server, web):
        before = holdings(server.responder())
        asyncio.run(main(server, web.port))
        web.stop()  # nginx keeps connections
        wait_for("all is given back",
                 lambda: holdings(server.responder()) == before)


@pytest.mark.sanitized
@pytest.mark.parametrize("name", SERVERS)
def test_bad_clients(directory, name):
    """1 KB/s, gone in the middle of a blob or of the wait, never to complete
    a request: the others' pulls go on, and nothing is kept of them."""
    async def main(server, port):
        clients = crowd.Crowd(port)
        # More than the kernel takes of a web server and keeps.
        _, layer, _ = fakebuilder.publish(server.cache, "large",
                                          size=16 << 20)
        blob = f"/v2/large/blobs/sha256:{layer}"
        slow = [asyncio.ensure_future(clients.ask(blob, rate=1024))
                for _ in range(100)]
        half = [await clients.half_open(part) for part in (
            b"", b"GET", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n",
            b"POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx")
            for _ in range(25)]
        wait = f"/v2/{COLD[0]}/manifests/latest"
        await asyncio.gather(
            *(clients.vanish(blob, after=10000) for _ in range(100)),
            *(clients.vanish(wait) for _ in range(100)),
            *(clients.vanish(blob) for _ in range(100)))
        await until("the build", lambda: server.builds() == 1)
        waiting = pulls(clients, COLD[:1])
        warm = await asyncio.gather(*pulls(clients, WARM))
        assert len(warm) == 100
        assert not any(task.done() for task in slow)
        (server.directory / "go").touch()
        await asyncio.gather(*waiting)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        for writer in half:
            clients.hang_up(writer, reset=True)
        assert server.builds() == 1

    with registry(directory, name) as (server, web):
        before = holdings(server.responder())
        asyncio.run(main(server, web.port))
        web.stop()  # nginx keeps connections
        wait_for("all is given back",
                 lambda: holdings(server.responder()) == before)
        web.start()
        assert fetch.send(web.port, "GET", "/v2/").status == 200


@pytest.mark.parametrize("name", SERVERS)
def test_queue_is_full(directory, name):
    """Over max-builds and max-queue 429 with Retry-After, at once; whoever
    asks again gets it when there is room."""
    async def main(server, port):
        clients = crowd.Crowd(port)
        first = pulls(clients, COLD[:4])
        await until("four builders", lambda: server.builds() == 4)
        answers = await asyncio.gather(*(
            clients.ask(f"/v2/{image}/manifests/latest", method)
            for image in COLD[4:] for method in ("GET", "HEAD")))
        for answer in answers:
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 0
        assert b"TOOMANYREQUESTS" in answers[0].body
        await asyncio.gather(*pulls(clients, WARM))
        again = crowd.Crowd(port, retries=1000)
        rest = pulls(again, COLD[4:])
        assert server.builds() == 4 and not any(t.done() for t in first)
        (server.directory / "go").touch()
        await asyncio.gather(*first, *rest)
        assert server.builds() == len(COLD)

    with registry(directory, name, "max-builds = 1", "max-queue = 3") as (
            server, web):
        asyncio.run(main(server, web.port))


def test_skopeo_asks_again(directory):
    """What honours Retry-After gets its image in the end; docker shows the
    message, and containerd asks five times more without a pause."""
    (directory / "copies").mkdir()
    client = clients.Skopeo(directory / "copies")
    with registry(directory, "lighttpd", "max-builds = 1",
                  "max-queue = 1") as (server, web), \
            concurrent.futures.ThreadPoolExecutor() as pool:
        first = [server.send("GET", f"/v2/{image}/manifests/latest")
                 for image in COLD[:2]]
        wait_for("two builders", lambda: server.builds() == 2)
        copy = pool.submit(client.pull, f"127.0.0.1:{web.port}/{COLD[2]}")
        wait_for("a refusal", lambda: copy.done()
                 or "status=429" in server.output(), 60)
        assert server.builds() == 2
        (server.directory / "go").touch()
        assert [pending.reply().status for pending in first] == [200, 200]
        copy.result().ok()
