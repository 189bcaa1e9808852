# SPDX-License-Identifier: MIT
"""Every kind of output, pulled and run."""

import gzip
import io
import json
import subprocess
import tarfile
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
    "program": (["a", "b c"], ["main a b c", GREETING]),
    "named": ([], ["named", GREETING]),
    "lonely": ([], ["alone", GREETING]),
    "several": (["two"], ["two", GREETING]),
    "tls": ([], ["tls", GREETING]),
    "bin-output": ([], ["bin-output", GREETING]),
    "script": (["x"], None),
    "throws": ([], ["throws", GREETING]),
}


@pytest.mark.parametrize("client", ("docker", "podman"))
@pytest.mark.parametrize("name", PRINTS)
def test_pull_and_run(registry, client_of, client, name):
    args, lines = PRINTS[name]
    out = pull_and_run(registry, client_of(client), name, *args)
    assert lines is None and out[1:] == [GREETING] or out == lines


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


def top_layer(registry, name):
    """The entries of the last layer: {name: TarInfo}, and the tar."""
    manifest, _ = registry.manifest(name)
    body = registry.blob(name, manifest["layers"][-1]["digest"])
    tar = tarfile.open(fileobj=io.BytesIO(gzip.decompress(body)))
    return {entry.name.lstrip("/"): entry for entry in tar}, tar


def test_package_is_annotated(registry):
    manifest, _ = registry.manifest("program")
    assert manifest["annotations"] == {
        "org.opencontainers.image.title": "no-such-program",
        "org.opencontainers.image.version": "2.3",
        "org.opencontainers.image.licenses": "MIT AND Apache-2.0",
        "org.opencontainers.image.description": "Says hello",
        "org.opencontainers.image.url": "https://example.org/program"}
    # What throws is left out, and the name is that of the derivation.
    manifest, _ = registry.manifest("throws")
    assert manifest["annotations"] == {
        "org.opencontainers.image.title": "throws",
        "org.opencontainers.image.version": "1.0"}


def test_package_has_a_root(registry):
    entries, tar = top_layer(registry, "program")
    path = config_of(registry, "program")["config"]["Entrypoint"][0]
    out = path[:-len("/bin/main")]
    assert {name: (e.linkname or oct(e.mode)) for name, e in entries.items()
            } == {"bin": "0o755", "bin/main": f"{out}/bin/main",
                  "bin/other": f"{out}/bin/other", "etc": "0o755",
                  "etc/group": "0o644", "etc/passwd": "0o644",
                  "etc/program.conf": f"{out}/etc/program.conf",
                  "root": "0o700", "share": "0o755", "share/doc": "0o755",
                  "share/doc/program": f"{out}/share/doc/program",
                  "tmp": "0o1777"}
    assert list(entries) == sorted(entries)
    passwd = tar.extractfile(entries["etc/passwd"]).read().decode().splitlines()
    assert [line.split(":")[0] for line in passwd] == ["root", "nobody"]


def test_package_may_have_its_own_users(registry):
    entries, _ = top_layer(registry, "users")
    assert entries["etc/passwd"].linkname.endswith("/etc/passwd")
    assert entries["etc/group"].isfile()
    assert entries["tmp"].mode == 0o1777 and entries["tmp/mine"].isdir()


def test_package_without_a_program(registry, client_of):
    for name in ("data", "several"):
        assert "Entrypoint" not in config_of(registry, name)["config"]
    entries, _ = top_layer(registry, "data")
    assert entries["share/greeting"].issym()
    docker = client_of("docker")
    image = registry.reference("data", "latest")
    docker.pull(image).ok()
    docker.remove(image)


def test_certificates_are_found(registry):
    env = config_of(registry, "tls")["config"]["Env"]
    assert env[1].startswith("SSL_CERT_FILE=/nix/store/")
    assert env[1].endswith("-nss-cacert-3.0/etc/ssl/certs/ca-bundle.crt")
    assert len(config_of(registry, "program")["config"]["Env"]) == 1


def test_neither_image_nor_package(registry):
    reply = registry.get("/v2/text/manifests/latest")
    assert "is no image and no package" in reply.error()[1]
