#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark: see README.md beside this. `make bench` runs it."""

import importlib
import os
import sys

from figures import Figures
from image import Bench, process
from harness.webserver import program  # after image, which finds harness

# What is measured, and what it is measured against.
PROGRAMS = ("nix", "nix-store", "git", "lighttpd", "nginx", "wrk", "ab",
            "skopeo", "docker-registry", "libdeflate-gzip", "igzip", "zstd",
            "tar", "openssl", "taskset", "dockerd", "docker", "pigz")
GROUPS = ("cold", "again", "compose", "warm", "waiting", "many", "growth",
          "tools")


def number(name, default):
    return int(os.environ.get(name) or default)


def main():
    size = os.environ.get("BENCH_SIZE") or "full"
    if size not in ("small", "full"):
        sys.exit("bench: BENCH_SIZE is small or full")
    groups = (os.environ.get("BENCH_ONLY") or " ".join(GROUPS)).split()
    unknown = set(groups) - set(GROUPS)
    if unknown:
        sys.exit(f"bench: BENCH_ONLY is some of {' '.join(GROUPS)}")
    for name in PROGRAMS:
        program(name)
    process.become_subreaper()
    figures = Figures()
    bench = Bench(figures, size, number("BENCH_ROUNDS", 5),
                  number("BENCH_SECONDS", 1))
    try:
        for group in groups:
            importlib.import_module(group).measure(bench)
    finally:
        bench.clean()
        if figures.series:
            figures.print()
            figures.json(os.environ.get("BENCH_JSON") or "build/bench.json")


main()
