# SPDX-License-Identifier: MIT
"""Tars and docker-archives."""

import gzip
import io
import json
import tarfile

from makers.data import sha256

LAYER = "layer.tar"


def empty_tar():
    return bytes(10240)


def members(layer=None, diff_id=None, config=None, manifest=None):
    """A docker-archive of one layer, as {name: bytes}."""
    layer = empty_tar() if layer is None else layer
    if config is None:
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [
                f"sha256:{diff_id or sha256(layer)}"]}}).encode()
    if manifest is None:
        manifest = json.dumps([{"Config": "config.json", "RepoTags": None,
                                "Layers": [LAYER]}]).encode()
    return {"config.json": config, LAYER: layer, "manifest.json": manifest}


def write(dest, files, more=()):
    """A tar of these files, and of TarInfos with their data."""
    with tarfile.open(dest, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info, data in more:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def entry(name, type_=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type = type_
    info.linkname = link
    return info


def gzip_of_tar():
    """What @busybox-layer@ stands for."""
    return gzip.compress(empty_tar(), mtime=0)
