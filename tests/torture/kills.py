# SPDX-License-Identifier: MIT
"""kill -9, of everything, at random points: by the time, and between any two
calls that touch files."""

import signal
import time

from harness import nix
from harness.process import Process, is_ending, kill, wait_for
from harness.registry import FLAKEHUB
from harness.store import Store

from . import shim
from .arena import PATIENCE, Arena, below, children, command_of, ended


def measure(arena):
    """How long a pull takes now, and that it works."""
    arena.learn()
    started = time.monotonic()
    arena.pull(arena.names[0])
    return time.monotonic() - started


def strike(arena, which):
    """Kill them all; how many there were. Nix: one of its processes."""
    pids = arena.victims(which)
    if which == "nix" and pids:
        pids = [arena.chance.choice(pids)]
    for pid in pids:
        kill(pid, signal.SIGKILL)
    return len(pids)


def kill_round(arena, which, span):
    chance = arena.chance
    if which == "nix":
        arena.new_round(salt=True)
    else:
        arena.forget_some()
    names = chance.sample(arena.names, min(len(arena.names), chance.choice(
        (1, 1, 2, 3))))
    responder = arena.victims("responder")
    asked = [(name, arena.ask(name)) for name in names]
    if which in ("builder", "nix"):
        # There is none before, and nothing to kill after.
        wait_for("a builder", lambda: arena.victims("builder") or all(
            arena.is_answered(c) for _, c in asked), PATIENCE, 0.002)
    time.sleep(chance.uniform(0, span))
    arena.tally.faults += strike(arena, which)
    if which == "keeper":
        wait_for("the old responder ends", ended(responder), PATIENCE)
    if which in ("keeper", "web server"):
        arena.restart(which)
    for name, connection in asked:
        arena.answer(name, connection)
    if which == "nix":
        arena.settle()
        arena.learn(names[0])
    arena.recovered(names[:1])


def by_time(directory, seed, rounds, which, server="lighttpd", **options):
    """kill -9 of builder, responder, keeper, web server or nix."""
    with Arena(directory, seed, f"kill -9 {which}", server,
               **options) as arena:
        with arena.round():
            span = 1.2 * measure(arena)
        arena.repeat(rounds, kill_round, which, span)
    return arena.tally


def call_round(arena, faults, program, calls):
    """At a call of them, which there may not be this time."""
    chance = arena.chance
    arena.forget_some()
    name = chance.choice(arena.names)
    responder = arena.victims("responder")
    faults.arm(shim.KILL, programs=program, nth=chance.randint(1, calls))
    arena.answer(name, arena.ask(name))
    arena.settle()
    arena.tally.faults += faults.disarm()
    if is_ending(arena.registry.process.pid):
        arena.registry.process.popen.wait(PATIENCE)
        wait_for("the old responder ends", ended(responder), PATIENCE)
        arena.restart("keeper")
    arena.recovered([name])


def at_calls(directory, seed, rounds, program, **options):
    """kill -9 of builders, or of responder and keeper, right before the n-th
    call of their own that touches a file."""
    faults = shim.Shim(directory)
    which = {shim.BUILDER: "builder", shim.RESPONDER: "responder, keeper"}
    environment = nix.environment(directory, **faults.environment)
    with Arena(directory, seed, f"kill -9 {which[program]} at a call",
               environment=environment, **options) as arena:
        with arena.round():
            arena.learn()
            faults.arm(shim.KILL, programs=program)
            arena.pull(arena.names[0])
            calls = faults.counted()
            faults.disarm()
        arena.repeat(rounds, call_round, faults, program, calls)
    return arena.tally


def sandboxes(builder):
    """bubblewrap's processes that a builder waits for. While it starts, a
    process has the builder's own words."""
    return [pid for pid in children(builder)
            if (command_of(pid) or "").startswith("bwrap ")]


def make_endless(folder):
    """A nix that never ends, and hears no SIGTERM, while a file is there.
    Returns the file."""
    folder.mkdir()
    flag = folder / "hang"
    (folder / "nix").write_text(
        f"#!/bin/sh\n[ -e {flag} ] && trap '' TERM && exec sleep 1000\n"
        f"exec {nix.which('nix')} \"$@\"\n")
    (folder / "nix").chmod(0o755)
    return flag


def sandbox_round(arena, flag, span):
    """A builder of the keeper's, or one that was started by hand."""
    arena.forget()
    name = arena.chance.choice(arena.names)
    by_hand = connection = None
    flag.touch()
    if arena.chance.random() < 0.5:
        by_hand = Process([*arena.prefix, FLAKEHUB, "--config",
                           arena.registry.config, "build", name],
                          arena.directory / "build.log",
                          env=arena.registry.environment)
    else:
        connection = arena.ask(name)
    builder = wait_for("bubblewrap", lambda: [
        pid for pid in ([by_hand.pid] if by_hand else
                        arena.victims("builder")) if sandboxes(pid)],
        PATIENCE, 0.0005)[0]
    time.sleep(arena.chance.uniform(0, span))
    arena.tally.faults += 1
    kill(builder, signal.SIGKILL)
    if by_hand:
        by_hand.popen.wait()
    arena.answer(name, connection)
    arena.settle()
    flag.unlink()
    arena.recovered([name])


def at_sandbox(directory, seed, rounds, **options):
    """kill -9 of builders, under the keeper and by hand, in the milliseconds
    in which bubblewrap starts."""
    flag = make_endless(directory / "bin")
    environment = nix.environment(
        directory, path=f"{flag.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
    with Arena(directory, seed, "kill -9 builder as bwrap starts",
               environment=environment, **options) as arena:
        with arena.round():
            arena.learn()
        arena.repeat(rounds, sandbox_round, flag, 0.03)
    return arena.tally


class Daemon:
    """nix-daemon, over a store of its own, to be killed."""

    def __init__(self, directory, store):
        self.socket = directory / "nix.sock"
        self.log = directory / "nix-daemon.log"
        self.store = store
        self.environment = {
            "NIX_REMOTE": "daemon", "NIX_DAEMON_SOCKET_PATH": self.socket}
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = Process(
            [*self.store.prefix, nix.which("nix-daemon")], self.log,
            env=dict(self.store.environment, NIX_REMOTE="local",
                     NIX_DAEMON_SOCKET_PATH=str(self.socket)))
        wait_for("nix-daemon", lambda: self.process.assert_running() and
                 self.socket.exists())

    def strike(self, chance):
        """It, one of its children, or all of them. How many there were."""
        children = list(below(self.process.pid))
        pids = chance.choice(([self.process.pid], children[:1],
                              [self.process.pid, *children]))
        for pid in pids:
            kill(pid, signal.SIGKILL)
        if self.process.pid in pids:
            self.process.popen.wait()
            self.start()
        return len(pids)

    def stop(self):
        self.process.stop()


def daemon_round(arena, daemon, span):
    arena.new_round(salt=True)
    name = arena.chance.choice(arena.names)
    connection = arena.ask(name)
    wait_for("a builder", lambda: arena.victims("builder") or
             arena.is_answered(connection), PATIENCE, 0.002)
    time.sleep(arena.chance.uniform(0, span))
    arena.tally.faults += daemon.strike(arena.chance)
    arena.answer(name, connection)
    arena.learn(name)
    arena.recovered([name])


def nix_daemon(directory, seed, rounds):
    """kill -9 of the nix-daemon and of its children, which build for a
    registry."""
    store = Store(directory)
    daemon = Daemon(directory, store)
    environment = nix.environment(directory, **daemon.environment)
    try:
        with Arena(directory, seed, "kill -9 nix-daemon", prefix=store.prefix,
                   environment=environment,
                   keep=lambda: [daemon.process.pid]) as arena:
            arena.calm.update(
                {k: str(v) for k, v in daemon.environment.items()})
            with arena.round():
                span = 2 * measure(arena)
            arena.repeat(rounds, daemon_round, daemon, span)
    finally:
        daemon.stop()
        store.stop()
    return arena.tally
