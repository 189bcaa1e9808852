# SPDX-License-Identifier: MIT
"""Nix as the tests use it, and the flakes they serve."""

import json
import os
import shutil

from . import ROOT
from .process import run

SINGLE_USER = """experimental-features = nix-command flakes
build-users-group =
substituters =
flake-registry =
sandbox = true
sandbox-paths = /bin/sh=/bin/busybox
"""


def environment(directory, path=None, **more):
    """What a responder or a builder is started with."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    result = {"PATH": path or "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
              "HOME": str(home), "NIX_CONFIG": SINGLE_USER}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            result[name] = os.environ[name]
    result.update(more)
    return {k: str(v) for k, v in result.items() if v is not None}


# For who counts evaluations, too.
COUNTED = "sandbox-eval = no"


def make_flake(target, dest):
    """A flake of tests/fixtures, which the caller may change."""
    run([ROOT / "tests/fixtures/make", target, dest]).ok()
    return dest


def copy_flake(flake, dest, salt=None, seconds=None):
    """A copy, whose derivations are new to this machine when salted."""
    shutil.copytree(flake, dest, symlinks=True)
    if salt is not None:
        (dest / "salt").write_text(f"{salt}\n")
    if seconds is not None:
        (dest / "seconds").write_text(f"{seconds}\n")
    return dest


COUNTER = """#!/bin/sh
# Counts its calls, then is what it stands for.
echo "$$ $*" >>"{log}"
exec {real} "$@"
"""


def counting_path(directory, more=()):
    """A PATH whose nix and nix-store (and more) write their arguments into
    directory/calls; returns the PATH and that file. With sandbox-eval those
    that evaluate are out of its sight."""
    folder = directory / "counters"
    folder.mkdir()
    log = directory / "calls"
    log.touch()
    for name in ("nix", "nix-store", *more):
        wrapper = folder / name
        wrapper.write_text(COUNTER.format(
            log=log, real=shutil.which(name, path="/usr/bin:/bin")))
        wrapper.chmod(0o755)
    return f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin", log


def build(flake, attribute, config=SINGLE_USER):
    """What Nix itself makes of an attribute: a store path."""
    out = run(["nix", "build", "--json", "--no-link", "--no-write-lock-file",
               f"path:{flake}#{attribute}"],
              env=dict(os.environ, NIX_CONFIG=config)).ok().out
    return json.loads(out)[0]["outputs"]["out"]


def references(path, suffix):
    """The one store path in a closure whose name ends so."""
    out = run(["nix-store", "-qR", path]).ok().out
    found = [line for line in out.splitlines() if line.endswith(suffix)]
    assert len(found) == 1, out
    return found[0]


def which(program):
    """Where it is, sbin included."""
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert path, program
    return path
