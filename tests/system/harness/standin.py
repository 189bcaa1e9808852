# SPDX-License-Identifier: MIT
"""A stand-in for flakehub.fcgi: one image of busybox, made here. It lets the
clients and the web servers' files be tried alone.

standin.py CACHE SENDFILE, with the listening socket as descriptor 0."""

import gzip
import hashlib
import io
import json
import pathlib
import socket
import struct
import sys
import tarfile

CACHE, SENDFILE = pathlib.Path(sys.argv[1]), sys.argv[2]
OCI = "application/vnd.oci.image."


def put(data, media_type):
    name = hashlib.sha256(data).hexdigest()
    file = CACHE / "blobs/sha256" / name[:2] / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{name}",
            "size": len(data)}


def image():
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
    layer = tar.getvalue()
    config = {"architecture": "amd64", "os": "linux",
              "config": {"Cmd": ["/bin/busybox", "echo", "Hello"]},
              "rootfs": {"type": "layers", "diff_ids": [
                  "sha256:" + hashlib.sha256(layer).hexdigest()]}}
    return put(json.dumps({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": put(json.dumps(config).encode(), OCI + "config.v1+json"),
        "layers": [put(gzip.compress(layer), OCI + "layer.v1.tar+gzip")],
    }).encode(), OCI + "manifest.v1+json")


def parameters(data):
    def length(at):
        if data[at] < 128:
            return data[at], at + 1
        return struct.unpack(">I", data[at:at + 4])[0] & 0x7fffffff, at + 4
    at, result = 0, {}
    while at < len(data):
        name, at = length(at)
        value, at = length(at)
        key = data[at:at + name].decode()
        result[key] = data[at + name:at + name + value].decode()
        at += name + value
    return result


def answer(request, manifest):
    path = request["REQUEST_URI"]
    if path == "/v2/":
        return "Content-Type: application/json\r\n\r\n{}"
    kind, digest = path.split("/")[-2:]
    if ":" not in digest:
        digest = manifest["digest"]
    name = digest.split(":")[1]
    file = f"sha256/{name[:2]}/{name}"
    media_type = manifest["mediaType"] if kind == "manifests" \
        else "application/octet-stream"
    where = f"X-Sendfile: {CACHE}/blobs/{file}" if SENDFILE == "x-sendfile" \
        else f"X-Accel-Redirect: /_blobs/{file}"
    return (f"Content-Type: {media_type}\r\nETag: \"{digest}\"\r\n"
            f"Docker-Content-Digest: {digest}\r\n{where}\r\n\r\n")


def serve(connection, manifest):
    stream, sent = connection.makefile("rb"), b""
    while True:
        _, kind, number, length, padding, _ = struct.unpack(
            ">BBHHBB", stream.read(8))
        data = stream.read(length)
        stream.read(padding)
        if kind == 4:
            sent += data
        if kind == 5 and not length:
            break
    body = answer(parameters(sent), manifest).encode()
    for kind, data in ((6, body), (6, b""), (3, b"\0" * 8)):
        connection.sendall(struct.pack(">BBHHBB", 1, kind, number, len(data),
                                       0, 0) + data)
    connection.close()


def main():
    manifest = image()
    listening = socket.socket(fileno=0)
    while True:
        try:
            serve(listening.accept()[0], manifest)
        except OSError as e:
            print(e, file=sys.stderr)


main()
