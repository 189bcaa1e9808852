# SPDX-License-Identifier: MIT
"""What flakehub.fcgi answers at once, of what is in the cache."""

import json
import os

import pytest

import fakebuilder
from fastcgi import DIGEST, WEB, published

pytestmark = pytest.mark.sanitized


def test_manifest(fcgi):
    server = fcgi()
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


def test_accept(fcgi):
    server = fcgi()
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
def test_blob_by_server(fcgi, sendfile, field, value):
    server = fcgi(f"sendfile = {sendfile}")
    layer = published(server)[1]
    hex_ = layer.partition(":")[2]
    reply = server.get(f"/v2/web/blobs/{layer}")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers[field] == value.format(
        cache=server.cache, path=f"sha256/{hex_[:2]}/{hex_}")
    head = server.get(f"/v2/web/blobs/{layer}", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    size = len(fakebuilder.image_bytes("web")[1])
    assert field not in head.headers
    assert int(head.headers["Content-Length"]) == size
    for one in reply, head:
        assert one.headers["Docker-Content-Digest"] == layer
        assert "immutable" in one.headers["Cache-Control"]
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


# INLINE_MAX of fcgi/blobs.c.
@pytest.mark.parametrize("size", (0, 1, 32767, 32768, 32769))
def test_small_blob(fcgi, size):
    """Up to there it is in the reply; a Range header is the web server's."""
    server = fcgi("sendfile = x-sendfile")
    small = size <= 32768
    layer = published(server)[1]
    hex_ = layer.partition(":")[2]
    body = os.urandom(size)
    (server.cache / "blobs/sha256" / hex_[:2] / hex_).write_bytes(body)
    path = f"/v2/web/blobs/{layer}"
    whole = server.get(path)
    assert whole.status == 200
    assert whole.body == (body if small else b"")
    assert ("X-Sendfile" in whole.headers) == (not small)
    if small:
        assert int(whole.headers["Content-Length"]) == size
        assert whole.headers["Accept-Ranges"] == "bytes"
    head = server.get(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == size
    for headers in ({"Range": "bytes=-1"}, {"Range": "bytes=0-0,2-3"},
                    {"Range": "bytes=0-0", "If-Range": '"x"'},
                    {"Range": "lines=1"}) if size else ():
        part = server.get(path, headers)
        assert part.status == 200 and "X-Sendfile" in part.headers
        assert part.body == b"" and "Content-Length" not in part.headers
    beyond = server.get(path, {"Range": f"bytes={size}-"})
    assert beyond.status == 416
    same = server.get(path, {"If-None-Match": f'"{layer}"'})
    assert (same.status, same.body) == (304, b"")


def test_blob_by_us(fcgi):
    server = fcgi("sendfile = none")
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


def test_only_what_is_linked(fcgi):
    """Bytes that are there are unknown under another name, or when the flake
    of their name is another one now."""
    server = fcgi()
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


def test_passive(fcgi):
    """What clients ask for on their own starts no build."""
    server = fcgi()
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


def test_no_flake(fcgi):
    server = fcgi(unnamed=None)
    reply = server.get(WEB)
    assert reply.status == 404 and reply.error()[0] == "NAME_UNKNOWN"


@pytest.mark.parametrize("method", ("PUT", "POST", "PATCH", "DELETE", "FOO"))
def test_writes(fcgi, method):
    server = fcgi()
    body = b"x" * 300000 if method == "PUT" else b""
    reply = server.get(WEB, method=method, body=body)
    assert reply.status == 405 and reply.error()[0] == "UNSUPPORTED"
    assert reply.headers["Allow"] == "GET, HEAD"
