# SPDX-License-Identifier: MIT
"""Freshness: what a push, an unchanged commit and a dead host come to."""

import concurrent.futures
import socket
import time
import uuid

import pytest

from harness import fetch, git, nix
from harness.process import wait_for
from harness.registry import assert_whole
from harness.webserver import SERVERS

IMAGE = "/v2/hello/manifests/latest"
# It says itself that busybox is a layer, of an image of two megabytes.
LAYERED = "conf-2025"


@pytest.fixture
def repository(fresh):
    return git.Repository(fresh("repository"))


@pytest.fixture
def daemon(repository, directory):
    """git daemon with a bare copy of the repository as `infra`."""
    folder = directory / "served"
    folder.mkdir()
    repository.bare(folder / "infra")
    daemon = git.Daemon(folder, directory / "daemon.log")
    yield daemon
    daemon.stop()


def push(repository, daemon):
    """A new commit; what its images print."""
    salt = uuid.uuid4().hex
    repository.commit(salt=salt)
    repository.push(daemon.folder / "infra")
    return salt


def asked(log, word):
    return [line for line in log.read_text().splitlines() if word in line]


def at_once(calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("server", SERVERS)
def test_push(make_registry, client_of, repository, daemon, directory, server):
    """The new image after max-age at most, and only its changed layers."""
    age = 3
    registry = make_registry(daemon.url("infra"), server,
                             settings=[f"max-age = {age}s"])
    docker = client_of("docker")
    name = registry.reference(LAYERED)
    docker.pull(name).ok()
    first, reply = registry.manifest(LAYERED)
    resolved = time.monotonic()
    salt = push(repository, daemon)
    time.sleep(max(0, resolved + age + 1 - time.monotonic()))
    log = directory / "r0/web/access.log"
    # lighttpd writes it with a delay, in order.
    registry.send("GET", "/v2/?before")
    docker.pull(name).ok()
    assert docker.run(name).ok().out == f"Hello from {salt}\n"
    second, _ = registry.manifest(LAYERED)

    def digests(manifest):
        return {layer["digest"] for layer in manifest["layers"]}

    kept = digests(first) & digests(second)
    changed = digests(second) - digests(first)
    assert kept and changed
    registry.send("GET", "/v2/?after")
    wait_for("the access log", lambda: "/v2/?after" in log.read_text())
    requests = log.read_text().split("/v2/?before")[1].split("/v2/?after")[0]
    for digest in kept:
        assert f"blobs/{digest}" not in requests
    for digest in changed:
        assert f"blobs/{digest}" in requests
    docker.remove(name)


def test_fresh_is_not_asked(make_registry, repository, daemon, directory):
    """Within max-age nobody is asked, and the old image is served."""
    path, log = nix.counting_path(directory, ["git"])
    registry = make_registry(daemon.url("infra"),
                             settings=["max-age = 1h", nix.COUNTED],
                             environment=nix.environment(directory, path=path))
    old = registry.manifest("hello")[1].digest()
    push(repository, daemon)
    calls = log.read_text()
    for _ in range(5):
        reply = registry.send("GET", IMAGE)
        assert reply.digest() == old
        assert reply.headers["Cache-Control"] == "no-cache"
        assert reply.headers["Warning"] is None
    assert log.read_text() == calls


def test_unchanged(make_registry, daemon, directory):
    """An unchanged commit costs one git ls-remote and no Nix."""
    path, log = nix.counting_path(directory, ["git"])
    registry = make_registry(daemon.url("infra"),
                             settings=["max-age = 0s", nix.COUNTED],
                             environment=nix.environment(directory, path=path))
    digest = registry.manifest("hello")[1].digest()
    for tag in "latest", "main":
        registry.manifest("hello", tag)
        log.write_text("")
        assert registry.manifest("hello", tag)[1].digest() == digest
        calls = log.read_text().splitlines()
        assert len(calls) == 1 and "ls-remote" in calls[0], calls


def slow_git(directory):
    """A folder with a git that takes a second, and writes into `calls`."""
    folder = directory / "slow"
    folder.mkdir()
    (folder / "git").write_text(
        f'#!/bin/sh\necho "$*" >>{folder}/calls\nsleep 1\n'
        'exec /usr/bin/git "$@"\n')
    (folder / "git").chmod(0o755)
    return folder


def test_single_flight(make_registry, daemon, directory):
    """Many who find one tag stale: one refresh."""
    folder = slow_git(directory)
    registry = make_registry(
        daemon.url("infra"), settings=["max-age = 1s"],
        environment=nix.environment(directory, path=f"{folder}:/usr/bin:/bin"))
    registry.manifest("hello")
    time.sleep(2.1)
    (folder / "calls").write_text("")
    replies = at_once([lambda: fetch.follow(registry.port, "GET", IMAGE)[0]]
                      * 30)
    assert {reply.status for reply in replies} == {200}
    assert len(asked(folder / "calls", "ls-remote")) == 1


def test_one_question_for_many_images(make_registry, daemon, directory):
    """Images of one flake that are refreshed together share an answer."""
    folder = slow_git(directory)
    registry = make_registry(
        daemon.url("infra"),
        environment=nix.environment(directory, path=f"{folder}:/usr/bin:/bin"))
    names = ["hello", "args", "many", "owned", "now", "twice", "packages",
             "no-store", "fixed-tag", "two-layers"]
    replies = at_once([
        lambda name=name: registry.get(f"/v2/{name}/manifests/latest")
        for name in names])
    assert {reply.status for reply in replies} == {200}
    assert len(asked(folder / "calls", "ls-remote")) <= 3


def test_stale_while_revalidate(make_registry, repository, daemon):
    """Served at once, and made anew behind."""
    registry = make_registry(daemon.url("infra"), settings=[
        "max-age = 0s", "stale-while-revalidate = 1h"])
    old = registry.manifest("hello")[1].digest()
    push(repository, daemon)
    reply = registry.send("GET", IMAGE)
    assert reply.digest() == old and reply.headers["Warning"] is None
    wait_for("the new image", lambda: registry.send("GET", IMAGE).digest()
             != old, 30)


def is_stale(reply, digest):
    return reply.status == 200 and reply.digest() == digest and \
        (reply.headers["Warning"] or "").startswith('299 - "')


@pytest.mark.parametrize("server", SERVERS)
def test_host_goes_away(make_registry, repository, daemon, server):
    """Pulls go on, with a Warning; beyond stale-if-error the error says why.
    Back again, the new image is there."""
    registry = make_registry(daemon.url("infra"), server, settings=[
        "max-age = 0s", "error-max-age = 0s"], flakes={
            "strict": [f"url = {daemon.url('infra')}", "stale-if-error = 0s"]})
    digest = registry.manifest("hello")[1].digest()
    registry.manifest("strict/hello")
    revision = repository("rev-parse", "HEAD")
    registry.manifest("hello", revision)
    daemon.stop()
    started = time.monotonic()
    for method in "GET", "HEAD":
        reply = registry.send(method, IMAGE)
        assert reply.headers["Docker-Content-Digest"] == digest, str(reply)
        warning = reply.headers["Warning"]
        assert warning.startswith('299 - "') and "git" in warning
        assert len(warning) < 4096 and "\n" not in warning
    assert registry.send("GET", f"/v2/hello/manifests/{digest}").headers[
        "Warning"] is None
    assert registry.send("GET", f"/v2/hello/manifests/{revision}").headers[
        "Warning"] is None
    reply = registry.send("GET", "/v2/strict/hello/manifests/latest")
    assert reply.status in (403, 404), str(reply)
    assert "127.0.0.1" in reply.error()[1], str(reply)
    # An image that was never built cannot be.
    reply = registry.send("GET", "/v2/args/manifests/latest")
    assert reply.status in (403, 404) and "127.0.0.1" in reply.error()[1]
    # The tags that were known stay; so do the names.
    assert time.monotonic() - started < 10
    assert "event=" in registry.log.read_text()
    assert "stale=served" in registry.log.read_text()
    daemon.start()
    push(repository, daemon)
    reply = registry.get(IMAGE)
    assert reply.digest() != digest and reply.headers["Warning"] is None


def test_host_that_never_answers(make_registry, repository, daemon):
    """It takes refresh-timeout, not longer; then as if it were gone."""
    registry = make_registry(daemon.url("infra"), settings=[
        "max-age = 0s", "refresh-timeout = 2s", "error-max-age = 5s"], flakes={
            "strict": [f"url = {daemon.url('infra')}", "stale-if-error = 0s"]})
    digest = registry.manifest("hello")[1].digest()
    registry.manifest("strict/hello")
    daemon.stop()
    with socket.socket() as hole:
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", daemon.port))
        hole.listen(100)
        started = time.monotonic()
        reply = registry.send("GET", IMAGE)
        taken = time.monotonic() - started
        assert is_stale(reply, digest), str(reply)
        assert 1.5 < taken < 8
        # The failure is known now: nobody waits for it again at once.
        started = time.monotonic()
        assert is_stale(registry.send("GET", IMAGE), digest)
        assert time.monotonic() - started < 1
        started = time.monotonic()
        reply = registry.send("GET", "/v2/strict/hello/manifests/latest")
        assert time.monotonic() - started < 8
        assert reply.status in (403, 404)
        assert "within" in reply.error()[1], str(reply)
        # tags/list waits no longer either.
        started = time.monotonic()
        registry.send("GET", "/v2/hello/tags/list")
        assert time.monotonic() - started < 8


def test_many_images_of_a_host_that_never_answers(make_registry, daemon):
    """They wait side by side for refresh-timeout, not one after another."""
    registry = make_registry(daemon.url("infra"), settings=[
        "refresh-timeout = 3s"])
    daemon.stop()
    names = ["hello", "args", "many", "owned", "now", "twice", "packages"]
    with socket.socket() as hole:
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", daemon.port))
        hole.listen(100)
        started = time.monotonic()
        replies = at_once([
            lambda name=name: registry.get(f"/v2/{name}/manifests/latest")
            for name in names])
        assert time.monotonic() - started < 12
    for reply in replies:
        assert reply.status in (403, 404)
        assert "within 3 s" in reply.error()[1], str(reply)


def test_refreshes_go_on_beside_a_build(make_registry, fresh, directory):
    """max-builds = 1 and a slow build under way: what is warm is served, and
    refreshed."""
    repository = git.Repository(fresh("repository", seconds=25))
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}", settings=[
        "max-builds = 1", "max-age = 0s"])
    digest = registry.manifest("hello")[1].digest()
    registry.manifest("args")
    waiting = fetch.Connection(registry.port, "GET",
                               "/v2/slow/manifests/latest")
    wait_for("the build", lambda: "slow: building" in registry.flakehub(
        "log", "slow").out, 30)
    for name in "hello", "args", "hello":
        started = time.monotonic()
        reply = registry.send("GET", f"/v2/{name}/manifests/latest")
        assert reply.status == 200, str(reply)
        assert time.monotonic() - started < 10
    assert registry.send("GET", IMAGE).digest() == digest
    assert registry.send("GET", "/v2/hello/tags/list").status == 200
    assert registry.send("GET", "/healthz").status == 200
    assert registry.builders(), "the build was over too soon"
    waiting.close()
    assert_whole(registry.cache)
