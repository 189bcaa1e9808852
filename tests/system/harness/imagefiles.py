# SPDX-License-Identifier: MIT
"""Images in files, as other programs write them."""

import gzip
import io
import json
import os
import shutil
import tarfile

from . import fetch
from .process import run

OCI = "application/vnd.oci.image."


def blob_of(layout, descriptor):
    return (layout / "blobs" / descriptor["digest"].replace(":", "/")
            ).read_bytes()


def put_blob(layout, body, media_type, **more):
    """A blob of an OCI layout; returns its descriptor."""
    digest = fetch.digest(body)
    (layout / "blobs" / digest.replace(":", "/")).write_bytes(body)
    return {"mediaType": media_type, "digest": digest, "size": len(body),
            **more}


def path_of(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def save_as_docker_25(layout, dest, plain):
    """What `docker save` writes since 25, of the image in a layout of one: an
    OCI layout with a manifest.json beside. Its layers are plain tars; as they
    were pulled where docker keeps images in containerd, as new ones do."""
    blobs = dest / "blobs/sha256"
    blobs.mkdir(parents=True)
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob_of(layout, index["manifests"][0]))
    put_blob(dest, blob_of(layout, manifest["config"]), "")
    layers = []
    for layer in manifest["layers"]:
        body = blob_of(layout, layer)
        layers.append(
            put_blob(dest, gzip.decompress(body), OCI + "layer.v1.tar")
            if plain else put_blob(dest, body, layer["mediaType"]))
    manifest["layers"] = layers
    member = put_blob(
        dest, json.dumps(manifest).encode(), OCI + "manifest.v1+json",
        annotations={"io.containerd.image.name": "docker.io/library/saved:25",
                     "org.opencontainers.image.ref.name": "25"})
    (dest / "index.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": OCI + "index.v1+json",
        "manifests": [member]}))
    (dest / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (dest / "manifest.json").write_text(json.dumps([{
        "Config": path_of(manifest["config"]), "RepoTags": ["saved:25"],
        "Layers": [path_of(layer) for layer in layers],
        **({"LayerSources": {layer["digest"]: layer for layer in layers}}
           if plain else {})}]))
    (dest / "repositories").write_text(json.dumps({
        "saved": {"25": layers[-1]["digest"].split(":")[1]}}))


def tar(folder, dest):
    run(["tar", "-C", folder, "-cf", dest, *sorted(os.listdir(folder))]).ok()


def make_archives(registry, docker, ctr, files, work):
    """The image `program`, as other programs write it down."""
    source = "docker://" + registry.reference("program", "latest")

    def skopeo(target):
        run(["skopeo", "copy", "-q", "--src-tls-verify=false", source,
             target]).ok()
    skopeo(f"docker-archive:{files}/skopeo.tar:program:1")
    skopeo(f"oci-archive:{files}/oci.tar:1")
    skopeo(f"oci:{files}/oci-layout:1")
    for command, suffix in ("gzip", "gz"), ("zstd", "zst"), ("xz", "xz"):
        run(["sh", "-c", f"{command} -c {files}/skopeo.tar "
             f">{files}/skopeo-{suffix}"]).ok()
    name = registry.reference("program", "latest")
    for client, file in (docker, "docker-save.tar"), (ctr, "ctr-export.tar"):
        client.pull(name).ok()
        client.save(name, files / file).ok()
        client.remove(name)
    for name, plain in ("docker-25", True), ("docker-25-containerd", False):
        save_as_docker_25(files / "oci-layout", work / name, plain)
        tar(work / name, files / f"{name}.tar")
    make_index(files / "oci-layout", files / "oci-index", nested=False)
    make_index(files / "oci-layout", work / "nested", nested=True)
    tar(work / "nested", files / "oci-nested.tar")
    use_docker_types(files / "oci-layout", files / "docker-types")
    use_docker_types(work / "nested", files / "docker-list")


def make_index(layout, dest, nested):
    """An OCI layout of two platforms; the index is a blob if nested."""
    shutil.copytree(layout, dest)
    index = json.loads((dest / "index.json").read_text())
    amd64 = index["manifests"][0]
    manifest = json.loads(blob_of(dest, amd64))
    config = json.loads(blob_of(dest, manifest["config"]))
    config["architecture"] = "arm64"
    manifest["config"] = put_blob(dest, json.dumps(config).encode(),
                                  OCI + "config.v1+json")
    arm64 = put_blob(dest, json.dumps(manifest).encode(),
                     OCI + "manifest.v1+json")
    for member, architecture in (amd64, "amd64"), (arm64, "arm64"):
        member["platform"] = {"os": "linux", "architecture": architecture}
        member.pop("annotations", None)
    text = json.dumps({"schemaVersion": 2, "mediaType":
                       OCI + "index.v1+json", "manifests": [arm64, amd64]})
    if nested:
        top = put_blob(dest, text.encode(), OCI + "index.v1+json")
        text = json.dumps({"schemaVersion": 2, "manifests": [top]})
    (dest / "index.json").write_text(text)


DOCKER = "application/vnd.docker."
DOCKER_TYPES = {
    OCI + "index.v1+json": DOCKER + "distribution.manifest.list.v2+json",
    OCI + "manifest.v1+json": DOCKER + "distribution.manifest.v2+json",
    OCI + "config.v1+json": DOCKER + "container.image.v1+json",
    OCI + "layer.v1.tar+gzip": DOCKER + "image.rootfs.diff.tar.gzip"}


def use_docker_types(layout, dest):
    """The same in Docker's media types, as containerd keeps what it pulled
    from a registry that has such. index.json is OCI's."""
    shutil.copytree(layout, dest)

    def changed(descriptor):
        type_ = descriptor["mediaType"]
        if "manifest" not in type_ and "index" not in type_:
            return {**descriptor, "mediaType": DOCKER_TYPES[type_]}
        document = json.loads(blob_of(dest, descriptor))
        for key in "manifests", "layers":
            if key in document:
                document[key] = [changed(d) for d in document[key]]
        if "config" in document:
            document["config"] = changed(document["config"])
        document["mediaType"] = DOCKER_TYPES[type_]
        document.pop("annotations", None)
        return {**descriptor, **put_blob(dest, json.dumps(document).encode(),
                                         DOCKER_TYPES[type_])}
    index = json.loads((dest / "index.json").read_text())
    index["manifests"] = [changed(d) for d in index["manifests"]]
    (dest / "index.json").write_text(json.dumps(index))


def go_tar(entries):
    """What nix2container's writer makes of these: (name, mode, uid, data),
    data None for a directory; names are short here."""
    out = io.BytesIO()
    for name, mode, owner, data in entries:
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.mtime = mode, owner, 1
        info.uname = info.gname = "root"
        info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
        info.size = len(data or b"")
        if data is None:
            # tarfile puts a slash behind it: none here.
            info.type = tarfile.REGTYPE
        header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
        if data is None:
            header[156:157] = tarfile.DIRTYPE
        header[329:337] = header[337:345] = b"0000000\0"
        header[148:156] = b"        "
        header[148:156] = b"%06o\0 " % sum(header)
        out.write(header + (data or b"") + bytes(-len(data or b"") % 512))
    return out.getvalue() + bytes(1024)


def n2c_json(greeting_tar, blob, size=None, **more):
    """nix2container's JSON of three layers: a layer-path, a greeting moved
    to /etc, and busybox as a layer-path too."""
    digest = fetch.digest(greeting_tar)
    return json.dumps({
        "version": 1, "arch": "amd64", "created": None,
        "image-config": {"Entrypoint": ["/nix/store-busybox"],
                         "Env": ["A=1"]},
        "layers": [
            {"digest": fetch.digest(blob), "size": 0,
             "diff_ids": fetch.digest(gzip.decompress(blob)),
             "mediatype": OCI + "layer.v1.tar+gzip",
             "layer-path": "@busybox-layer@"},
            {"digest": digest, "size": size or len(greeting_tar),
             "diff_ids": digest, "mediatype": OCI + "layer.v1.tar",
             "paths": [{"path": "@greeting@", "options": {
                 "rewrite": {"regex": "^/nix/store/[^/]+$",
                             "repl": "/etc/motd"},
                 "perms": [{"regex": "greeting$", "mode": "0640",
                            "uid": 7, "gid": 0}]}}],
             "History": {"created_by": "greeting"}, **more}]})
