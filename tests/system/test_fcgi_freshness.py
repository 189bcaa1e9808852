# SPDX-License-Identifier: MIT
"""When flakehub.fcgi has an image made again, and what it serves meanwhile."""

import time

import pytest

from harness.process import wait_for

from fastcgi import WEB, age, forget, published, wait_builds

pytestmark = pytest.mark.sanitized


def test_max_age(fcgi):
    server = fcgi("max-age = 10s")
    published(server)
    assert server.get(WEB).status == 200 and server.builds() == 0
    age(server, 100)
    assert server.get(WEB).status == 200 and server.builds() == 1


def test_clock_set_back(fcgi):
    server = fcgi("max-age = 10s")
    age(server, -3600)
    assert server.get(WEB).status == 200 and server.builds() == 1


def test_refresh_behind(fcgi):
    server = fcgi("max-age = 1s", "stale-while-revalidate = 1h")
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


def test_stale_if_error(fcgi):
    server = fcgi("max-age = 1s", "stale-if-error = 1h")
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


def test_gone_is_no_error(fcgi):
    """That the image is no longer there is what the upstream says."""
    server = fcgi("max-age = 1s", "stale-if-error = 1h")
    age(server, 60)
    (server.directory / "message").write_text("no such attribute")
    server.behave("web:latest", "fail:unknown")
    assert server.get(WEB).status == 404


def test_torn_record(fcgi):
    server = fcgi()
    manifest = published(server)[2]
    name = manifest.partition(":")[2]
    file = server.cache / "repositories/web/_manifests" / name
    for text in "", "manifest", file.read_text()[:200]:
        file.write_text(text)
        assert server.get(f"/v2/web/manifests/{manifest}").status == 404
        assert server.get(WEB).status == 200


def test_cold(fcgi):
    """Bytes that have gone are made again, of the image that they are of."""
    server = fcgi()
    for i, path in ((1, "blobs"), (2, "manifests")):
        digests = published(server)
        forget(server, digests[i])
        image = f"web@{digests[2]}"
        server.behave(image, "sleep:0.1", "publish")
        reply = server.get(f"/v2/web/{path}/{digests[i]}")
        assert reply.status == 200
        assert server.builds(image) == i
    assert server.builds() == 2


def test_cold_by_tag(fcgi):
    server = fcgi()
    forget(server, published(server)[2])
    assert server.get(WEB).status == 200
    assert server.builds("web:latest") == 1
