# SPDX-License-Identifier: MIT
"""As in production: flakehub's own user, Nix through a daemon of root's."""

import os

import pytest

from harness import nix
from harness.process import Process, wait_for
from harness.registry import assert_whole
from harness.webserver import SERVERS

# A user of no name, in no group.
USER = 47112
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
           "--inh-caps=-all", "--bounding-set=-all"]


@pytest.fixture
def daemon(directory):
    """The path of the socket of a nix-daemon."""
    path = directory / "nix.sock"
    process = Process([nix.which("nix-daemon")], directory / "nix-daemon.log",
                      env=nix.environment(directory,
                                          NIX_DAEMON_SOCKET_PATH=path))
    wait_for("nix-daemon", lambda: process.assert_running() and path.exists())
    yield path
    process.stop()


@pytest.fixture
def environment(directory, daemon):
    home = directory / "user"
    home.mkdir()
    os.chown(home, USER, USER)
    result = nix.environment(
        directory, NIX_REMOTE="daemon", NIX_DAEMON_SOCKET_PATH=daemon,
        NIX_CONFIG="experimental-features = nix-command flakes\n"
                   "flake-registry =\n")
    result["HOME"] = str(home)
    return result


@pytest.fixture
def registry(make_registry, fresh, environment, request, directory):
    folder = directory / "r0"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return make_registry(fresh(seconds=1), request.param, prefix=AS_USER,
                         environment=environment)


@pytest.mark.sanitized
@pytest.mark.parametrize("registry", SERVERS, indirect=True)
def test_pull(registry):
    """Never built before, and with a GC root through the daemon."""
    for image in "hello", "slow", "from-image", "conf-2022":
        manifest, _ = registry.manifest(image)
        for part in [manifest["config"], *manifest["layers"]]:
            registry.blob(image, part["digest"])
    assert_whole(registry.cache)
    for file in registry.cache.rglob("*"):
        assert file.lstat().st_uid == USER, file
    reply = registry.get("/v2/broken/manifests/latest")
    assert reply.status == 404
    assert "the builder gives up here" in reply.error()[1]


@pytest.mark.parametrize("registry", ["lighttpd"], indirect=True)
def test_run(registry, client_of):
    docker = client_of("docker")
    name = registry.reference("args")
    docker.pull(name).ok()
    assert docker.run(name).ok().out.splitlines()[0] == "first"
    docker.remove(name)


@pytest.mark.parametrize("registry", ["lighttpd"], indirect=True)
def test_roots(registry):
    registry.manifest("hello")
    links = [file for file in (registry.cache / "roots").rglob("*")
             if file.is_symlink()]
    assert links
    auto = "/nix/var/nix/gcroots/auto"
    assert {str(link) for link in links} & {
        os.readlink(f"{auto}/{name}") for name in os.listdir(auto)}


@pytest.mark.parametrize("registry", ["lighttpd"], indirect=True)
def test_daemon_that_is_gone(registry, daemon):
    daemon.rename(daemon.with_suffix(".away"))
    try:
        reply = registry.get("/v2/hello/manifests/latest")
        assert 400 <= reply.status < 500, str(reply)
        assert "daemon" in reply.error()[1], str(reply)
    finally:
        daemon.with_suffix(".away").rename(daemon)
