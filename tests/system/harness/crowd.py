# SPDX-License-Identifier: MIT
"""Many clients at once, in one thread: pulls whose every byte is hashed, and
clients that are slow, that vanish or never say what they want."""

import asyncio
import contextlib
import json
import socket
import struct
import time

from . import fetch

# What a client of a registry takes for a moment's trouble.
TRANSIENT = (429, 500, 502, 503, 504)


class Refused(AssertionError):
    """An answer that was not the one that is right."""


class Other(Refused):
    """Bytes that are not what they are called."""


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class Pull:
    """What became of one: its digest, its seconds, its retries."""

    def __init__(self, name):
        self.name = name
        self.started = time.monotonic()
        self.seconds = None
        self.digest = None
        self.retries = 0
        self.hops = 0


async def _read_head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(":", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), {k.lower(): v.strip() for k, v in pairs}


async def _read_body(reader, headers, rate):
    """As many bytes as are promised; `rate` is bytes a second."""
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    left = int(headers["content-length"])
    if not rate:
        return await reader.readexactly(left)
    body = b""
    while left:
        part = await reader.readexactly(min(left, max(rate // 4, 1)))
        left -= len(part)
        body += part
        await asyncio.sleep(len(part) / rate)
    return body


class Crowd:
    """The clients of one web server. At most `connections` at a time are open
    for requests; others wait for one, as clients' own limits have it."""

    def __init__(self, port, connections=1000, retries=0, pause=0.2):
        self.port = port
        self.retries = retries
        self.pause = pause
        self.gate = asyncio.Semaphore(connections)
        self.open = 0
        self.most = 0
        self.requests = 0

    async def connect(self, limit=1 << 16):
        """With a small limit, the kernel takes little more than we do."""
        s = socket.socket()
        s.setblocking(False)
        if limit < 1 << 16:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limit)
        await asyncio.get_running_loop().sock_connect(
            s, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=s, limit=limit)
        self.open += 1
        self.most = max(self.most, self.open)
        return reader, writer

    def hang_up(self, writer, reset=False):
        """By a FIN, or by a reset, as of a client that is gone."""
        self.open -= 1
        if reset:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    def head(self, method, path):
        return (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
                "Connection: close\r\n\r\n").encode()

    async def ask(self, path, method="GET", rate=None):
        async with self.gate:
            reader, writer = await self.connect(4096 if rate else 1 << 16)
            try:
                self.requests += 1
                writer.write(self.head(method, path))
                status, headers = await _read_head(reader)
                body = b"" if method == "HEAD" or status == 304 else \
                    await _read_body(reader, headers, rate)
                return Answer(status, headers, body)
            finally:
                self.hang_up(writer)

    async def get(self, path, pull, rate=None):
        """200 or nothing: sent on as clients are, and asked again if this
        crowd does that."""
        tries, hops = 0, 0
        start = path
        while True:
            try:
                answer = await self.ask(path, rate=rate)
                trouble = answer.status in TRANSIENT
            except (OSError, EOFError) as e:
                answer, trouble = e, True
            if trouble and tries < self.retries:
                tries, hops, path = tries + 1, 0, start
                pull.retries += 1
                await asyncio.sleep(self.pause)
            elif not trouble and answer.status == 307 and hops < 9:
                path, hops = answer.headers["location"], hops + 1
                pull.hops += 1
            elif not trouble and answer.status == 200:
                return answer
            else:
                raise Refused(f"{path}: " + (repr(answer) if isinstance(
                    answer, Exception) else f"{answer.status} "
                    f"{answer.body[:500]!r}"))

    async def blob(self, name, part, pull, rate=None):
        path = f"/v2/{name}/blobs/{part['digest']}"
        body = (await self.get(path, pull, rate)).body
        if fetch.digest(body) != part["digest"] or len(body) != part["size"]:
            raise Other(f"{path}: other bytes, {len(body)} of them")

    async def pull(self, name, reference="latest", rate=None):
        """Manifest, then all blobs at once. Returns a Pull."""
        pull = Pull(name)
        answer = await self.get(f"/v2/{name}/manifests/{reference}", pull)
        pull.digest = fetch.digest(answer.body)
        if answer.headers.get("docker-content-digest") != pull.digest:
            raise Other(f"{name}: the manifest is not what it is called")
        manifest = json.loads(answer.body)
        await asyncio.gather(*(
            self.blob(name, part, pull, rate)
            for part in [manifest["config"], *manifest["layers"]]))
        pull.seconds = time.monotonic() - pull.started
        return pull

    async def vanish(self, path, after=None):
        """Ask, and be gone: at once after `after` bytes of the body, or where
        that is None without a look at what comes. No FIN, a reset."""
        reader, writer = await self.connect(limit=1024)
        try:
            writer.write(self.head("GET", path))
            await writer.drain()
            if after is not None:
                await _read_head(reader)
                await reader.readexactly(after)
        finally:
            self.hang_up(writer, reset=True)

    async def half_open(self, part=b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"):
        """A request that is never completed; whoever has it hangs up."""
        _, writer = await self.connect()
        writer.write(part)
        await writer.drain()
        return writer


def run(main):
    return asyncio.run(main)
