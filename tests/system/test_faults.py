# SPDX-License-Identifier: MIT
"""A disk without space or inodes, a cache that is read-only or deleted
underneath: warm pulls go on, what cannot be done is refused with its reason,
and the next pull works once the fault is gone."""

import shutil
import time

import pytest

from harness import fetch
from harness.process import run, wait_for
from harness.registry import assert_whole, blobs

PLAIN = "compression = none"


def deleted(folder):
    """Is all of it gone? Not while somebody puts something in."""
    try:
        shutil.rmtree(folder)
    except OSError:
        return False
    return True


@pytest.fixture
def disk(directory):
    """disk(options): a small file system, gone after the test."""
    mounted = []

    def make(options):
        folder = directory / f"disk{len(mounted)}"
        folder.mkdir()
        run(["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "none",
             folder]).ok()
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        # Whoever still looks into it keeps it no longer than that.
        run(["umount", "--lazy", folder]).ok()


@pytest.fixture
def on_disk(disk, make_registry, fresh):
    """on_disk(options, max_age): a small disk, the registry whose cache is on
    it, and the digest of an image that is in that."""
    def make(options, max_age, server="lighttpd"):
        folder = disk(options)
        registry = make_registry(
            fresh(), server, cache=folder / "cache", settings=[
                PLAIN, "error-max-age = 0s", f"max-age = {max_age}"])
        return folder, registry, registry.pull("hello")
    return make


def refused(registry, name, *words):
    """A pull that cannot be: an error of the client's kind, with its reason.
    """
    reply = registry.get(f"/v2/{name}/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    for word in words:
        assert word in reply.error()[1], str(reply)
    return reply


@pytest.mark.parametrize("server", ("lighttpd", "nginx"))
def test_nearly_full(on_disk, server):
    folder, registry, digest = on_disk("size=16m", "0s", server)
    filler = folder / "filler"
    statvfs = run(["stat", "-f", "-c", "%a %S", folder]).ok().out.split()
    free = int(statvfs[0]) * int(statvfs[1])
    filler.write_bytes(b"x" * (free - (400 << 10)))
    # Its tag is resolved anew by a builder, which has nothing to make.
    assert registry.pull("hello") == digest
    reply = refused(registry, "many", "space", "KB free", "no less than")
    assert reply.status == 403
    # Nothing was begun: no evaluation, no layer.
    assert "evaluating" not in registry.flakehub("log", "many").ok().out
    assert "space" in registry.build("many").err
    health = registry.send("GET", "/healthz")
    assert health.status == 503 and b"space" in health.body, str(health)
    assert registry.pull("hello") == digest
    assert_whole(registry.cache)
    filler.unlink()
    registry.pull("many")
    assert_whole(registry.cache)


def test_full_in_the_middle(on_disk):
    """Room enough to begin and too little to end."""
    folder, registry, digest = on_disk("size=7m", "1h")
    for _ in range(3):
        refused(registry, "many", "space")
        assert registry.pull("hello") == digest
        assert_whole(registry.cache)
    run(["mount", "-o", "remount,size=64m", folder]).ok()
    registry.pull("many")
    assert_whole(registry.cache)


def started(registry):
    """How many builders, by the responder's log."""
    return registry.log.read_text().count(" event=build ")


def fill(filler):
    with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(b"x" * 4096)


def remount(folder, how):
    """Not read-only while a file that is gone is open somewhere."""
    wait_for(f"to be mounted {how}", lambda: run(
        ["mount", "-o", f"remount,{how}", folder]).status == 0)


def test_nothing_is_started_in_vain(on_disk):
    """Where not even a failure could be noted, no pull starts a builder: what
    is there is served, however old its tag, the rest refused with the reason.
    """
    folder, registry, digest = on_disk("size=16m", "0s")
    manifest, _ = registry.manifest("no-store")
    gone = manifest["layers"][0]["digest"]
    blobs(registry.cache)[gone].unlink()
    filler = folder / "filler"
    for reason, begin, end in (
            ("no space is left", lambda: fill(filler), filler.unlink),
            ("read-only", lambda: remount(folder, "ro"),
             lambda: remount(folder, "rw"))):
        before = started(registry)
        begin()
        for _ in range(3):
            refused(registry, "many", reason)
            reply = registry.get("/v2/hello/manifests/latest")
            assert reply.status == 200 and reply.digest() == digest
            assert reason in reply.headers["Warning"], str(reply)
            reply = registry.get(f"/v2/no-store/blobs/{gone}")
            assert reply.status == 403, str(reply)
            assert reason in reply.error()[1], str(reply)
        assert started(registry) == before
        end()
    assert registry.pull("hello") == digest
    registry.pull("no-store")
    assert gone in blobs(registry.cache)
    registry.pull("many")
    assert_whole(registry.cache)


def test_gc_makes_room(on_disk):
    """On a full disk gc still works."""
    folder, registry, digest = on_disk("size=7m", "1h")
    refused(registry, "many", "space")
    filler = folder / "filler"
    try:
        with open(filler, "wb") as f:
            while True:
                f.write(b"x" * 4096)
                f.flush()
    except OSError:
        pass
    for file in [*blobs(registry.cache).values(), *registry.cache.glob(
            "repositories/*/_manifests/*")]:
        run(["touch", "-d", "2 hours ago", file]).ok()
    registry.settings.append("cache-size = 1M")
    registry.write_settings()
    registry.flakehub("gc").ok()
    assert not blobs(registry.cache)
    filler.unlink()
    run(["mount", "-o", "remount,size=64m", folder]).ok()
    assert registry.pull("hello", digest) == digest


def test_no_inodes(on_disk):
    folder, registry, digest = on_disk("size=64m,nr_inodes=400", "1h")
    filler = folder / "filler"
    filler.mkdir()
    number = 0
    try:
        while True:
            (filler / str(number)).touch()
            number += 1
    except OSError:
        pass
    for keep_free in 0, 5, 15:
        for _ in range(keep_free):
            number -= 1
            (filler / str(number)).unlink()
        refused(registry, "many")
        assert registry.pull("hello") == digest
        assert_whole(registry.cache)
    assert "inodes" in registry.build("many").err
    shutil.rmtree(filler)
    registry.pull("many")
    assert_whole(registry.cache)


@pytest.mark.parametrize("server", ("lighttpd", "nginx"))
def test_read_only(on_disk, server):
    folder, registry, digest = on_disk("size=64m", "2s", server)
    other = registry.pull("no-store")
    run(["mount", "-o", "remount,ro", folder]).ok()
    assert registry.pull("hello", digest) == digest
    assert registry.pull("no-store", other) == other
    refused(registry, "many")
    result = registry.build("many")
    assert result.status == 1 and "Read-only" in result.err, str(result)
    for command in "gc", "verify":
        result = registry.flakehub(command)
        assert len(result.err.splitlines()) <= 1, str(result)
    assert registry.pull("hello", digest) == digest
    run(["mount", "-o", "remount,rw", folder]).ok()
    registry.pull("many")
    assert registry.pull("hello") == digest
    assert_whole(registry.cache)


@pytest.mark.parametrize("server", ("lighttpd", "nginx"))
@pytest.mark.parametrize("whole", (True, False))
def test_deleted_underneath(make_registry, simple, server, whole):
    """The folder itself, or all that is in it."""
    registry = make_registry(simple, server, settings=[
        PLAIN, "error-max-age = 0s", "max-age = 1h"])
    digest = registry.pull("hello")
    pid = registry.process.pid
    for _ in range(2):
        if whole:
            shutil.rmtree(registry.cache)
        else:
            for file in registry.cache.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        reply = registry.get(f"/v2/hello/manifests/{digest}")
        assert reply.status == 404, str(reply)
        assert registry.pull("hello") == digest
        assert registry.pull("hello", digest) == digest
        assert_whole(registry.cache)
    registry.process.assert_running()
    assert registry.process.pid == pid


def test_deleted_while_it_builds(make_registry, fresh):
    registry = make_registry(fresh(seconds=3), settings=[
        PLAIN, "error-max-age = 0s"])
    registry.pull("hello")
    connection = fetch.Connection(registry.port, "GET",
                                  "/v2/slow/manifests/latest")
    wait_for("the builder", registry.builders, 20)
    time.sleep(1)
    wait_for("the cache is deleted", lambda: deleted(registry.cache))
    reply = connection.reply()
    assert reply.status == 200 or 400 <= reply.status < 500, str(reply)
    registry.pull("slow")
    registry.pull("hello")
    assert_whole(registry.cache)
    wait_for("builders end", lambda: not registry.builders(), 30)
