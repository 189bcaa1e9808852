# SPDX-License-Identifier: MIT
"""Eviction: the size is kept, the least recently pulled goes first, what is
pulled or made never does, and what went is made again, the same bytes."""

import http.client
import os
import socket
import threading
import time

import pytest

from harness import fetch
from harness.eviction import Evictor, records, set_age
from harness.process import descendants, run
from harness.registry import FLAKEHUB, assert_whole, blobs

DAY = 24 * 3600
# Uncompressed, so that sizes are known: hello takes 2 MB, many and two-layers
# 6 MB more each.
PLAIN = "compression = none"


def age(registry, seconds, name="*"):
    """As if a repository's images were last pulled so long ago, and every
    blob, layer entry, log and lock made then."""
    for file in records(registry.cache, name):
        set_age(file, seconds)
    for folder in "blobs", "layers", "builds", "locks":
        for file in (registry.cache / folder).glob("**/*"):
            set_age(file, seconds)


def disk(cache):
    """What du says."""
    return int(run(["du", "-s", "-B1", cache]).ok().out.split()[0])


def is_there(registry, digest):
    return digest in blobs(registry.cache)


def gc(registry, *args):
    return registry.flakehub("gc", *args).ok().out


@pytest.fixture
def many(make_registry, fresh):
    """A registry with three images, all of which were pulled."""
    registry = make_registry(fresh(), settings=[PLAIN, "max-age = 1h"])
    registry.digests = {name: registry.pull(name)
                        for name in ("hello", "many", "two-layers")}
    return registry


def limit(registry, *lines):
    registry.settings = [PLAIN, "max-age = 1h", *lines]
    registry.write_settings()


def test_nothing_used_lately_goes(many):
    limit(many, "cache-size = 1M", "record-max-age = 0s")
    before = set(blobs(many.cache))
    gc(many)
    assert set(blobs(many.cache)) == before
    assert_whole(many.cache)


def test_least_recently_pulled_goes_first(many):
    age(many, 3 * DAY)
    age(many, 2 * DAY, "hello")
    for file in records(many.cache, "two-layers"):
        set_age(file, 4 * DAY)
    total = disk(many.cache)
    limit(many, f"cache-size = {(total >> 10) - 1000}K")
    planned = gc(many, "--dry-run")
    assert disk(many.cache) >= total - (64 << 10)
    assert f"image two-layers@{many.digests['two-layers']}" in planned
    assert "image many@" not in planned
    out = gc(many)
    assert "image two-layers@" in out and "image many@" not in out
    assert images(out) == images(planned)
    assert not is_there(many, many.digests["two-layers"])
    assert is_there(many, many.digests["many"])
    assert is_there(many, many.digests["hello"])
    assert disk(many.cache) <= total - (1000 << 10)
    assert_whole(many.cache)
    # Reading is a use: it sets the atime.
    age(many, 3 * DAY)
    age(many, 2 * DAY, "hello")
    limit(many, "cache-size = 4M")
    gc(many)
    assert not is_there(many, many.digests["many"])
    assert is_there(many, many.digests["hello"])
    assert disk(many.cache) <= 4 << 20
    assert_whole(many.cache)


def test_records_outlive_blobs(many):
    """By tag and by digest, what was evicted comes again, bit for bit."""
    kept = {digest: file.read_bytes()
            for digest, file in blobs(many.cache).items()}
    age(many, DAY)
    limit(many, "cache-size = 1M")
    gc(many)
    assert not blobs(many.cache)
    assert len(records(many.cache)) == 3
    for name, digest in many.digests.items():
        assert many.pull(name, digest) == digest
        assert many.pull(name) == digest
    now = blobs(many.cache)
    assert set(now) == set(kept)
    for digest, file in now.items():
        assert file.read_bytes() == kept[digest]


def test_a_blob_alone_comes_again(many):
    """A client that has the manifest and asks for a layer much later."""
    manifest, _ = many.manifest("many")
    age(many, DAY)
    limit(many, "cache-size = 1M")
    gc(many)
    for part in manifest["layers"]:
        many.blob("many", part["digest"])
    assert_whole(many.cache)


def images(out):
    return [line for line in out.splitlines() if line.startswith("image ")]


def has_open(process, path):
    """Whether it or a child of it has the file open, gone or not."""
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            for fd in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(fd.path) == str(path):
                    return True
        except OSError:
            pass
    return False


@pytest.mark.parametrize("server", ("lighttpd", "nginx"))
def test_transfer_during_eviction(make_registry, fresh, server):
    """A client so slow that the blob is evicted while it is sent gets all of
    it; so does the next, of what was made again."""
    flake = fresh()
    file = flake / "images.nix"
    # More than the kernel takes of a web server at once.
    old = 'text "greeting" "Hello from ${salt}"'
    assert old in file.read_text()
    file.write_text(file.read_text().replace(
        old, 'run "greeting" "yes ${salt} | head -c 16000000 >$out"'))
    registry = make_registry(flake, server, settings=[
        PLAIN, "max-age = 1h", "cache-size = 1M"])
    manifest, reply = registry.manifest("hello")
    layer = max(manifest["layers"], key=lambda part: part["size"])
    file = blobs(registry.cache)[layer["digest"]]
    with socket.socket() as client:
        # The kernel is to take as little of it as it can.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", registry.port))
        client.sendall(f"GET /v2/hello/blobs/{layer['digest']} HTTP/1.1\r\n"
                       "Host: x\r\nConnection: close\r\n\r\n".encode())
        client.recv(1, socket.MSG_PEEK)
        assert has_open(registry.web.process, file)
        age(registry, DAY)
        gc(registry)
        assert not blobs(registry.cache)
        assert has_open(registry.web.process, f"{file} (deleted)")
        response = http.client.HTTPResponse(client)
        response.begin()
        assert fetch.digest(response.read()) == layer["digest"]
    assert registry.pull("hello", reply.digest()) == reply.digest()


def test_builder_keeps_the_size(make_registry, fresh):
    registry = make_registry(fresh(), settings=[PLAIN, "cache-size = 10M"])
    first = registry.pull("many")
    age(registry, DAY)
    registry.pull("two-layers")
    assert not is_there(registry, first)
    assert disk(registry.cache) <= 10 << 20
    assert_whole(registry.cache)


def test_nothing_is_evicted_while_it_fits(many):
    age(many, DAY)
    out = gc(many)
    assert "image" not in out, out
    assert all(is_there(many, digest) for digest in many.digests.values())


def test_what_an_index_needs(make_registry, fresh):
    """The index goes before its members, and comes again with them."""
    flake = fresh()
    pkgs = flake / "pkgs.nix"
    # Both are built by this machine.
    pkgs.write_text(pkgs.read_text().replace(
        "inherit name system script;",
        'inherit name script; system = "x86_64-linux";'))
    registry = make_registry(flake, settings=[
        PLAIN, "systems = x86_64-linux aarch64-linux", "max-age = 1h"])
    digest = registry.build("no-store").ok().out.split()[1]
    before = set(blobs(registry.cache))
    age(registry, DAY)
    registry.settings.append("cache-size = 1M")
    registry.write_settings()
    # It is small: the limit must be below it.
    filler = registry.cache / "filler"
    filler.write_bytes(b"x" * (2 << 20))
    gc(registry)
    assert not blobs(registry.cache)
    filler.unlink()
    registry.build(f"no-store@{digest}").ok()
    assert set(blobs(registry.cache)) == before
    assert_whole(registry.cache)


def test_records_go_with_all_that_is_theirs(many):
    many.flakehub("build", "no-such-image")
    assert list(many.cache.glob("roots/tag.*"))
    age(many, 100 * DAY)
    age(many, DAY, "hello")
    out = gc(many)
    assert "2 records" in out and "2 tags" in out, out
    for name in "many", "two-layers":
        for folder in "_manifests", "_tags", "_identities", "_blobs":
            assert not list(many.cache.glob(
                f"repositories/{name}/{folder}/*")), folder
    assert len(list(many.cache.glob("roots/tag.*"))) == 1
    assert len(list(many.cache.glob("builds/*"))) == 1
    assert all(file.name[:5] in ("slot.", "layer", "evict", "gc", "usage")
               for file in (many.cache / "locks").iterdir())
    assert many.pull("hello") == many.digests["hello"]
    assert_whole(many.cache)
    assert many.pull("many") == many.digests["many"]


def test_a_link_goes_over_to_another_record(make_registry, fresh):
    """Two revisions share a layer; the one that its link names is forgotten.
    """
    flake = fresh()
    registry = make_registry(flake, settings=[PLAIN, "max-age = 0s"])
    first = registry.pull("hello")
    (flake / "salt").write_text("another\n")
    second = registry.pull("hello")
    assert first != second
    age(registry, 100 * DAY)
    set_age(registry.cache / "repositories/hello/_manifests" /
            second.split(":")[1], 0)
    out = gc(registry)
    assert "1 record" in out, out
    assert registry.pull("hello", second) == second
    reply = registry.get(f"/v2/hello/manifests/{first}")
    assert reply.status == 404, str(reply)


def test_roots_of_evicted_images_go(many):
    """And come back with the image."""
    assert len(list(many.cache.glob("roots/tag.*"))) == 3
    age(many, DAY)
    limit(many, "cache-size = 4M")
    for file in records(many.cache, "hello"):
        set_age(file, 60)
    gc(many)
    roots = list(many.cache.glob("roots/tag.*"))
    assert len(roots) == 1, roots
    limit(many)
    # By its tag, as its image is not there.
    many.pull("many")
    assert len(list(many.cache.glob("roots/tag.*"))) == 2


def test_left_overs_go(many):
    """Of killed builders, of flakes that are not set any more."""
    cache = many.cache
    home = cache / "tmp/home.999999"
    home.mkdir()
    (home / ".netrc").symlink_to("/nowhere")
    flake = "0" * 64
    (cache / f"git/{flake}.git/objects").mkdir(parents=True)
    (cache / f"git/{flake}.refs").write_text("")
    orphan = cache / f"blobs/sha256/ab/ab{'0' * 62}"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"of no image")
    for file in home, cache / f"git/{flake}.git", cache / f"git/{flake}.refs":
        set_age(file, 2 * DAY)
    gc(many)
    assert orphan.exists()
    set_age(orphan, DAY)
    gc(many)
    assert not orphan.exists() and not home.exists()
    assert not list(cache.glob(f"git/{flake}*"))
    for name in many.digests:
        many.pull(name)


def files(cache):
    return {file: (file.lstat().st_ino, file.lstat().st_mtime_ns)
            for file in cache.glob("**/*")}


def test_dry_run(many):
    """It says what the run then says, and changes nothing; so it may look at
    a cache that is read-only."""
    cache = many.cache
    many.flakehub("build", "no-such-image")
    age(many, 100 * DAY)
    age(many, DAY, "hello")
    os.utime(*records(cache, "many"))
    for path in "tmp/file", "tmp/home.999999/file", "locks/build.old":
        file = cache / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x" * 10000)
        set_age(file, 2 * DAY)
    set_age(cache / "tmp/home.999999", 2 * DAY)
    limit(many, "cache-size = 1M")
    before = files(cache)
    planned = gc(many, "--dry-run")
    many.prefix = ["unshare", "--mount", "sh", "-ec",
                   'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; '
                   'shift; exec "$@"', "sh", cache]
    assert gc(many, "--dry-run") == planned
    many.prefix = []
    assert files(cache) == before
    out = gc(many)
    assert sorted(planned.replace("would hold", "holds").splitlines()) == \
        sorted(out.splitlines())
    for kind in ("2 images", "1 record", "1 tag", "2 GC roots", " locks",
                 "2 temporary files", "layer entries", "of builds"):
        assert kind in out, out
    assert not list(cache.glob("tmp/*"))


def test_a_clock_that_was_set(many):
    """Forward: for ten minutes nothing goes by its age. Back: times in the
    future do not keep anything for ever."""
    gc(many)
    clock = many.cache / "clock"
    text = clock.read_text()
    real = int(text.split("real ")[1].split()[0])
    # As if the last look had been a year ago by the clock of the day.
    clock.write_text(text.replace(f"real {real}", f"real {real - 365 * DAY}"))
    age(many, 365 * DAY)
    limit(many, "cache-size = 1M")
    for _ in range(2):
        gc(many)
        assert all(is_there(many, d) for d in many.digests.values())
        assert len(records(many.cache)) == 3
    boot = int(clock.read_text().split("unsteady-to ")[1].split()[0])
    clock.write_text(clock.read_text().replace(
        f"unsteady-to {boot}", "unsteady-to 0"))
    age(many, -365 * DAY)
    gc(many)
    assert all(is_there(many, d) for d in many.digests.values())
    for file in records(many.cache):
        assert abs(file.stat().st_mtime - time.time()) < 60
    for digest in blobs(many.cache).values():
        assert digest.stat().st_mtime <= time.time() + 1
    age(many, DAY)
    gc(many)
    assert not any(is_there(many, d) for d in many.digests.values())
    for name, digest in many.digests.items():
        assert many.pull(name, digest) == digest


def test_a_hidden_boot_id(directory):
    """Where /proc shows processes alone nobody can tell of the clock: an
    error, after which those who can tell know what they knew."""
    config = directory / "flakehub.conf"
    config.write_text(f"cache-dir = {directory}/cache\n[flake]\nurl = /x\n")
    plain = [FLAKEHUB, "--config", config, "gc"]
    hidden = ["unshare", "--mount", "sh", "-ec",
              'mount -t proc -o subset=pid proc /proc; exec "$@"', "sh",
              *plain]
    clock = directory / "cache/clock"
    assert run(hidden).status == 1
    assert not clock.exists()
    run(plain).ok()
    text = clock.read_text()
    real = int(text.split("real ")[1].split()[0])
    clock.write_text(text.replace(f"real {real}", f"real {real - 7200}"))
    for told in range(2):
        result = run(hidden)
        assert result.status == 1 and "boot_id" in result.err, str(result)
        result = run(plain).ok()
        assert ("clock-was-set" in result.err) == (not told), str(result)
        assert "unsteady-to 0" not in clock.read_text()


@pytest.mark.parametrize("server", ("lighttpd", "nginx"))
def test_pull_during_eviction(make_registry, fresh, server):
    """Clients pull now and then, while all that is not in use is evicted; no
    request ever fails."""
    registry = make_registry(fresh(), server, settings=[
        PLAIN, "cache-size = 1M", "max-age = 0s"])
    names = "hello", "many", "no-store"
    digests = {name: registry.pull(name) for name in names}
    end = time.monotonic() + 15
    failures, pulls = [], []

    def client(name, pause):
        try:
            while time.monotonic() < end:
                assert registry.pull(name) == digests[name]
                pulls.append(name)
                time.sleep(pause)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=client, args=args)
               for args in zip(names, (0, 4, 5))]
    with Evictor(registry) as evictor:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    assert len(pulls) > 6 and evictor.evicted, (pulls, evictor.evicted)
    assert_whole(registry.cache)


def test_builds_during_eviction(make_registry, fresh):
    """Builders whose images share layers, found in the cache by one while
    the other's image is evicted."""
    flake = fresh()
    registry = make_registry(flake, settings=[
        PLAIN, "cache-size = 1M", "max-age = 0s"])
    registry.build("hello").ok()
    with Evictor(registry):
        for number in range(4):
            (flake / "salt").write_text(f"{number} {time.time()}\n")
            for name in "hello", "many", "two-layers":
                digest = registry.build(name).ok().out.split()[1]
                registry.pull(name, digest)
    assert_whole(registry.cache)
