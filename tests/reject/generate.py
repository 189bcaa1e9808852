# SPDX-License-Identifier: MIT
"""Outputs that are no images although they look like some, one function a
reason: each writes a file or folder and returns a part of the message that
refuses it."""

import gzip
import hashlib
import io
import json
import shutil
import struct
import tarfile
import zlib

LAYER = "layer.tar"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


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


def compress(file):
    file.write_bytes(gzip.compress(file.read_bytes(), 1))


def entry(name, type_=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type = type_
    info.linkname = link
    return info


def archive_parent_name(dest):
    write(dest, members(), [(entry("../evil"), b"x")])
    return "member '../evil': expected a relative name"


def archive_absolute_name(dest):
    write(dest, members(), [(entry("/etc/passwd"), b"x")])
    return "member '/etc/passwd': expected a relative name"


def archive_duplicate_name(dest):
    write(dest, members(), [(entry("./" + LAYER), b"x")])
    return "two members named 'layer.tar'"


def archive_looping_links(dest):
    files = members()
    del files[LAYER]
    write(dest, files, [(entry(LAYER, tarfile.SYMTYPE, "other"), b""),
                        (entry("other", tarfile.SYMTYPE, LAYER), b"")])
    return "links in a loop"


def archive_link_outside(dest):
    files = members()
    del files[LAYER]
    write(dest, files,
          [(entry(LAYER, tarfile.SYMTYPE, "../../etc/passwd"), b"")])
    return "is a link out of the archive"


def archive_missing_layer(dest):
    files = members()
    del files[LAYER]
    write(dest, files)
    return "has no member 'layer.tar'"


def archive_missing_config(dest):
    files = members()
    del files["config.json"]
    write(dest, files)
    return "has no member 'config.json'"


def archive_other_diff_id(dest):
    write(dest, members(diff_id="ab" * 32))
    return "has the diff ID sha256:"


def archive_more_diff_ids(dest):
    files = members()
    config = json.loads(files["config.json"])
    config["rootfs"]["diff_ids"] *= 2
    write(dest, members(config=json.dumps(config).encode()))
    return "expected one for each of the 1 layers, not 2"


def archive_layer_cut_off(dest):
    layer = gzip.compress(bytes(range(256)) * 100)
    write(dest, members(layer[:-20], sha256(bytes(range(256)) * 100)))
    return "data ends too early"


def archive_huge_entry(dest):
    write(dest, members())
    info = entry("huge")
    info.size = 8 << 30
    dest.write_bytes(info.tobuf() + dest.read_bytes())
    return "it is cut off"


def archive_sparse_entry(dest):
    """A GNU sparse file that says to have 8 EiB."""
    write(dest, members())
    info = entry(LAYER, b"S")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\0"
    header[398:410] = b"00000000000\0"
    header[483:495] = b"\x80\0\0\0" + (2**62).to_bytes(8, "big")
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    files = members()
    del files[LAYER]
    write(dest, files)
    dest.write_bytes(bytes(header) + dest.read_bytes())
    return "is a sparse file"


def archive_sparse_map_bomb(dest):
    """A sparse file whose map is 160 MiB, in 640 KB of gzip."""
    header = bytearray(entry("x", b"S").tobuf(tarfile.GNU_FORMAT))
    extent = b"00000001000\0" + b"00000000000\0"
    header[386:410] = extent
    header[482] = 1
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    block = extent * 21 + b"\1" + bytes(7)
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = (compressor.compress(header) +
             compressor.flush(zlib.Z_FULL_FLUSH))
    mib = (compressor.compress(block * 2048) +
           compressor.flush(zlib.Z_FULL_FLUSH))
    dest.write_bytes(start + mib * 160 + compressor.flush())
    return "a member's header of more than"


def archive_manifest_of_100_mb(dest):
    write(dest, members(manifest=b"[" + b" " * 100_000_000 + b"]"))
    compress(dest)
    return "manifest.json has more than"


def archive_config_of_100_mb(dest):
    write(dest, members(config=b"{" + b" " * 100_000_000 + b"}"))
    compress(dest)
    return "config.json has more than"


def many(key, value, megabytes):
    """JSON of so many MB whose key has values of a few bytes, which take a
    hundred times that in memory."""
    values = value * (megabytes * 1_000_000 // len(value))
    return b'{"%s": [%s]}' % (key, values[:-1])


def archive_config_of_many_values(dest):
    write(dest, members(config=many(b"x", b"{},", 16)))
    compress(dest)
    return "more values than 96 MiB of memory hold"


def archive_manifest_of_many_values(dest):
    write(dest, members(manifest=b"[" + many(b"x", b"[],", 4) + b"]"))
    compress(dest)
    return "more values than 96 MiB of memory hold"


def zeros(count, head=b""):
    """A gzip of head and that many MiB of zeros. Each is compressed to the
    same bytes; the checksum at the end is never reached."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = compressor.compress(head) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = (compressor.compress(bytes(1 << 20)) +
             compressor.flush(zlib.Z_FULL_FLUSH))
    return start + block * count + compressor.flush()


def archive_bomb(dest):
    """6 GiB of zeros in 6 MB, as a member of a gzip."""
    info = entry("zeros")
    info.size = 6 << 30
    dest.write_bytes(zeros(6 << 10, info.tobuf()))
    return "expands to more than"


def archive_layer_bomb(dest):
    """The same as a layer."""
    write(dest, members(zeros(6 << 10), "ab" * 32))
    return "expands to more than"


def gzip_of_zeros(counts):
    """A gzip of so many MiB of zeros for each count, a thousandth as large,
    and what they hash to."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    mib = bytes(1 << 20)
    block = compressor.compress(mib) + compressor.flush(zlib.Z_FULL_FLUSH)
    end, crc, hashed, made = compressor.flush(), 0, hashlib.sha256(), 0
    for count in sorted(counts):
        for made in range(made + 1, count + 1):
            crc = zlib.crc32(mib, crc)
            hashed.update(mib)
        yield (b"\x1f\x8b\x08" + bytes(7) + block * count + end +
               struct.pack("<LL", crc, count << 20), hashed.hexdigest())


def archive_layers_bomb(dest):
    """Four layers that are let through each, but not all together."""
    files, names, ids = {}, [], []
    for layer, diff_id in gzip_of_zeros([500, 501, 502, 503]):
        names.append(f"{len(names)}.tar")
        files[names[-1]] = layer
        ids.append(f"sha256:{diff_id}")
    config = {"rootfs": {"type": "layers", "diff_ids": ids}}
    manifest = [{"Config": "config.json", "Layers": names}]
    write(dest, {**files, "config.json": json.dumps(config).encode(),
                 "manifest.json": json.dumps(manifest).encode()})
    return "all together"


def archive_names_bomb(dest):
    """Members whose names alone are 20 MB, in a small gzip."""
    files = {f"{i:03}" + "/n" * 100_000: b"" for i in range(100)}
    write(dest, {**files, **members()})
    compress(dest)
    return "names have more than"


def archive_compressed_twice(dest):
    """Else a second gzip may be many GB that hold nothing."""
    write(dest, members())
    compress(dest)
    compress(dest)
    return "is no image and no package"


def archive_several_images(dest):
    image = {"Config": "config.json", "Layers": [LAYER]}
    write(dest, members(manifest=json.dumps(
        [{**image, "RepoTags": ["one:1"]},
         {**image, "Config": "other.json"}]).encode()))
    return "has several images (one:1, other.json)"


def archive_too_many_layers(dest):
    write(dest, members(manifest=json.dumps(
        [{"Config": "config.json", "Layers": [LAYER] * 1001}]).encode()))
    return "key 'Layers': more than 1000 of them"


def archive_hard_link_to_itself(dest):
    files = members()
    del files[LAYER]
    write(dest, files, [(entry(LAYER, tarfile.LNKTYPE, LAYER), b"")])
    return "links in a loop"


def archive_fewer_diff_ids(dest):
    files = members()
    config = json.loads(files["config.json"])
    config["rootfs"]["diff_ids"] = []
    write(dest, members(config=json.dumps(config).encode()))
    return "expected one for each of the 1 layers, not 0"


def archive_layer_is_no_tar(dest):
    """Bytes that are no gzip, whatever their first two say."""
    write(dest, members(b"\x1f\x8b" + b"no gzip" * 100, "ab" * 32))
    return "the gzip data is broken"


def archive_cut_off(dest):
    write(dest, members(layer=bytes(range(256)) * 1000))
    dest.write_bytes(gzip.compress(dest.read_bytes())[:-5000])
    return ""


def layout(dest, index=None, layer=None, claim=None, diff_id=None,
           config=None):
    """An OCI layout of one layer, as a directory."""
    blobs = dest / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (dest / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def put(body, type_, name=None):
        name = name or sha256(body)
        (blobs / name).write_bytes(body)
        return {"mediaType": f"application/vnd.oci.image.{type_}",
                "digest": f"sha256:{name}", "size": len(body)}
    files = members(layer, diff_id, config)
    manifest = {"schemaVersion": 2, "config": put(
        files["config.json"], "config.v1+json"), "layers": [
            put(files[LAYER], "layer.v1.tar", claim)]}
    if index is None:
        index = [put(json.dumps(manifest).encode(), "manifest.v1+json")]
    (dest / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "manifests": index}))
    return blobs, put


def oci_index_points_to_itself(dest):
    own = "ab" * 32
    me = {"mediaType": "application/vnd.oci.image.index.v1+json",
          "digest": f"sha256:{own}", "size": 1}
    blobs, _ = layout(dest, index=[me])
    (blobs / own).write_text(json.dumps({"schemaVersion": 2,
                                         "manifests": [me]}))
    return "hashes to another digest"


def oci_index_in_index(dest):
    _, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    inner = put(json.dumps(index).encode(), "index.v1+json")
    outer = put(json.dumps({"schemaVersion": 2, "manifests": [inner]}
                           ).encode(), "index.v1+json")
    (dest / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "manifests": [outer]}))
    return "an index in an index is not served"


def oci_missing_layer(dest):
    blobs, _ = layout(dest)
    (blobs / sha256(empty_tar())).unlink()
    return "is not there"


def oci_other_bytes(dest):
    layout(dest, claim="ab" * 32)
    return "hashes to sha256:"


def oci_other_diff_id(dest):
    layout(dest, diff_id="ab" * 32)
    return "has the diff ID sha256:"


def oci_two_without_platform(dest):
    _, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    index["manifests"] *= 2
    (dest / "index.json").write_text(json.dumps(index))
    return "do not say what platforms they are for"


def oci_blob_outside(dest):
    blobs, _ = layout(dest)
    name = blobs / sha256(empty_tar())
    name.unlink()
    name.symlink_to("/etc/passwd")
    return "is a symlink out of the store"


def oci_no_index(dest):
    layout(dest)
    (dest / "index.json").unlink()
    return "index.json is not there"


def oci_path_as_digest(dest):
    layout(dest, index=[{"mediaType":
                         "application/vnd.oci.image.manifest.v1+json",
                         "digest": "sha256:../../../etc/passwd", "size": 1}])
    return "key 'digest'"


def resize(descriptor):
    return {**descriptor, "size": descriptor["size"] + 1}


def resized_layout(dest, config=False, layer=False, member=False,
                   members=1):
    """A layout whose descriptors are right but for a size that is one more
    than there is."""
    blobs, put = layout(dest)
    index = json.loads((dest / "index.json").read_text())
    name = index["manifests"][0]["digest"].removeprefix("sha256:")
    manifest = json.loads((blobs / name).read_text())
    if config:
        manifest["config"] = resize(manifest["config"])
    if layer:
        manifest["layers"] = [resize(manifest["layers"][0])]
    image = put(json.dumps(manifest).encode(), "manifest.v1+json")
    image["platform"] = {"os": "linux", "architecture": "amd64"}
    index["manifests"] = [image] * (members - 1) + [
        resize(image) if member else image]
    (dest / "index.json").write_text(json.dumps(index))


def oci_config_of_another_size(dest):
    resized_layout(dest, config=True)
    size = len(members()["config.json"])
    return f"has {size} bytes, but its descriptor says {size + 1}"


def oci_layer_of_another_size(dest):
    resized_layout(dest, layer=True)
    return "has 10240 bytes, but it should have 10241"


def oci_manifest_of_another_size(dest):
    resized_layout(dest, member=True)
    return "bytes, but its descriptor says"


def oci_member_of_another_size(dest):
    resized_layout(dest, member=True, members=2)
    return "bytes, but its descriptor says"


def tar_of_layout(dest, more=(), without=None):
    """The same in a tar, with these TarInfos and their data."""
    folder = dest.with_name(dest.name + ".d")
    layout(folder)
    files = {str(file.relative_to(folder)): file.read_bytes()
             for file in sorted(folder.rglob("*")) if file.is_file()}
    shutil.rmtree(folder)
    if without:
        del files[without]
    write(dest, files, more)


def oci_tar_parent_name(dest):
    tar_of_layout(dest, [(entry("blobs/../../evil"), b"x")])
    return "member 'blobs/../../evil': expected a relative name"


def oci_tar_duplicate_name(dest):
    tar_of_layout(dest, [(entry("index.json"), b"{}")])
    return "two members named 'index.json'"


def oci_tar_looping_links(dest):
    name = "blobs/sha256/" + sha256(empty_tar())
    tar_of_layout(dest, [(entry(name, tarfile.SYMTYPE, sha256(empty_tar())), b"")],
            without=name)
    return "links in a loop"


def oci_looping_links(dest):
    blobs, _ = layout(dest)
    name = blobs / sha256(empty_tar())
    name.unlink()
    name.symlink_to(name.name)
    return "is a symlink out of the store, or to itself"


def oci_missing_config(dest):
    blobs, _ = layout(dest)
    (blobs / sha256(members()["config.json"])).unlink()
    return "is not there"


def oci_missing_manifest(dest):
    layout(dest, index=[{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:" + "ab" * 32, "size": 1}])
    return "is not there"


def oci_layer_bomb(dest):
    """The same as a blob."""
    layout(dest, layer=zeros(6 << 10), diff_id="ab" * 32)
    return "expands to more than"


def oci_index_of_100_mb(dest):
    layout(dest)
    with open(dest / "index.json", "ab") as f:
        f.truncate(100_000_000)
    return "index.json has more than"


def oci_more_diff_ids(dest):
    files = members()
    config = json.loads(files["config.json"])
    config["rootfs"]["diff_ids"] *= 2
    layout(dest, config=json.dumps(config).encode())
    return "expected one for each of the 1 layers, not 2"


def n2c(dest, **layer):
    """nix2container's JSON of one layer."""
    digest = "sha256:" + "ab" * 32
    dest.write_text(json.dumps({
        "version": 1, "image-config": {}, "arch": "amd64", "layers": [{
            "digest": digest, "diff_ids": digest, "size": 1,
            "mediatype": "application/vnd.oci.image.layer.v1.tar",
            **layer}]}))


def n2c_digest_of_another_algorithm(dest):
    n2c(dest, digest="sha512:" + "ab" * 64)
    return "key 'layers[0]': key 'digest'"


def n2c_path_outside(dest):
    n2c(dest, paths=[{"path": "/etc/passwd"}])
    return "expected a path in the image's closure, not /etc/passwd"


def n2c_layer_path_outside(dest):
    n2c(dest, **{"layer-path": "/etc/passwd"})
    return "expected a path in the image's closure, not /etc/passwd"


def n2c_neither_paths_nor_layer_path(dest):
    n2c(dest)
    return "expected 'paths' or 'layer-path'"


def n2c_negative_size(dest):
    n2c(dest, size=-1, paths=[])
    return "key 'size': expected a number of bytes"


def n2c_layer_path_of_another_size(dest):
    n2c(dest, **{"layer-path": "@busybox-layer@", "size": 7,
                 "digest": "sha256:" + sha256(gzip_of_tar()),
                 "diff_ids": "sha256:" + sha256(empty_tar()),
                 "mediatype": "application/vnd.oci.image.layer.v1.tar+gzip"})
    return f" has {len(gzip_of_tar())} bytes, not 7"


def n2c_media_type(dest):
    n2c(dest, mediatype="text/html", paths=[])
    return "media type text/html"


def n2c_compressed_paths(dest):
    n2c(dest, mediatype="application/vnd.oci.image.layer.v1.tar+gzip",
        paths=[])
    return "a layer of paths is a plain tar"


def n2c_newer_version(dest):
    n2c(dest)
    dest.write_text(dest.read_text().replace('"version": 1', '"version": 2'))
    return "key 'version': expected 1, not 2"


def n2c_json_of_100_mb(dest):
    with open(dest, "wb") as f:
        f.write(b'{"version": 1, "image-config": {}, "layers": [')
        f.truncate(100_000_000)
    return "a JSON of 100000000 bytes"


def n2c_many_values(dest):
    dest.write_bytes(many(b"layers", b"{},", 16))
    return "more values than 96 MiB of memory hold"


def n2c_parent_path(dest):
    n2c(dest, paths=[{"path": "/nix/store/../../etc/passwd"}])
    return "expected a path in the image's closure, not /nix/store/../../etc"


def n2c_relative_path(dest):
    n2c(dest, paths=[{"path": "etc/passwd"}])
    return "expected a path in the image's closure, not etc/passwd"


def n2c_too_many_layers(dest):
    n2c(dest)
    image = json.loads(dest.read_text())
    image["layers"] *= 1001
    dest.write_text(json.dumps(image))
    return "key 'layers': more than 1000 of them"


def n2c_unknown_key_of_a_path(dest):
    n2c(dest, paths=[{"path": "@greeting@", "excluded": True}])
    return "the key 'excluded'"


def n2c_expressions_bomb(dest):
    perm = {"regex": "x", "mode": "0644"}
    n2c(dest, paths=[{"path": "@greeting@",
                      "options": {"perms": [perm] * 1001}}])
    return "more than 1000 expressions in a layer"


def n2c_expression_of_another_kind(dest):
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "(?<=/)x", "repl": ""}}}])
    return "'(?<' is a look-behind, which is not done here"


# What is found out when the layer is made: nix2container's JSON says its
# digest, so its manifest is served before.


def lazy_layer_path_of_other_bytes(dest):
    n2c(dest, **{"layer-path": "@greeting@", "size": 0})
    return "hashes to sha256:"


def lazy_layer_path_of_another_diff_id(dest):
    n2c(dest, **{"layer-path": "@busybox-layer@", "size": 0,
                 "digest": "sha256:" + sha256(gzip_of_tar()),
                 "mediatype": "application/vnd.oci.image.layer.v1.tar+gzip"})
    return "has the diff ID sha256:"


def gzip_of_tar():
    """What @busybox-layer@ stands for."""
    return gzip.compress(empty_tar(), mtime=0)


def lazy_paths_of_other_bytes(dest):
    n2c(dest, paths=[{"path": "@greeting@"}])
    return "-greeting"


def lazy_paths_of_another_size(dest):
    """A layer of no paths is the end of a tar, which is two blocks."""
    digest = "sha256:" + sha256(bytes(1024))
    n2c(dest, paths=[], digest=digest, diff_ids=digest, size=7)
    return "the layer has 1024 bytes, but it should have 7"


def lazy_rewritten_to_parent(dest):
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "^/nix/store", "repl": "/../.."}}}])
    return "which goes up"


def lazy_one_name_of_two_modes(dest):
    """A program and a file, both at /x."""
    options = {"rewrite": {"regex": "^.*$", "repl": "/x"}}
    n2c(dest, paths=[{"path": path, "options": options}
                     for path in ("@hello@/bin/hello", "@greeting@")])
    return "of different modes"


def lazy_slow_expression(dest):
    """Steps by the million at each place that it may begin at."""
    n2c(dest, paths=[{"path": "@greeting@", "options": {
        "rewrite": {"regex": "(.*)(.*)(.*)(.*)(.*)(.*)[#%]", "repl": ""}}}])
    return "takes too long on /nix/store/"


LAZY = {name.removeprefix("lazy_").replace("_", "-"): function
        for name, function in dict(globals()).items()
        if name.startswith("lazy_")}
REASONS = {name.replace("_", "-"): function
           for name, function in dict(globals()).items()
           if name.startswith(("archive_", "oci_", "n2c_"))}
