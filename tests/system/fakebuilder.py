# SPDX-License-Identifier: MIT
"""A builder that misbehaves as a test wants, for the tests test_fcgi_* alone.

fakebuilder.py DIRECTORY CACHE build --config FILE IMAGE

The words of DIRECTORY/behaviour/IMAGE are done one after the other:

    wait             until the file DIRECTORY/go is there
    sleep:SECONDS
    publish          put an image into the cache, as a builder would
    fail:CODE        write a failure record; its text is DIRECTORY/message
    exit:STATUS
    kill:SIGNAL      itself
    leave            a child that hears no SIGTERM, its pid in DIRECTORY/left
"""

import hashlib
import os
import pathlib
import signal
import sys
import time

OCI = "application/vnd.oci.image."
URL = "github:me/infra"


def digest(data):
    return hashlib.sha256(data).hexdigest()


def behaviour_file(directory, image):
    folder = pathlib.Path(directory) / "behaviour"
    folder.mkdir(exist_ok=True)
    return folder / image.replace("/", "_")


def replace(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.parent / f".{path.name}.{os.getpid()}"
    tmp.write_bytes(data if isinstance(data, bytes) else data.encode())
    tmp.rename(path)


def put_blob(cache, data):
    name = digest(data)
    replace(cache / "blobs/sha256" / name[:2] / name, data)
    return name


def fields(*values):
    return "".join(f"{key} {value}\n" for key, value in values) + "\n"


def image_bytes(name, size=1000000):
    """The same for each name: a config, a layer of that size, the manifest."""
    config = b'{"architecture":"amd64","os":"linux"}'
    layer = (name.encode() + b"\n") * (size // (len(name) + 1))
    manifest = (
        '{"schemaVersion":2,"mediaType":"%smanifest.v1+json","config":'
        '{"mediaType":"%sconfig.v1+json","digest":"sha256:%s","size":%d},'
        '"layers":[{"mediaType":"%slayer.v1.tar","digest":"sha256:%s",'
        '"size":%d}]}' % (OCI, OCI, digest(config), len(config), OCI,
                          digest(layer), len(layer))).encode()
    return config, layer, manifest


def publish(cache, name, tag="latest", resolved=None, url=URL, size=1000000):
    """Make the cache's entries of an image; returns its three digests."""
    cache = pathlib.Path(cache)
    config, layer, manifest = image_bytes(name, size)
    flake = "sha256:" + digest(url.encode())
    repository = cache / "repositories" / name
    digests = [put_blob(cache, blob) for blob in (config, layer, manifest)]
    head = [("manifest", "sha256:" + digests[2]), ("size", len(manifest)),
            ("media-type", OCI + "manifest.v1+json"), ("flake", flake),
            ("identity", "sha256:" + "0" * 64)]
    for name_, blob, kind in ((digests[0], config, "config.v1+json"),
                              (digests[1], layer, "layer.v1.tar")):
        replace(repository / "_blobs" / name_, fields(
            ("digest", "sha256:" + name_), ("size", len(blob)),
            ("media-type", OCI + kind), ("manifest", "sha256:" + digests[2]),
            ("flake", flake)))
    replace(repository / "_manifests" / digests[2], fields(*head) + "{}\n")
    if tag:
        now = int(time.time())
        replace(repository / "_tags" / tag, fields(
            *head, ("resolved", now if resolved is None else resolved),
            ("revision", "")))
    return digests


def put_failure(cache, image, code, message, when=None):
    replace(pathlib.Path(cache) / "builds" / digest(image.encode()) /
            "failure", fields(("when", int(when or time.time())),
                              ("flake", "sha256:" + digest(URL.encode())),
                              ("code", code)) + message)


def leave(file):
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        replace(file, str(os.getpid()))
        time.sleep(600)
        os._exit(0)
    while not file.exists():
        time.sleep(0.01)


def perform(word, directory, cache, image):
    verb, _, argument = word.partition(":")
    if verb == "wait":
        while not (directory / "go").exists():
            time.sleep(0.01)
    elif verb == "sleep":
        time.sleep(float(argument))
    elif verb == "publish":
        name, _, tag = image.partition("@")[0].partition(":")
        publish(cache, name, tag)
    elif verb == "fail":
        put_failure(cache, image, argument,
                    (directory / "message").read_text())
        sys.exit(1)
    elif verb == "exit":
        sys.exit(int(argument))
    elif verb == "leave":
        leave(directory / "left")
    elif verb == "kill":
        os.kill(os.getpid(), int(argument))


def main():
    directory, cache, image = (pathlib.Path(sys.argv[1]),
                               pathlib.Path(sys.argv[2]), sys.argv[-1])
    assert sys.argv[3:5] == ["build", "--config"], sys.argv
    with open(directory / "started", "a", encoding="utf-8") as f:
        f.write(image + "\n")
    # What a builder must not inherit.
    assert not [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 3]
    assert os.getsid(0) == os.getpid()
    file = behaviour_file(directory, image)
    words = file.read_text() if file.exists() else "publish"
    for word in words.split():
        perform(word, directory, cache, image)


if __name__ == "__main__":
    main()
