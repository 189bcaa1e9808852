# SPDX-License-Identifier: MIT
"""What an image must be, worked out without flakehub: the tar by Python's
tarfile and the image config by its json, which is what nixpkgs uses."""

import ast
import datetime
import hashlib
import io
import json
import os
import tarfile


class _Hash(io.RawIOBase):
    def __init__(self):
        self.sha256 = hashlib.sha256()

    def write(self, data):
        self.sha256.update(data)
        return len(data)


def _seconds(time):
    parsed = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.timezone.utc)
    return int(parsed.timestamp())


def _walk(path):
    """A path and all below it, directories before what is in them."""
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for name in sorted(os.listdir(path)):
            yield from _walk(f"{path}/{name}")


def _entry(path, mode=None):
    entry = tarfile.TarInfo(path)
    stat = os.lstat(path)
    entry.mode = stat.st_mode & 0o7777 if mode is None else mode
    if os.path.islink(path):
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(path)
    elif os.path.isdir(path):
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = stat.st_size
    return entry


def diff_id(paths, conf):
    """The diff ID of a layer of store paths."""
    first_generation = "uid" not in conf
    out = _Hash()
    with tarfile.open(fileobj=out, mode="w|", bufsize=tarfile.RECORDSIZE,
                      format=tarfile.PAX_FORMAT) as tar:
        nix_mode = 0o555 if first_generation else 0o755
        entries = [_entry("/nix", nix_mode), _entry("/nix/store", nix_mode)]
        for path in paths:
            entries += [_entry(name) for name in _walk(path)]
        for entry in entries:
            entry.mtime = _seconds(conf.get("mtime", conf["created"]))
            entry.uid = int(conf.get("uid", 0))
            entry.gid = int(conf.get("gid", 0))
            entry.uname = conf.get("uname", "root")
            entry.gname = conf.get("gname", "root")
            if entry.isfile():
                with open(entry.name, "rb") as f:
                    tar.addfile(entry, f)
            else:
                tar.addfile(entry)
    return "sha256:" + out.sha256.hexdigest()


def image_config(conf):
    """The image config of a conf that lists its layers, without a base."""
    diff_ids, comments = [], []
    for paths in conf["store_layers"]:
        diff_ids.append(diff_id(paths, conf))
        comments.append(f"store paths: {paths!r}")
    layer = conf["customisation_layer"]
    with open(f"{layer}/layer.tar", "rb") as f:
        diff_ids.append("sha256:" + hashlib.file_digest(f, "sha256")
                        .hexdigest())
    comments.append(f"store paths: {[layer]!r}")
    created = datetime.datetime.fromtimestamp(_seconds(conf["created"]),
                                              datetime.timezone.utc)
    return json.dumps({
        "created": created.isoformat(),
        "architecture": conf["architecture"],
        "os": "linux",
        "config": conf["config"],
        "rootfs": {"diff_ids": diff_ids, "type": "layers"},
        "history": [{"created": created.isoformat(), "comment": comment}
                    for comment in comments],
    }, indent=4).encode()


def assert_layers(config, conf):
    """Each layer of store paths has the diff ID that they give."""
    count = 0
    for have, entry in zip(config["rootfs"]["diff_ids"], config["history"],
                           strict=True):
        head, _, paths = entry.get("comment", "").partition(": ")
        paths = ast.literal_eval(paths) if head == "store paths" else []
        if not paths or not paths[0].startswith("/nix/store/") \
                or paths[0].endswith(("-customisation-layer", ".tar")):
            continue
        assert have == diff_id(paths, conf), paths
        count += 1
    return count
