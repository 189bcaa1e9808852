# SPDX-License-Identifier: MIT
"""HTTP, a request a connection, so that a test says every byte it sends."""

import hashlib
import http.client
import json
import socket

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def __str__(self):
        return f"{self.status}\n{self.headers}{self.body[:2000]!r}"

    def json(self):
        return json.loads(self.body)

    def digest(self):
        """Of the body, as the test itself computes it."""
        return digest(self.body)

    def error(self):
        """The error's code and message, from the one form there is."""
        assert self.headers["Content-Type"].startswith("application/json"), \
            str(self)
        errors = self.json()["errors"]
        assert len(errors) == 1, str(self)
        return errors[0]["code"], errors[0]["message"]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Connection:
    """A request that was sent, and the reply that may come."""

    def __init__(self, port, method, path, headers=(), body=b"", seconds=300):
        self.method = method
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        fields = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
        fields.update(headers)
        if body or method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = len(body)
        if isinstance(path, str):
            path = path.encode()
        head = "".join(f"{k}: {v}\r\n" for k, v in fields.items())
        self.socket.sendall(method.encode() + b" " + path + b" HTTP/1.1\r\n"
                            + head.encode() + b"\r\n" + body)

    def reply(self):
        response = http.client.HTTPResponse(self.socket, method=self.method)
        try:
            response.begin()
            return Reply(response)
        finally:
            self.close()

    def close(self):
        self.socket.close()


def send(port, method, path, headers=(), body=b"", seconds=300):
    return Connection(port, method, path, headers, body, seconds).reply()


def follow(port, method, path, headers=(), seconds=900):
    """The same, following redirects as Go's client does: nine at most.

    Returns the last reply and the number of redirects."""
    for hops in range(10):
        reply = send(port, method, path, headers, seconds=seconds)
        if reply.status not in (301, 302, 307, 308):
            return reply, hops
        path = reply.headers["Location"]
        assert path.startswith("/v2/"), path
    raise AssertionError("stopped after 10 redirects")
