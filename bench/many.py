# SPDX-License-Identifier: MIT
"""Images in the cache, from one to ten thousand: what a warm manifest costs
among them, and the memory of those who serve it."""

import fakebuilder
from load import wrk
from waiting import memory_kb, responder

COUNTS = {"full": (1, 100, 10000), "small": (1, 100)}


def names(count):
    return [f"many/image-{i}" for i in range(count)]


def measure(bench):
    """The same server, as its cache grows; the first image alone, and any of
    them."""
    for _ in range(min(bench.rounds, 3)):
        with bench.fresh("many") as folder, \
                responder(folder, "lighttpd") as (server, port):
            there = 0
            for count in COUNTS[bench.size]:
                bench.say(f"many: {count} images")
                for name in names(count)[there:]:
                    fakebuilder.publish(server.cache, name, size=1000)
                there = count
                paths = folder / "paths"
                paths.write_text("".join(
                    f"/v2/{name}/manifests/latest\n" for name in names(count)))
                for _ in range(3):
                    one = wrk(port, "/v2/warm/manifests/latest", 32,
                              bench.seconds)
                    any_of = wrk(port, "/v2/", 32, bench.seconds, paths=paths)
                    bench.figures.add(f"{count} images: one of them",
                                      one.requests, "/s")
                    bench.figures.add(f"{count} images: any of them",
                                      any_of.requests, "/s")
                bench.figures.add(f"{count} images: responder's memory",
                                  memory_kb(server.responder()) / 1024, "MB")
    most = max(COUNTS[bench.size])
    bench.figures.ratio(f"one image / one of {most}, a manifest",
                        "1 images: one of them", f"{most} images: one of them",
                        "<= 1.25")
    bench.figures.ratio(f"one image / any of {most}, a manifest",
                        "1 images: any of them", f"{most} images: any of them",
                        "<= 1.25")
