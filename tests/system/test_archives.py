# SPDX-License-Identifier: MIT
"""Docker-archives: their layers' bytes, and how often they are unpacked."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile

import pytest

from harness import git, nix

LAYER = "application/vnd.oci.image.layer.v1.tar"
FLAKE = """{
  outputs = { self }:
    let
      pkgs = import ./pkgs.nix { system = "x86_64-linux"; };
      tar = name: builtins.path { inherit name; path = ./. + "/${name}"; };
      image = name: { inherit name; value = pkgs.runCommand name { }
        "cp ${tar "${name}.tar"} $out"; };
    in
    {
      packages.x86_64-linux =
        builtins.listToAttrs (map image [ "image" "two" ]);
    };
}
"""


def tar(files):
    """A tar of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layers():
    """{name: (tar, the bytes in the archive)}, as no setting of ours
    compresses them."""
    tars = {name: tar({name: name.encode() * 50_000})
            for name in ("plain", "gzip", "zstd")}
    zstd = subprocess.run(["zstd", "-q", "-17", "-c"], input=tars["zstd"],
                          stdout=subprocess.PIPE, check=True).stdout
    return {"plain": (tars["plain"], tars["plain"]),
            "gzip": (tars["gzip"], gzip.compress(tars["gzip"], 9, mtime=7)),
            "zstd": (tars["zstd"], zstd)}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def archive(parts, names):
    """A docker-archive with these layers, once for each of these names."""
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [
            sha256(plain) for plain, _ in parts.values()]}}).encode()
    images = [{"Config": f"{i}.json", "RepoTags": [name],
               "Layers": list(parts)} for i, name in enumerate(names)]
    return tar({**{f"{i}.json": config for i in range(len(names))},
                **{name: stored for name, (_, stored) in parts.items()},
                "manifest.json": json.dumps(images).encode()})


@pytest.fixture(scope="session")
def parts():
    return layers()


@pytest.fixture(scope="session")
def repository(session_directory, parts):
    """`image` has the layers; `two` has two images of them."""
    flake = nix.make_flake("kinds", session_directory("saved") / "flake")
    (flake / "flake.nix").write_text(FLAKE)
    (flake / "image.tar").write_bytes(archive(parts, ["saved:1"]))
    (flake / "two.tar").write_bytes(archive(parts, ["a:1", "b:2"]))
    repository = git.Repository(flake)
    repository.commit(note="another revision")
    repository.branch("other")
    return repository


@pytest.mark.parametrize("compression", ("gzip", "zstd", "none"))
def test_layers_stay_as_they_are(make_registry, repository, parts,
                                 compression):
    """gzip always, zstd where that is our setting, too; all else is
    compressed as by our setting."""
    registry = make_registry(repository.path,
                             settings=[f"compression = {compression}"])
    manifest, _ = registry.manifest("image", "main")
    served = dict(zip(parts, manifest["layers"]))
    ours = "" if compression == "none" else f"+{compression}"
    assert {name: layer["mediaType"] for name, layer in served.items()} == {
        "plain": LAYER + ours, "gzip": LAYER + "+gzip",
        "zstd": LAYER + ours}
    kept = {"gzip": ["gzip"], "zstd": ["gzip", "zstd"],
            "none": ["plain", "gzip"]}[compression]
    assert [name for name, layer in served.items()
            if layer["digest"] == sha256(parts[name][1])] == kept
    for name in kept:
        assert registry.blob("image", served[name]["digest"]) == parts[name][1]
    config = registry.blob("image", manifest["config"]["digest"])
    assert sha256(config) == sha256(tar_member(repository, "0.json"))


def tar_member(repository, name):
    with tarfile.open(repository.path / "image.tar") as image:
        return image.extractfile(name).read()


def entries(registry):
    """Each layer's entry in the cache: one made anew is another file."""
    return {file.name: file.stat().st_ino
            for file in (registry.cache / "layers").glob("??/*")}


def test_unpacked_once(make_registry, repository):
    """Another revision, and another repository, with the same archive."""
    registry = make_registry(None, flakes={"a": repository.path,
                                           "b": repository.path})
    manifest, _ = registry.manifest("a/image", "main")
    first = entries(registry)
    assert len(first) == 3
    registry.build("a/image:other").ok()
    assert registry.manifest("b/image", "other")[0] == manifest
    assert entries(registry) == first
    # What is looked at does tell: a layer that is gone is unpacked again.
    name = manifest["layers"][0]["digest"].split(":")[1]
    (registry.cache / "blobs/sha256" / name[:2] / name).unlink()
    registry.build("a/image:main").ok()
    assert set(entries(registry)) == set(first)
    assert entries(registry) != first


def test_several_images(make_registry, repository):
    """None is served in silence: which one is meant is not known."""
    registry = make_registry(repository.path)
    reply = registry.get("/v2/two/manifests/main")
    assert reply.status == 403, str(reply)
    message = reply.error()[1]
    assert "has several images (a:1, b:2)" in message, message
    assert not (registry.cache / "repositories/two").exists()
