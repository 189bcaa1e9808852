# SPDX-License-Identifier: MIT
"""What bad input and a bad world get: one clear answer."""

import os
import shutil
import signal
import subprocess
import time
import uuid

import pytest

from harness import fetch, nix
from harness.process import run
from harness.registry import FLAKEHUB, assert_whole, blobs

MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"


def failure(registry, image):
    """The message of an image that cannot be had."""
    reply = registry.get(f"/v2/{image}/manifests/latest")
    assert reply.status == 404, str(reply)
    code, message = reply.error()
    assert code == MANIFEST_UNKNOWN
    assert all(c == "\n" or c >= " " for c in message), repr(message)
    return message


@pytest.mark.parametrize("name,nearest", [("helo", "hello"), ("man", "many"),
                                          ("from-imag", "from-image")])
def test_unknown_image(registry, simple, name, nearest):
    message = failure(registry, name)
    assert name in message and str(simple) in message
    assert nearest in message


def test_unknown_image_is_remembered(make_registry, simple, directory):
    """The next requests of error-max-age do not ask Nix again."""
    path, log = nix.counting_path(directory)
    registry = make_registry(simple, environment=nix.environment(
        directory, path=path), settings=["error-max-age = 1h",
                                         "sandbox-eval = no"])
    failure(registry, "nothing-like-it")
    calls = log.read_text()
    assert calls
    failure(registry, "nothing-like-it")
    assert log.read_text() == calls


def test_failing_build(registry):
    message = failure(registry, "broken")
    assert "broken: line 29" in message
    assert "broken: the builder gives up here" in message
    out = registry.flakehub("log", "broken").ok().out
    for line in "broken: line 1\n", "the builder gives up here":
        assert line in out


def test_failing_evaluation(registry):
    assert "this image never evaluates" in failure(registry, "eval-error")
    assert "this image never evaluates" in \
        registry.flakehub("log", "eval-error").ok().out


@pytest.mark.parametrize("client", ("docker", "podman", "skopeo"))
@pytest.mark.parametrize("image,text", [
    ("broken", "the builder gives up here"), ("helo", "hello"),
    ("eval-error", "this image never evaluates")])
def test_message_reaches_the_user(shared_registry, client_of, client, image,
                                  text):
    registry = shared_registry("lighttpd")
    result = client_of(client).pull(registry.reference(image, "latest"))
    assert result.status != 0
    assert text in result.err + result.out, str(result)


def test_ctr_fails(shared_registry, client_of):
    registry = shared_registry("nginx")
    result = client_of("ctr").pull(registry.reference("broken", "latest"))
    assert result.status != 0 and "not found" in result.err


def test_malformed_conf(registry):
    message = failure(registry, "bad-conf")
    assert "store_layers" in message and "conf.json" in message, message


def test_no_conf(registry):
    assert "no-conf.json" in failure(registry, "no-conf")


def test_failed_build_starts_over(make_registry, fresh):
    """Mended, it is built: at once by hand, after error-max-age by a pull."""
    flake = fresh()
    registry = make_registry(flake, settings=["error-max-age = 1s",
                                              "max-age = 1s"])
    failure(registry, "broken")
    images = flake / "images.nix"
    images.write_text(images.read_text().replace("exit 1", "mkdir $out"))
    time.sleep(1.5)
    registry.manifest("broken")
    assert_whole(registry.cache)


def test_stale_if_error(make_registry, fresh):
    """What was served before is served while its new state is broken."""
    flake = fresh()
    registry = make_registry(flake, settings=[
        "max-age = 0s", "error-max-age = 0s", "stale-if-error = 1h"])
    _, before = registry.manifest("hello")
    (flake / "flake.nix").write_text("{ syntax error")
    _, after = registry.manifest("hello")
    assert after.digest() == before.digest()
    assert after.headers["Warning"].startswith("299 ")


def test_vanished_store_path(make_registry, fresh, directory):
    """A store path that is in Nix's database but not on disk is named."""
    flake = fresh()
    conf = nix.build(flake, "hello")
    registry = make_registry(flake, settings=["error-max-age = 0s"])
    greeting = nix.references(conf, "-greeting")
    kept = directory / "kept"
    shutil.move(greeting, kept)
    try:
        reply = registry.get("/v2/hello/manifests/latest")
        assert reply.status in (403, 404), str(reply)
        assert greeting in reply.error()[1], str(reply)
    finally:
        shutil.move(kept, greeting)
    registry.manifest("hello")


@pytest.mark.parametrize("flake", ("/no/such/flake", "path:/no/such/flake",
                                   "git+file:///no/such/flake"))
def test_no_such_flake(make_registry, directory, flake):
    registry = make_registry(flake)
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert "/no/such/flake" in reply.error()[1]
    result = registry.build("hello")
    assert result.status == 1 and "/no/such/flake" in result.err


def test_no_network(make_registry):
    """A host that is not there, nor is its name looked up abroad."""
    registry = make_registry("git+http://127.0.0.1:1/flake",
                             settings=["refresh-timeout = 5s"])
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert "127.0.0.1" in reply.error()[1]


def test_credentials_are_not_shown(make_registry):
    registry = make_registry("git+http://user:hunter2@127.0.0.1:1/flake")
    reply = registry.get("/v2/hello/manifests/latest")
    assert b"hunter2" not in reply.body
    assert "hunter2" not in registry.log.read_text()
    result = registry.build("hello")
    assert result.status == 1 and "hunter2" not in result.err + result.out
    assert "hunter2" not in registry.flakehub("log", "hello").out


@pytest.mark.parametrize("missing", ("nix", "git"))
def test_program_not_installed(make_registry, simple, directory, missing):
    folder = directory / "path"
    folder.mkdir()
    for program in "nix", "nix-store", "git", "bwrap", "sh":
        if program != missing and shutil.which(program):
            (folder / program).symlink_to(shutil.which(program))
    flake = nix.copy_flake(simple, directory / "flake")
    url = f"git+file://{flake}" if missing == "git" else flake
    registry = make_registry(url, environment=nix.environment(
        directory, path=str(folder)))
    result = registry.build("hello")
    assert result.status == 1
    assert missing in result.err and len(result.err.splitlines()) == 1, \
        str(result)


def in_one_line(result, *words):
    assert result.status == 1, str(result)
    assert len(result.err.splitlines()) == 1, str(result)
    for word in words:
        assert str(word) in result.err, str(result)


@pytest.fixture
def settings(directory, simple):
    """settings(line…): run flakehub with a settings file of these."""
    def get(*args, cache=directory / "cache", lines=(), prefix=()):
        file = directory / "flakehub.conf"
        file.write_text("\n".join([f"cache-dir = {cache}", *lines, "[flake]",
                                   f"url = {simple}", ""]))
        return run([*prefix, FLAKEHUB, "--config", file, *args],
                   env=nix.environment(directory))
    return get


def test_cache_of_another_owner(settings, directory):
    cache = directory / "cache"
    cache.mkdir()
    settings("build", "hello").ok()
    for file in (cache, *cache.glob("*")):
        os.chown(file, 12345, 12345)
    in_one_line(settings("build", "hello"), cache)


def test_cache_of_a_newer_version(settings, directory):
    cache = directory / "cache"
    settings("build", "hello").ok()
    (cache / "version").chmod(0o644)
    (cache / "version").write_text("99\n")
    in_one_line(settings("build", "hello"), cache, "99")


def test_cache_that_cannot_be_made(settings, directory):
    (directory / "file").write_text("")
    for cache in directory / "file", directory / "file/cache", "/proc/cache":
        in_one_line(settings("build", "hello", cache=cache), cache)


def test_cache_that_cannot_be_read(settings, directory):
    cache = directory / "cache"
    settings("build", "hello").ok()
    cache.chmod(0o700)
    (directory / "home").chmod(0o777)
    nobody = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    in_one_line(settings("list", prefix=nobody), cache)
    in_one_line(settings("build", "hello", prefix=nobody), cache)


@pytest.fixture
def small_disk(directory):
    """A file system of 3 MB."""
    folder = directory / "disk"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "none",
         folder]).ok()
    yield folder
    run(["umount", folder]).ok()


def test_no_space(small_disk, make_registry, fresh):
    """It says so, and leaves nothing wrong behind; with room, it works."""
    registry = make_registry(fresh(), cache=small_disk / "cache", settings=[
        "compression = none", "error-max-age = 0s"])
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (2 << 20))
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert "space" in reply.error()[1], str(reply)
    in_one_line(registry.build("hello"), "space")
    assert registry.send("GET", "/v2/").status == 200
    assert_whole(registry.cache)
    filler.unlink()
    registry.manifest("hello")
    assert_whole(registry.cache)


def test_no_space_for_the_reason(small_disk, make_registry, fresh):
    """A builder that cannot even write down why it failed."""
    registry = make_registry(fresh(), cache=small_disk / "cache")
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(b"x" * 4096)
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert "no space is left" in reply.error()[1], str(reply)
    filler.unlink()
    registry.manifest("hello")
    run(["mount", "-o", "remount,ro", small_disk]).ok()
    try:
        reply = registry.get("/v2/args/manifests/latest")
    finally:
        run(["mount", "-o", "remount,rw", small_disk]).ok()
    assert "read-only" in reply.error()[1], str(reply)


def test_deleted_blob_is_unknown_or_made_again(make_registry, simple):
    """A blob that was taken away is never a 5xx nor an empty file."""
    registry = make_registry(simple)
    manifest, reply = registry.manifest("hello")
    digest = manifest["layers"][0]["digest"]
    blobs(registry.cache)[digest].unlink()
    answer = registry.get(f"/v2/hello/blobs/{digest}")
    assert answer.status in (200, 404), str(answer)
    if answer.status == 200:
        assert answer.digest() == digest
    else:
        assert answer.error()[0] == "BLOB_UNKNOWN"
    registry.build(f"hello@{reply.digest()}").ok()
    registry.blob("hello", digest)


def test_corrupt_files_in_the_cache(make_registry, simple):
    """Records of another hand: an answer, and no crash."""
    registry = make_registry(simple, settings=["max-age = 0s"])
    registry.manifest("hello")
    before = registry.process.pid
    for folder in "_tags", "_manifests", "_blobs":
        for file in (registry.cache / "repositories/hello" / folder).iterdir():
            for data in b"", b"\0" * 100, b"{" * 5000, b"sha256:" + b"f" * 64:
                if file.is_symlink():
                    continue
                file.chmod(0o644)
                kept = file.read_bytes()
                file.write_bytes(data)
                for path in ("manifests/latest", f"manifests/sha256:"
                             f"{file.name}", f"blobs/sha256:{file.name}"):
                    reply = registry.get(f"/v2/hello/{path}")
                    assert reply.status < 500, (file, data, str(reply))
                if file.exists():
                    file.chmod(0o644)
                file.write_bytes(kept)
    assert registry.process.pid == before
    registry.process.assert_running()
    registry.manifest("hello")


def test_terminated_build(make_registry, fresh):
    """SIGTERM and SIGINT end a builder and its Nix; the next starts over."""
    registry = make_registry(fresh(seconds=10))
    for number in signal.SIGTERM, signal.SIGINT:
        # SIGINT is ignored where the tests run in the background.
        popen = subprocess.Popen(["env", "--default-signal=INT", FLAKEHUB,
                                  "build", "slow"],
                                 env=registry.environment,
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        assert popen.poll() is None
        popen.send_signal(number)
        status = popen.wait(20)
        assert status in (1, -number, 128 + number)
    registry.build("slow").ok()
    assert_whole(registry.cache)


def test_odd_names_on_the_command_line(settings):
    for name in ("", "Hello", "hello:", "hello@", "hello@sha256:0", "../x",
                 "hello:x:y", "a" * 300, "hello/", "/hello", "hello:-x"):
        result = settings("build", name)
        assert result.status == 2, (name, str(result))
        assert len(result.err.splitlines()) == 1, str(result)
    assert settings("build").status == 2
    assert settings("build", "--no-such-option", "hello").status == 2
    assert settings("no-such-command").status == 2
    assert settings().status == 2


def test_unbuildable_revision(registry):
    """A tag that is nothing: never a build, never a 5xx."""
    for tag in uuid.uuid4().hex, "0" * 40, "v0.0.0", "A.B_c-d":
        reply = registry.get(f"/v2/hello/manifests/{tag}")
        assert reply.status == 404, str(reply)
        assert reply.error()[0] == MANIFEST_UNKNOWN
    assert fetch.send(registry.port, "GET", "/v2/").status == 200


NOT_DERIVATIONS = """{
  outputs = { self }: {
    packages.x86_64-linux = {
      inner = { one = 1; two = 2; };
      function = x: x;
      text = "text";
      number = 7;
      list = [ ];
      nothing = null;
      claim = { type = "derivation"; name = "x"; };
      package = derivation {
        name = "package"; system = "x86_64-linux"; builder = "/bin/sh"; };
    };
  };
}
"""


def test_not_a_derivation(make_registry, directory):
    """What is there is not said to be missing."""
    (directory / "flake").mkdir()
    (directory / "flake/flake.nix").write_text(NOT_DERIVATIONS)
    registry = make_registry(directory / "flake")
    path = "packages.x86_64-linux."
    for name, message in {
            "inner": "inner of flake {} is a set of others, not a derivation "
                     "(in it: one, two)",
            "inner/one": "inner.one of flake {} is an integer, not a "
                         "derivation",
            "function": "function of flake {} is a function, not a "
                        "derivation",
            "text": "text of flake {} is a string, not a derivation",
            "list": "list of flake {} is a list, not a derivation",
            "nothing": "nothing of flake {} is null, not a derivation",
            "claim": "claim of flake {} is a set of type \"derivation\" "
                     "without drvPath, not a derivation (in it: name, type)",
            "package/x": f"has no package {path}package.x: {path}package is "
                         "a derivation",
            "number/x": f"has no package {path}number.x: {path}number is an "
                        "integer",
            "packag": f"has no package {path}packag (nearest: package"}.items():
        reply = registry.get(f"/v2/{name}/manifests/latest")
        assert reply.status == 404, str(reply)
        if "{}" in message:
            message = path + message.format(directory / "flake")
        assert message in reply.error()[1], str(reply)
