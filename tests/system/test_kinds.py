# SPDX-License-Identifier: MIT
"""Every kind of output, pulled and run."""

import gzip
import io
import json
import pathlib
import subprocess
import tarfile
import uuid

import pytest

from harness import fetch, nix, reference
from harness.imagefiles import (DOCKER, DOCKER_TYPES, OCI, go_tar,
                                make_archives, n2c_json, path_of)

GREETING = "Hello from nothing"


@pytest.fixture(scope="session")
def kinds(session_directory):
    """The flake that has them all."""
    return nix.make_flake("kinds", session_directory("kinds") / "kinds")


@pytest.fixture
def registry(shared_registry, kinds):
    return shared_registry("lighttpd", kinds)


@pytest.fixture(scope="session")
def archives(session_directory, shared_registry, kinds, client_of):
    """The registry of a copy of the flake, with archives in it."""
    work = session_directory("archives")
    flake = nix.copy_flake(kinds, work / "flake")
    make_archives(shared_registry("lighttpd", kinds), client_of("docker"),
                  client_of("ctr"), flake / "files", work)
    return shared_registry("lighttpd", flake)


ARCHIVES = ("skopeo.tar", "skopeo-gz", "skopeo-zst", "skopeo-xz",
            "docker-save.tar", "docker-25.tar", "docker-25-containerd.tar",
            "ctr-export.tar")


@pytest.mark.parametrize("client", ("docker", "podman"))
@pytest.mark.parametrize("name", ARCHIVES)
def test_archive(archives, registry, client_of, client, name):
    """The image config is the one that was saved, whoever saved it."""
    out = pull_and_run(archives, client_of(client), name, "x")
    assert out == ["main x", GREETING]
    manifest, _ = archives.manifest(name)
    original, _ = registry.manifest("program")
    assert {layer["mediaType"] for layer in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+gzip"}
    assert archives.blob(name, manifest["config"]["digest"]) == \
        registry.blob("program", original["config"]["digest"])


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


def test_export_by_containerd(archives, registry):
    """An OCI layout and manifest.json in one tar, as `docker save` writes them
    since 25: its layers stay as they were pulled."""
    with tarfile.open(archives.flake / "files/ctr-export.tar") as tar:
        assert {"oci-layout", "index.json", "manifest.json"} <= \
            set(tar.getnames())
    manifest, _ = archives.manifest("ctr-export.tar")
    assert manifest["layers"] == registry.manifest("program")[0]["layers"]


# Image: arguments, and what it prints.
PRINTS = {
    "stream": ([], ["hello conf", GREETING]),
    "stream-built": ([], ["hello conf", GREETING]),
    "layered": ([], ["hello conf", GREETING]),
    "build-image": ([], ["hello built", GREETING]),
    "program": (["a", "b c"], ["main a b c", GREETING]),
    "named": ([], ["named", GREETING]),
    "lonely": ([], ["alone", GREETING]),
    "several": (["two"], ["two", GREETING]),
    "tls": ([], ["tls", GREETING]),
    "bin-output": ([], ["bin-output", GREETING]),
    "current": ([], ["app", GREETING]),
    "script": (["x"], None),
    "throws": ([], ["throws", GREETING]),
}


@pytest.mark.parametrize("client", ("docker", "podman"))
@pytest.mark.parametrize("name", PRINTS)
def test_pull_and_run(registry, client_of, client, name):
    args, lines = PRINTS[name]
    out = pull_and_run(registry, client_of(client), name, *args)
    assert lines is None and out[1:] == [GREETING] or out == lines


def test_image_id_is_that_of_the_reference(registry, kinds):
    """The same whether the conf was found beside, or in the script."""
    conf = nix.references(nix.build(kinds, "stream-built"), "-conf.json")
    with open(conf, encoding="utf-8") as f:
        expected = reference.image_config(json.load(f))
    for name in ("stream", "stream-built", "layered"):
        manifest, _ = registry.manifest(name)
        assert manifest["config"]["digest"] == fetch.digest(expected), name


@pytest.mark.parametrize("archive, command, tag, names", (
    ("stream-built", "{}", "image:1", ("stream", "stream-built", "layered")),
    ("build-image", "cat {}", "built:1", ("build-image",))))
def test_image_id_of_docker_load(registry, kinds, client_of, archive, command,
                                 tag, names):
    """docker's own, of what an archive has; and of what it pulls here."""
    docker = client_of("docker")
    docker.load(command.format(nix.build(kinds, archive))).ok()
    loaded = docker.inspect(tag)
    assert docker.run(tag).ok().out.splitlines()[1:] == [GREETING]
    docker.remove(tag)
    for name in names:
        image = registry.reference(name, "latest")
        docker.pull(image).ok()
        assert docker.inspect(image) == loaded, name
        docker.remove(image)


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


def test_package_with_folders_of_a_version(registry):
    """/bin and /etc are found through its symlinks."""
    entries, _ = top_layer(registry, "current")
    assert entries["etc"].isdir() and entries["etc/passwd"].isfile()
    assert entries["etc/current.conf"].linkname.endswith(
        "/versions/1.2/etc/current.conf")


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


def manifest_in(layout):
    """The bytes of the only manifest in an OCI layout, a folder or a tar."""
    def read(name):
        if layout.is_dir():
            return (layout / name).read_bytes()
        with tarfile.open(layout) as tar:
            return tar.extractfile(name).read()
    index = json.loads(read("index.json"))
    return read(path_of(*index["manifests"]))


@pytest.mark.parametrize("name", ("oci-linked", "oci-link"))
def test_symlinks_to_an_oci_layout(archives, name):
    """To its parts, its folder of blobs too, or to all of it."""
    _, reply = archives.manifest(name)
    assert reply.body == manifest_in(archives.flake / "files/oci-layout")
    assert archives.pull(name) == reply.digest()


def test_symlink_to_an_archive(archives):
    assert archives.pull("archive-link") == archives.pull("skopeo.tar")


def test_oci_layout(archives, registry, client_of, directory):
    """Byte for byte what was written, as a directory and as a tar."""
    original, _ = registry.manifest("program")
    for name in ("oci-layout", "oci.tar"):
        manifest, reply = archives.manifest(name)
        assert manifest["layers"] == original["layers"]
        assert manifest["config"] == original["config"]
        for part in [manifest["config"], *manifest["layers"]]:
            assert len(archives.blob(name, part["digest"])) == part["size"]
        assert archives.manifest(name, reply.digest())[0] == manifest
        assert reply.body == manifest_in(archives.flake / "files" / name)
        for client in ("docker", "podman"):
            out = pull_and_run(archives, client_of(client), name)
            assert out == ["main", GREETING]


@pytest.mark.parametrize("client", ("docker", "podman", "skopeo", "ctr"))
@pytest.mark.parametrize("name", ("docker-types", "docker-list"))
def test_docker_media_types(archives, kinds, client_of, name, client):
    """In an OCI layout, with their own types as Content-Type."""
    files = archives.flake / "files" / name / "blobs/sha256"
    accept = {"Accept": ", ".join(DOCKER_TYPES.values())}
    reply = archives.get(f"/v2/{name}/manifests/latest", accept)
    assert reply.headers["Content-Type"] == reply.json()["mediaType"]
    assert reply.headers["Content-Type"].startswith(DOCKER)
    assert reply.body == (files / reply.digest()[7:]).read_bytes()
    for member in reply.json().get("manifests", []):
        one = archives.get(f"/v2/{name}/manifests/{member['digest']}", accept)
        assert one.headers["Content-Type"] == member["mediaType"]
    image = archives.reference(name, "latest")
    client_of(client).pull(image).ok()
    if client_of(client).run:
        assert client_of(client).run(image).ok().out.splitlines() == \
            ["main", GREETING]
    client_of(client).remove(image)


@pytest.mark.parametrize("name", ("oci-index", "oci-nested.tar"))
def test_oci_index(archives, client_of, name):
    """The index is served, its members by digest, clients choose theirs."""
    reply = archives.get(f"/v2/{name}/manifests/latest",
                         {"Accept": f"{fetch.INDEX}, {fetch.MANIFEST}"})
    assert reply.headers["Content-Type"] == fetch.INDEX, str(reply)
    for member in reply.json()["manifests"]:
        manifest, _ = archives.manifest(name, member["digest"])
        config = json.loads(archives.blob(name,
                                          manifest["config"]["digest"]))
        assert config["architecture"] == member["platform"]["architecture"]
    for client in ("docker", "podman"):
        image = archives.reference(name, "latest")
        client_of(client).pull(image).ok()
        assert client_of(client).run(image).ok().out.splitlines() == \
            ["main", GREETING]
        client_of(client).remove(image)


def test_oci_made_again(archives):
    """Blobs that are gone come back, a member of an index by its digest."""
    name = "oci-nested.tar"
    index = archives.get(f"/v2/{name}/manifests/latest",
                         {"Accept": fetch.INDEX})
    member = index.json()["manifests"][0]["digest"]
    layer = archives.manifest(name, member)[0]["layers"][0]["digest"]
    for digest in (index.digest(), member, layer):
        hex_ = digest.split(":")[1]
        (archives.cache / "blobs/sha256" / hex_[:2] / hex_).unlink()
    archives.blob(name, layer)
    assert archives.manifest(name, member)[1].digest() == member
    again = archives.get(f"/v2/{name}/manifests/{index.digest()}")
    assert again.digest() == index.digest()


@pytest.fixture(scope="session")
def n2c(session_directory, shared_registry, kinds):
    """The registry of a copy of the flake with nix2container's JSON."""
    work = session_directory("n2c")
    flake = nix.copy_flake(kinds, work / "flake")
    busybox = pathlib.Path(nix.build(kinds, "busybox")) / "bin/busybox"
    blob = gzip.compress(go_tar([("bin", 0o755, 0, None),
                                 ("bin/cat", 0o755, 0,
                                  busybox.read_bytes())]), mtime=0)
    (flake / "files/busybox-layer").write_bytes(blob)
    greeting = pathlib.Path(nix.build(kinds, "greeting")).read_bytes()

    def tar(mode):
        return go_tar([("/", 0o755, 0, None), ("/etc", 0o755, 0, None),
                       ("/etc/motd", mode, 7, greeting)])
    right = n2c_json(tar(0o640), blob).replace(
        '["/nix/store-busybox"]', '["/bin/cat", "/etc/motd"]')
    (flake / "templates/n2c").write_text(right)
    (flake / "templates/n2c-wrong").write_text(
        n2c_json(tar(0o600), blob))
    (flake / "templates/n2c-regex").write_text(
        right.replace("^/nix/store/[^/]+$", "(?=x)"))
    return shared_registry("lighttpd", flake)


def test_n2c_is_served_before_a_layer_is_made(n2c):
    manifest, _ = n2c.manifest("n2c")
    config = json.loads(n2c.blob("n2c", manifest["config"]["digest"]))
    assert list(config) == ["architecture", "os", "config", "rootfs"]
    for layer in manifest["layers"]:
        hex_ = layer["digest"].split(":")[1]
        assert not (n2c.cache / "blobs/sha256" / hex_[:2] / hex_).exists()
    # The tag stays fresh without them, and the first pull makes them.
    assert n2c.manifest("n2c")[0] == manifest
    for layer in manifest["layers"]:
        assert len(n2c.blob("n2c", layer["digest"])) == layer["size"]
    assert [layer["mediaType"] for layer in manifest["layers"]] == [
        OCI + "layer.v1.tar+gzip", OCI + "layer.v1.tar"]


@pytest.mark.parametrize("client", ("docker", "podman"))
def test_n2c_runs(n2c, client_of, client):
    assert pull_and_run(n2c, client_of(client), "n2c") == [GREETING]


def test_n2c_wrong_digest(n2c):
    """The manifest is there; the layer is refused and its path is named."""
    manifest, _ = n2c.manifest("n2c-wrong")
    digest = manifest["layers"][1]["digest"]
    reply = n2c.get(f"/v2/n2c-wrong/blobs/{digest}")
    assert reply.status >= 400
    assert "-greeting" in reply.error()[1], str(reply)
    hex_ = digest.split(":")[1]
    assert not (n2c.cache / "blobs/sha256" / hex_[:2] / hex_).exists()
    failed = n2c.build("n2c-wrong")
    assert failed.status and "-greeting" in failed.err, failed


def test_n2c_expression_that_is_not_done(n2c):
    reply = n2c.get("/v2/n2c-regex/manifests/latest")
    assert "the expression '(?=x)'" in reply.error()[1]


def test_one_evaluation(make_registry, archives, n2c, directory):
    """What an output is takes one evaluation to know, whatever it is."""
    path, log = nix.counting_path(directory)
    registry = make_registry(
        None, flakes={"a": archives.flake, "n": n2c.flake},
        settings=[nix.COUNTED],
        environment=nix.environment(directory, path=path))
    for name in ("a/stream", "a/stream-built", "a/layered", "a/skopeo.tar",
                 "a/docker-25.tar", "a/oci-layout", "a/oci.tar",
                 "a/oci-index", "a/program", "n/n2c"):
        log.write_text("")
        registry.build(name).ok()
        calls = log.read_text()
        assert calls.count(" eval --json ") == 1, (name, calls)


def test_index_of_several_systems(make_registry, archives, client_of,
                                  directory):
    """Of an output that is an index each system gives the member that is for
    it: a client finds an image in the index that it is given."""
    environment = nix.environment(directory, NIX_CONFIG=nix.SINGLE_USER
                                  + "extra-platforms = aarch64-linux\n")
    registry = make_registry(
        archives.flake, environment=environment,
        settings=["systems = x86_64-linux aarch64-linux"])
    inner = {member["platform"]["architecture"]: member["digest"]
             for member in archives.get(
                 "/v2/oci-index/manifests/latest",
                 {"Accept": fetch.INDEX}).json()["manifests"]}
    for _ in range(2):
        reply = registry.get("/v2/oci-index/manifests/latest",
                             {"Accept": fetch.INDEX})
        assert reply.headers["Content-Type"] == fetch.INDEX, str(reply)
        assert [(member["platform"]["architecture"], member["digest"])
                for member in reply.json()["manifests"]] == [
                    ("amd64", inner["amd64"]), ("arm64", inner["arm64"])]
        registry.build("oci-index").ok()
    out = pull_and_run_index(registry, client_of("docker"), "oci-index")
    assert out == ["main", GREETING]


def pull_and_run_index(registry, client, name):
    image = registry.reference(name, "latest")
    client.pull(image).ok()
    try:
        return client.run(image).ok().out.splitlines()
    finally:
        client.remove(image)


def record_of(registry, name):
    """The JSON of an image's record."""
    _, reply = registry.manifest(name)
    file = (registry.cache / "repositories" / name / "_manifests" /
            reply.digest().split(":")[1])
    return json.loads(file.read_text().split("\n\n", 1)[1])


def test_planned_layers_again(make_registry, registry, kinds):
    """Another host with an empty cache makes the same; whose plan it is
    stands in the record."""
    other = make_registry(kinds)
    manifest, reply = registry.manifest("tls")
    assert other.manifest("tls")[1].digest() == reply.digest()
    for layer in manifest["layers"]:
        assert other.blob("tls", layer["digest"]) == \
            registry.blob("tls", layer["digest"])
    record = record_of(other, "tls")
    assert record["planVersion"] > 0 and record["maxLayers"] == 100
    assert [layer["digest"] for layer in record["layers"]] == \
        [layer["digest"] for layer in manifest["layers"]]
    assert record_of(registry, "stream")["planVersion"] == 0
