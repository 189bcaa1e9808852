# SPDX-License-Identifier: MIT
"""Keeper, responder and builders that die or are asked to end."""

import os
import signal
import threading
import time

import pytest

from harness.process import is_alive, kill, wait_for

from fastcgi import WEB, wait_builds

pytestmark = pytest.mark.sanitized


def test_responder_dies(fcgi):
    """The keeper starts another, which joins the build under way."""
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    lost = server.send("GET", WEB)
    wait_builds(server, 1)
    for _ in range(3):
        time.sleep(1.05)  # a longer life than that of a broken program
        old = server.responder()
        os.kill(old, signal.SIGKILL)
        wait_for("another", lambda: server.responder() not in (None, old))
        assert server.get("/v2/").status == 200
    assert lost.read() == b""
    pending = server.send("GET", WEB)
    time.sleep(0.2)
    (server.directory / "go").touch()
    assert pending.reply().status == 200
    assert server.builds() == 1


def test_responder_dies_at_once(fcgi):
    """Again and again: started later each time, and never given up."""
    server = fcgi()
    for _ in range(5):
        old = wait_for("a responder", server.responder)
        os.kill(old, signal.SIGKILL)
        wait_for("it is gone", lambda: server.responder() != old)
    assert server.get("/v2/").status == 200


def test_keeper_dies(fcgi):
    """The responder does not stay behind on the socket; the build does, and
    its image is there for the next."""
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    pending = server.send("GET", WEB)
    wait_builds(server, 1)
    responder = server.responder()
    os.kill(server.keeper, signal.SIGKILL)
    reply = pending.reply()
    assert reply.status == 307
    wait_for("the responder ends", lambda: not is_alive(responder))
    server.popen.wait()
    assert server.builders()
    (server.directory / "go").touch()
    wait_for("the build ends", lambda: not server.builders())
    server.start()
    assert server.get(reply.headers["Location"]).status == 200


def test_builder_killed(fcgi):
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    pending = [server.send("GET", WEB) for _ in range(5)]
    wait_builds(server, 1)
    for pid in wait_for("a builder", server.builders):
        kill(pid, signal.SIGKILL)
    for p in pending:
        reply = p.reply()
        assert reply.status == 403
        assert "killed by signal 9" in reply.error()[1]
    (server.directory / "go").touch()
    assert server.get(WEB).status == 200


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_drain(fcgi, number):
    """Who waits is sent to whoever comes next; builders go on."""
    server = fcgi()
    server.behave("web:latest", "wait", "publish")
    first = server.send("GET", WEB)
    last = server.send("GET", WEB + "?w=8")
    wait_builds(server, 1)
    os.kill(server.keeper, number)
    assert first.reply().status == 307
    reply = last.reply()
    assert reply.status == 429 and reply.headers["Retry-After"]
    assert server.popen.wait(10) == 0
    assert server.builders()
    (server.directory / "go").touch()


def test_drain_drops_nothing(fcgi):
    """What was accepted is answered, also while the responder ends."""
    server = fcgi()
    stop = threading.Event()
    problems = []

    def ask():
        while not stop.is_set():
            reply = server.get("/v2/")
            if reply.status != 200:
                problems.append(reply)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        old = wait_for("a responder", server.responder)
        os.kill(old, signal.SIGTERM)
        wait_for("it is gone", lambda: server.responder() != old)
    stop.set()
    for thread in threads:
        thread.join()
    assert not problems


def test_harmless_signals(fcgi):
    server = fcgi()
    for number in signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE:
        for pid in server.keeper, server.responder():
            os.kill(pid, number)
    responder = server.responder()
    assert server.get("/v2/").status == 200
    assert server.responder() == responder


def test_responder_asked_to_end(fcgi):
    server = fcgi()
    old = server.responder()
    os.kill(old, signal.SIGTERM)
    wait_for("another", lambda: server.responder() not in (None, old))
    assert server.get("/v2/").status == 200
