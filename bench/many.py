# SPDX-License-Identifier: MIT
"""Images in the cache, from one to ten thousand: what a warm manifest costs
among them, and the memory of the one who serves it. A server for each count,
asked in turn."""

import contextlib

import fakebuilder
from load import wrk
from waiting import memory_kb, responder

COUNTS = {"full": (1, 10, 100, 1000, 10000), "small": (1, 100)}


def fill(server, folder, count):
    """So many images; returns a file with their paths."""
    paths = folder / "paths"
    with open(paths, "w", encoding="ascii") as f:
        for i in range(count):
            name = f"many/image-{i}"
            fakebuilder.publish(server.cache, name, size=1000)
            f.write(f"/v2/{name}/manifests/latest\n")
    return paths


def measure(bench):
    counts = COUNTS[bench.size]
    servers = {}
    with bench.fresh("many") as folder, contextlib.ExitStack() as stack:
        for count in counts:
            bench.say(f"many: making {count} images")
            own = folder / str(count)
            own.mkdir()
            server, port = stack.enter_context(responder(own, "lighttpd"))
            servers[count] = server, port, fill(server, own, count)
        for number in range(2 * bench.rounds):
            bench.say(f"many: round {number + 1} of {2 * bench.rounds}")
            for count, (_, port, paths) in servers.items():
                one = wrk(port, "/v2/warm/manifests/latest", 32,
                          bench.seconds)
                any_of = wrk(port, "/v2/", 32, bench.seconds, paths=paths)
                bench.figures.add(f"{count} images: one of them",
                                  one.requests, "/s")
                bench.figures.add(f"{count} images: any of them",
                                  any_of.requests, "/s")
        for count, (server, _, _) in servers.items():
            bench.figures.add(f"{count} images: responder's memory",
                              memory_kb(server.responder()) / 1024, "MB")
    most = max(counts)
    for what in ("one", "any"):
        bench.figures.ratio(f"a manifest: of one image / {what} of {most}",
                            f"1 images: {what} of them",
                            f"{most} images: {what} of them", "<= 1.25")
