# SPDX-License-Identifier: MIT
"""`flakehub serve`: no settings, one terminal."""

import os
import pathlib
import signal
import socket
import time
import uuid

import pytest

from harness import ROOT, fetch, nix
from harness.git import Repository
from harness.process import Process, descendants, run, wait_for
from harness.registry import FLAKEHUB
from harness.webserver import accepts, free_port


class Serve:
    def __init__(self, directory, flake, *args, environment=(), program=None):
        self.port = free_port()
        self.directory = directory
        env = nix.environment(directory, **dict(environment))
        self.process = Process(
            [*(program or [FLAKEHUB, "serve"]), "-p", self.port, "-c",
             directory / "cache", *args, flake], directory / "log", env=env,
            cwd=directory)

    def ready(self):
        wait_for("it listens", lambda: self.process.assert_running()
                 and accepts(self.port), 60)
        return self

    def get(self, path):
        return fetch.follow(self.port, "GET", path)[0]


@pytest.fixture
def serve(directory):
    """serve(flake, …), ended after the test."""
    started = []

    def get(flake, *args, **options):
        folder = directory / f"s{len(started)}"
        folder.mkdir()
        started.append(Serve(folder, flake, *args, **options))
        return started[-1]
    yield get
    for one in started:
        one.process.stop(signal.SIGINT)


@pytest.mark.sanitized
def test_serve(serve, simple):
    one = serve(simple).ready()
    assert one.get("/v2/").status == 200
    reply = one.get("/v2/hello/manifests/latest")
    assert reply.status == 200
    assert reply.headers["Docker-Content-Digest"] == reply.digest()
    for layer in reply.json()["layers"]:
        blob = one.get(f"/v2/hello/blobs/{layer['digest']}")
        assert blob.digest() == layer["digest"]
    # It says where, so that one can pull.
    assert f":{one.port}" in one.process.output()


@pytest.mark.sanitized
@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP))
def test_end_leaves_no_process(serve, fresh, number):
    """Nor builders, nor their Nix, in the middle of a build."""
    one = serve(fresh(seconds=300)).ready()
    # Or it is gone before the web server has looked.
    asked = fetch.Connection(one.port, "GET", "/v2/slow/manifests/latest")
    wait_for("the build", lambda: any(
        "--realise" in command
        for command in descendants(one.process.pid).values()), 60)
    time.sleep(1)
    before = descendants(one.process.pid)
    # As a terminal does it: to the whole foreground group.
    one.process.signal_group(number)
    one.process.popen.wait(20)
    wait_for("all end", lambda: not set(before) & set(descendants()), 5)
    assert not accepts(one.port)
    asked.close()


def test_end_twice(serve, simple):
    one = serve(simple).ready()
    one.process.signal_group(signal.SIGINT)
    one.process.signal_group(signal.SIGINT)
    assert one.process.popen.wait(20) in (0, 130, -signal.SIGINT)


def test_loopback_only(serve, simple):
    one = serve(simple).ready()
    with socket.socket() as s:
        s.settimeout(3)
        assert s.connect_ex(("127.0.0.2", one.port)) != 0


def test_host(serve, simple):
    one = serve(simple, "-H", "127.0.0.2")
    with_host = ("127.0.0.2", one.port)

    def listens():
        one.process.assert_running()
        with socket.socket() as s:
            return s.connect_ex(with_host) == 0
    wait_for("it listens", listens, 30)


def test_port_taken(serve, simple):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        one = serve(simple, "-p", port)
        assert one.process.popen.wait(30) == 1
        assert str(port) in one.process.output().splitlines()[-1]


@pytest.mark.parametrize("flake", ("/no/such/flake", "./none"))
def test_no_such_flake(serve, flake):
    one = serve(flake)
    assert one.process.popen.wait(30) == 1
    assert pathlib.Path(flake).name in one.process.output().splitlines()[-1]


def test_no_nix(serve, simple, directory):
    folder = directory / "path"
    folder.mkdir()
    for name in "git", "sh", "lighttpd":
        (folder / name).symlink_to(nix.which(name))
    one = serve(simple, environment={"PATH": folder})
    assert one.process.popen.wait(30) == 1
    assert "nix" in one.process.output().splitlines()[-1]


def test_odd_folder(serve, fresh, directory):
    """A git repository may be anywhere; what is none, where Nix takes it."""
    odd = directory / "a b:[ü%20"
    folder = odd / "flake"
    odd.mkdir()
    fresh().rename(folder)
    plain = serve(folder)
    assert plain.process.popen.wait(30) == 1
    assert "odd characters" in plain.process.output()
    Repository(odd)
    one = serve(folder).ready()
    assert one.get("/v2/hello/manifests/latest").status == 200
    assert one.get("/v2/args/manifests/main").status == 200


def test_cache_of_the_user(directory, simple):
    """Without -c the images are in the user's own cache."""
    home = directory / "of-the-user"
    home.mkdir()
    os.chown(home, 47113, 47113)
    one = Process(
        ["setpriv", "--reuid=47113", "--regid=47113", "--clear-groups",
         FLAKEHUB, "serve", "-p", free_port(), simple],
        directory / "log", env=nix.environment(directory, HOME=home))
    try:
        wait_for("it listens", lambda: one.assert_running()
                 and "Serving" in one.output(), 60)
        assert f"the cache is {home}/.cache/flakehub." in one.output()
        assert (home / ".cache/flakehub/version").stat().st_uid == 47113
    finally:
        one.stop(signal.SIGINT)


def test_relative_flake(serve, simple):
    """As in `./scripts/serve examples/hello`."""
    one = serve(os.path.relpath(simple, simple.parent / "x"))
    assert one.process.popen.wait(30) == 1
    os.symlink(simple, one.directory / "here")
    two = Serve(one.directory, "here").ready()
    try:
        assert two.get("/v2/hello/manifests/latest").status == 200
    finally:
        two.process.stop(signal.SIGINT)


def test_nix_is_set_up_for_the_run(serve, simple):
    """On a machine where nothing set up Nix it is said that it runs
    single-user; nothing in /etc changes."""
    before = sorted(os.listdir("/etc"))
    one = serve(simple, environment={"NIX_CONFIG": None}).ready()
    assert one.get("/v2/hello/manifests/latest").status == 200
    assert sorted(os.listdir("/etc")) == before
    if os.getuid() == 0 and not os.path.exists("/etc/nix/nix.conf"):
        assert "single-user" in one.process.output()


def test_nix_of_root_alone(directory, simple):
    """Who is not root is told at once, and no Nix fails in its own words."""
    if os.path.exists("/etc/nix/nix.conf"):
        pytest.skip("somebody set up Nix here")
    result = run(["setpriv", "--reuid=47113", "--regid=47113",
                  "--clear-groups", FLAKEHUB, "serve", "-p", free_port(),
                  simple],
                 env=nix.environment(directory, HOME=directory / "none",
                                     NIX_CONFIG=None))
    assert result.status == 1, str(result)
    assert "run this as root, or beside a nix-daemon" in result.err


@pytest.mark.parametrize("how", ("variable", "file"))
def test_nix_that_is_set_up(serve, simple, how):
    """By scripts/serve, too, it stays as it is: this one cannot build."""
    text = nix.SINGLE_USER + "max-jobs = 0\nbuilders =\n"
    environment = {"NIX_CONFIG": text}
    folder = simple.parent / "config"
    if how == "file":
        (folder / "nix").mkdir(parents=True)
        (folder / "nix/nix.conf").write_text(text)
        environment = {"NIX_CONFIG": None, "XDG_CONFIG_HOME": folder}
    one = serve(nix.copy_flake(simple, folder.parent / how, uuid.uuid4().hex,
                               1),
                program=[ROOT / "scripts/serve"],
                environment=environment).ready()
    reply = one.get("/v2/hello/manifests/latest")
    assert reply.status == 404, str(reply)
    assert "single-user" not in one.process.output()


def test_folders_are_removed(serve, simple, directory):
    """Its private folder goes with it."""
    temporary = directory / "tmp"
    temporary.mkdir()
    one = serve(simple, environment={"TMPDIR": temporary,
                                     "XDG_RUNTIME_DIR": temporary}).ready()
    one.process.stop(signal.SIGINT)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("args", (["-p", "x"], ["-p", "70000"], ["-p", "-1"],
                                  [], ["a", "b"], ["--frob", "a"],
                                  ["-c", "", "a"]))
def test_usage(args):
    result = run([FLAKEHUB, "serve", *args])
    assert result.status == 2, str(result)
    assert len(result.err.splitlines()) == 1, str(result)


def test_script_and_example(serve, client_of):
    """The README's first lines."""
    one = serve(ROOT / "examples/hello", program=[ROOT / "scripts/serve"],
                environment={"NIX_CONFIG": None}).ready()
    docker = client_of("docker")
    name = f"localhost:{one.port}/hello"
    out = docker.run(name).ok().out
    assert out.startswith("Hello!")
    docker.remove(name)
