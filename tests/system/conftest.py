# SPDX-License-Identifier: MIT
import os
import signal
import uuid

import pytest

from harness import clients, nix, process, watch
from harness.registry import BUILD, Registry
from harness.webserver import SERVERS

import fastcgi

process.become_subreaper()

# The process ids of what serves all tests of a session.
_session = set()


def _open_up(path):
    """Let other users pass through the folders of a test."""
    while path.stat().st_uid == os.getuid() and path.name != "tmp":
        path.chmod(path.stat().st_mode | 0o711)
        path = path.parent


@pytest.fixture
def directory(tmp_path):
    """The test's own folder. The web server's user may pass through it."""
    _open_up(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def session_directory(tmp_path_factory):
    """session_directory(name): a folder for what lives as long as the
    session."""
    def get(name):
        path = tmp_path_factory.mktemp(name)
        _open_up(path)
        return path
    return get


@pytest.fixture(scope="session")
def of_the_session():
    """of_the_session(process): it outlives the test that started it."""
    return lambda process: _session.add(process.pid)


@pytest.fixture(scope="session")
def simple(session_directory):
    """The flake of small images. Not to be changed: see fresh()."""
    return nix.make_flake("simple", session_directory("flake") / "simple")


@pytest.fixture
def fresh(simple, directory):
    """fresh(): a copy of it, of which nothing was ever built."""
    def get(name="fresh", seconds=10):
        return nix.copy_flake(simple, directory / name, uuid.uuid4().hex,
                              seconds)
    return get


@pytest.fixture
def make_registry(directory):
    """make_registry(flake, …): a Registry, stopped after the test."""
    started = []

    def make(flake, *args, **options):
        folder = directory / f"r{len(started)}"
        folder.mkdir(exist_ok=True)
        registry = Registry(folder, flake, *args, **options)
        started.append(registry)
        return registry

    yield make
    for registry in started:
        registry.stop()


@pytest.fixture(scope="session")
def shared_registry(session_directory, simple):
    """shared_registry(server, flake): one that serves many tests, `simple`
    by default."""
    started = {}

    def get(server, flake=simple):
        key = server, flake
        if key not in started:
            registry = Registry(session_directory(server), flake, server)
            _session.update((registry.process.pid, registry.web.process.pid))
            started[key] = registry
        return started[key]

    yield get
    for registry in started.values():
        registry.stop()


@pytest.fixture(params=SERVERS)
def registry(request, shared_registry):
    """The shared registry, behind each web server."""
    return shared_registry(request.param)


@pytest.fixture(scope="session")
def client_of(session_directory):
    """client_of("docker"): the client, started when first asked for."""
    started = {}

    def get(name):
        if name not in started:
            started[name] = clients.CLIENTS[name](session_directory(name))
            server = getattr(started[name], "process", None)
            if server:
                _session.add(server.pid)
        return started[name]

    yield get
    for client in started.values():
        client.stop()


@pytest.fixture
def fcgi(directory):
    """fcgi(settings, hold_ms): a fastcgi.Server. It must end as it should."""
    servers = []

    def start(*settings, **more):
        servers.append(fastcgi.Server(directory, settings, **more))
        return servers[-1]

    yield start
    for server in servers:
        if server.popen.poll() is None:
            assert server.stop() == 0, server.output()
        else:
            server.clean()
        assert "Sanitizer" not in server.output(), server.output()


@pytest.fixture(scope="session", autouse=True)
def no_reports_at_the_end():
    """Of what lives as long as the session."""
    yield
    _no_reports()


@pytest.fixture(autouse=True)
def no_reports():
    """No test makes a watched program complain. Of tests beside each other any
    may be told of it."""
    yield
    _no_reports()


def _no_reports():
    reports = watch.take_reports(BUILD)
    assert not reports, "\n".join(reports)


def _strays(before):
    """What is there now, was not there before, and serves no session."""
    now = process.descendants(without=_session)
    return {pid: command for pid, command in now.items()
            if pid not in before and "containerd-shim" not in command}


@pytest.fixture(autouse=True)
def no_strays():
    """No test leaves a process behind. What it left is ended here."""
    before = process.descendants(without=_session)
    yield
    try:
        process.wait_for("the test's processes end",
                         lambda: not _strays(before), 5)
    except TimeoutError:
        strays = _strays(before)
        for pid in strays:
            process.kill(pid, signal.SIGKILL)
        assert not strays, "processes left behind"
