# SPDX-License-Identifier: MIT
"""A build that takes longer than clients wait for a header."""

import time

from harness import fetch


def test_70_seconds(make_registry, fresh):
    """As containerd 2.3 does: HEAD then GET, 30 s for each header, nine
    redirects at most."""
    registry = make_registry(fresh(seconds=70))
    started = time.monotonic()
    reply, hops = fetch.follow(registry.port, "HEAD",
                               "/v2/slow/manifests/latest", seconds=30)
    assert reply.status == 200, str(reply)
    assert time.monotonic() - started > 65 and 2 <= hops <= 9
    digest = reply.headers["Docker-Content-Digest"]
    reply, hops = fetch.follow(registry.port, "GET",
                               f"/v2/slow/manifests/{digest}", seconds=30)
    assert reply.status == 200 and hops == 0
    assert reply.digest() == digest
    for part in [reply.json()["config"], *reply.json()["layers"]]:
        registry.blob("slow", part["digest"])
