# SPDX-License-Identifier: MIT
"""flakehub.fcgi alone, with this as its web server: FastCGI over its socket,
byte for byte, and a builder that does what the test says."""

import contextlib
import http.client
import io
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

from harness.process import descendants, kill, wait_for
from harness.registry import RESPONDER

import fakebuilder

HERE = pathlib.Path(__file__).resolve().parent
URL = "github:me/infra"
WEB = "/v2/web/manifests/latest"
DIGEST = "sha256:" + "0123456789abcdef" * 4
# Of a responder; a sanitizer may have its own besides.
THREADS = 1 + 8 + 8 + 2

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)


def record(kind, data=b"", request=1, version=1):
    return struct.pack(">BBHHBx", version, kind, request, len(data), 0) + data


def begin(role=1, flags=0):
    return record(BEGIN, struct.pack(">HB5x", role, flags))


def length(n):
    return bytes([n]) if n < 128 else struct.pack(">I", n | 1 << 31)


def pairs(params):
    """params as FCGI_PARAMS has them; a list of pairs may repeat a name."""
    out = b""
    for name, value in getattr(params, "items", lambda: params)():
        name, value = (x if isinstance(x, bytes) else x.encode()
                       for x in (name, value))
        out += length(len(name)) + length(len(value)) + name + value
    return out


def request_bytes(method, uri, headers=(), body=b""):
    params = [("REQUEST_METHOD", method), ("REQUEST_URI", uri)]
    for name, value in getattr(headers, "items", lambda: headers)():
        params.append(("HTTP_" + name.upper().replace("-", "_"), value))
    out = begin() + record(PARAMS, pairs(params)) + record(PARAMS)
    while body:
        out += record(STDIN, body[:65535])
        body = body[65535:]
    return out + record(STDIN)


class Reply:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.raw = data
        self.headers = http.client.parse_headers(io.BytesIO(head + b"\r\n\r\n"))
        self.status = int(self.headers["Status"].split()[0])

    def __str__(self):
        return self.raw.decode(errors="replace")

    def error(self):
        (error,) = json.loads(self.body)["errors"]
        return error["code"], error["message"]


class Pending:
    """A request that was sent, on a connection of its own."""

    def __init__(self, path, data, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.start = time.monotonic()
        self.socket.sendall(data)

    def read(self):
        """All until the end of the request or of the connection."""
        out, rest = b"", b""
        while True:
            while len(rest) >= 8:
                _, kind, _, size, padding = struct.unpack(">BBHHBx", rest[:8])
                if len(rest) < 8 + size + padding:
                    break
                data, rest = rest[8:8 + size], rest[8 + size + padding:]
                if kind == STDOUT:
                    out += data
                if kind == END:
                    self.close()
                    return out
            more = self.socket.recv(65536)
            if not more:
                self.close()
                return out
            rest += more

    def reply(self):
        data = self.read()
        self.seconds = time.monotonic() - self.start
        return Reply(data)

    def close(self):
        self.socket.close()


class Server:
    """flakehub.fcgi with a fake builder. `settings` are lines of its file."""

    def __init__(self, directory, settings=(), hold_ms=25000, unnamed=URL):
        self.directory = directory
        self.cache = directory / "cache"
        self.path = directory / "f.sock"
        self.config = directory / "flakehub.conf"
        lines = [f"cache-dir = {self.cache}", *settings]
        if unnamed:
            lines += ["[flake]", f"url = {unnamed}"]
        lines += ["[flake other]", "url = github:me/other"]
        self.config.write_text("\n".join(lines) + "\n")
        self.builder = directory / "flakehub"
        self.builder.write_text(
            f"#!/bin/sh\nexec python3 -S {HERE}/fakebuilder.py "
            f"{directory} {self.cache} \"$@\"\n")
        self.builder.chmod(0o755)
        self.log = directory / "responder.log"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(1024)
        self.environment = dict(
            os.environ, FLAKEHUB=str(self.builder),
            FLAKEHUB_HOLD_MS=str(hold_ms))
        self.popen = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                [RESPONDER, "--config", self.config], stdin=self.listener,
                stdout=log, stderr=log, env=self.environment,
                start_new_session=True)
        self.keeper = self.popen.pid
        wait_for("the responder", self.is_ready, 60)

    def is_ready(self):
        """Not a program that the keeper tries, with all that it will hold."""
        pid = self.responder()
        return pid and len(os.listdir(f"/proc/{pid}/task")) >= THREADS

    def responder(self):
        """Its process id: the child of the keeper that is the same program.
        """
        while True:
            found = [pid for pid, command in descendants(self.keeper).items()
                     if command.split()[0] == str(RESPONDER)]
            # A builder looks the same until it has called execve(2).
            if len(found) < 2:
                return found[0] if found else None

    def builders(self):
        return [pid for pid, command in descendants().items()
                if "fakebuilder.py" in command
                and str(self.directory) in command]

    def behave(self, image, *words):
        """What a build of the image does, see fakebuilder.py."""
        fakebuilder.behaviour_file(self.directory, image).write_text(
            " ".join(str(word) for word in words))

    def builds(self, image=None):
        """How many builders were started, for an image or in all."""
        started = self.directory / "started"
        lines = started.read_text().splitlines() if started.exists() else []
        return sum(1 for line in lines if image in (None, line))

    def send(self, method, uri, headers=(), body=b"", **more):
        return Pending(self.path, request_bytes(method, uri, headers, body),
                       **more)

    def get(self, uri, headers=(), method="GET", **more):
        return self.send(method, uri, headers, **more).reply()

    def raw(self, data, **more):
        return Pending(self.path, data, **more)

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Returns the keeper's exit status; then everything is ended."""
        self.popen.send_signal(number)
        try:
            return self.popen.wait(seconds)
        finally:
            self.clean()

    def clean(self):
        for pid in [self.keeper, *descendants(self.keeper)]:
            kill(pid, signal.SIGKILL)
        self.popen.wait()
        for pid in self.builders():
            kill(pid, signal.SIGKILL)
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        wait_for("builders end", lambda: not self.builders())


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
