# SPDX-License-Identifier: MIT
"""A flake that means no good harms nothing, and nobody else's pull.

tests/fixtures/hostile says what each of its packages tries."""

import gzip
import io
import os
import re
import shutil
import signal
import tarfile
import time
import uuid

import pytest

from harness import ROOT, nix
from harness.fetch import Connection
from harness.process import descendants, kill, run, wait_for
from harness.registry import FLAKEHUB, assert_whole

SECRET = "it-is-a-secret-of-this-host"
LIMITS = ["eval-memory = 256M", "max-build-log-size = 1M",
          "max-silent-time = 3s", "build-timeout = 20s", "max-processes = 64",
          "error-max-age = 0s"]


@pytest.fixture(scope="module")
def hostile(session_directory):
    """The hostile flake; `innocent` is a flake that serves beside it."""
    dest = session_directory("hostile") / "hostile"
    shutil.copytree(ROOT / "tests/fixtures/hostile", dest)
    (dest / "salt").write_text(uuid.uuid4().hex)
    (dest / "link").symlink_to("/etc/passwd")
    return dest


@pytest.fixture
def registry(make_registry, hostile, simple):
    """Both flakes behind one responder; an innocent image is warm."""
    registry = make_registry(hostile, settings=LIMITS)
    with registry.config.open("a") as f:
        f.write(f"[flake innocent]\nurl = {simple}\n")
    registry.process.stop()
    registry.start_responder()
    registry.manifest("innocent/hello")
    return registry


def refused(registry, name, seconds=60):
    """The error of a pull that must not succeed; others go on meanwhile."""
    path = f"/v2/{name}/manifests/latest"
    began = time.monotonic()
    reply = registry.get(path)
    assert 400 <= reply.status < 500, str(reply)
    assert time.monotonic() - began < seconds
    manifest, _ = registry.manifest("innocent/hello")
    registry.blob("innocent/hello", manifest["config"]["digest"])
    assert_whole(registry.cache)
    return reply.error()[1]


def members(registry, name, manifest):
    """{path: (member, its bytes)} of the files and links of all layers."""
    found = {}
    for layer in manifest["layers"]:
        data = gzip.decompress(registry.blob(name, layer["digest"]))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                content = member.isreg() and tar.extractfile(member).read()
                if member.isreg() or member.issym():
                    found[member.name] = member, content
    return found


def evaluations():
    return [pid for pid, command in descendants().items()
            if "eval --json" in command]


@pytest.mark.parametrize("name,message", [
    ("memory", "eval-memory"),
    ("noise", "max-build-log-size"),
    ("recursion", "stack overflow"),
    ("import-from-derivation", "import-from-derivation = yes"),
    ("reads-passwd", "is forbidden in "),
    ("reads-link", "is forbidden in "),
])
def test_evaluation(registry, name, message):
    assert message in refused(registry, name)
    assert not evaluations()


def test_endless_evaluation(registry):
    """It is ended, and a warm pull is as quick beside it as ever."""
    waiting = Connection(registry.port, "GET", "/v2/endless/manifests/latest",
                         seconds=60)
    wait_for("it evaluates", evaluations)
    times = []
    for _ in range(50):
        began = time.monotonic()
        registry.manifest("innocent/hello")
        times.append(time.monotonic() - began)
    assert sorted(times)[25] < 0.25, times
    reply = waiting.reply()
    assert 400 <= reply.status < 500, str(reply)
    # What asking for the flake has left of them.
    assert re.search(r"did not end within [12]?\d s", reply.error()[1]), \
        str(reply)
    wait_for("the evaluation is ended", lambda: not evaluations())


def test_endless_evaluation_of_a_dead_builder(registry):
    """A builder that is killed leaves no evaluation behind."""
    waiting = Connection(registry.port, "GET", "/v2/endless/manifests/latest")
    wait_for("it evaluates", evaluations)
    for pid in registry.builders():
        kill(pid, signal.SIGKILL)
    wait_for("the evaluation is ended", lambda: not evaluations())
    assert 400 <= waiting.reply().status < 500


def test_no_environment(registry):
    """What the environment is, a flake is not told."""
    manifest, _ = registry.manifest("environment")
    found = members(registry, "environment", manifest)
    contents = [content for path, (_, content) in found.items()
                if path.endswith("-environment/bin/environment")]
    assert contents == [b"home=\n"], found


@pytest.mark.parametrize("name,message", [
    ("log", "max-build-log-size"),
    ("silent", "silence"),
])
def test_build(registry, name, message):
    text = refused(registry, name)
    assert message in text or "killed after writing more than" in text, text
    logs = list((registry.cache / "builds").glob("*/log"))
    assert all(log.stat().st_size < 4 << 20 for log in logs)


@pytest.mark.skipif(not os.access("/sys/fs/cgroup/pids", os.W_OK),
                    reason="no cgroup of our own to be made")
def test_fork_bomb(registry):
    """It gets as many processes as max-processes says, and fails."""
    message = refused(registry, "fork-bomb")
    assert "fork" in message or "fork-bomb" in message, message
    left = [command for command in descendants().values()
            if "sleep 20" in command]
    assert not left
    folders = [name for name in os.listdir("/sys/fs/cgroup/pids")
               if name in (f"flakehub.{pid}" for pid in registry.builders())]
    assert not folders


def test_links(registry):
    """A link out of the output is a link in the image: none is followed."""
    manifest, _ = registry.manifest("links")
    found = members(registry, "links", manifest)
    for name in "shadow", "etc", "itself":
        assert [member for path, (member, _) in found.items()
                if path.endswith(f"-links/{name}") and member.issym()], name


def test_names(registry):
    """No name of a flake's is run, evaluated or made a path."""
    for name in "nothing", "escape", "pwned", "quo":
        message = refused(registry, name)
        assert "no package" in message
        assert "\n" not in message.split("nearest")[0]
    reply = registry.get("/v2/_catalog?n=100")
    assert reply.status == 200, str(reply)
    out = registry.flakehub("list").ok().out
    assert "it was evaluated" not in out
    assert not list(registry.directory.rglob("pwned"))
    assert not list(registry.directory.rglob("escape"))


def commit(folder):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null")
    run(["git", "init", "-q", folder], env=env).ok()
    run(["git", "-C", folder, "add", "-A"], env=env).ok()
    run(["git", "-C", folder, "-c", "user.name=t", "-c", "user.email=t@t",
         "commit", "-qm", "t"], env=env).ok()


FLAKE = """{ inputs.x = { url = "URL"; flake = false; };
  outputs = { self, x }: { packages.x86_64-linux.default = derivation {
    name = "thief"; system = "x86_64-linux"; builder = "/bin/sh";
    args = [ "-c" "cp -r ${x} $out" ]; }; }; }
"""


@pytest.fixture
def secret(directory):
    folder = directory / "private"
    folder.mkdir()
    (folder / "secret").write_text(SECRET + uuid.uuid4().hex)
    return folder


def store_has(text):
    """Did Nix copy it to the store? Looked for in what is new there."""
    for name in os.listdir("/nix/store"):
        path = f"/nix/store/{name}"
        for file in path, f"{path}/secret":
            try:
                if name.endswith("-source") or name.endswith("-secret"):
                    with open(file) as f:
                        if text in f.read():
                            return file
            except (OSError, UnicodeDecodeError):
                pass
    return None


@pytest.mark.parametrize("url", ["path:{}", "git+file://{}",
                                 "file://{}/secret"])
def test_host_files(make_registry, directory, secret, url):
    """An input without a lock: bubblewrap hides what it names."""
    text = (secret / "secret").read_text()
    commit(secret)
    flake = directory / "thief"
    flake.mkdir()
    (flake / "flake.nix").write_text(FLAKE.replace("URL", url.format(secret)))
    commit(flake)
    registry = make_registry(f"git+file://{flake}")
    reply = registry.get("/v2/default/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert text not in reply.error()[1]
    assert not store_has(text)


@pytest.mark.parametrize("owner", ["nobody's", "another's"])
def test_host_files_of_list(directory, secret, owner):
    """Nor does `list` show it them where it may not write to the cache."""
    text = (secret / "secret").read_text()
    flake = directory / "thief"
    flake.mkdir()
    (flake / "flake.nix").write_text(
        FLAKE.replace("URL", f"path:{secret}"))
    cache = directory / "cache"
    if owner == "another's":
        if os.geteuid():
            pytest.skip("root alone can give a folder away")
        cache.mkdir()
        (cache / "version").write_text("1\n")
        os.chown(cache, 65534, 65534)
    config = directory / "flakehub.conf"
    config.write_text(f"cache-dir = {cache}\n[flake]\nurl = path:{flake}\n")
    tmp = directory / "tmp"
    tmp.mkdir()
    result = run([FLAKEHUB, "--config", config, "list"],
                 env=nix.environment(directory, TMPDIR=tmp))
    assert result.status and str(secret) in result.err, str(result)
    assert not store_has(text)
    assert not list(tmp.iterdir()) and not (cache / "git").exists()


def test_locked_host_files(make_registry, directory, secret):
    """An input that a lock names is refused before it is fetched."""
    text = (secret / "secret").read_text()
    flake = directory / "thief"
    flake.mkdir()
    (flake / "flake.nix").write_text(
        FLAKE.replace("URL", f"path:{secret}"))
    env = dict(os.environ, NIX_CONFIG=nix.SINGLE_USER, HOME=str(directory))
    # Whoever wrote it knew what is in the folder.
    run(["nix", "flake", "lock", f"path:{flake}"], env=env).ok()
    commit(flake)
    registry = make_registry(f"git+file://{flake}")
    reply = registry.get("/v2/default/manifests/latest")
    assert reply.status == 403, str(reply)
    message = reply.error()[1]
    assert "input x is a folder of this host" in message, message
    assert "sandbox-eval" in message and text not in message


def environment_with_bwrap(directory, says):
    """Where bubblewrap says that, and fails."""
    folder = directory / "bin"
    folder.mkdir()
    (folder / "bwrap").write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    (folder / "bwrap").chmod(0o755)
    return nix.environment(
        directory, path=f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin")


def test_without_bubblewrap(make_registry, directory, simple):
    """It is said where it does not work, and flakes are still served."""
    said = "bwrap: No permissions to create new namespace"
    registry = make_registry(
        simple, environment=environment_with_bwrap(directory, said))
    assert said in registry.log.read_text()
    registry.manifest("hello")
    assert "without a sandbox" in registry.flakehub("log", "hello").ok().out \
        or "without a sandbox" in registry.log.read_text()
    assert said in registry.flakehub("config", "--check").ok().err


def test_bubblewrap_short_of_processes(make_registry, directory, simple):
    """What may pass is waited for, and nothing is evaluated meanwhile."""
    said = "bwrap: Creating new namespace failed: Cannot allocate memory"
    registry = make_registry(
        simple, environment=environment_with_bwrap(directory, said))
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 600, str(reply)
    result = registry.flakehub("build", "hello")
    assert result.status and said in result.err, str(result)
    assert "right now" in registry.flakehub("config", "--check").ok().err
    for text in registry.log.read_text(), result.err:
        assert "without a sandbox" not in text, text
    shutil.rmtree(directory / "bin")
    registry.flakehub("build", "hello").ok()


def test_home_that_cannot_be_written(make_registry, simple):
    """As on a full disk: it fails, and is not evaluated without a sandbox."""
    registry = make_registry(simple)
    registry.flakehub("build", "hello").ok()
    home, = (registry.cache / "git").glob("*.home")
    (home / ".passwd").unlink()
    (home / ".passwd").mkdir()
    result = registry.flakehub("build", "static")
    assert result.status and f"cannot write {home}/.passwd" in result.err, \
        str(result)
    assert "without a sandbox" not in result.err, result.err
