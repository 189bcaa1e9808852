# SPDX-License-Identifier: MIT
"""kill -9 at random points: the next pull is right, the cache is whole.

KILL_ROUNDS says how often each is killed; SEED repeats a run."""

import fcntl
import os
import random
import signal
import time
import uuid

import pytest

from harness import fetch, nix
from harness.process import descendants, is_alive, kill, wait_for
from harness.registry import assert_whole

ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))


def responders(registry):
    """The keeper's pid, and those of its responder and of builders."""
    keeper = registry.process.pid
    return keeper, [pid for pid, command in descendants(keeper).items()
                    if "flakehub.fcgi" in command], registry.builders()


def victim(registry, which):
    keeper, responder, builders = responders(registry)
    return {"keeper": [keeper], "responder": responder,
            "builder": builders}[which]


def assert_no_lock_held(cache):
    """Every lock can be had."""
    for file in (cache / "locks").glob("**/*"):
        if file.is_file():
            with open(file, "rb") as f:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.sanitized
@pytest.mark.parametrize("which", ("responder", "keeper", "builder"))
def test_kill(make_registry, simple, directory, which):
    chance = random.Random(f"{SEED} {which}")
    flake = nix.copy_flake(simple, directory / "flake", "0", 1)
    # Nothing stale, or the image of the round before would do.
    registry = make_registry(flake, settings=["max-age = 0s",
                                              "stale-if-error = 0s"])
    registry.manifest("hello")
    for number in range(ROUNDS):
        print(f"round {number} of {which}, SEED={SEED}")
        (flake / "salt").write_text(uuid.uuid4().hex + "\n")
        name = chance.choice(("slow", "many", "from-image"))
        image = f"/v2/{name}/manifests/latest"
        connections = [fetch.Connection(registry.port, "GET", image)
                       for _ in range(3)]
        time.sleep(chance.uniform(0, 3))
        responder = victim(registry, "responder")
        for pid in victim(registry, which):
            kill(pid, signal.SIGKILL)
        for connection in connections:
            try:
                reply = connection.reply()
            except (ConnectionError, fetch.http.client.HTTPException):
                continue
            if reply.status == 200:
                assert reply.digest() == \
                    reply.headers["Docker-Content-Digest"]
        if which == "keeper":
            # spawn-fcgi refuses while the old responder has the socket.
            wait_for("the old responder ends", lambda: not any(map(
                is_alive, responder)), 40)
            registry.process.popen.wait()
            registry.start_responder()
        wait_for("/v2/ answers", lambda: registry.send(
            "GET", "/v2/").status == 200, 20)
        manifest, reply = registry.manifest(name)
        for part in [manifest["config"], *manifest["layers"]]:
            registry.blob(name, part["digest"])
        assert_whole(registry.cache)
    wait_for("builders end", lambda: not registry.builders(), 60)
    assert_no_lock_held(registry.cache)


@pytest.mark.sanitized
def test_keeper_starts_the_responder_again(make_registry, simple):
    registry = make_registry(simple)
    registry.manifest("hello")
    _, before, _ = responders(registry)
    assert before
    for pid in before:
        kill(pid, signal.SIGKILL)
    wait_for("they are gone", lambda: not any(map(is_alive, before)))
    reply = wait_for("an answer", lambda: registry.send("GET", "/v2/"))
    assert reply.status == 200
    assert registry.send("GET", "/v2/hello/manifests/latest").status == 200
    _, after, _ = responders(registry)
    assert after and not set(after) & set(before)


@pytest.mark.sanitized
def test_build_outlives_the_keeper(make_registry, fresh):
    """The responder and the keeper go; the builder publishes."""
    registry = make_registry(fresh(seconds=10))
    asked = fetch.Connection(registry.port, "GET", "/v2/slow/manifests/latest")
    wait_for("the builder", lambda: responders(registry)[2], 20)
    time.sleep(1)
    registry.process.stop(signal.SIGTERM)
    tag = registry.cache / "repositories/slow/_tags/latest"
    assert not tag.exists()
    wait_for("the tag", tag.exists, 60)
    registry.start_responder()
    assert registry.send("GET", "/v2/slow/manifests/latest").status == 200
    asked.close()


@pytest.mark.sanitized
def test_stop_ends_the_requests(make_registry, fresh):
    """SIGTERM to the keeper: it and the responder end within seconds, though
    requests wait."""
    registry = make_registry(fresh(seconds=5))
    asked = fetch.Connection(registry.port, "GET", "/v2/slow/manifests/latest")
    wait_for("the builder", lambda: responders(registry)[2], 20)
    _, before, _ = responders(registry)
    started = time.monotonic()
    registry.process.popen.terminate()
    registry.process.popen.wait(10)
    assert time.monotonic() - started < 8
    wait_for("the responder ends", lambda: not any(map(is_alive, before)), 5)
    wait_for("builders end", lambda: not registry.builders(), 60)
    asked.close()
