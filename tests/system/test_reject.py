# SPDX-License-Identifier: MIT
"""What only looks like an image is refused with a sentence: in bounded time
and memory, and nothing of it is published."""

import importlib.util
import sys
import time

import pytest

from harness import ROOT, nix
from harness.registry import Registry, blobs

# Of each process, Nix's too: who takes more is aborted.
MEMORY_MAX = 256 << 20
# Of each answer.
SECONDS_MAX = 120


FOLDER = ROOT / "tests/reject"
sys.path.insert(0, str(FOLDER))
from makers.archive import gzip_of_tar  # noqa: E402 it is in that folder


def load(file):
    """A reason's make(dest): it writes a file or folder, which looks like an
    image and is none, and returns a part of the message that refuses it."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make


REASONS = {file.stem: load(file) for file in sorted(FOLDER.glob("*.py"))}
# What is found out when the layer is made: nix2container's JSON says its
# digest, so its manifest is served before.
LAZY = {name for name in REASONS if name.startswith("lazy-")}


def head(file):
    with file.open("rb") as f:
        return f.read(1000)


@pytest.fixture(scope="session")
def rejects(session_directory, of_the_session):
    """A registry of them all, whose builders have little memory, and what the
    message of each has."""
    work = session_directory("rejects")
    flake = nix.make_flake("kinds", work / "flake")
    (flake / "files/busybox-layer").write_bytes(gzip_of_tar())
    messages = {}
    for name, make in REASONS.items():
        file = flake / "files" / name
        messages[name] = make(file)
        # Those with a store path in them are made by Nix.
        if name in LAZY or (name.startswith("n2c") and b"@" in head(file)):
            file.rename(flake / "templates" / name)
    registry = Registry(
        session_directory("bounded"), flake,
        prefix=["prlimit", f"--data={MEMORY_MAX}"])
    of_the_session(registry.process)
    of_the_session(registry.web.process)
    yield registry, messages
    registry.stop()


@pytest.mark.parametrize("name", sorted(REASONS.keys() - LAZY))
def test_reject(rejects, name):
    registry, messages = rejects
    before = set(blobs(registry.cache))
    start = time.monotonic()
    reply = registry.get(f"/v2/{name}/manifests/latest")
    assert time.monotonic() - start < SECONDS_MAX
    assert reply.status >= 400, str(reply)
    message = reply.error()[1]
    assert messages[name] in message, message
    assert "/nix/store/" in message
    assert not (registry.cache / "repositories" / name).exists()
    assert set(blobs(registry.cache)) == before


@pytest.mark.parametrize("name", sorted(LAZY))
def test_lazy_reject(rejects, name):
    """The manifest is there; the layer is refused and not published."""
    registry, messages = rejects
    manifest, _ = registry.manifest(name)
    digest = manifest["layers"][0]["digest"]
    start = time.monotonic()
    reply = registry.get(f"/v2/{name}/blobs/{digest}")
    assert time.monotonic() - start < SECONDS_MAX
    assert reply.status >= 400, str(reply)
    assert messages[name] in reply.error()[1], str(reply)
    assert digest not in blobs(registry.cache)
