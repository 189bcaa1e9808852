# SPDX-License-Identifier: MIT
"""What is measured: an image of Debian packages, the registry that serves it,
and the paths of its layers for those who make the same without us."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))

# pylint: disable=wrong-import-position
from harness import fetch, nix, process  # noqa: E402
from harness.registry import BUILD, FLAKEHUB, Registry  # noqa: E402

PROGRAMS = BUILD / "bench"
# size -> (fixture, the image in it)
IMAGES = {"full": ("bench", "bench"), "small": ("small", "tools")}


def fixtures():
    """The folder that tests/fixtures/make keeps its downloads in."""
    home = pathlib.Path.home()
    cache = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return pathlib.Path(os.environ.get("FIXTURE_CACHE")
                        or f"{cache}/flakehub-fixtures")


class Bench:
    """Where and how often, and what came of it."""

    def __init__(self, figures, size, rounds, seconds):
        self.figures = figures
        self.size = size
        self.rounds = rounds
        self.seconds = seconds  # of each run of wrk
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="flakehub-bench."))
        self.folder.chmod(0o755)
        fixture, self.image = IMAGES[size]
        self.flake = nix.make_flake(fixture, fixtures() / f"flake-{fixture}")
        nix.build(self.flake, self.image)

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def clean(self):
        shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def fresh(self, name):
        """A folder of its own, gone afterwards; nothing of it or of what was
        before is still to be written to disk when that is done."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o755)
        settle()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def settle():
    os.sync()
    time.sleep(0.1)


def seconds(function, *args):
    start = time.monotonic()
    function(*args)
    return time.monotonic() - start


def run(*argv, **options):
    subprocess.run([str(arg) for arg in argv], check=True, **options)


def run_all(*commands):
    """Command lines for the shell, beside each other, to the end of all."""
    started = [subprocess.Popen(["/bin/sh", "-c", command])
               for command in commands]
    for popen in started:
        if popen.wait():
            raise RuntimeError(f"failed: {popen.args[2]}")


class Calls:
    """The commands of Nix and git that a registry with its cache in folder
    ran, by a wrapper on its PATH. Those that evaluate see that folder too,
    where they cannot write, and note themselves in the flake's home."""

    def __init__(self, folder):
        self.cache = folder / "cache"
        self.folder = folder / "calls-of-nix"
        self.folder.mkdir()
        for name in ("nix", "nix-store", "git"):
            shutil.copy(PROGRAMS / "calls", self.folder / name)
        self.path = f"{self.folder}:/usr/sbin:/usr/bin:/sbin:/bin"

    def files(self):
        return [*self.folder.glob("calls"),
                *self.cache.glob("git/*.home/calls")]

    def lines(self):
        """[(seconds, words)]"""
        text = "".join(file.read_text(encoding="utf-8")
                       for file in self.files())
        return [(float(line.split(" ", 1)[0]) / 1000, line.split(" ", 1)[1])
                for line in text.splitlines()]

    def each(self):
        """[(seconds, what it is)]"""
        kinds = ("flake metadata", "eval", "--realise", "path-info",
                 "ls-remote", "rev-parse")
        return [(taken, next((kind for kind in kinds if kind in words), words))
                for taken, words in self.lines()]

    def clear(self):
        for file in self.files():
            file.unlink()

    def total(self):
        return sum(line[0] for line in self.lines())

    def own(self):
        """Seconds of a command that are neither Nix's nor the builder's, but
        the wrapper's: of true with it and without, in turn."""
        wrapped = self.folder / "true"
        shutil.copy(PROGRAMS / "calls", wrapped)
        more = []
        for _ in range(20):
            bare = seconds(run, "/usr/bin/true")
            more.append(seconds(lambda: run(
                wrapped, env={"PATH": self.path})) - bare)
        wrapped.unlink()
        self.clear()
        return statistics.median(more)


@contextlib.contextmanager
def registry(folder, flake, *settings, server="lighttpd", calls=None,
             environment=(), **options):
    environment = nix.environment(
        folder, path=calls.path if calls else None, **dict(environment))
    started = Registry(folder, flake, server, settings,
                       environment=environment, **options)
    try:
        yield started
    finally:
        started.stop()


def manifest(port, name, reference="latest"):
    reply, _ = fetch.follow(port, "GET", f"/v2/{name}/manifests/{reference}")
    if reply.status != 200:
        raise RuntimeError(str(reply))
    return reply


def read_blob(port, name, descriptor):
    """Read it to its end, and forget it."""
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port), 300) as s:
        s.sendall(f"GET /v2/{name}/blobs/{descriptor['digest']} HTTP/1.1\r\n"
                  f"Host: localhost\r\nConnection: close\r\n\r\n".encode())
        total = 0
        while n := s.recv_into(buffer):
            total += n
    if total < descriptor["size"]:
        raise RuntimeError(f"{descriptor}: {total} bytes came")


def read_blobs(port, name, parsed):
    """All of a manifest's, three at once, as docker does."""
    blobs = [parsed["config"], *parsed["layers"]]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda blob: read_blob(port, name, blob), blobs))


def layers(server, name):
    """[(bytes as a tar, diff ID, store paths)] of an image's layers of store
    paths, the largest first. That of links into them, if it has one, is the
    last and left out."""
    told = json.loads(server.flakehub("inspect", "--json", name).ok().out)
    found, seen = [], set()
    for layer in told["layers"]:
        paths = layer["storePaths"]
        if paths and not seen.intersection(paths):
            found.append((layer["tarSize"], layer["diffId"], paths))
        seen.update(paths)
    found.sort(reverse=True)
    return found


def write_groups(path, groups):
    path.write_text("\n\n".join("\n".join(str(p) for p in group)
                                for group in groups) + "\n",
                    encoding="utf-8")
    return path


__all__ = ["Bench", "Calls", "FLAKEHUB", "PROGRAMS", "Registry", "fetch",
           "fixtures", "layers", "manifest", "nix", "process", "read_blobs", "registry",
           "run", "run_all", "seconds", "settle", "write_groups"]
