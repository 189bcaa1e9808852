# SPDX-License-Identifier: MIT
"""The clients and the example files alone, against a stand-in."""

import sys

import pytest

from harness import ROOT, webserver
from harness.clients import CLIENTS
from harness.registry import Registry


@pytest.fixture
def standin(directory, request):
    server = request.param
    registry = Registry(
        directory, "none", server, responder=[
            sys.executable, ROOT / "tests/system/harness/standin.py",
            directory / "cache", webserver.SENDFILE[server]])
    yield registry
    registry.stop()


@pytest.mark.parametrize("standin", webserver.SERVERS, indirect=True)
@pytest.mark.parametrize("name", CLIENTS)
def test_standin(standin, client_of, name):
    client = client_of(name)
    reference = standin.reference("hello", "latest")
    client.pull(reference).ok()
    if client.run:
        assert client.run(reference).ok().out == "Hello\n"
    manifest, _ = standin.manifest("hello")
    assert client.inspect(reference)[0] == manifest["config"]["digest"]
    client.remove(reference)
