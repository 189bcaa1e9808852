# SPDX-License-Identifier: MIT
"""compose = yes: one image of several packages."""

import json
import uuid

import pytest

from harness import nix
from harness.registry import assert_whole, blobs
from harness.process import run

FLAKE = """{
  outputs = { self }:
    let
      lib = import ./nixpkgs/lib.nix;
      pkgs = import ./nixpkgs/pkgs.nix {
        inherit lib;
        system = "x86_64-linux";
        packages =
          builtins.fromJSON (builtins.readFile ./nixpkgs/packages.json);
      };
    in
    {
      packages.x86_64-linux = {
        inherit (pkgs) bash coreutils gzip jq mawk sed;
        bashInteractive = pkgs.bash;
        cacert = pkgs.writeTextDir "etc/ssl/certs/ca-bundle.crt" "none\\n";
        one = pkgs.writeTextDir "etc/which" "one\\n";
        two = pkgs.writeTextDir "etc/which" "two\\n";
        file = pkgs.writeText "file" "no directory";
        image = pkgs.bash // {
          conf = pkgs.writeText "image-conf.json" "{}";
        };
        nested = { jq = pkgs.jq; };
        claim = { inherit (pkgs.jq) type name drvPath; };
        salted = pkgs.writeTextDir "etc/salt" (builtins.readFile ./salt);
      };
      legacyPackages.x86_64-linux = pkgs;
    };
}
"""


@pytest.fixture(scope="session")
def flake(session_directory):
    folder = nix.make_flake("small", session_directory("compose") / "flake")
    (folder / "flake.nix").write_text(FLAKE)
    return folder


@pytest.fixture
def composed(make_registry, flake):
    return make_registry(None, flakes={
        "pkgs": [f"url = path:{flake}", "compose = yes"],
        "plain": [f"url = path:{flake}"]})


def config_of(registry, name):
    manifest, _ = registry.manifest(name)
    return json.loads(registry.blob(name, manifest["config"]["digest"]))


def error(registry, name):
    reply = registry.get(f"/v2/{name}/manifests/latest")
    assert reply.status == 404 or reply.status == 403, str(reply)
    return reply.json()["errors"][0]["message"]


@pytest.mark.parametrize("client", ("docker", "podman"))
def test_pull_and_run(composed, client_of, client):
    client = client_of(client)
    image = composed.reference("pkgs/bash/coreutils/jq", "latest")
    client.pull(image).ok()
    try:
        out = client.run(image, "bash", "-c", "echo '{\"a\": 7}' | jq .a && "
                         "cat /etc/passwd && ls -d /tmp").ok().out
        assert out.splitlines()[0] == "7"
        assert "root:x:0:0" in out and "/tmp" in out
    finally:
        client.remove(image)


def test_order_and_repetition_do_not_matter(composed):
    names = ("pkgs/bash/coreutils/jq", "pkgs/jq/bash/coreutils",
             "pkgs/coreutils/jq/coreutils/bash/bash")
    digests = {composed.manifest(name)[1].digest() for name in names}
    assert len(digests) == 1
    for name in names:
        config = config_of(composed, name)["config"]
        assert "Entrypoint" not in config
        assert any(line.startswith("PATH=") for line in config["Env"])
    assert_whole(composed.cache)


def test_one_package_is_that_package(composed):
    _, one = composed.manifest("pkgs/jq")
    for name in ("pkgs/jq/jq", "plain/jq"):
        assert composed.manifest(name)[1].digest() == one.digest()
    assert config_of(composed, "pkgs/jq")["config"]["Entrypoint"]


def test_shell(composed, client_of):
    _, reply = composed.manifest("pkgs/shell/jq")
    assert composed.manifest("pkgs/jq/shell")[1].digest() == reply.digest()
    env = config_of(composed, "pkgs/shell")["config"]["Env"]
    assert any(line.startswith("SSL_CERT_FILE=/nix/store/") for line in env)
    image = composed.reference("pkgs/shell/jq", "latest")
    client = client_of("podman")
    client.pull(image).ok()
    try:
        out = client.run(image, "bash", "-c", "ls /bin/jq; cat $SSL_CERT_FILE")
        assert out.ok().out == "/bin/jq\nnone\n"
    finally:
        client.remove(image)


def test_the_first_name_wins(composed, client_of):
    client = client_of("podman")
    image = composed.reference("pkgs/two/coreutils/one", "latest")
    client.pull(image).ok()
    try:
        assert client.run(image, "cat", "/etc/which").ok().out == "one\n"
    finally:
        client.remove(image)


def test_what_packages_lack_is_in_legacy_packages(composed):
    composed.manifest("pkgs/bash/util-linux")


def test_unknown_packages_are_named(composed):
    text = error(composed, "pkgs/bsh/coreutils/gzpi")
    assert "no package bsh (nearest: bash" in text
    assert "no package gzpi (nearest: gzip" in text
    text = error(composed, "pkgs/nested/shel/jq")
    assert "no package nested (it is a set of others)" in text
    assert "no package shel (nearest: mkShell, shell" in text
    text = error(composed, "pkgs/claim/jq")
    assert ('no package claim (it is a set of type "derivation" without '
            "outPath)") in text


def test_names_of_both_sets_are_near(composed):
    """legacyPackages has util-linux, which packages has not."""
    assert "(nearest: util-linux" in error(composed, "pkgs/jq/util-linx")
    assert error(composed, "pkgs/util-linux/gzpi").count("no package") == 1


@pytest.mark.parametrize("name,text", (
    ("pkgs/image/jq", "image"),
    ("pkgs/file/jq", "not a directory"),
    ("plain/jq/bash", "no package"),
))
def test_refused(composed, name, text):
    assert text in error(composed, name)


def test_one_evaluation_one_realisation_one_closure(make_registry, flake,
                                                    directory):
    path, log = nix.counting_path(directory)
    copy = nix.copy_flake(flake, directory / "copy", uuid.uuid4().hex)
    registry = make_registry(
        None, flakes={"pkgs": [f"url = path:{copy}", "compose = yes"]},
        # Confined, it could not write down its calls.
        settings=["sandbox-eval = no"],
        environment=nix.environment(directory, path))
    registry.manifest("pkgs/bash/coreutils/jq/sed/salted")
    calls = log.read_text()
    assert calls.count(" eval ") == 1, calls
    assert calls.count("--realise") == 1, calls
    assert calls.count(" path-info ") == 1, calls


def test_blobs_are_made_again(make_registry, flake, directory):
    """From the record, after blobs and outputs are gone."""
    repo = nix.copy_flake(flake, directory / "repo", uuid.uuid4().hex)
    for command in (["init", "-q"], ["add", "-A"],
                    ["-c", "user.name=a", "-c", "user.email=a@b", "commit",
                     "-qm", "x"]):
        run(["git", "-C", repo, *command]).ok()
    registry = make_registry(
        None, flakes={"pkgs": [f"url = git+file://{repo}", "compose = yes"]})
    name = "pkgs/salted/coreutils"
    manifest, reply = registry.manifest(name)
    told = json.loads(registry.flakehub("inspect", "--json", name).ok().out)
    assert told["composition"] == "+coreutils+salted"
    for file in blobs(registry.cache).values():
        file.unlink()
    for root in (registry.cache / "roots").iterdir():
        root.unlink()
    run(["nix-store", "--delete", told["outputPath"]],
        env=registry.environment).ok()
    again, _ = registry.manifest(name, reply.digest())
    assert again == manifest
    assert_whole(registry.cache)
