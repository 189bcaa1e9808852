# SPDX-License-Identifier: MIT
"""What those notice that need not wait while others wait for a slow build,
and how much memory the waiting cost. The builder is a stand-in that publishes
an image of 1 MB when it is told to."""

import contextlib
import http.client
import statistics
import time

import fakebuilder
import fastcgi
from harness.process import wait_for
from harness.webserver import SENDFILE, SERVERS, WebServer

REQUESTS = 200


@contextlib.contextmanager
def responder(folder, name):
    """flakehub.fcgi behind a web server, with a warm image `warm`."""
    server = fastcgi.Server(folder, ("max-age = 1h",
                                     f"sendfile = {SENDFILE[name]}"))
    server.path.chmod(0o666)
    fakebuilder.publish(server.cache, "warm")
    web = WebServer(name, folder / "web", server.path, server.cache)
    try:
        yield server, web.port
    finally:
        web.stop()
        server.stop()


def memory_kb(pid, key="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def milliseconds(port, path):
    """How long each of a row of requests took, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for _ in range(REQUESTS):
        start = time.monotonic()
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        taken.append((time.monotonic() - start) * 1000)
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status}")
    connection.close()
    return taken


@contextlib.contextmanager
def waiting(server, port, count):
    """So many clients of the web server that wait for one build."""
    server.behave("slow:latest", "wait", "publish")
    clients = []
    for _ in range(count):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/v2/slow/manifests/latest")
        clients.append(client)
    wait_for("the build", lambda: server.builds("slow:latest") == 1)
    time.sleep(0.5)
    try:
        yield
    finally:
        (server.directory / "go").touch()
        for client in clients:
            reply = client.getresponse()
            reply.read()
            if reply.status != 200:
                raise RuntimeError(f"after waiting: {reply.status}")
            client.close()


def measure_one(bench, name, count):
    with bench.fresh("waiting") as folder, \
            responder(folder, name) as (server, port):
        before = memory_kb(server.responder())
        with waiting(server, port, count):
            for what, path in (("/v2/", "/v2/"),
                               ("manifest", "/v2/warm/manifests/latest")):
                taken = milliseconds(port, path)
                bench.figures.add(f"{count} wait, {name}: {what}",
                                  statistics.median(taken), "ms (median)")
                bench.figures.add(f"{count} wait, {name}: {what}, slowest",
                                  max(taken), "ms")
            after = memory_kb(server.responder())
        bench.figures.add(f"{count} wait, {name}: responder", after / 1024,
                          "MB")
        bench.figures.add(f"{count} wait, {name}: each",
                          (after - before) / count, "KB")


def measure(bench):
    counts = (1, 10, 60, 1000) if bench.size == "full" else (60,)
    for _ in range(min(bench.rounds, 3)):
        for name in SERVERS:
            for count in counts:
                bench.say(f"waiting: {count} through {name}")
                measure_one(bench, name, count)
    for name in SERVERS:
        for count in counts[-2:]:
            for what in ("/v2/", "manifest"):
                bench.figures.limit(f"{what} while {count} wait, {name}",
                                    f"{count} wait, {name}: {what}", "<= 5")
            bench.figures.limit(
                f"responder's memory, {count} waiting, {name}",
                f"{count} wait, {name}: responder",
                f"<= {8 + 12 * count / 1024:.1f}")
