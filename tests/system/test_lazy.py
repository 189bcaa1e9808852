# SPDX-License-Identifier: MIT
"""Images whose layers are made when they are asked for, in gc and verify: a
manifest without its layers is whole there, and stays what it is."""

import gzip
import io
import json
import os
import tarfile
import time

import pytest

from harness import fetch, nix
from harness.registry import blobs

OCI = "application/vnd.oci.image."
DAY = 24 * 3600


def tar(text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        info = tarfile.TarInfo("file")
        info.size = len(text)
        t.addfile(info, io.BytesIO(text))
    return out.getvalue()


@pytest.fixture
def registry(make_registry, session_directory, directory):
    """It has the image lazy, of one layer, and nothing of it was pulled."""
    kinds = nix.make_flake("kinds", session_directory("kinds") / "flake")
    flake = nix.copy_flake(kinds, directory / "flake", time.time())
    plain = tar(os.urandom(300000))
    blob = gzip.compress(plain, mtime=0)
    (flake / "files/busybox-layer").write_bytes(blob)
    (flake / "templates/lazy").write_text(json.dumps({
        "version": 1, "arch": "amd64", "created": None,
        "image-config": {"Env": ["A=1"]},
        "layers": [{"digest": fetch.digest(blob), "size": 0,
                    "diff_ids": fetch.digest(plain),
                    "mediatype": OCI + "layer.v1.tar+gzip",
                    "layer-path": "@busybox-layer@"}]}))
    digest = fetch.digest(bytes(1024))
    for name, size in (("empty", 0), ("of-another-size", 7)):
        (flake / "templates" / name).write_text(json.dumps({
            "version": 1, "arch": "amd64", "image-config": {}, "layers": [
                {"digest": digest, "diff_ids": digest, "size": size,
                 "mediatype": OCI + "layer.v1.tar", "paths": []}]}))
    result = make_registry(flake, settings=["max-age = 1h"])
    result.layer = fetch.digest(blob)
    return result


def age(registry):
    then = time.time() - DAY
    for file in [*blobs(registry.cache).values(), *registry.cache.glob(
            "repositories/*/_manifests/*")]:
        os.utime(file, (then, then))


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(data)
    file.chmod(0o444)


def test_it_is_whole_without_its_layers(registry):
    digest = registry.manifest("lazy")[1].digest()
    before = set(blobs(registry.cache))
    assert registry.layer not in before
    age(registry)
    assert "image" not in registry.flakehub("gc").ok().out
    registry.flakehub("verify", "--repair").ok()
    assert set(blobs(registry.cache)) == before
    assert registry.pull("lazy") == digest


def test_eviction(registry):
    """It goes with the layers that it has by then, and comes again."""
    digest = registry.pull("lazy")
    age(registry)
    # There is room.
    registry.flakehub("gc").ok()
    assert registry.layer in blobs(registry.cache)
    filler = registry.cache / "filler"
    filler.write_bytes(b"x" * (2 << 20))
    registry.settings.append("cache-size = 1M")
    registry.write_settings()
    assert f"image lazy@{digest}" in registry.flakehub("gc").ok().out
    assert not blobs(registry.cache)
    filler.unlink()
    # Its layer first, which alone is asked for.
    registry.blob("lazy", registry.layer)
    assert registry.pull("lazy", digest) == digest
    assert registry.pull("lazy") == digest


@pytest.mark.parametrize("repair", (True, False))
def test_bad_layer(registry, repair):
    digest = registry.pull("lazy")
    before = {name: file.read_bytes()
              for name, file in blobs(registry.cache).items()}
    flip(blobs(registry.cache)[registry.layer])
    result = registry.flakehub("verify", *["--repair"] * repair)
    assert f"bad: {registry.layer}" in result.out
    assert registry.layer in result.err, "it is logged"
    assert (registry.cache / "bad" / registry.layer.split(":")[1]).exists()
    if repair:
        assert f"repaired: lazy@{digest}" in result.ok().out
        assert {name: file.read_bytes() for name, file in
                blobs(registry.cache).items()} == before
    else:
        assert result.status == 1
        assert registry.layer not in blobs(registry.cache)
    # The layer's own request makes it, as does a pull of the tag.
    registry.blob("lazy", registry.layer)
    assert registry.pull("lazy", digest) == digest
    assert registry.pull("lazy") == digest
    registry.flakehub("verify").ok()


def test_store_that_changed(registry):
    """A layer that comes out otherwise is refused, by its file's name."""
    manifest, _ = registry.manifest("lazy")
    assert registry.layer not in blobs(registry.cache)
    file = nix.references(nix.build(registry.flake, "lazy"), "-busybox-layer")
    st = os.stat(file)
    with open(file, "rb") as f:
        text = f.read()

    def put(data):
        os.chmod(file, 0o644)
        with open(file, "wb") as f:
            f.write(data)
        os.chmod(file, 0o444)
        os.utime(file, ns=(st.st_atime_ns, st.st_mtime_ns))
    put(text[:-1] + bytes([text[-1] ^ 1]))
    try:
        reply = registry.get(f"/v2/lazy/blobs/{registry.layer}")
        assert 400 <= reply.status < 500, str(reply)
        assert file in reply.error()[1], str(reply)
        assert registry.layer not in blobs(registry.cache)
        # What can be served still is.
        assert registry.manifest("lazy")[0] == manifest
    finally:
        put(text)


def test_another_size_than_a_blob_that_is_there(registry):
    """Its layer would not be made, so it is told now."""
    registry.manifest("empty")
    reply = registry.get("/v2/of-another-size/manifests/latest")
    assert reply.status >= 400, str(reply)
    assert "has 1024 bytes, but the image's layer says 7" in reply.error()[1]
