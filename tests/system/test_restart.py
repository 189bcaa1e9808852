# SPDX-License-Identifier: MIT
"""Restarts of the web server, of the responder and of its keeper while clients
pull and wait: builds go on, and nobody is told anything wrong.

The listening socket is held from outside, as systemd's socket unit does it; a
registry.Registry's goes with its keeper."""

import asyncio
import os
import signal
import socket

import pytest

import fakebuilder
import fastcgi
from harness import crowd
from harness.process import is_alive, wait_for
from harness.webserver import SENDFILE, SERVERS, WebServer

# Whether to wait for what takes half a minute.
LONG = "LOAD_LONG" in os.environ
WARM = ("warm-1", "warm-2", "warm-3", "warm-4")


class Behind:
    """flakehub.fcgi on a socket that is held for it, behind a web server."""

    def __init__(self, directory, name):
        self.name = name
        self.directory = directory
        self.server = fastcgi.Server(directory, (
            "max-age = 1h", f"sendfile = {SENDFILE[name]}"))
        self.server.path.chmod(0o666)
        for image in WARM:
            fakebuilder.publish(self.server.cache, image)
        self.web = None
        self.start_web()

    def start_web(self, port=None):
        self.web = WebServer(self.name, self.directory / "web",
                             self.server.path, self.server.cache, port)

    @property
    def port(self):
        return self.web.port

    def end_responder(self, number):
        old = wait_for("a responder", self.server.responder)
        os.kill(old, number)
        wait_for("another", lambda: self.server.responder() not in (None, old))

    def restart_keeper(self):
        """As systemd does it; the socket stays."""
        old = self.server.responder()
        self.server.popen.terminate()
        # DRAIN_MS of fcgi/keeper.c, and some.
        assert self.server.popen.wait(35) == 0
        assert not is_alive(old)
        self.server.start()

    def restart_all(self):
        """The keeper, its socket and the web server, one after the other: in
        between there is nobody to ask."""
        server = self.server
        server.popen.terminate()
        assert server.popen.wait(35) == 0
        server.listener.close()
        server.path.unlink()
        self.web.stop()
        server.listener = socket.socket(socket.AF_UNIX)
        server.listener.bind(str(server.path))
        server.path.chmod(0o666)
        server.listener.listen(1024)
        server.start()
        self.start_web(self.port)

    def restart_web(self):
        self.web.stop()
        self.start_web(self.port)

    def reload_web(self):
        """What `systemctl reload` of the two does."""
        os.kill(self.web.process.pid, signal.SIGHUP
                if self.name == "nginx" else signal.SIGUSR1)

    def stop(self):
        self.web.stop()
        if self.server.popen.poll() is None:
            self.server.stop()
        else:
            self.server.clean()
        assert "Sanitizer" not in self.server.output(), self.server.output()


@pytest.fixture
def behind(directory):
    started = []

    def start(name):
        started.append(Behind(directory, name))
        return started[-1]

    yield start
    for one in started:
        one.stop()


async def under_load(behind, retries, restarts, builds=1):
    """Run restarts one after the other while clients pull what is there, each
    as often as it can, and others wait for one build, which outlives them.
    They have asked for so many builds in the end, one of each keeper."""
    behind.server.behave("slow:latest", "wait", "publish")
    clients = crowd.Crowd(behind.port, retries=retries)
    waiting = [asyncio.ensure_future(clients.pull("slow"))
               for _ in range(20)]
    await asyncio.to_thread(wait_for, "the build", lambda:
                            behind.server.builds("slow:latest") == 1)
    (builder,) = await asyncio.to_thread(
        wait_for, "its process", behind.server.builders)
    stop = asyncio.Event()
    pulls = []

    async def client(image):
        while not stop.is_set():
            pulls.append(await clients.pull(image))

    warm = [asyncio.ensure_future(client(image)) for image in WARM]
    try:
        for restart, *args in restarts:
            before = len(pulls)
            await asyncio.to_thread(restart, *args)
            # Those that began before it, and one of each after it.
            while len(pulls) < before + 3 * len(WARM):
                for task in warm:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.gather(*warm)
    await asyncio.to_thread(wait_for, "they ask again", lambda:
                            behind.server.builds("slow:latest") >= builds)
    assert is_alive(builder) and not any(task.done() for task in waiting)
    (behind.server.directory / "go").touch()
    answers = await asyncio.gather(*waiting)
    assert len({answer.digest for answer in answers}) == 1
    assert (await clients.pull("slow")).digest == answers[0].digest
    return pulls, answers


@pytest.mark.sanitized
@pytest.mark.parametrize("server", SERVERS)
def test_nobody_notices(behind, server):
    """Responder and keeper ended by SIGTERM again and again, the socket held;
    the web server reloaded: no request fails, not one is asked twice."""
    one = behind(server)
    _, answers = asyncio.run(under_load(one, 0, [
        (one.reload_web,), (one.end_responder, signal.SIGTERM),
        (one.restart_keeper,), (one.end_responder, signal.SIGTERM),
        (one.reload_web,), (one.restart_keeper,)]))
    # Each time sent to whoever came next.
    assert min(answer.hops for answer in answers) == 4
    # One for each keeper: an end is not told to the next.
    assert one.server.builds("slow:latest") <= 3


@pytest.mark.parametrize("server", SERVERS)
def test_killed_or_another_web_server(behind, server):
    """kill -9 of the responder, the web server restarted, and all of it at
    once: who asks again gets it."""
    one = behind(server)
    asyncio.run(under_load(one, 50, [
        (one.end_responder, signal.SIGKILL), (one.restart_web,),
        (one.end_responder, signal.SIGKILL), (one.restart_all,)], 2))
    # One for each keeper.
    assert one.server.builds("slow:latest") == 2


def large(behind):
    """A request for 8 MB that the responder itself sends, of which little was
    read; and the digest."""
    config = behind.server.config
    config.write_text(config.read_text().replace(
        f"sendfile = {SENDFILE[behind.name]}", "sendfile = none"))
    behind.restart_keeper()
    fakebuilder.publish(behind.server.cache, "large", size=8 << 20)
    _, layer, _ = fakebuilder.image_bytes("large", 8 << 20)
    digest = fakebuilder.digest(layer)
    pending = behind.server.send("GET", f"/v2/large/blobs/sha256:{digest}",
                                 timeout=60)
    wait_for("the first of it",
             lambda: pending.socket.recv(8, socket.MSG_PEEK))
    return pending, digest


def test_transfer_is_finished(behind):
    """What is being sent when SIGTERM comes is sent."""
    one = behind("nginx")
    pending, digest = large(one)
    responder = one.server.responder()
    one.server.popen.terminate()
    # Nobody else is answered any more, so it does drain.
    wait_for("the drain", lambda: threads(responder) < 5)
    reply = pending.reply()
    assert fakebuilder.digest(reply.body) == digest
    assert one.server.popen.wait(30) == 0


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def test_asked_twice_it_ends(behind):
    """A web server that reads nothing holds up the end, for 30 s at most, or
    until SIGTERM comes once more."""
    one = behind("nginx")
    pending, _ = large(one)
    responder = one.server.responder()
    one.server.popen.terminate()
    wait_for("the drain", lambda: threads(responder) < 5)
    assert one.server.popen.poll() is None
    if LONG:
        assert one.server.popen.wait(45) == 0
    else:
        one.server.popen.terminate()
        assert one.server.popen.wait(20) == 0
    assert not is_alive(responder)
    pending.close()
