# SPDX-License-Identifier: MIT
"""A blob's bytes hash to its name, always: what does not is found, moved
aside, and made again from its record."""

import os
import shutil
import time

import pytest

from harness import nix
from harness.process import run
from harness.registry import assert_whole, blobs

PLAIN = "compression = none"


def flip(file):
    """One bit, the size and the times as they were."""
    st = file.stat()
    file.chmod(0o644)
    with open(file, "r+b") as f:
        f.seek(st.st_size // 2)
        byte = f.read(1)[0]
        f.seek(st.st_size // 2)
        f.write(bytes([byte ^ 1]))
    file.chmod(0o444)
    os.utime(file, ns=(st.st_atime_ns, st.st_mtime_ns))


def cut(file):
    file.chmod(0o644)
    os.truncate(file, file.stat().st_size // 2)
    file.chmod(0o444)


def part_of(manifest, digest, part):
    return {"manifest": digest, "config": manifest["config"]["digest"],
            "layer": manifest["layers"][0]["digest"]}[part]


def test_nothing_is_wrong(make_registry, simple):
    registry = make_registry(simple)
    registry.pull("hello")
    out = registry.flakehub("verify").ok().out
    assert f"{len(blobs(registry.cache))} blobs" in out and ": 0 bad" in out
    assert not (registry.cache / "bad").exists()


@pytest.mark.sanitized
@pytest.mark.parametrize("damage", (flip, cut))
@pytest.mark.parametrize("part", ("layer", "config", "manifest"))
def test_repair(make_registry, simple, part, damage):
    registry = make_registry(simple, settings=[PLAIN, "max-age = 1h"])
    digest = registry.pull("hello")
    manifest = registry.manifest("hello")[0]
    before = {name: file.read_bytes()
              for name, file in blobs(registry.cache).items()}
    bad = part_of(manifest, digest, part)
    damage(blobs(registry.cache)[bad])
    result = registry.flakehub("verify", "--repair").ok()
    assert f"bad: {bad}" in result.out and ": 1 bad" in result.out
    assert f"repaired: hello@{digest}" in result.out
    assert bad in result.err, "it is logged"
    assert (registry.cache / "bad" / bad.split(":")[1]).exists()
    now = blobs(registry.cache)
    assert {n: f.read_bytes() for n, f in now.items()} == before
    assert registry.pull("hello", digest) == digest


@pytest.mark.parametrize("part", ("layer", "config", "manifest"))
def test_without_repair_the_next_pull_does_it(make_registry, simple, part):
    registry = make_registry(simple, settings=[PLAIN, "max-age = 1h"])
    digest = registry.pull("hello")
    manifest = registry.manifest("hello")[0]
    bad = part_of(manifest, digest, part)
    flip(blobs(registry.cache)[bad])
    result = registry.flakehub("verify")
    assert result.status == 1 and "1 blobs were bad" in result.err
    assert bad not in blobs(registry.cache)
    # What is left has all that it needs.
    assert_whole(registry.cache)
    assert digest not in blobs(registry.cache)
    assert registry.pull("hello") == digest
    assert_whole(registry.cache)
    registry.flakehub("verify").ok()


def test_a_layer_of_two_images(make_registry, simple):
    registry = make_registry(simple, settings=[PLAIN, "max-age = 1h"])
    one = registry.pull("hello")
    first = registry.manifest("hello")[0]
    two = registry.pull("many")
    second = registry.manifest("many")[0]
    shared = ({part["digest"] for part in first["layers"]}
              & {part["digest"] for part in second["layers"]})
    bad = shared.pop() if shared else first["layers"][0]["digest"]
    flip(blobs(registry.cache)[bad])
    out = registry.flakehub("verify", "--repair").ok().out
    assert f"repaired: hello@{one}" in out
    for name, digest in ("hello", one), ("many", two):
        assert registry.pull(name, digest) == digest
    assert_whole(registry.cache)


@pytest.mark.parametrize("repair", (True, False))
def test_missing(make_registry, simple, repair):
    """A blob that somebody took away is made again as a bad one is."""
    registry = make_registry(simple, settings=[PLAIN, "max-age = 1h"])
    digest = registry.pull("hello")
    lost = registry.manifest("hello")[0]["layers"][0]["digest"]
    blobs(registry.cache)[lost].unlink()
    result = registry.flakehub("verify", *["--repair"] * repair)
    assert result.status == (0 if repair else 1), str(result)
    assert f"missing: hello@{digest}" in result.out
    assert ": 0 bad, 1 images incomplete" in result.out
    assert (f"repaired: hello@{digest}" in result.out) == repair
    assert (lost in blobs(registry.cache)) == repair
    assert_whole(registry.cache)
    assert registry.pull("hello", digest) == digest
    registry.flakehub("verify").ok()


def test_records(make_registry, simple):
    """What somebody wrote into a record, or a link that is gone."""
    registry = make_registry(simple, settings=[PLAIN, "max-age = 1h"])
    digest = registry.pull("hello")
    layer = registry.manifest("hello")[0]["layers"][0]["digest"]
    files = registry.cache / "repositories/hello"
    record = files / "_manifests" / digest.split(":")[1]
    link = files / "_blobs" / layer.split(":")[1]
    text = record.read_text()
    lines = text.split("\n")
    wrong_size = "\n".join([lines[0], "size 713", *lines[2:]])

    # A pull, or a build by its digest, puts it right.
    record.write_text(wrong_size)
    assert registry.pull("hello", digest) == digest
    assert record.read_text() == text
    record.write_text(wrong_size)
    assert registry.pull("hello") == digest
    assert record.read_text() == text
    link.unlink()
    registry.build(f"hello@{digest}").ok()
    assert registry.pull("hello", digest) == digest

    # As verify does, at once where it can.
    record.write_text(wrong_size.replace("manifest.v1", "index.v1", 1))
    link.unlink()
    result = registry.flakehub("verify")
    assert result.status == 1 and ", 1 records wrong" in result.out
    assert f"bad record: hello@{digest}: " in result.out
    assert "(mended)" in result.out
    assert record.read_text() == text and link.exists()
    registry.flakehub("verify").ok()

    # What cannot be read comes by a tag.
    record.write_text(text[:100])
    result = registry.flakehub("verify")
    assert result.status == 1 and "1 of 1 records" in result.err
    registry.flakehub("verify", "--repair").ok()
    assert registry.pull("hello", digest) == digest
    registry.flakehub("verify").ok()


def test_rate(make_registry, simple):
    registry = make_registry(simple, settings=[PLAIN])
    registry.pull("hello")
    size = sum(f.stat().st_size for f in blobs(registry.cache).values())
    started = time.monotonic()
    registry.flakehub("verify", "--rate", f"{size // 2048}K").ok()
    assert 1.5 < time.monotonic() - started < 20
    for wrong in "fast", "0", "-1K", "":
        assert registry.flakehub("verify", "--rate", wrong).status == 2


def test_reading_is_no_use(make_registry, simple):
    """verify does not keep what nobody pulls."""
    registry = make_registry(simple, settings=[PLAIN])
    registry.pull("hello")
    for file in blobs(registry.cache).values():
        os.utime(file, (1, 1))
    registry.flakehub("verify").ok()
    assert all(file.stat().st_atime == 1
               for file in blobs(registry.cache).values())


def forget(registry, digest):
    """Every blob of an image is gone, and its layer entries."""
    for file in blobs(registry.cache).values():
        file.unlink()
    shutil.rmtree(registry.cache / "layers")


@pytest.mark.parametrize("entries", (True, False))
def test_changed_store_path_is_named(make_registry, fresh, entries):
    """What a store path became by another's hand makes no other image."""
    flake = fresh()
    greeting = nix.references(nix.build(flake, "hello"), "-greeting")
    registry = make_registry(flake, settings=[PLAIN, "max-age = 1h",
                                              "error-max-age = 0s"])
    digest = registry.pull("hello")
    if entries:
        for file in blobs(registry.cache).values():
            file.unlink()
    else:
        forget(registry, digest)
    with open(greeting, "rb") as f:
        text = f.read()
    st = os.stat(greeting)
    try:
        os.chmod(greeting, 0o644)
        with open(greeting, "wb") as f:
            f.write(text.replace(b"Hello", b"Jello"))
        os.chmod(greeting, 0o444)
        os.utime(greeting, ns=(st.st_atime_ns, st.st_mtime_ns))
        reply = registry.get(f"/v2/hello/manifests/{digest}")
        assert 400 <= reply.status < 500, str(reply)
        assert greeting in reply.error()[1], str(reply)
        result = registry.build(f"hello@{digest}")
        assert result.status == 1 and greeting in result.err, str(result)
        assert digest not in blobs(registry.cache)
    finally:
        os.chmod(greeting, 0o644)
        with open(greeting, "wb") as f:
            f.write(text)
        os.chmod(greeting, 0o444)
        os.utime(greeting, ns=(st.st_atime_ns, st.st_mtime_ns))
    if not entries:
        # The wrong layer is known by now; its blob is no image's.
        shutil.rmtree(registry.cache / "layers")
    assert registry.pull("hello", digest) == digest
    assert_whole(registry.cache)


def test_lost_image_is_named(make_registry, fresh):
    """A dirty tree's image whose output is gone cannot come again, and that
    is said."""
    flake = fresh()
    registry = make_registry(flake, settings=[PLAIN, "max-age = 1h"])
    digest = registry.pull("hello")
    manifest = registry.manifest("hello")[0]
    bad = manifest["layers"][0]["digest"]
    flip(blobs(registry.cache)[bad])
    # The output alone, by a database that knows it no more.
    output = os.readlink(next(registry.cache.glob("roots/tag.*")))
    (flake / "salt").write_text("another\n")
    for root in registry.cache.glob("roots/*"):
        root.unlink()
    run(["nix-store", "--delete", output], env=dict(
        os.environ, NIX_CONFIG=nix.SINGLE_USER)).ok()
    result = registry.flakehub("verify", "--repair")
    assert result.status == 1
    assert f"lost: hello@{digest}" in result.out and output in result.out, \
        str(result)
    assert bad not in blobs(registry.cache)
    assert_whole(registry.cache)
