# SPDX-License-Identifier: MIT
"""The registry's protocol, through both web servers."""

import hashlib
import re
import socket

import pytest

from harness import fetch

HEX = "0123456789abcdef" * 4
IMMUTABLE = "max-age=31536000"


@pytest.fixture
def hello(registry):
    """hello's manifest, which is warm from then on."""
    return registry.manifest("hello")[0]


@pytest.fixture
def layer(registry, hello):
    """A descriptor of a layer of some size, and its bytes."""
    descriptor = max(hello["layers"], key=lambda layer: layer["size"])
    return descriptor, registry.blob("hello", descriptor["digest"])


def test_base(registry):
    reply = registry.send("GET", "/v2/")
    assert reply.status == 200, str(reply)
    assert reply.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() == {}
    head = registry.send("HEAD", "/v2/")
    assert head.status == 200 and head.body == b""
    # docker asks for it with and without a query
    assert registry.send("GET", "/v2/?a=b").status == 200


@pytest.mark.parametrize("method", ("GET", "HEAD"))
def test_manifest(registry, hello, method):
    by_tag = registry.send("GET", "/v2/hello/manifests/latest")
    digest = by_tag.digest()
    for reference in "latest", digest:
        path = f"/v2/hello/manifests/{reference}"
        reply = registry.send(method, path, {"Accept": fetch.MANIFEST})
        assert reply.status == 200, str(reply)
        headers = reply.headers
        assert headers["Docker-Content-Digest"] == digest
        assert headers["ETag"] == f'"{digest}"'
        assert headers["Content-Type"] == fetch.MANIFEST
        assert int(headers["Content-Length"]) == len(by_tag.body)
        assert headers["Docker-Distribution-API-Version"] == "registry/2.0"
        assert (IMMUTABLE in headers["Cache-Control"]) == \
            (reference == digest), headers["Cache-Control"]
        assert reply.body == (by_tag.body if method == "GET" else b"")
        again = registry.send(method, path, {"If-None-Match": f'"{digest}"'})
        assert again.status == 304 and not again.body, str(again)
        other = registry.send(method, path, {"If-None-Match": f'"{HEX}"'})
        assert other.status == 200


def test_manifest_is_oci(hello):
    assert hello["schemaVersion"] == 2
    assert hello["mediaType"] == fetch.MANIFEST
    assert hello["config"]["mediaType"] == \
        "application/vnd.oci.image.config.v1+json"
    for layer in hello["layers"]:
        assert layer["mediaType"] == \
            "application/vnd.oci.image.layer.v1.tar+gzip"


def test_every_blob(registry, hello):
    for part in [hello["config"], *hello["layers"]]:
        body = registry.blob("hello", part["digest"])
        assert len(body) == part["size"]


def test_blob_head(registry, layer):
    descriptor, _ = layer
    reply = registry.send("HEAD", f"/v2/hello/blobs/{descriptor['digest']}")
    assert reply.status == 200 and reply.body == b""
    assert int(reply.headers["Content-Length"]) == descriptor["size"]
    assert reply.headers["Docker-Content-Digest"] == descriptor["digest"]
    assert reply.headers["ETag"] == f'"{descriptor["digest"]}"'
    assert IMMUTABLE in reply.headers["Cache-Control"]


def test_blob_not_modified(registry, layer):
    digest = layer[0]["digest"]
    for value in f'"{digest}"', f'"other", "{digest}"', "*":
        for method in "GET", "HEAD":
            reply = registry.send(method, f"/v2/hello/blobs/{digest}",
                                  {"If-None-Match": value})
            assert reply.status == 304 and reply.body == b"", value


RANGES = {
    "first byte": ("bytes=0-0", lambda b: b[:1]),
    "some": ("bytes=10-99", lambda b: b[10:100]),
    "open": ("bytes=100-", lambda b: b[100:]),
    "suffix": ("bytes=-7", lambda b: b[-7:]),
    "beyond the end": ("bytes=100-999999999999", lambda b: b[100:]),
}


@pytest.mark.parametrize("case", RANGES)
def test_range(registry, layer, case):
    value, part = RANGES[case]
    descriptor, body = layer
    reply = registry.send("GET", f"/v2/hello/blobs/{descriptor['digest']}",
                          {"Range": value})
    assert reply.status == 206, str(reply)
    assert reply.body == part(body)
    assert reply.headers["Docker-Content-Digest"] == descriptor["digest"]
    start = body.find(part(body)) if case != "suffix" else len(body) - 7
    assert reply.headers["Content-Range"] == \
        f"bytes {start}-{start + len(reply.body) - 1}/{len(body)}"


def test_several_ranges(registry, layer):
    descriptor, body = layer
    reply = registry.send("GET", f"/v2/hello/blobs/{descriptor['digest']}",
                          {"Range": "bytes=0-9,1000-1009,-10"})
    assert reply.status == 206, str(reply)
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(.+)",
                            reply.headers["Content-Type"]).group(1)
    parts = reply.body.split(b"--" + boundary.encode())[1:-1]
    assert [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts] == \
        [body[:10], body[1000:1010], body[-10:]]


def test_many_ranges(registry, layer):
    """All of them or none: lighttpd would drop all after the tenth."""
    descriptor, body = layer
    ranges = [(n * 500, n * 500 + 1) for n in range(12)]
    reply = registry.send(
        "GET", f"/v2/hello/blobs/{descriptor['digest']}",
        {"Range": "bytes=" + ",".join(f"{a}-{b}" for a, b in ranges)})
    if reply.status == 206:
        for a, b in ranges:
            assert f"bytes {a}-{b}/{len(body)}".encode() in reply.body
    else:
        assert reply.status in (200, 400), str(reply)


def test_unsatisfiable_range(registry, layer):
    descriptor, body = layer
    reply = registry.send("GET", f"/v2/hello/blobs/{descriptor['digest']}",
                          {"Range": f"bytes={len(body)}-"})
    assert reply.status == 416, str(reply)
    assert reply.headers["Content-Range"] == f"bytes */{len(body)}"


@pytest.mark.parametrize("value", ("lines=1-2", "bytes=x-y", "bytes=9-1"))
def test_malformed_range(registry, layer, value):
    """It is as if it were not there (RFC 9110, 14.2), or refused."""
    descriptor, body = layer
    reply = registry.send("GET", f"/v2/hello/blobs/{descriptor['digest']}",
                          {"Range": value})
    assert reply.status in (200, 400, 416)
    if reply.status == 200:
        assert reply.body == body


WRITES = [
    ("POST", "/v2/hello/blobs/uploads/", b""),
    ("POST", f"/v2/hello/blobs/uploads/?mount=sha256:{HEX}&from=a", b""),
    ("PATCH", "/v2/hello/blobs/uploads/1", b"x" * 1000),
    ("PUT", "/v2/hello/manifests/latest", b"{}"),
    ("PUT", f"/v2/hello/blobs/uploads/1?digest=sha256:{HEX}", b""),
    ("DELETE", "/v2/hello/manifests/latest", b""),
    ("DELETE", f"/v2/hello/manifests/sha256:{HEX}", b""),
    ("DELETE", f"/v2/hello/blobs/sha256:{HEX}", b""),
    ("POST", "/v2/", b""),
]


@pytest.mark.parametrize("method,path,body", WRITES)
def test_write(registry, method, path, body):
    reply = registry.send(method, path, body=body)
    assert reply.status == 405, str(reply)
    assert reply.error()[0] == "UNSUPPORTED"
    assert "GET" in reply.headers["Allow"]


UNKNOWN = [
    (f"/v2/hello/blobs/sha256:{HEX}", "BLOB_UNKNOWN"),
    (f"/v2/hello/manifests/sha256:{HEX}", "MANIFEST_UNKNOWN"),
    ("/v2/hello/manifests/no-such-tag", "MANIFEST_UNKNOWN"),
    (f"/v2/nowhere/blobs/sha256:{HEX}", "BLOB_UNKNOWN|NAME_UNKNOWN"),
    (f"/v2/nowhere/manifests/sha256:{HEX}", "MANIFEST_UNKNOWN|NAME_UNKNOWN"),
    # Asked for by cosign and stargz on their own.
    (f"/v2/hello/manifests/sha256-{HEX}", "MANIFEST_UNKNOWN"),
    (f"/v2/hello/manifests/sha256-{HEX}.sig", "MANIFEST_UNKNOWN"),
    ("/v2/hello/manifests/latest-esgztoc", "MANIFEST_UNKNOWN"),
]


@pytest.mark.parametrize("path,codes", UNKNOWN)
def test_unknown(registry, hello, path, codes):
    reply = registry.get(path)
    assert reply.status == 404, str(reply)
    assert reply.error()[0] in codes.split("|")
    head = registry.send("HEAD", path)
    assert head.status in (404, 307) and head.body == b""


def test_another_repository_has_not_this_blob(registry, hello):
    """Blobs are looked up in the repository that was named."""
    registry.manifest("args")
    digest = hello["config"]["digest"]
    reply = registry.get(f"/v2/args/blobs/{digest}")
    assert reply.status == 404 and reply.error()[0] == "BLOB_UNKNOWN"


MALFORMED = [
    "/v2", "/v2//", "/v2/hello", "/v2/hello/", "/v2/hello/manifests",
    "/v2/hello/manifests/", "/v2/hello/blobs/", "/v2/manifests/latest",
    "/v2/hello/unheard/of",
    "/v2/Hello/manifests/latest", "/v2/-hello/manifests/latest",
    "/v2/hello-/manifests/latest", "/v2/he..llo/manifests/latest",
    "/v2/he___llo/manifests/latest", "/v2/h@llo/manifests/latest",
    "/v2/hello:x/manifests/latest", "/v2/h%C3%A9llo/manifests/latest",
    "/v2/" + "a" * 256 + "/manifests/latest",
    "/v2/" + "a/" * 200 + "a/manifests/latest",
    "/v2/hello/manifests/.tag", "/v2/hello/manifests/-tag",
    "/v2/hello/manifests/ta+g", "/v2/hello/manifests/ta@g",
    "/v2/hello/manifests/" + "t" * 129,
    "/v2/hello/manifests/sha256:", "/v2/hello/manifests/sha256:xyz",
    f"/v2/hello/manifests/sha256:{HEX}0", f"/v2/hello/blobs/{HEX}",
    f"/v2/hello/blobs/sha256:{HEX[:-1]}", "/v2/hello/blobs/latest",
    f"/v2/hello/blobs/sha256:{HEX.upper()}",
    f"/v2/hello/blobs/sha512:{HEX}{HEX}", f"/v2/hello/blobs/md5:{HEX[:32]}",
    f"/v2/hello/blobs/sha256:../{HEX}",
    "/v2/hello/%", "/v2/hello/%2", "/v2/hello/%zz/manifests/latest",
    "/v2/hello%00/manifests/latest", "/v2/hello/manifests/latest%00",
    "/v2/hello%0a/manifests/latest", "/v2/hello/manifests/la%0d%0atest",
    "/v2/hello%ff/manifests/latest", "/v2/hello%2525/manifests/latest",
    "/v2/hello%2f..%2f..%2fetc/manifests/latest",
    "/v2/hello%3Fx/manifests/latest", "/v2/hello%23/manifests/latest",
    "/v2/../v2/hello/manifests/latest", "/v2/./hello/manifests/latest",
    "/v2/hello/../../etc/passwd", "/v2/%2e%2e/hello/manifests/latest",
    "/v2/hello/manifests/..", "/v2/hello/manifests/../../../../etc/passwd",
    "/v2/hello/blobs/../blobs/sha256:" + HEX, "/v2/a//b/manifests/latest",
    "/v2/hello//manifests/latest", "/v2/\\..\\..\\etc/manifests/latest",
    "/v2/hello/manifests/latest/", "/v2/hello/manifests/latest/x",
    "/v2/hello/manifests/" + "x" * 9000, "/v2/" + "y" * 40000,
    "/v2/hello/manifests/latest?" + "q" * 9000,
    "/_blobs/sha256/ab/" + HEX, "/", "/etc/passwd", "/../etc/passwd",
    "/v2x/hello/manifests/latest", "/sha256/", "/v1/",
    "/v2/$(id)/manifests/latest", "/v2/;id;/manifests/latest",
    "/v2/hello/manifests/$(id)", "/v2/--help/manifests/latest",
    "/v2/hello/manifests/--help", "/v2/hello#x/manifests/latest",
]


@pytest.mark.parametrize("path", MALFORMED, ids=lambda p: p[:60])
def test_malformed(registry, path):
    reply = registry.send("GET", path, seconds=60)
    query = "?" in path
    assert reply.status in (301, 400, 404, 414, 431) or \
        query and reply.status == 200, str(reply)
    assert b"root:" not in reply.body
    if reply.headers["Docker-Distribution-API-Version"]:
        assert reply.error()[0] in (
            "NAME_INVALID", "TAG_INVALID", "DIGEST_INVALID", "NAME_UNKNOWN",
            "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_INVALID",
            "UNSUPPORTED"), str(reply)


CODES = [
    ("/v2/Hello/manifests/latest", "NAME_INVALID"),
    ("/v2/he___llo/manifests/latest", "NAME_INVALID"),
    ("/v2/" + "a" * 256 + "/manifests/latest", "NAME_INVALID"),
    ("/v2/hello/manifests/sha256:xyz", "DIGEST_INVALID"),
    (f"/v2/hello/blobs/sha256:{HEX[:-1]}", "DIGEST_INVALID"),
    (f"/v2/hello/blobs/sha256:{HEX.upper()}", "DIGEST_INVALID"),
    ("/v2/hello/blobs/latest", "DIGEST_INVALID"),
]


@pytest.mark.parametrize("path,code", CODES)
def test_malformed_code(registry, path, code):
    reply = registry.send("GET", path)
    assert reply.status == 400, str(reply)
    assert reply.error()[0] == code


def test_malformed_heads(registry):
    """What is no HTTP at all does not disturb the next request."""
    for head in b"\r\n\r\n", b"GET\r\n\r\n", b"GET /v2/ HTTP/9\r\n\r\n", \
            b"\x16\x03\x01\x02\x00" + b"\x80" * 100, b"X" * 70000:
        with socket.create_connection(("127.0.0.1", registry.port), 10) as s:
            try:
                s.sendall(head)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    assert registry.send("GET", "/v2/").status == 200


def test_accept_on_many_lines(registry, hello):
    """docker sends each type on a line of its own, in any order."""
    lines = ["application/vnd.docker.distribution.manifest.v1+prettyjws",
             "application/json", fetch.INDEX, fetch.MANIFEST]
    with socket.create_connection(("127.0.0.1", registry.port), 10) as s:
        s.sendall(b"GET /v2/hello/manifests/latest HTTP/1.1\r\n"
                  b"Host: x\r\nConnection: close\r\n"
                  + "".join(f"Accept: {line}\r\n" for line in lines).encode()
                  + b"\r\n")
        data = b""
        while piece := s.recv(65536):
            data += piece
    assert data.startswith(b"HTTP/1.1 200 "), data
    body = data.split(b"\r\n\r\n", 1)[1]
    assert "sha256:" + hashlib.sha256(body).hexdigest() in \
        data.decode(errors="replace")


def test_containerd_query_and_encoding(registry, hello):
    """A mirror's query, and compression asked for, change nothing."""
    digest = hello["layers"][0]["digest"]
    reply = registry.send(
        "GET", f"/v2/hello/blobs/{digest}?ns=docker.io",
        {"Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"})
    assert reply.status == 200 and reply.digest() == digest
    assert reply.headers["Content-Encoding"] is None
