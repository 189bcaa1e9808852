# SPDX-License-Identifier: MIT
"""`flakehub build` and the cache it writes."""

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from harness import nix
from harness.process import run
from harness.registry import FLAKEHUB, assert_whole, blobs, hash_file

pytestmark = pytest.mark.sanitized


class Builder:
    """A cache and settings, without a server."""

    def __init__(self, directory, flake, lines=(), path=None, environment=()):
        directory.mkdir(exist_ok=True)
        self.cache = directory / "cache"
        self.file = directory / "flakehub.conf"
        self.file.write_text("\n".join([
            f"cache-dir = {self.cache}", *lines, "[flake]", f"url = {flake}",
            ""]))
        self.environment = nix.environment(directory, path=path,
                                           **dict(environment))

    def __call__(self, *args, **options):
        return run([FLAKEHUB, "--config", self.file, *args],
                   env=self.environment, **options)

    def digest(self, name, tag="latest"):
        """Of the manifest that the tag's record names."""
        record = self.cache / f"repositories/{name}/_tags/{tag}"
        return next(word for word in record.read_text().replace(
            '"', " ").split() if word.startswith("sha256:"))

    def manifest(self, name):
        return json.loads(blobs(self.cache)[self.digest(name)].read_bytes())


@pytest.fixture
def builder(directory):
    """builder(name, flake, settings…)"""
    def get(name, flake, *args, **options):
        return Builder(directory / name, flake, *args, **options)
    return get


def contents(cache):
    return {digest: hash_file(file) for digest, file in blobs(cache).items()}


def test_log_is_that_of_the_last_build(builder, fresh):
    """Not of a look at the flake that found nothing new."""
    flake = fresh()
    build = builder("b", f"path:{flake}")
    build("build", "hello").ok()
    log = build("log", "hello").ok().out
    assert "building '/nix/store/" in log, log
    assert log.startswith("flakehub: asking"), log
    build("build", "hello").ok()
    assert build("log", "hello").ok().out == log
    (flake / "flake.nix").write_text("syntax error")
    assert build("build", "hello").status == 1
    log = build("log", "hello").ok().out
    assert "undefined variable" in log and "building" not in log, log


def test_progress(builder, fresh):
    """On a terminal a line says what goes on; nowhere else."""
    def terminal(build):
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [FLAKEHUB, "--config", build.file, "build", "many"],
            env=build.environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 4096):
                text += piece
        except OSError:
            pass  # EIO is how a terminal ends
        os.close(ours)
        assert process.wait() == 0
        return text.decode().split("\r")

    build = builder("b", f"path:{fresh()}")
    lines = terminal(build)
    for said in (r"evaluating", r"building: building '/nix/store/",
                 r"making layers: \d+ of \d+, [\d.]+ [kM]?B"):
        assert any(re.search(said, line) for line in lines), (said, lines)
    result = build("build", "many").ok()
    assert result.out.count("\n") == 1 and not result.err


def test_log_of_long_lines(builder, fresh):
    """They are cut, and nothing of them is lost."""
    flake = fresh()
    images = flake / "images.nix"
    images.write_text(images.read_text().replace(
        'echo "broken: the builder gives up here" >&2',
        "i=0; while [ $i -lt 20000 ]; do printf 0123456789; i=$((i+1)); done"))
    build = builder("b", f"path:{flake}")
    assert build("build", "broken").status == 1
    lines = build("log", "broken").ok().out.splitlines()
    digits = "".join(line.removeprefix("broken> ") for line in lines
                     if "0123456789" in line)
    assert "0123456789" * 20000 in digits


IMAGES = ("hello", "many", "from-image", "twice", "now", "conf-2022")


def test_same_bytes_whatever_the_surroundings(builder, simple):
    """Umask, locale, time zone, folder, cores: the same digests."""
    plain = builder("plain", simple)
    other = builder("other-folder", simple, environment={
        "LANG": "tr_TR.UTF-8", "LC_ALL": "C", "TZ": "Pacific/Kiritimati",
        "SOURCE_DATE_EPOCH": "12345"})
    for image in IMAGES:
        plain("build", image).ok()
        run(["sh", "-c", f'umask 077; exec taskset -c 0 {FLAKEHUB} --config '
             f'{other.file} build {image}'], env=other.environment,
            cwd="/").ok()
        assert plain.digest(image) == other.digest(image)
    assert contents(plain.cache) == contents(other.cache)
    assert_whole(plain.cache)


def test_modes_do_not_depend_on_the_umask(builder, simple):
    """The web server's user can read blobs; nobody else can write."""
    b = builder("b", simple)
    run(["sh", "-c", f'umask 077; exec {FLAKEHUB} --config {b.file} '
         'build hello'], env=b.environment).ok()
    for file in blobs(b.cache).values():
        assert stat.S_IMODE(file.stat().st_mode) == 0o444, file
        for folder in list(file.parents)[:4]:
            mode = stat.S_IMODE(folder.stat().st_mode)
            assert mode & 0o022 == 0 and mode & 0o111 == 0o111, folder
    for file in b.cache.rglob("*"):
        assert not file.lstat().st_mode & 0o002 or file.is_symlink(), file


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("compression", ("gzip", "zstd", "none"))
def test_every_byte_again(builder, simple, image, compression):
    """All blobs deleted, `build NAME@DIGEST` makes the same ones."""
    b = builder("b", simple, [f"compression = {compression}"])
    b("build", image).ok()
    digest, before = b.digest(image), contents(b.cache)
    for file in blobs(b.cache).values():
        file.unlink()
    b("build", f"{image}@{digest}").ok()
    assert contents(b.cache) == before
    # And one alone.
    layer = max(b.manifest(image)["layers"], key=lambda part: part["size"])
    blobs(b.cache)[layer["digest"]].unlink()
    b("build", f"{image}@{digest}").ok()
    assert contents(b.cache) == before


def test_every_byte_again_after_the_flake_changed(builder, fresh):
    """What was served once is made from the record, not from today's flake,
    where that flake can still be had; else it is refused with the reason."""
    flake = fresh()
    b = builder("b", flake)
    b("build", "hello").ok()
    digest, before = b.digest("hello"), contents(b.cache)
    for file in blobs(b.cache).values():
        file.unlink()
    (flake / "salt").write_text("another\n")
    result = b("build", f"hello@{digest}")
    if result.status == 0:
        assert contents(b.cache) == before
    else:
        assert len(result.err.splitlines()) == 1, str(result)
    assert digest not in blobs(b.cache) or contents(b.cache) == before


def test_unknown_digest(builder, simple):
    b = builder("b", simple)
    result = b("build", "hello@sha256:" + "0" * 64)
    assert result.status == 1 and len(result.err.splitlines()) == 1


def diff_ids(b, image):
    config = b.manifest(image)["config"]["digest"]
    return json.loads(blobs(b.cache)[config].read_bytes())["rootfs"][
        "diff_ids"]


def unpacked(data, media_type):
    if media_type.endswith("+gzip"):
        return gzip.decompress(data)
    if media_type.endswith("+zstd"):
        return subprocess.run(["zstd", "-dc"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def test_compression_changes_no_image_id(builder, simple):
    configs = set()
    for compression, suffix in (("gzip", "+gzip"), ("zstd", "+zstd"),
                                ("none", "")):
        b = builder(compression, simple, [f"compression = {compression}"])
        b("build", "many").ok()
        manifest = b.manifest("many")
        configs.add(manifest["config"]["digest"])
        for layer, diff_id in zip(manifest["layers"],
                                  diff_ids(b, "many"), strict=True):
            assert layer["mediaType"] == \
                "application/vnd.oci.image.layer.v1.tar" + suffix
            data = blobs(b.cache)[layer["digest"]].read_bytes()
            data = unpacked(data, layer["mediaType"])
            assert "sha256:" + hashlib.sha256(data).hexdigest() == diff_id
    assert len(configs) == 1


def test_two_orders_one_cache(builder, fresh):
    """The same store paths in another order are another layer."""
    flake = fresh()
    images = flake / "images.nix"
    text = images.read_text()
    order = "[ greeting helloProgram ]"
    assert order in text
    images.write_text(text.replace(
        "bad-conf = oldConf", "turned = oldConf \"turned\" { store_layers = "
        "[ [ busybox ] [ helloProgram greeting ] ]; };\n  "
        "straight = oldConf \"straight\" { };\n  bad-conf = oldConf"))
    b = builder("b", flake)
    b("build", "straight").ok()
    b("build", "turned").ok()
    straight, turned = diff_ids(b, "straight"), diff_ids(b, "turned")
    assert straight[0] == turned[0] and straight[2] == turned[2]
    assert straight[1] != turned[1]
    assert_whole(b.cache)


def test_roots_keep_the_closure(builder, fresh):
    """Each tag's image is a root of Nix's garbage collector."""
    b = builder("b", fresh())
    b("build", "hello").ok()
    links = [file for file in (b.cache / "roots").rglob("*")
             if file.is_symlink()]
    assert links
    targets = {os.readlink(link) for link in links}
    assert any(target.startswith("/nix/store/") for target in targets)
    roots = run(["nix-store", "--gc", "--print-roots"],
                env=b.environment).ok().out
    assert str(b.cache / "roots") in roots


def test_links_stay_while_their_record_does(builder, fresh):
    """A new image leaves the links of the layers that it shares alone; they
    are made anew when the image that they name is forgotten."""
    flake = fresh()
    b = builder("a", flake)
    b("build", "conf-2025").ok()
    first = b.digest("conf-2025")
    shared = {file: file.read_text() for file in
              (b.cache / "repositories/conf-2025/_blobs").iterdir()}
    (flake / "salt").write_text("second\n")
    b("build", "conf-2025").ok()
    second = b.digest("conf-2025")
    assert second != first
    assert all(file.read_text() == text for file, text in shared.items())
    both = [file for file in shared
            if file.name in blobs(b.cache)[second].read_text()]
    assert both
    (b.cache / "repositories/conf-2025/_manifests" / first[7:]).unlink()
    (flake / "salt").write_text("third\n")
    b("build", "conf-2025").ok()
    assert all(b.digest("conf-2025") in file.read_text() for file in both)


def test_a_failed_build_keeps_the_root(builder, fresh):
    """The image that is still served needs its closure."""
    flake = fresh()
    b = builder("a", flake)
    b("build", "hello").ok()
    links = {file: os.readlink(file) for file in (b.cache / "roots").iterdir()}
    assert len(links) == 1
    images = flake / "images.nix"
    images.write_text(images.read_text().replace(
        'helloProgram = program "hello"',
        'helloProgram = run "hello" "exit 1"; unused = program "hello"'))
    assert b("build", "hello").status == 1
    assert {file: os.readlink(file)
            for file in (b.cache / "roots").iterdir()} == links


def test_flake_is_not_written_to(builder, fresh, directory):
    """No flake.lock, and no other file; nor anything in HOME but Nix's."""
    flake = fresh()
    before = sorted(flake.rglob("*"))
    b = builder("b", flake)
    b("build", "hello").ok()
    b("list").ok()
    assert sorted(flake.rglob("*")) == before


def test_git_flake(builder, fresh, directory):
    """A commit gives the revision; a new one gives a new image."""
    flake = fresh()

    def git(*args):
        return run(["git", "-C", flake, "-c", "user.name=t", "-c",
                    "user.email=t@example.org", *args]).ok().out.strip()
    git("init", "-q", "-b", "trunk")
    git("add", ".")
    git("commit", "-qm", "one")
    bare = directory / "bare.git"
    run(["git", "clone", "-q", "--bare", flake, bare]).ok()
    b = builder("b", f"git+file://{bare}", ["max-age = 0s"])
    b("build", "hello").ok()
    first = b.digest("hello")
    tag = (b.cache / "repositories/hello/_tags/latest").read_text()
    assert git("rev-parse", "HEAD") in tag
    (flake / "salt").write_text("two\n")
    git("commit", "-qam", "two")
    b("build", "hello").ok()
    assert b.digest("hello") == first
    git("push", "-q", bare, "trunk")
    b("build", "hello").ok()
    assert b.digest("hello") != first
    before = contents(b.cache)
    for file in blobs(b.cache).values():
        file.unlink()
    b("build", f"hello@{first}").ok()
    assert first in blobs(b.cache)
    assert set(contents(b.cache).items()) <= set(before.items())


def test_dirty_work_tree(builder, fresh):
    """A local folder is for development: what is not committed counts."""
    flake = fresh()
    run(["git", "-C", flake, "init", "-q"]).ok()
    run(["git", "-C", flake, "add", "."]).ok()
    b = builder("b", flake, ["max-age = 0s"])
    b("build", "hello").ok()
    first = b.digest("hello")
    (flake / "salt").write_text("two\n")
    b("build", "hello").ok()
    assert b.digest("hello") != first


def test_memory_does_not_grow_with_the_image(builder, fresh):
    """An image of 300 MB in less than 64 MB (docs: builder)."""
    if "build" != FLAKEHUB.parent.name:
        return
    flake = fresh()
    images = flake / "images.nix"
    images.write_text(images.read_text().replace(
        "bad-conf = oldConf", "large = image \"large\" { contents = [ (run "
        "\"large\" ''\n    mkdir $out\n    for i in 1 2 3; do yes $i | "
        "head -c 100000000 >$out/$i; done\n  '') ]; };\n  bad-conf = oldConf"))
    b = builder("b", flake, ["compression = zstd"])
    script = ("import resource, subprocess, sys\n"
              "subprocess.run(sys.argv[1:], check=True)\n"
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    nix.build(flake, "large")
    out = run(["/usr/bin/python3", "-c", script, FLAKEHUB, "--config", b.file,
               "build", "large"], env=b.environment).ok().out
    # The largest of the builder's own children counts too: Nix evaluates.
    assert int(out.split()[-1]) < 256 << 10
    assert_whole(b.cache)


def test_cache_may_be_a_link(builder, simple, directory):
    b = builder("b", simple)
    (directory / "real").mkdir()
    b.cache.symlink_to(directory / "real")
    b("build", "hello").ok()
    assert_whole(b.cache)
    shutil.rmtree(directory / "real")
