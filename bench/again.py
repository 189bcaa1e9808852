# SPDX-License-Identifier: MIT
"""A new revision in which one store path of many changed; a refresh that finds
nothing new; and what Nix was asked each time."""

import json
import os
import shutil
import subprocess
import threading
import time

from harness.registry import FLAKEHUB
from image import PROGRAMS, Calls, nix, settle, write_groups


class Peak:
    """The builder's own peak of memory, read while it runs: wait(2) would
    tell that of its children's largest, which is Nix's."""

    def __init__(self, popen):
        self.kb = 0
        self.popen = popen
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while self.popen.poll() is None:
            try:
                with open(f"/proc/{self.popen.pid}/status",
                          encoding="ascii") as f:
                    for line in f:
                        if line.startswith("VmHWM:"):
                            self.kb = max(self.kb, int(line.split()[1]))
            except OSError:
                break
            time.sleep(0.01)


class Builder:
    """A cache, and `flakehub build` into it."""

    def __init__(self, folder, flake, *settings):
        self.folder = folder
        self.flake = flake
        self.calls = Calls(folder)
        self.config = folder / "flakehub.conf"
        self.cache = folder / "cache"
        self.config.write_text("\n".join([
            f"cache-dir = {self.cache}", *settings, "[flake]",
            f"url = path:{flake}"]) + "\n", encoding="utf-8")
        self.environment = nix.environment(
            folder, path=self.calls.path, FLAKEHUB_CONFIG=self.config)

    def build(self, name):
        """Seconds, seconds of Nix, and KB."""
        self.calls.clear()
        settle()
        start = time.monotonic()
        popen = subprocess.Popen(
            [str(FLAKEHUB), "build", name], env=self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peak = Peak(popen)
        errors = popen.stderr.read()
        status = popen.wait()
        taken = time.monotonic() - start
        peak.thread.join()
        if status:
            raise RuntimeError(errors)
        return taken, self.calls.total(), peak.kb


    def inspect(self, name):
        out = subprocess.run(
            [str(FLAKEHUB), "inspect", "--json", name],
            env=self.environment, stdout=subprocess.PIPE, text=True,
            check=True).stdout
        return json.loads(out)


def blobs(builder):
    return {file.name: file.stat().st_size
            for file in builder.cache.glob("blobs/sha256/*/*")}


def change(flake, text):
    """Another script in the image, and nothing else."""
    file = flake / "flake.nix"
    old = file.read_text(encoding="utf-8")
    new = old.replace("set -e\n", f"set -e\n            # {text}\n", 1)
    if new == old:
        raise RuntimeError(f"{file} holds no script to change")
    file.write_text(new, encoding="utf-8")


def layers_alone(bench, builder, new):
    """Seconds to make those layers of the image that are among the new blobs,
    without all that is around it, in a cache that has the builder's folders
    and nothing in them."""
    image = builder.inspect(bench.image)
    groups, digests, seen = [], [], set()
    for layer in image["layers"]:
        paths = layer["storePaths"]
        if layer["digest"].removeprefix("sha256:") in new:
            groups.append(["links", *paths] if seen.intersection(paths)
                          else paths)
            digests.append(layer["digest"])
        seen.update(paths)
    with bench.fresh("alone") as folder:
        for path, _, _ in os.walk(builder.cache):
            (folder / "cache" / os.path.relpath(path, builder.cache)).mkdir()
        settle()
        made = subprocess.run(
            [str(PROGRAMS / "layers"),
             str(write_groups(folder / "list", groups)),
             str(folder / "cache"), "none"],
            stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    if made[3:] != digests:
        raise RuntimeError(f"{made[3:]} are other layers than {digests}")
    return float(made[0])


def changed(bench, builder, before):
    """Build the new revision. What is left when Nix's and git's own time is
    taken off, that of the wrapper which measures it, and the work of the
    layers that the path is in."""
    add = bench.figures.add
    taken, of_nix, _ = builder.build(bench.image)
    commands = len(builder.calls.lines())
    wrapper = builder.calls.own() * commands
    new = {name: size for name, size in blobs(builder).items()
           if name not in before}
    alone = layers_alone(bench, builder, new)
    add("one path changed", taken, "s")
    add("one path changed: of which Nix and git", of_nix, "s")
    rest = taken - of_nix - wrapper
    add("one path changed: of which the wrapper", wrapper * 1000, "ms")
    add("one path changed: without Nix and git", rest * 1000, "ms")
    add("one path changed: its layers alone", alone * 1000, "ms")
    add("one path changed: without these, either", (rest - alone) * 1000, "ms")
    add("one path changed: commands of Nix and git", commands, "")
    add("one path changed: new blobs", len(new), "")
    add("one path changed: bytes of them", sum(new.values()) / 1e6, "MB")


def round_of(bench, number):
    figures = bench.figures
    with bench.fresh("again") as folder:
        flake = folder / "flake"
        shutil.copytree(bench.flake, flake, symlinks=True)
        builder = Builder(folder, flake, "compression = none")
        taken, of_nix, kb = builder.build(bench.image)
        figures.add("first build", taken, "s")
        figures.add("first build: commands of Nix and git",
                    len(builder.calls.lines()), "")
        for seconds, kind in builder.calls.each():
            figures.add(f"first build: {kind}", seconds * 1000, "ms")
        figures.add("builder's memory, plain", kb / 1024, "MB")
        taken, of_nix, _ = builder.build(bench.image)
        figures.add("nothing new", taken, "s")
        figures.add("nothing new: of which Nix", of_nix, "s")
        figures.add("nothing new: commands of Nix and git",
                    len(builder.calls.lines()), "")
        before = blobs(builder)
        change(flake, f"{os.getpid()}.{number}")
        nix.build(flake, bench.image)
        changed(bench, builder, before)
    for compression in ("gzip", "zstd"):
        with bench.fresh("again") as folder:
            builder = Builder(folder, bench.flake,
                              f"compression = {compression}")
            figures.add(f"builder's memory, {compression}",
                        builder.build(bench.image)[2] / 1024, "MB")


def measure(bench):
    if bench.size != "full":
        bench.say("again: only with BENCH_SIZE=full")
        return
    for number in range(min(bench.rounds, 5)):
        bench.say(f"again: round {number + 1}")
        round_of(bench, number)
    bench.figures.limit("new revision, 1 path changed, without Nix, git and "
                        "that path's layers (ms)",
                        "one path changed: without these, either", "<= 50")
    for compression in ("plain", "gzip", "zstd"):
        bench.figures.limit(f"builder's memory, {compression} (MB)",
                            f"builder's memory, {compression}", "<= 64")
