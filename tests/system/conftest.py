# SPDX-License-Identifier: MIT
import os
import signal

import pytest

from harness import clients, process

process.become_subreaper()

# The process ids of what serves all tests of a session.
_session = set()


def _reachable(path, top):
    """Let other users pass through the folders of a test."""
    while path != top:
        path.chmod(0o711)
        path = path.parent


@pytest.fixture
def directory(tmp_path):
    """The test's own folder. The web server's user may pass through it."""
    path = tmp_path
    while path.stat().st_uid == os.getuid() and path.name != "tmp":
        path.chmod(path.stat().st_mode | 0o711)
        path = path.parent
    return tmp_path


@pytest.fixture(scope="session")
def client_of(tmp_path_factory):
    """client_of("docker"): the client, started when first asked for."""
    started = {}

    def get(name):
        if name not in started:
            started[name] = clients.CLIENTS[name](
                tmp_path_factory.mktemp(name))
            server = getattr(started[name], "process", None)
            if server:
                _session.add(server.pid)
        return started[name]

    yield get
    for client in started.values():
        client.stop()


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
