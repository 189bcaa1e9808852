# SPDX-License-Identifier: MIT
"""Builds that fail, and what is answered instead."""

import signal
import time

import pytest

from harness.process import is_alive, kill, wait_for

import fakebuilder
from fastcgi import WEB

pytestmark = pytest.mark.sanitized


@pytest.mark.parametrize("code, status, answer", (
    ("nix-failed", 404, "MANIFEST_UNKNOWN"),
    ("unknown", 404, "MANIFEST_UNKNOWN"),
    ("upstream", 404, "MANIFEST_UNKNOWN"),
    ("timed-out", 404, "MANIFEST_UNKNOWN"),
    ("malformed", 404, "MANIFEST_UNKNOWN"),
    ("refused", 403, "DENIED"),
    ("system", 403, "DENIED"),
    ("busy", 429, "TOOMANYREQUESTS"),
))
def test_failure(fcgi, code, status, answer):
    server = fcgi()
    (server.directory / "message").write_text(
        "error: \033[31mbad\033[0m \"flake\"\n"
        "  at git+https://me:secret@example.org/x\n")
    server.behave("web:latest", f"fail:{code}")
    first = server.get(WEB)
    assert first.status == status
    error, message = first.error()
    assert error == answer
    assert message.startswith('web:latest: error: bad "flake"\n')
    assert "secret" not in message and "\033" not in message
    assert "flakehub log web:latest" in message
    # for error-max-age that is the answer, without another build
    assert server.get(WEB).body == first.body
    assert server.builds() == 1


def test_failure_ages(fcgi):
    server = fcgi("error-max-age = 0s")
    (server.directory / "message").write_text("no")
    server.behave("web:latest", "fail:nix-failed")
    assert server.get(WEB).status == 404
    time.sleep(1.1)
    server.behave("web:latest", "publish")
    assert server.get(WEB).status == 200


def test_long_failure(fcgi):
    server = fcgi()
    (server.directory / "message").write_text("x\n" * 1400)
    server.behave("web:latest", "fail:nix-failed")
    message = server.get(WEB).error()[1]
    assert message.endswith("flakehub log web:latest)")


@pytest.mark.parametrize("words, text", (
    ("kill:9", "killed by signal 9 (KILL)"),
    ("kill:11", "killed by signal 11 (SEGV)"),
    ("exit:3", "status 3"),
    ("exit:0", "gone from the cache"),
))
def test_builder_dies(fcgi, words, text):
    server = fcgi("error-max-age = 0s")
    server.behave("web:latest", words)
    reply = server.get(WEB)
    assert reply.status in (403, 429)
    assert text in reply.error()[1]
    server.behave("web:latest", "publish")
    assert server.get(WEB).status == 200


def test_failure_that_cannot_be_noted(fcgi):
    """As on a disk that fails: it is remembered."""
    server = fcgi("error-max-age = 1h")
    server.behave("web:latest", "exit:4")
    first = server.get(WEB)
    assert first.status == 403 and "status 4" in first.error()[1]
    assert server.get(WEB).body == first.body
    old = server.responder()
    kill(old, signal.SIGKILL)
    wait_for("the next responder", lambda: server.responder() not in (
        None, old))
    assert server.get(WEB).body == first.body
    assert server.builds() == 1
    # Killed is not failed.
    other = WEB.replace("/web/", "/another/")
    server.behave("another:latest", "kill:9")
    assert server.get(other).status == 403
    server.behave("another:latest", "publish")
    assert server.get(other).status == 200


def test_failure_that_cannot_be_noted_ages(fcgi):
    server = fcgi("error-max-age = 1s")
    server.behave("web:latest", "exit:4")
    assert server.get(WEB).status == 403
    server.behave("web:latest", "publish")
    wait_for("it is built again", lambda: server.get(WEB).status == 200)


@pytest.mark.parametrize("words", ("kill:9", "exit:1"))
def test_builder_leaves_nothing(fcgi, words):
    """What it had started, and what hears nothing but SIGKILL."""
    server = fcgi()
    server.behave("web:latest", "leave", words)
    assert server.get(WEB).status >= 400
    pid = int((server.directory / "left").read_text())
    wait_for("its child ends", lambda: not is_alive(pid), 20)


def test_builder_cannot_start(fcgi):
    server = fcgi()
    server.builder.unlink()
    reply = server.get(WEB)
    assert reply.status == 403, reply


def test_killed_builder_beside_old_failure(fcgi):
    server = fcgi("error-max-age = 0s")
    server.cache.joinpath("builds").mkdir(exist_ok=True)
    fakebuilder.put_failure(server.cache, "web:latest", "nix-failed",
                            "of old", time.time() - 100)
    server.behave("web:latest", "exit:4")
    assert "of old" not in server.get(WEB).error()[1]
