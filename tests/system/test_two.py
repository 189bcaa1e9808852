# SPDX-License-Identifier: MIT
"""Two flakehub.fcgi over one cache, each behind its own web server."""

import concurrent.futures

import pytest

from harness import fetch, nix
from harness.registry import assert_whole, blobs
from harness.webserver import SERVERS

IMAGES = ("many", "hello", "slow", "from-image", "owned")


@pytest.mark.sanitized
def test_nothing_twice(make_registry, fresh, directory):
    """All clients of both get the same; each image is evaluated and built
    once."""
    path, log = nix.counting_path(directory)
    environment = nix.environment(directory, path=path)
    flake = fresh(seconds=2)
    registries = [make_registry(flake, server, cache=directory / "cache",
                                environment=dict(environment),
                                settings=["max-age = 1h", nix.COUNTED])
                  for server in SERVERS]

    def ask(number):
        registry = registries[number % 2]
        image = IMAGES[number // 2 % len(IMAGES)]
        method = "HEAD" if number % 3 == 0 else "GET"
        return image, fetch.follow(registry.port, method,
                                   f"/v2/{image}/manifests/latest")[0]

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(ask, range(60)))
    digests = {}
    for image, reply in answers:
        assert reply.status == 200, str(reply)
        digests.setdefault(image, set()).add(
            reply.headers["Docker-Content-Digest"])
    assert all(len(found) == 1 for found in digests.values()), digests
    calls = log.read_text().splitlines()
    assert sum(" eval " in call for call in calls) == len(IMAGES), calls
    assert sum("--realise" in call and ".drv" in call
               for call in calls) == len(IMAGES), calls
    for image in IMAGES:
        for registry in registries:
            manifest, _ = registry.manifest(image)
            for part in [manifest["config"], *manifest["layers"]]:
                registry.blob(image, part["digest"])
    assert_whole(directory / "cache")


def test_one_ends(make_registry, fresh, directory):
    """What one was building when it was stopped is the other's at once."""
    flake = fresh()
    cache = directory / "cache"
    first = make_registry(flake, cache=cache)
    second = make_registry(flake, "nginx", cache=cache)
    digest = first.manifest("hello")[1].digest()
    first.stop()
    before = set(blobs(cache))
    assert second.manifest("hello")[1].digest() == digest
    second.manifest("args")
    assert before < set(blobs(cache))
    assert_whole(cache)


def test_settings_of_their_own(make_registry, fresh, directory):
    """A name that means another flake in the other's settings: neither
    serves what is the other's, its failures included."""
    cache = directory / "cache"
    settings = ["max-age = 0s", "error-max-age = 1h"]
    public = make_registry(fresh("public"), cache=cache, settings=settings)
    private = make_registry(fresh("private"), "nginx", cache=cache,
                            settings=settings)
    secret, reply = private.manifest("hello")
    digests = [reply.digest(), secret["config"]["digest"],
               *(layer["digest"] for layer in secret["layers"])]
    for kind, digest in [("manifests", digests[0]),
                         *(("blobs", digest) for digest in digests)]:
        answer = public.send("GET", f"/v2/hello/{kind}/{digest}")
        assert answer.status == 404, (kind, str(answer))
    assert public.manifest("hello")[1].digest() != digests[0]
    # Layers of both are linked for whoever pulled last.
    for registry in private, public, private:
        manifest, _ = registry.manifest("hello")
        for part in [manifest["config"], *manifest["layers"]]:
            registry.blob("hello", part["digest"])
    # The log of a failed build names what is private.
    (directory / "private/flake.nix").write_text(
        '{ outputs = { self }: throw "the password is xyzzy"; }\n')
    answer = private.get("/v2/hello/manifests/latest")
    assert "xyzzy" in str(answer.headers["Warning"]) + str(answer.body)
    answer = public.get("/v2/hello/manifests/latest")
    assert answer.status == 200, str(answer)
    assert "xyzzy" not in str(answer.headers) + str(answer.body)
