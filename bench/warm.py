# SPDX-License-Identifier: MIT
"""What is in the cache: manifests by tag and digest, blobs of all sizes, few
connections and many, through both web servers."""

import contextlib
import hashlib
import json
import secrets

from image import manifest, registry
from harness.process import descendants
from harness.webserver import SERVERS
from load import docker_registry, empty, heads, static, wrk
from waiting import memory_kb

CONNECTIONS = (1, 32, 256)
SIZES = {"full": {"1 KB": 1 << 10, "1 MB": 1 << 20, "64 MB": 64 << 20,
                  "1 GB": 1 << 30},
         "small": {"1 KB": 1 << 10, "1 MB": 1 << 20, "64 MB": 64 << 20}}


def add_blob(server, name, size, manifest_digest):
    """A blob of so many bytes in the cache, linked to the image; its digest,
    which nobody checks, is made up."""
    digest = secrets.token_hex(32)
    path = server.cache / "blobs/sha256" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as f:
        for _ in range(0, size, 1 << 20):
            f.write(secrets.token_bytes(min(size, 1 << 20)))
    flake = hashlib.sha256(str(server.flake).encode()).hexdigest()
    (server.cache / "repositories" / name / "_blobs" / digest).write_text(
        f"digest sha256:{digest}\nsize {size}\n"
        "media-type application/vnd.oci.image.layer.v1.tar\n"
        f"manifest {manifest_digest}\nflake sha256:{flake}\n\n",
        encoding="ascii")
    return digest


class Warm:
    def __init__(self, bench, servers, peers, registry_peer):
        self.bench = bench
        self.figures = bench.figures
        self.servers = servers  # name -> Registry
        self.peers = peers  # name -> (port of empty, port of static)
        self.registry = registry_peer
        name = bench.image
        first = next(iter(servers.values()))
        reply = manifest(first.port, name)
        self.digest = reply.headers["Docker-Content-Digest"]
        layers = json.loads(reply.body)["layers"]
        self.layer = max(layers, key=lambda layer: layer["size"])
        self.blobs = {size: add_blob(first, name, count, self.digest)
                      for size, count in SIZES[bench.size].items()}

    def wrk(self, what, port, path, connections):
        load = wrk(port, path, connections, self.bench.seconds)
        self.figures.add(f"warm, {what}, {connections}", load.requests, "/s")
        return load

    def manifests(self, server, connections):
        name = self.bench.image
        port = self.servers[server].port
        base = f"/v2/{name}/manifests/"
        self.wrk(f"{server}: empty FastCGI reply", self.peers[server][0],
                 "/v2/", connections)
        self.wrk(f"{server}: /v2/", port, "/v2/", connections)
        for what, reference in (("tag", "latest"), ("digest", self.digest)):
            load = self.wrk(f"{server}: GET manifest by {what}", port,
                            base + reference, connections)
            if connections == 32 and what == "tag":
                self.figures.add(f"warm, {server}: p99 of that", load.slow,
                                 "ms")
            self.figures.add(
                f"warm, {server}: HEAD manifest by {what} (ab), "
                f"{connections}",
                heads(port, base + reference, connections,
                      self.bench.seconds), "/s")

    def docker_registry(self, connections):
        port = self.registry[0]
        name = self.bench.image
        self.wrk("docker-registry: GET manifest by tag", port,
                 f"/v2/{name}/manifests/latest", connections)

    def blob(self, what, port, path, connections):
        load = wrk(port, path, connections, self.bench.seconds)
        self.figures.add(f"warm, {what}, {connections}", load.megabytes,
                         "MB/s")

    def blobs_of(self, server, connections):
        name = self.bench.image
        for size, digest in self.blobs.items():
            self.blob(f"{server}: static file, {size}", self.peers[server][1],
                      f"/sha256/{digest[:2]}/{digest}", connections)
            self.blob(f"{server}: blob, {size}", self.servers[server].port,
                      f"/v2/{name}/blobs/sha256:{digest}", connections)

    def largest_layer(self, connections):
        path = f"/v2/{self.bench.image}/blobs/{self.layer['digest']}"
        for server in self.servers:
            self.blob(f"{server}: largest layer",
                      self.servers[server].port, path, connections)
        self.blob("docker-registry: largest layer", self.registry[0], path,
                  connections)

    def round(self):
        for connections in CONNECTIONS:
            for server in self.servers:
                self.manifests(server, connections)
            self.docker_registry(connections)
        for connections in (1, 32):
            for server in self.servers:
                self.blobs_of(server, connections)
            self.largest_layer(connections)

    def memory(self):
        for name, server in self.servers.items():
            pid = responder_of(server)
            self.figures.add(f"warm, {name}: responder's memory",
                             memory_kb(pid) / 1024, "MB")
        self.figures.add("warm, docker-registry's memory",
                         memory_kb(self.registry[1]) / 1024, "MB")

    def ratios(self):
        ratio = self.figures.ratio
        for server in self.servers:
            for connections in CONNECTIONS:
                goal = connections == 32
                ratio(f"manifest / empty reply, {server}, {connections}",
                      f"warm, {server}: GET manifest by tag, {connections}",
                      f"warm, {server}: empty FastCGI reply, {connections}",
                      ">= 0.7" if goal else None)
                ratio(f"manifest / docker-registry, {server}, {connections}",
                      f"warm, {server}: GET manifest by tag, {connections}",
                      f"warm, docker-registry: GET manifest by tag, "
                      f"{connections}", ">= 10" if goal else None)
            for size in self.blobs:
                for connections in (1, 32):
                    ratio(f"blob / static, {server}, {size}, {connections}",
                          f"warm, {server}: blob, {size}, {connections}",
                          f"warm, {server}: static file, {size}, "
                          f"{connections}",
                          None if size == "1 KB" else ">= 0.95")
            ratio(f"largest layer / docker-registry, {server}, 1",
                  f"warm, {server}: largest layer, 1",
                  "warm, docker-registry: largest layer, 1")


def responder_of(server):
    """The responder's process id: the keeper's child, and the same program.
    """
    return max(pid for pid, command in descendants(server.process.pid).items()
               if command.split()[0].endswith("flakehub.fcgi"))


def measure(bench):
    bench.say("warm: preparing")
    with bench.fresh("warm") as folder, contextlib.ExitStack() as stack:
        servers, peers = {}, {}
        cache = folder / "cache"
        for name in SERVERS:
            own = folder / name
            own.mkdir()
            servers[name] = stack.enter_context(registry(
                own, bench.flake, "max-age = 1d", "compression = none",
                server=name, cache=cache))
            servers[name].build(bench.image).ok()
            peers[name] = (
                stack.enter_context(empty(folder / f"empty-{name}", name)),
                stack.enter_context(static(folder / f"static-{name}", name,
                                           cache)))
        peer = stack.enter_context(docker_registry(
            folder / "docker-registry", servers["lighttpd"].port,
            bench.image))
        warm = Warm(bench, servers, peers, peer)
        for number in range(bench.rounds):
            bench.say(f"warm: round {number + 1} of {bench.rounds}")
            warm.round()
        warm.memory()
        warm.ratios()
