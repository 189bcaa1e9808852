# SPDX-License-Identifier: MIT
"""Every kind of output, pulled and run."""

import json
import subprocess
import uuid

import pytest

from harness import fetch, nix, reference

GREETING = "Hello from nothing"


@pytest.fixture(scope="session")
def kinds(session_directory):
    """The flake that has them all."""
    return nix.make_flake("kinds", session_directory("kinds") / "kinds")


@pytest.fixture
def registry(shared_registry, kinds):
    return shared_registry("lighttpd", kinds)


def config_of(registry, name):
    manifest, _ = registry.manifest(name)
    body = registry.blob(name, manifest["config"]["digest"])
    return json.loads(body)


def pull_and_run(registry, client, name, *args):
    """What it prints, and that the image is the one that is served."""
    image = registry.reference(name, "latest")
    client.pull(image).ok()
    try:
        manifest, _ = registry.manifest(name)
        config = config_of(registry, name)
        assert client.inspect(image) == (manifest["config"]["digest"],
                                         config["rootfs"]["diff_ids"])
        return client.run(image, *args).ok().out.splitlines()
    finally:
        client.remove(image)


# Image: arguments, and what it prints.
PRINTS = {
    "stream": ([], ["hello conf", GREETING]),
    "stream-built": ([], ["hello conf", GREETING]),
    "layered": ([], ["hello conf", GREETING]),
}


@pytest.mark.parametrize("client", ("docker", "podman"))
@pytest.mark.parametrize("name", PRINTS)
def test_pull_and_run(registry, client_of, client, name):
    args, lines = PRINTS[name]
    assert pull_and_run(registry, client_of(client), name, *args) == lines


def test_image_id_is_that_of_docker_load(registry, kinds):
    """The same whether the conf was found beside, or in the script."""
    conf = nix.references(nix.build(kinds, "stream-built"), "-conf.json")
    with open(conf, encoding="utf-8") as f:
        expected = reference.image_config(json.load(f))
    for name in ("stream", "stream-built", "layered"):
        manifest, _ = registry.manifest(name)
        assert manifest["config"]["digest"] == fetch.digest(expected), name


def test_made_again_without_the_script(make_registry, kinds, directory):
    """A blob that is gone comes back from the conf's derivation."""
    salted = nix.copy_flake(kinds, directory / "flake", uuid.uuid4().hex)
    subprocess.run(["git", "init", "-q", salted], check=True)
    subprocess.run(["git", "-C", salted, "add", "."], check=True)
    subprocess.run(["git", "-C", salted, "-c", "user.name=t",
                    "-c", "user.email=t", "commit", "-qm", "t"], check=True)
    registry = make_registry(f"git+file://{salted}")
    manifest, reply = registry.manifest("layered")
    digest = manifest["layers"][-1]["digest"]
    gone = [reply.digest(), digest]
    for blob in gone:
        name = blob.split(":")[1]
        (registry.cache / "blobs/sha256" / name[:2] / name).unlink()
    registry.blob("layered", digest)
    assert registry.manifest("layered", reply.digest())[0] == manifest
