# SPDX-License-Identifier: MIT
"""Images pulled and run by every client, through both web servers."""

import gzip
import hashlib
import json
import subprocess

import pytest

from harness import fetch, nix, reference
from harness.clients import CLIENTS
from harness.webserver import SERVERS

# What is printed when it is run: (flake, image): lines.
PRINTS = {
    ("simple", "hello"): ["Hello from nothing"],
    ("simple", "twice"): ["first", "1", "2"],
    ("simple", "from-image"): ["one nothing", "two nothing"],
    ("simple", "conf-2022"): ["Hello from nothing"],
    ("simple", "conf-2024"): ["Hello from nothing"],
    ("simple", "conf-2025"): ["Hello from nothing"],
    ("simple", "many"): None,
    # The fixture's jq is this Debian's.
    ("small", "tools"): [subprocess.check_output(["jq", "--version"],
                                                 text=True).strip()],
    ("small", "script"): ["NOTHING"],
    ("small", "from-image"): ["layer 1 nothing", "layer 2 nothing",
                              "layer 3 nothing"],
    ("small", "on-tools"): ['"nothing"'],
    ("small", "extra"): None,
    ("small", "chroot"): None,
}
# These are run by every client; the others by one.
EVERYWHERE = [("simple", "hello"), ("small", "tools"), ("small", "script")]
CASES = [(client, server, *image)
         for image in EVERYWHERE for client in CLIENTS for server in SERVERS]
CASES += [("docker", "lighttpd", *image)
          for image in PRINTS if image not in EVERYWHERE]
CASES += [("podman", "nginx", "simple", "conf-2025"),
          ("ctr", "nginx", "simple", "from-image"),
          ("podman", "lighttpd", "small", "extra")]


@pytest.fixture(scope="session")
def small(session_directory):
    """The flake of real programs."""
    return nix.make_flake("small", session_directory("flake") / "small")


@pytest.fixture
def served(request, shared_registry, simple, small):
    """served(server, flake): the shared registry of it."""
    def get(server, flake):
        return shared_registry(server, small if flake == "small" else simple)
    return get


@pytest.mark.parametrize("client,server,flake,image", CASES)
def test_pull_and_run(client_of, served, client, server, flake, image):
    registry = served(server, flake)
    client = client_of(client)
    name = registry.reference(image, "latest")
    client.pull(name).ok()
    try:
        manifest, _ = registry.manifest(image)
        config = json.loads(registry.blob(image, manifest["config"]["digest"]))
        assert client.inspect(name) == (manifest["config"]["digest"],
                                        config["rootfs"]["diff_ids"])
        if client.run:
            out = client.run(name).ok().out
            lines = PRINTS[flake, image]
            assert lines is None or out.splitlines() == lines
            assert out
    finally:
        client.remove(name)


@pytest.mark.parametrize("client", CLIENTS)
def test_pull_by_digest(client_of, served, client):
    registry = served("lighttpd", "simple")
    client = client_of(client)
    manifest, reply = registry.manifest("hello")
    name = f"{registry.reference('hello')}@{reply.digest()}"
    client.pull(name).ok()
    assert client.inspect(name)[0] == manifest["config"]["digest"]
    client.remove(name)


def test_arguments(client_of, served):
    registry = served("nginx", "simple")
    docker = client_of("docker")
    name = registry.reference("args")
    docker.pull(name).ok()
    assert docker.run(name).ok().out.splitlines() == \
        ["first", "second", "the third"]
    assert docker.run(name, "a b", "").ok().out.splitlines() == \
        ["first", "a b", ""]
    docker.remove(name)


@pytest.mark.parametrize("flake,image", [*PRINTS, ("simple", "fixed-tag"),
                                         ("simple", "two-layers"),
                                         ("simple", "no-store"),
                                         ("simple", "owned"),
                                         ("small", "extra-only")])
def test_every_blob(served, flake, image):
    """Digest, diff ID and size of each layer, as the test works them out."""
    registry = served("lighttpd", flake)
    manifest, _ = registry.manifest(image)
    body = registry.blob(image, manifest["config"]["digest"])
    assert len(body) == manifest["config"]["size"]
    diff_ids = json.loads(body)["rootfs"]["diff_ids"]
    for layer, diff_id in zip(manifest["layers"], diff_ids, strict=True):
        body = registry.blob(image, layer["digest"])
        assert len(body) == layer["size"]
        tar = gzip.decompress(body)
        assert "sha256:" + hashlib.sha256(tar).hexdigest() == diff_id


def conf_of(flake, image):
    """The conf that Nix builds."""
    path = nix.build(flake, image)
    with open(path, encoding="utf-8") as f:
        return json.load(f)


@pytest.mark.parametrize("year", ("2022", "2024", "2025"))
def test_image_id_is_that_of_docker_load(served, simple, year):
    """All of the image config's bytes, made from the conf by the test."""
    registry = served("lighttpd", "simple")
    image = f"conf-{year}"
    manifest, _ = registry.manifest(image)
    expected = reference.image_config(conf_of(simple, image))
    body = registry.blob(image, manifest["config"]["digest"])
    assert body.decode() == expected.decode()
    assert manifest["config"]["digest"] == fetch.digest(expected)


@pytest.mark.parametrize("flake,image,layers", [
    ("simple", "hello", 1), ("simple", "many", 8), ("simple", "two-layers", 1),
    ("simple", "owned", 1), ("simple", "fixed-tag", 1), ("small", "tools", 5)])
def test_layers_are_of_their_store_paths(served, simple, small, flake, image,
                                         layers):
    registry = served("lighttpd", flake)
    conf = conf_of(small if flake == "small" else simple, image)
    manifest, _ = registry.manifest(image)
    config = json.loads(registry.blob(image, manifest["config"]["digest"]))
    assert reference.assert_layers(config, conf) >= layers
    assert len(manifest["layers"]) <= conf["maxLayers"]
    assert config["config"] == conf["config"]
    assert config["architecture"] == "amd64" and config["os"] == "linux"


def test_store_paths_are_left_out(served):
    registry = served("lighttpd", "simple")
    manifest, _ = registry.manifest("no-store")
    assert len(manifest["layers"]) == 1


def test_base_image_and_environment(served):
    """Only Env is merged with the base's: the place of the first, the value
    of the last."""
    registry = served("lighttpd", "simple")
    manifest, _ = registry.manifest("from-image")
    config = json.loads(registry.blob("from-image",
                                      manifest["config"]["digest"]))
    assert config["config"]["Env"] == ["PATH=/bin", "BASE=yes", "BOTH=image",
                                       "IMAGE=yes"]
    assert config["config"]["Cmd"] == ["/bin/cat", "/base/one", "/base/two"]
