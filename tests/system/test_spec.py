# SPDX-License-Identifier: MIT
"""The distribution-spec's ends and what goes beyond it, row by row, through
both web servers. What has more to it is in test_protocol.py (ranges, bodies)
and test_listing.py (pages)."""

import pytest

from harness import fetch

HEX = "0123456789abcdef" * 4
CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}
JSON = {"Content-Type": "application/json"}
# In paths: {m} is hello's manifest, {b} its config, {l} a layer.
MANIFEST = {"Docker-Content-Digest": "{m}", "ETag": '"{m}"',
            "Content-Type": fetch.MANIFEST, "Content-Length": "{m#}"}
BLOB = {"Docker-Content-Digest": "{l}", "ETag": '"{l}"',
        "Content-Length": "{l#}"}

# method, path, fields: status, the error's code or None, fields of the reply
ROWS = [
    # end-1
    ("GET", "/v2/", {}, 200, None, {**JSON, "Content-Length": "2"}),
    ("HEAD", "/v2/", {}, 200, None, {**JSON, "Content-Length": "2"}),
    # end-3
    ("GET", "/v2/hello/manifests/latest", {}, 200, None, MANIFEST),
    ("HEAD", "/v2/hello/manifests/latest", {}, 200, None, MANIFEST),
    ("GET", "/v2/hello/manifests/{m}", {}, 200, None, MANIFEST),
    ("HEAD", "/v2/hello/manifests/{m}", {}, 200, None, MANIFEST),
    ("GET", "/v2/hello/manifests/{m}", {"Accept": "*/*"}, 200, None, MANIFEST),
    ("GET", "/v2/hello/manifests/{m}",
     {"Accept": f"{fetch.INDEX}, {fetch.MANIFEST};q=0.5"}, 200, None, MANIFEST),
    ("GET", "/v2/hello/manifests/latest", {"Accept": DOCKER}, 404,
     "MANIFEST_UNKNOWN", {}),
    ("GET", "/v2/hello/manifests/latest?ns=docker.io", {}, 200, None,
     MANIFEST),
    ("GET", "/v2/hello/manifests/{m}", {"If-None-Match": '"{m}"'}, 304, None,
     {"Docker-Content-Digest": "{m}", "ETag": '"{m}"'}),
    ("GET", "/v2/hello/manifests/latest", {"If-None-Match": 'W/"{m}"'}, 304,
     None, {"ETag": '"{m}"'}),
    ("HEAD", "/v2/hello/manifests/{m}", {"If-None-Match": '"x", "{m}"'}, 304,
     None, {}),
    ("GET", "/v2/hello/manifests/{b}", {}, 404, "MANIFEST_UNKNOWN", {}),
    ("GET", f"/v2/hello/manifests/sha256:{HEX}", {}, 404, "MANIFEST_UNKNOWN",
     {}),
    ("HEAD", f"/v2/hello/manifests/sha256:{HEX}", {}, 404, None, {}),
    ("GET", f"/v2/hello/manifests/sha512:{HEX}{HEX}", {}, 404,
     "MANIFEST_UNKNOWN", {}),
    ("GET", "/v2/hello/manifests/sha256:totallywrong", {}, 400,
     "DIGEST_INVALID", {}),
    ("GET", "/v2/hello/manifests/no-such-tag", {}, 404, "MANIFEST_UNKNOWN",
     {}),
    ("GET", "/v2/hello/manifests/-bad", {}, 400, "TAG_INVALID", {}),
    ("GET", "/v2/HELLO/manifests/latest", {}, 400, "NAME_INVALID", {}),
    # end-2
    ("GET", "/v2/hello/blobs/{l}", {}, 200, None, BLOB),
    ("HEAD", "/v2/hello/blobs/{l}", {}, 200, None, BLOB),
    ("GET", "/v2/hello/blobs/{b}", {}, 200, None,
     {"Docker-Content-Digest": "{b}", "Content-Length": "{b#}"}),
    ("GET", "/v2/hello/blobs/{l}?ns=docker.io", {}, 200, None, BLOB),
    ("GET", "/v2/hello/blobs/{l}", {"Accept-Encoding": "zstd, gzip"}, 200,
     None, {**BLOB, "Content-Encoding": None}),
    ("GET", "/v2/hello/blobs/{l}", {"Range": "bytes=0-9"}, 206, None,
     {"Content-Length": "10", "Content-Range": "bytes 0-9/{l#}",
      "Docker-Content-Digest": "{l}"}),
    ("GET", "/v2/hello/blobs/{l}",
     {"Range": "bytes=0-9", "If-Range": '"{l}"'}, 206, None,
     {"Content-Length": "10"}),
    ("GET", "/v2/hello/blobs/{l}",
     {"Range": "bytes=0-9", "If-Range": '"other"'}, 200, None, BLOB),
    ("GET", "/v2/hello/blobs/{l}", {"Range": "bytes=-10"}, 206, None,
     {"Content-Length": "10"}),
    ("GET", "/v2/hello/blobs/{l}", {"Range": "bytes=999999999-"}, 416,
     "RANGE_INVALID", {"Content-Range": "bytes */{l#}"}),
    ("GET", "/v2/hello/blobs/{l}", {"If-None-Match": '"{l}"'}, 304, None,
     {"ETag": '"{l}"'}),
    ("GET", f"/v2/hello/blobs/sha256:{HEX}", {}, 404, "BLOB_UNKNOWN", {}),
    ("HEAD", f"/v2/hello/blobs/sha256:{HEX}", {}, 404, None, {}),
    ("GET", f"/v2/hello/blobs/sha512:{HEX}{HEX}", {}, 404, "BLOB_UNKNOWN",
     {}),
    ("GET", "/v2/hello/blobs/sha256:totallywrong", {}, 400, "DIGEST_INVALID",
     {}),
    ("GET", "/v2/many/blobs/{b}", {}, 404, "BLOB_UNKNOWN", {}),
    # end-8
    ("GET", "/v2/hello/tags/list", {}, 200, None, JSON),
    ("HEAD", "/v2/hello/tags/list", {}, 200, None, JSON),
    ("GET", "/v2/hello/tags/list?n=0", {}, 200, None, {"Link": None}),
    ("GET", "/v2/hello/tags/list?n=x", {}, 400, "PAGINATION_NUMBER_INVALID",
     {}),
    ("GET", "/v2/Hello/tags/list", {}, 400, "NAME_INVALID", {}),
    ("GET", "/v2/hello/tags/all", {}, 404, "UNSUPPORTED", {}),
    # end-12
    ("GET", "/v2/hello/referrers/{m}", {}, 200, None,
     {"Content-Type": fetch.INDEX, "OCI-Filters-Applied": None}),
    ("GET", "/v2/hello/referrers/{m}?artifactType=a/b", {}, 200, None,
     {"OCI-Filters-Applied": "artifactType"}),
    ("GET", f"/v2/hello/referrers/sha256:{HEX}", {}, 200, None, {}),
    ("GET", "/v2/hello/referrers/x", {}, 400, "DIGEST_INVALID", {}),
    # The fallback of referrers, and what cosign and stargz look for.
    ("GET", f"/v2/hello/manifests/sha256-{HEX}", {}, 404, "MANIFEST_UNKNOWN",
     {}),
    ("GET", f"/v2/hello/manifests/sha256-{HEX}.sig", {}, 404,
     "MANIFEST_UNKNOWN", {}),
    # Docker's
    ("GET", "/v2/_catalog", {}, 200, None, JSON),
    ("GET", "/v2/_catalog?n=-1", {}, 400, "PAGINATION_NUMBER_INVALID", {}),
    # An extension, not here
    ("GET", "/v2/_oci/ext/discover", {}, 404, "UNSUPPORTED", {}),
    ("GET", "/v2/hello", {}, 404, "UNSUPPORTED", {}),
    # end-4 … end-11: writing
    ("POST", "/v2/hello/blobs/uploads/", {}, 405, "UNSUPPORTED", {}),
    ("PATCH", "/v2/hello/blobs/uploads/1", {}, 405, "UNSUPPORTED", {}),
    ("PUT", "/v2/hello/blobs/uploads/1?digest={l}", {}, 405, "UNSUPPORTED",
     {}),
    ("PUT", "/v2/hello/manifests/latest", {}, 405, "UNSUPPORTED", {}),
    ("DELETE", "/v2/hello/manifests/latest", {}, 405, "UNSUPPORTED", {}),
    ("DELETE", "/v2/hello/manifests/{m}", {}, 405, "UNSUPPORTED", {}),
    ("DELETE", "/v2/hello/blobs/{l}", {}, 405, "UNSUPPORTED", {}),
]


@pytest.fixture
def values(registry):
    """{placeholder: what stands for it}, of hello, which is warm then."""
    manifest, reply = registry.manifest("hello")
    layer = manifest["layers"][0]
    return {"{m}": reply.digest(), "{m#}": str(len(reply.body)),
            "{b}": manifest["config"]["digest"],
            "{b#}": str(manifest["config"]["size"]),
            "{l}": layer["digest"], "{l#}": str(layer["size"])}


def fill(text, values):
    for placeholder, value in values.items():
        text = text.replace(placeholder, value) if text else text
    return text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(
    (row[0], row[1], *row[2].values()))[:70])
def test_row(registry, values, row):
    method, path, fields, status, code, expected = row
    if "{b}" in path and "many" in path:
        registry.manifest("many")
    # Redirects of the hold are followed; nothing else redirects.
    reply, _ = fetch.follow(
        registry.port, method, fill(path, values),
        {name: fill(value, values) for name, value in fields.items()})
    assert reply.status == status, str(reply)
    if code:
        assert reply.error()[0] == code
        assert reply.error()[1], "a sentence that says what is wrong"
        assert list(reply.json()) == ["errors"]
    if method == "HEAD" or status == 304:
        assert not reply.body
    for name, value in {**VERSION, **expected}.items():
        assert reply.headers[name] == fill(value, values), (name, str(reply))
