# SPDX-License-Identifier: MIT
"""What only looks like an image is refused with a sentence: in bounded time
and memory, and nothing of it is published."""

import importlib.util
import time

import pytest

from harness import ROOT, nix
from harness.registry import blobs


def load():
    spec = importlib.util.spec_from_file_location(
        "generate", ROOT / "tests/reject/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.REASONS


REASONS = load()


@pytest.fixture(scope="session")
def rejects(session_directory, shared_registry):
    """A registry of them all, and what the message of each has."""
    work = session_directory("rejects")
    flake = nix.make_flake("kinds", work / "flake")
    messages = {name: make(flake / "files" / name)
                for name, make in REASONS.items()}
    return shared_registry("lighttpd", flake), messages


@pytest.mark.parametrize("name", REASONS)
def test_reject(rejects, name):
    registry, messages = rejects
    before = set(blobs(registry.cache))
    start = time.monotonic()
    reply = registry.get(f"/v2/{name}/manifests/latest")
    assert time.monotonic() - start < 60
    assert reply.status >= 400, str(reply)
    message = reply.error()[1]
    assert messages[name] in message, message
    assert "/nix/store/" in message
    assert not (registry.cache / "repositories" / name).exists()
    new = set(blobs(registry.cache)) - before
    assert all(blobs(registry.cache)[digest].stat().st_size < 1 << 30
               for digest in new)
