# SPDX-License-Identifier: MIT
"""Connections that the web server keeps open between requests, byte for byte:
they hold no worker, and lose no answer."""

import json
import os
import signal
import socket
import struct

import pytest

import fakebuilder
from fastcgi import (END, PARAMS, STDIN, STDOUT, WEB, Reply, begin, pairs,
                     record)
from harness.process import wait_for

KEEP = 1

pytestmark = pytest.mark.sanitized


@pytest.fixture
def server(fcgi):
    return fcgi("max-age = 1h", "sendfile = none")


def request(uri, method="GET", flags=KEEP, number=1, **params):
    named = {"REQUEST_METHOD": method, "REQUEST_URI": uri, **params}
    return (begin(flags=flags).replace(b"\x01\x01\x00\x01",
                                       struct.pack(">BBH", 1, 1, number), 1)
            + record(PARAMS, pairs(named), number) + record(PARAMS, b"", number)
            + record(STDIN, b"", number))


class Connection:
    def __init__(self, server):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(server.path))
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def take(self, size):
        """So many bytes; fewer at the end."""
        while len(self.rest) < size:
            more = self.socket.recv(65536)
            if not more:
                break
            self.rest += more
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def reply(self, number=1):
        """To the end of the request, which must be told."""
        out = b""
        while True:
            version, kind, of, size, padding = struct.unpack(">BBHHBx",
                                                             self.take(8))
            assert (version, of) == (1, number)
            data = self.take(size + padding)[:size]
            if kind == END:
                assert data[:5] == bytes(5)
                return Reply(out)
            assert kind == STDOUT
            out += data

    def get(self, uri, **more):
        self.send(request(uri, **more))
        return self.reply(more.get("number", 1))

    def is_closed(self):
        return self.take(1) == b""


def test_many_requests(server):
    """On one connection, of every kind, with other ids."""
    connection = Connection(server)
    server.behave("web:latest", "publish")
    digests = []
    for number in (1, 2, 65535, 1):
        reply = connection.get(WEB, number=number)
        assert reply.status == 200
        assert int(reply.headers["Content-Length"]) == len(reply.body)
        digests.append(reply.headers["Docker-Content-Digest"])
        head = connection.get(WEB, method="HEAD", number=number)
        assert head.body == b""
        assert head.headers["Content-Length"] == \
            reply.headers["Content-Length"]
        assert connection.get("/v2/no such", number=number).status == 400
        not_modified = connection.get(
            WEB, number=number, HTTP_IF_NONE_MATCH=reply.headers["ETag"])
        assert (not_modified.status, not_modified.body) == (304, b"")
        layer = json.loads(reply.body)["layers"][0]
        blob = connection.get(f"/v2/web/blobs/{layer['digest']}",
                              number=number)
        assert f"sha256:{fakebuilder.digest(blob.body)}" == layer["digest"]
        part = connection.get(f"/v2/web/blobs/{layer['digest']}",
                              number=number, HTTP_RANGE="bytes=1-99998")
        assert part.status == 206 and part.body == blob.body[1:99999]
    assert len(set(digests)) == 1 and server.builds() == 1
    # The last of them: the web server does not want it any more.
    assert connection.get("/v2/", flags=0).status == 200
    assert connection.is_closed()


def test_idle_ones_hold_nobody(server):
    """More than there are workers, and more than are kept: the others are
    hung up on, with their answer."""
    connections = [Connection(server) for _ in range(300)]
    for connection in connections:
        assert connection.get("/v2/").status == 200
    assert server.get("/v2/").status == 200
    for connection in connections[:200]:
        assert connection.get("/v2/").status == 200
    kept = 0
    for connection in connections:
        connection.socket.settimeout(0.001)
        try:
            assert connection.is_closed()
        except TimeoutError:
            kept += 1
    assert 200 <= kept < 300
    # Others come in their place.
    for connection in connections:
        connection.socket.close()
    wait_for("a place", lambda: is_kept(server))


def is_kept(server):
    connection = Connection(server)
    for _ in range(2):
        try:
            if connection.get("/v2/").status != 200:
                return False
        except (OSError, struct.error):
            return False
    return True


def test_parked(server):
    """A wait for a build, a client that leaves, and the next request."""
    server.behave("web:latest", "wait", "publish")
    waiting, leaving = Connection(server), Connection(server)
    assert waiting.get("/v2/").status == 200
    assert leaving.get("/v2/").status == 200
    waiting.send(request(WEB))
    leaving.send(request(WEB))
    wait_for("the build", lambda: server.builds() == 1)
    leaving.socket.close()
    wait_for("it has left", lambda: "status=499" in server.output())
    (server.directory / "go").touch()
    assert waiting.reply().status == 200
    assert waiting.get(WEB).status == 200
    assert server.builds() == 1


@pytest.mark.parametrize("what", [
    b"GET / HTTP/1.0\r\n\r\n", bytes(1000), begin()[:11],
    request("/v2/")[:-9], b""])
def test_what_is_no_request(server, what):
    """In place of the next one: that connection is closed, not others."""
    bad, good = Connection(server), Connection(server)
    for connection in bad, good:
        assert connection.get("/v2/").status == 200
    bad.send(what)
    bad.socket.shutdown(socket.SHUT_WR)
    while bad.take(65536):
        pass
    assert good.get("/v2/").status == 200


def test_body(server):
    """What was pushed is refused, and what is left of it no next request."""
    connection = Connection(server)
    data = request("/v2/web/blobs/uploads/", "POST", CONTENT_LENGTH="100000")
    connection.send(data[:-8] + record(STDIN, b"x" * 50000) * 2
                    + record(STDIN))
    assert connection.reply().status == 405
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.is_closed()


def test_blob_cut_short(server):
    """What has fewer bytes than were promised gets no end, and no next."""
    digests = fakebuilder.publish(server.cache, "web")
    connection = Connection(server)
    path = server.cache / "blobs/sha256" / digests[1][:2] / digests[1]
    reader = server.cache / "sparse"
    with open(reader, "wb") as f:
        f.truncate(64 << 20)
    reader.rename(path)
    connection.send(request(f"/v2/web/blobs/sha256:{digests[1]}"))
    connection.take(1)
    os.truncate(path, 1 << 20)
    with pytest.raises((struct.error, AssertionError)):
        connection.rest = b"\1" + connection.rest
        connection.reply()
    assert Connection(server).get("/v2/").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_responder_ends(server, number):
    """Idle ones are closed, and a new one is served by the next."""
    connections = [Connection(server) for _ in range(20)]
    for connection in connections:
        assert connection.get("/v2/").status == 200
    old = server.responder()
    os.kill(old, number)
    for connection in connections:
        assert connection.is_closed()
    wait_for("another", lambda: server.responder() not in (None, old))
    assert Connection(server).get("/v2/").status == 200


def test_idle_ones_end_before_a_transfer(server):
    """A responder that ends sends what it is sending; it does not take what
    it would not answer."""
    fakebuilder.publish(server.cache, "web", size=8 << 20)
    _, layer, _ = fakebuilder.image_bytes("web", 8 << 20)
    digest = fakebuilder.digest(layer)
    idle, busy = Connection(server), Connection(server)
    for connection in idle, busy:
        assert connection.get("/v2/").status == 200
    busy.send(request(f"/v2/web/blobs/sha256:{digest}"))
    assert busy.socket.recv(8, socket.MSG_PEEK)
    server.popen.terminate()
    assert idle.is_closed()
    assert fakebuilder.digest(busy.reply().body) == digest
    assert busy.is_closed()
    assert server.popen.wait(30) == 0
