# SPDX-License-Identifier: MIT
"""A built, never-served image: from the first request to its manifest and to
its last blob, beside what no program can be faster than."""

import subprocess
import time

from figures import cores
from image import (PROGRAMS, ROOT, Calls, layers, manifest, read_blobs, registry,
                   run, run_all, seconds, settle, write_groups)


# Files that are hard links of each other, which Nix's own optimising of a store
# makes, too, are files of their own in a layer.
TAR = "tar --sort=name --absolute-names --hard-dereference"


class Cold:
    def __init__(self, bench):
        self.bench = bench
        self.figures = bench.figures
        self.folder = bench.folder
        self.groups = None  # a file: what is in each layer
        self.diff_ids = []

    def prepare(self):
        """Learn the layers; lay out the tar that the peers compress, whole
        and in as many pieces as there are cores."""
        with self.bench.fresh("learn") as folder:
            with registry(folder, self.bench.flake,
                          "compression = none") as server:
                manifest(server.port, self.bench.image)
                found = layers(server, self.bench.image)
        self.diff_ids = [diff_id for _, diff_id, _ in found]
        self.groups = write_groups(self.folder / "groups",
                                   [paths for _, _, paths in found])
        paths = self.folder / "paths"
        paths.write_text("".join(f"{path}\n" for _, _, group in found
                                 for path in group), encoding="utf-8")
        tar = self.folder / "all.tar"
        run_all(f"{TAR} -cf {tar} -T {paths}")
        size = tar.stat().st_size
        ours = sum(size for size, _, _ in found)
        if not 0.98 < size / ours < 1.02:
            raise RuntimeError(f"the layers are {ours} bytes as tars, and "
                               f"what the peers compress is {size}")
        self.tar = tar
        run("split", "-n", cores(), "--additional-suffix=.piece", tar,
            f"{tar}.")
        self.pieces = sorted(self.folder.glob("all.tar.*.piece"))
        for piece in self.pieces:
            run_all(f"libdeflate-gzip -1 -c {piece} >{piece}.gz",
                    f"zstd -q -1 -c {piece} >{piece}.zst")
        self.pieces_list = self.list_of("")
        self.compressed = {"gzip": self.list_of(".gz"),
                           "zstd": self.list_of(".zst")}
        self.figures.note(
            f"cold: {len(found)} layers of "
            f"{sum(len(paths) for _, _, paths in found)} store paths, "
            f"{ours / 1e6:,.0f} MB as tars, {size / 1e6:,.0f} as one")

    def list_of(self, suffix):
        return write_groups(self.folder / f"pieces{suffix}",
                            [[f"{piece}{suffix}"] for piece in self.pieces])

    def flakehub(self, compression):
        """The whole of it, through a web server; and how much of that were
        the commands of Nix."""
        name = self.bench.image
        with self.bench.fresh("cold") as folder:
            calls = Calls(folder)
            with registry(folder, self.bench.flake, "max-age = 1h",
                          f"compression = {compression}",
                          calls=calls) as server:
                settle()
                start = time.monotonic()
                reply = manifest(server.port, name)
                until_manifest = time.monotonic() - start
                read_blobs(server.port, name, reply.json())
                until_last = time.monotonic() - start
                self.add(f"{compression}: manifest", until_manifest)
                self.add(f"{compression}: last blob", until_last)
                self.add(f"{compression}: of which Nix", calls.total())
                self.add(f"{compression}: manifest without Nix",
                         until_manifest - calls.total())
                self.figures.add("cold: commands of Nix and git",
                                 len(calls.lines()), "")

    def add(self, name, value):
        return self.figures.add(f"cold, {name}", value, "s")

    def limit(self, name, *args, write=False):
        """args: more words for bench/limit."""
        with self.bench.fresh("limit") as folder:
            more = [folder] if write else []
            return self.add(name, seconds(run, PROGRAMS / "limit", cores(),
                                          *args, *more))

    def plain_limits(self):
        self.limit("limit: read, SHA-256", self.groups)
        self.limit("limit: read, SHA-256, write, fsync", self.groups,
                   write=True)

    def pieces_by(self, command):
        settle()
        return seconds(run_all, *[command.format(file=piece)
                                  for piece in self.pieces])

    def compressed_limits(self):
        """The compressor alone; both digests and the writing, alone."""
        gzip = self.add("libdeflate-gzip -1, a process a core", self.pieces_by(
            "libdeflate-gzip -1 -c {file} >/dev/null"))
        self.add("igzip -1, a process a core", self.pieces_by(
            "igzip -1 -c {file} >/dev/null"))
        settle()
        zstd = self.add(f"zstd -T{cores()} -1", seconds(
            run_all, f"zstd -q -T{cores()} -1 -c {self.tar} >/dev/null"))
        tar = self.limit("SHA-256 of the tar", self.pieces_list)
        for name, alone in (("gzip", gzip), ("zstd", zstd)):
            blob = self.limit(f"SHA-256, write, fsync of the {name}",
                              self.compressed[name], write=True)
            self.add(f"limit: {name}, digests and writing", alone + tar + blob)

    def others(self):
        settle()
        self.add("GNU tar | openssl dgst", seconds(
            run_all, f"{TAR} -cf - -T {self.folder}/paths | "
            "openssl dgst -sha256 >/dev/null"))
        out = subprocess.run(
            ["/usr/bin/python3", ROOT / "bench" / "pywriter.py",
             self.groups], stdout=subprocess.PIPE, text=True, check=True)
        until_manifest, until_last, *diff_ids = out.stdout.split()
        if diff_ids != self.diff_ids:
            raise RuntimeError("tarfile makes other layers than flakehub")
        self.add("Python writer: manifest", float(until_manifest))
        self.add("Python writer: last blob", float(until_last))

    def round(self, number):
        """The plain layers, which the disk has most to do with, twice: first
        and last."""
        self.flakehub("none")
        self.plain_limits()
        self.flakehub("gzip")
        self.compressed_limits()
        self.flakehub("zstd")
        self.plain_limits()
        self.flakehub("none")
        if number < 2:
            self.others()

    def ratios(self):
        ratio = self.figures.ratio
        write = "cold, limit: read, SHA-256, write, fsync"
        for compression, limit in (
                ("none", write),
                ("gzip", "cold, limit: gzip, digests and writing"),
                ("zstd", "cold, limit: zstd, digests and writing")):
            name = "plain" if compression == "none" else compression
            ratio(f"cold manifest, {name} / its limit",
                  f"cold, {compression}: manifest", limit, "<= 1.25")
            ratio("  the same without Nix's own time",
                  f"cold, {compression}: manifest without Nix", limit)
        ratio("Python writer / plain, to the last blob",
              "cold, Python writer: last blob", "cold, none: last blob",
              ">= 10")
        ratio("GNU tar | openssl dgst / plain manifest",
              "cold, GNU tar | openssl dgst", "cold, none: manifest")
        ratio("libdeflate / igzip: what determinism costs",
              "cold, libdeflate-gzip -1, a process a core",
              "cold, igzip -1, a process a core")


def measure(bench):
    cold = Cold(bench)
    bench.say("cold: preparing")
    cold.prepare()
    for number in range(bench.rounds):
        bench.say(f"cold: round {number + 1} of {bench.rounds}")
        cold.round(number)
    cold.ratios()
