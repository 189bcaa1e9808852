# SPDX-License-Identifier: MIT
"""How cost grows: store paths, files, bytes, and one large layer on one core
and on all. Images in the cache and waiting clients are in many.py and
waiting.py."""

import pathlib
import shutil
import subprocess

from again import Builder
from figures import cores
from image import PROGRAMS, nix, settle

PATHS = {"full": (10, 100, 1000, 2000), "small": (10, 100)}
FILES = {"full": (1000, 10000, 100000, 1000000), "small": (1000, 10000)}
MEGABYTES = {"full": (10, 100, 1000, 4000), "small": (10, 100)}

FLAKE = """{
  outputs = { self }:
    let
      system = "x86_64-linux";
      pkgs = import ./pkgs.nix { inherit system; };
      inherit (import ./flakehub { inherit pkgs; }) flakehubTools;
      path = i: builtins.toFile "path-${toString i}" "SALT ${toString i}";
    in
    {
      packages.${system}.paths = flakehubTools.streamLayeredImageConf {
        name = "paths";
        config.Env = builtins.genList (i: "P${toString i}=${path i}") COUNT;
      };
    };
}
"""


def paths(bench, count):
    """An image of so many store paths, each one small file: what is left are
    Nix, closure, plan, config, and a layer's own cost."""
    with bench.fresh("store-paths") as folder:
        flake = nix.make_flake("simple", folder / "flake")
        (flake / "flake.nix").write_text(
            FLAKE.replace("COUNT", str(count))
            .replace("SALT", folder.parent.name), encoding="utf-8")
        nix.build(flake, "paths")
        builder = Builder(folder, flake)
        taken, of_nix, kb = builder.build("paths")
        add = bench.figures.add
        add(f"{count} paths: build", taken * 1000, "ms")
        add(f"{count} paths: of which Nix", of_nix * 1000, "ms")
        add(f"{count} paths: without Nix", (taken - of_nix) * 1000, "ms")
        add(f"{count} paths: builder's memory", kb / 1024, "MB")


def layers(folder, compression, count, cpus=None):
    """Seconds, seconds of the processors, MB of memory."""
    prefix = ["taskset", "-c", cpus] if cpus else []
    settle()
    out = subprocess.run(
        [*prefix, str(PROGRAMS / "layers"), str(folder / "store"),
         str(folder / "cache"), compression, str(count)],
        stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    shutil.rmtree(folder / "cache")
    return float(out[0]), float(out[1]), int(out[2]) / 1024


def files(bench, count, rounds):
    """So many files of 200 bytes, 100 a directory, as one store path."""
    with bench.fresh("files") as folder:
        for i in range(0, count, 100):
            directory = folder / "store/path" / str(i // 10000) / str(i)
            directory.mkdir(parents=True)
            for j in range(100):
                with open(directory / str(j), "wb") as f:
                    f.write(b"x" * 200)
        for _ in range(rounds):
            taken, cpu, memory = layers(folder, "none", 1)
            bench.figures.add(f"{count} files: layer", taken * 1000, "ms")
            bench.figures.add(f"{count} files: processors", cpu * 1000, "ms")
            bench.figures.add(f"{count} files: memory", memory, "MB")


def text(folder, megabytes):
    """A file that compresses as programs do: 64 MB of this machine's
    libraries, over and over."""
    (folder / "store").mkdir()
    libraries = pathlib.Path("/usr/lib/x86_64-linux-gnu")
    source = b""
    for file in sorted(libraries.glob("*.so*")):
        if file.is_file() and len(source) < 64 << 20:
            source += file.read_bytes()[:4 << 20]
    source = memoryview(source)
    left = megabytes * 1000000
    with open(folder / "store/path", "wb") as f:
        while left:
            left -= f.write(source[:left])


def size(bench, megabytes, rounds):
    with bench.fresh("bytes") as folder:
        text(folder, megabytes)
        for _ in range(rounds):
            for compression in ("none", "gzip", "zstd"):
                taken, cpu, memory = layers(folder, compression, 1)
                name = f"{megabytes} MB, {compression}"
                bench.figures.add(f"{name}: layer", taken * 1000, "ms")
                bench.figures.add(f"{name}: processors", cpu * 1000, "ms")
                bench.figures.add(f"{name}: memory", memory, "MB")


def one_layer(bench, megabytes, rounds):
    """On one core, and on all."""
    with bench.fresh("one-layer") as folder:
        text(folder, megabytes)
        for _ in range(rounds):
            for compression in ("gzip", "zstd"):
                for name, cpus in (("one core", "0"),
                                   (f"{cores()} cores", None)):
                    taken = layers(folder, compression, 1, cpus)[0]
                    bench.figures.add(
                        f"one layer of {megabytes} MB, {compression}, {name}",
                        megabytes / taken, "MB/s")


def measure(bench):
    megabytes = 800 if bench.size == "full" else 100
    bench.say(f"growth: one layer of {megabytes} MB")
    one_layer(bench, megabytes, bench.rounds)
    for compression in ("gzip", "zstd"):
        base = f"one layer of {megabytes} MB, {compression}"
        bench.figures.ratio(
            f"{base}: {cores()} cores / one", f"{base}, {cores()} cores",
            f"{base}, one core", ">= 1.7" if compression == "gzip" else None)
    for count in PATHS[bench.size]:
        for _ in range(min(bench.rounds, 3)):
            bench.say(f"growth: {count} paths")
            paths(bench, count)
    for count in FILES[bench.size]:
        bench.say(f"growth: {count} files")
        files(bench, count, 1 if count >= 1000000 else min(bench.rounds, 3))
    for count in MEGABYTES[bench.size]:
        bench.say(f"growth: {count} MB")
        size(bench, count, 1 if count >= 1000 else min(bench.rounds, 3))
