# SPDX-License-Identifier: MIT
"""Images of several systems: an OCI index, out of which clients pick."""

import json

import pytest

from harness import fetch, nix
from harness.process import run
from harness.registry import assert_whole, blobs

BOTH = "systems = x86_64-linux aarch64-linux"
FLAKE = """{
  outputs = { self }:
    let
      images = system: import ./images.nix {
        pkgs = import ./pkgs.nix { inherit system; };
        salt = builtins.readFile ./salt;
        seconds = "1";
      };
      x86 = images "x86_64-linux";
      arm = images "aarch64-linux";
    in
    {
      packages.x86_64-linux = {
        inherit (x86) hello;
        default = x86.hello;
        one = x86.hello;
        same = x86.hello;
        half = x86.hello;
        bad = x86.hello;
      };
      packages.aarch64-linux = {
        inherit (arm) hello;
        default = arm.hello;
        other = arm.hello;
        same = x86.hello;
        half = arm.broken;
        bad = throw "no ARM today";
      };
    };
}
"""


@pytest.fixture
def environment(directory):
    """This machine builds for the other, too: that takes /bin/sh alone."""
    return nix.environment(directory, NIX_CONFIG=nix.SINGLE_USER
                           + "extra-platforms = aarch64-linux\n")


@pytest.fixture
def flake(fresh):
    folder = fresh()
    (folder / "flake.nix").write_text(FLAKE)
    return folder


@pytest.fixture
def registry(make_registry, flake, environment):
    return make_registry(flake, settings=[BOTH], environment=environment)


def index_of(registry, name, reference="latest"):
    reply = registry.get(f"/v2/{name}/manifests/{reference}",
                         {"Accept": f"{fetch.INDEX}, {fetch.MANIFEST}"})
    assert reply.status == 200, str(reply)
    assert reply.headers["Content-Type"] == fetch.INDEX
    assert reply.headers["Docker-Content-Digest"] == reply.digest()
    return reply.json(), reply.digest()


def platforms(index):
    return [member["platform"]["os"] + "/" + member["platform"]["architecture"]
            for member in index["manifests"]]


def test_index(registry):
    index, digest = index_of(registry, "hello")
    assert index["schemaVersion"] == 2 and index["mediaType"] == fetch.INDEX
    assert "layers" not in index and "config" not in index
    assert platforms(index) == ["linux/amd64", "linux/arm64"]
    assert index_of(registry, "hello", digest)[1] == digest
    for member in index["manifests"]:
        assert member["mediaType"] == fetch.MANIFEST
        manifest, reply = registry.manifest("hello", member["digest"])
        assert reply.headers["Content-Type"] == fetch.MANIFEST
        assert len(reply.body) == member["size"]
        config = json.loads(registry.blob("hello",
                                          manifest["config"]["digest"]))
        assert config["architecture"] == member["platform"]["architecture"]
        for layer in manifest["layers"]:
            registry.blob("hello", layer["digest"])
    assert_whole(registry.cache)


def test_client_that_knows_no_index(registry):
    """It gets the manifest of the first system."""
    index, _ = index_of(registry, "hello")
    for method in "GET", "HEAD":
        reply = registry.send(method, "/v2/hello/manifests/latest",
                              {"Accept": fetch.MANIFEST})
        assert reply.status == 200, str(reply)
        assert reply.headers["Docker-Content-Digest"] == \
            index["manifests"][0]["digest"]
        assert reply.headers["Content-Type"] == fetch.MANIFEST
    for accept in "*/*", "application/*", None:
        reply = registry.send("GET", "/v2/hello/manifests/latest",
                              {"Accept": accept} if accept else {})
        assert reply.headers["Content-Type"] == fetch.INDEX


def test_of_the_systems_that_have_it(registry):
    index, _ = index_of(registry, "one")
    assert platforms(index) == ["linux/amd64"]
    index, _ = index_of(registry, "other")
    assert platforms(index) == ["linux/arm64"]
    reply = registry.get("/v2/none/manifests/latest")
    assert reply.status == 404 and "none" in reply.error()[1]
    # A listing is of all systems.
    names = registry.get("/v2/_catalog").json()["repositories"]
    assert "one" in names and "other" in names


@pytest.mark.parametrize("name,words", [
    ("same", ["x86_64-linux and aarch64-linux", "linux/amd64"]),
    ("half", ["aarch64-linux", "the builder gives up here"]),
    ("bad", ["aarch64-linux", "no ARM today"]),
])
def test_member_that_cannot_be(registry, name, words):
    """It fails the pull, and is named."""
    reply = registry.get(f"/v2/{name}/manifests/latest")
    assert reply.status in (403, 404), str(reply)
    for word in words:
        assert word in reply.error()[1], str(reply)


def test_a_system_of_its_own(make_registry, flake, environment):
    """Of one system: no index. A flake's section has its own."""
    registry = make_registry(flake, environment=environment, flakes={
        "arm": [f"url = {flake}", "systems = aarch64-linux"],
        "both": [f"url = {flake}", BOTH]})
    for name, architecture in (("hello", "amd64"), ("arm/hello", "arm64")):
        manifest, reply = registry.manifest(name)
        assert reply.headers["Content-Type"] == fetch.MANIFEST
        config = json.loads(registry.blob(name, manifest["config"]["digest"]))
        assert config["architecture"] == architecture
    index, _ = index_of(registry, "both/hello")
    assert platforms(index) == ["linux/amd64", "linux/arm64"]
    # Members are what each system alone would be.
    for name, member in zip(("hello", "arm/hello"), index["manifests"]):
        assert registry.manifest(name)[1].digest() == member["digest"]


def test_made_again(registry):
    """A digest of the index brings all of it back, the same bytes."""
    index, digest = index_of(registry, "hello")
    before = set(blobs(registry.cache))
    for file in blobs(registry.cache).values():
        file.unlink()
    again, _ = index_of(registry, "hello", digest)
    assert again == index
    assert set(blobs(registry.cache)) == before
    for file in blobs(registry.cache).values():
        file.unlink()
    member = index["manifests"][1]["digest"]
    assert registry.manifest("hello", member)[1].digest() == member


def test_same_index_again(registry, flake):
    """A source that did not change is the same index; one that did is not."""
    _, digest = index_of(registry, "hello")
    registry.build("hello").ok()
    assert index_of(registry, "hello")[1] == digest
    (flake / "salt").write_text("other\n")
    registry.build("hello").ok()
    assert index_of(registry, "hello")[1] != digest


def test_roots(registry):
    """Each member's output is kept."""
    index_of(registry, "hello")
    roots = [root for root in (registry.cache / "roots").iterdir()
             if root.is_symlink()]
    assert {root.name.rpartition(".")[2] for root in roots} == \
        {"x86_64-linux", "aarch64-linux"}
    assert all(root.exists() for root in roots)


def image_ids(registry, name):
    """Of each member of its index."""
    return [registry.manifest(name, member["digest"])[0]["config"]["digest"]
            for member in index_of(registry, name)[0]["manifests"]]


def test_docker(registry, client_of):
    docker = client_of("docker")
    name = registry.reference("hello")
    docker.pull(name).ok()
    assert docker.run(name).ok().out.startswith("Hello from ")
    wanted = image_ids(registry, "hello")
    assert docker.inspect(name)[0] == wanted[0]
    docker.pull(name, "--platform=linux/arm64").ok()
    assert docker.inspect(name)[0] == wanted[1]
    result = docker.pull(name, "--platform=linux/s390x")
    assert result.status and "no matching manifest" in result.err
    docker.remove(name)


def test_podman(registry, client_of):
    podman = client_of("podman")
    name = registry.reference("hello")
    podman.pull(name).ok()
    assert podman.run(name).ok().out.startswith("Hello from ")
    wanted = image_ids(registry, "hello")
    assert podman.inspect(name)[0] == wanted[0]
    podman.remove(name)
    podman.pull(name, "--arch=arm64").ok()
    assert podman.inspect(name)[0] == wanted[1]
    podman.remove(name)


def test_skopeo_copies_all(registry, directory):
    target = directory / "copy"
    run(["skopeo", "copy", "--all", "--src-tls-verify=false",
         f"docker://{registry.reference('hello')}", f"oci:{target}:x"]).ok()
    assert len(list((target / "blobs/sha256").iterdir())) == \
        len(blobs(registry.cache))
