# SPDX-License-Identifier: MIT
"""A world that is bad: calls that fail, a disk that is full or read-only, a
clock that is set, a cache that is deleted underneath."""

import contextlib
import http.client
import os
import shutil
import threading
import time

from harness import fetch, nix
from harness.process import run, wait_for

from . import shim
from .arena import PATIENCE, Arena

FILES = ("read", "write", "open", "fsync", "syncfs", "link", "rename",
         "mkdir", "unlink", "stat", "utime", "flock", "close", "readdir")
WRITES = ("write", "open", "fsync", "syncfs", "link", "rename", "mkdir",
          "close")
# What a program must not notice.
HARMLESS = ("read", "write", "flock", "wait")

# What is done to which calls; whether a pull meanwhile must work.
ACTIONS = {
    "EIO": (("EIO",), FILES, False),
    "ENOSPC, EDQUOT": (("ENOSPC", "EDQUOT"), WRITES, False),
    "EMFILE, ENOMEM, EROFS, EACCES": (
        ("EMFILE", "ENOMEM", "EROFS", "EACCES"), FILES, False),
    "EINTR": (("EINTR",), HARMLESS, True),
    "short": ((shim.SHORT,), ("read", "write"), True),
}


@contextlib.contextmanager
def arena_of(*args, **options):
    """An Arena that is ready; it is stopped, and counts no warming up."""
    with Arena(*args, **options) as arena:
        with arena.round():
            arena.learn()
            arena.pull(arena.names[0])
        yield arena


def arm(arena, faults, action, program, total):
    """At one call of them, or now and then."""
    errors, calls, must_work = ACTIONS[action]
    chance = arena.chance
    how = {"nth": chance.randint(1, max(1, total))}
    if must_work or chance.random() < 0.5:
        how = {"probability": chance.choice((0.3, 0.1, 0.03, 0.01))}
    faults.arm(chance.choice(errors), calls, program,
               seed=chance.getrandbits(32), **how)


def by_hand(arena, *args):
    """gc and verify, in the same world. They may fail, and not crash."""
    result = arena.registry.flakehub(*args)
    assert result.status in (0, 1), str(result)


def call_round(arena, faults, action, program, total):
    arena.forget_some()
    name = arena.chance.choice(arena.names)
    command = None
    if program == shim.BUILDER and arena.chance.random() < 0.3:
        arena.pull(name)
        command = arena.chance.choice((["gc"], ["verify"],
                                       ["verify", "--repair"]))
    arm(arena, faults, action, program, total)
    try:
        if command:
            by_hand(arena, *command)
        elif ACTIONS[action][2]:
            arena.pull(name)
        else:
            arena.try_pull(name)
        arena.settle()
    finally:
        arena.tally.faults += faults.disarm()
    arena.registry.process.assert_running()
    arena.recovered([name])


def failing_calls(directory, seed, rounds, action, program, **options):
    """Calls of builders, or of the responder, fail."""
    faults = shim.Shim(directory)
    who = {shim.BUILDER: "builder", shim.RESPONDER: "responder"}[program]
    environment = nix.environment(directory, **faults.environment)
    with arena_of(directory, seed, f"{action} in {who}",
                  environment=environment, **options) as arena:
        arena.forget()
        faults.arm(shim.DROP, ACTIONS[action][1], program)
        arena.pull(arena.names[0])
        total = faults.counted()
        faults.disarm()
        arena.repeat(rounds, call_round, faults, action, program, total)
    return arena.tally


@contextlib.contextmanager
def disk(directory, options):
    """A small file system."""
    folder = directory / "disk"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "none",
         folder]).ok()
    try:
        yield folder
    finally:
        run(["umount", "--lazy", folder]).ok()


def take_space(folder, chance):
    """All but a few KB."""
    stat = os.statvfs(folder)
    left = chance.choice((0, 4 << 10, 64 << 10, 1 << 20, 3 << 20))
    with open(folder / "filler", "wb") as f, \
            contextlib.suppress(OSError):
        for _ in range(max(0, stat.f_bavail * stat.f_bsize - left) >> 12):
            f.write(bytes(4096))
            f.flush()


def take_inodes(folder, chance):
    """All but a few."""
    filler = folder / "filler.d"
    filler.mkdir(exist_ok=True)
    left = chance.choice((0, 1, 5, 20, 60))
    number = 0
    with contextlib.suppress(OSError):
        while os.statvfs(folder).f_ffree > left:
            (filler / str(number)).touch()
            number += 1


def make_read_only(folder, _):
    # Whoever has a file open for writing is in the way.
    wait_for("it is read-only", lambda: run(
        ["mount", "-o", "remount,ro", folder]).status == 0, PATIENCE)


DISKS = {"no space": ("size=24m", take_space),
         "no inodes": ("size=64m,nr_inodes=1500", take_inodes),
         "read-only": ("size=64m", make_read_only)}


def give_back(folder):
    run(["mount", "-o", "remount,rw", folder]).ok()
    (folder / "filler").unlink(missing_ok=True)
    shutil.rmtree(folder / "filler.d", ignore_errors=True)


def disk_round(arena, folder, take):
    chance = arena.chance
    arena.forget_some()
    name = chance.choice(arena.names)
    begin = chance.random() < 0.5
    asked = arena.ask(name) if begin else None
    if begin:
        time.sleep(chance.uniform(0, 1))
    try:
        take(folder, chance)
        arena.tally.faults += 1
        arena.answer(name, asked)
        arena.try_pull(name)
        by_hand(arena, chance.choice(("gc", "verify")))
        arena.settle()
        arena.check_cache()
    finally:
        give_back(folder)
    arena.recovered([name])


def bad_disk(directory, seed, rounds, which):
    """A disk without space, without inodes, or read-only."""
    options, take = DISKS[which]
    with disk(directory, options) as folder, \
            arena_of(directory, seed, which, cache=folder / "cache",
                     settings=["cache-size = 8M"]) as arena:
        arena.repeat(rounds, disk_round, folder, take)
    return arena.tally


SECONDS = (1, 59, 61, 599, 601, 3600, 86400, 40 * 86400, 400 * 86400,
           10 * 365 * 86400)


def set_clock(arena, faults):
    faults.set_clock(arena.chance.choice(SECONDS)
                     * arena.chance.choice((-1, 1)))
    arena.tally.faults += 1


def assert_there(arena, name, manifest):
    """What was pulled right now was not evicted."""
    for part in [manifest["config"], *manifest["layers"]]:
        hexadecimal = part["digest"].split(":")[1]
        if not (arena.cache / "blobs/sha256" / hexadecimal[:2]
                / hexadecimal).exists():
            arena.complain("lost", f"{name}: {part} was evicted")


def clock_round(arena, faults):
    chance = arena.chance
    arena.forget_some()
    name = chance.choice(arena.names)
    asked = arena.ask(name)
    time.sleep(chance.uniform(0, 0.5))
    set_clock(arena, faults)
    arena.answer(name, asked)
    manifest = arena.pull(name)
    if chance.random() < 0.5:
        set_clock(arena, faults)
    arena.registry.flakehub("gc").ok()
    assert_there(arena, name, manifest)
    arena.pull(name)
    faults.set_clock(0)
    arena.tally.faults += 1
    arena.registry.flakehub("gc").ok()
    assert_there(arena, name, manifest)
    arena.recovered([name])


def clock(directory, seed, rounds, **options):
    """The clock of the day is set, by seconds and by years; also while an
    image is made. What was used a moment ago is not evicted."""
    faults = shim.Shim(directory)
    environment = nix.environment(directory, **faults.environment)
    with arena_of(directory, seed, "clock set", environment=environment,
                  settings=["cache-size = 1M"], **options) as arena:
        arena.registry.flakehub("gc").ok()
        arena.repeat(rounds, clock_round, faults)
    return arena.tally


def delete(arena):
    """The cache, all that is in it, or one of its folders."""
    cache = arena.cache
    below = sorted(cache.iterdir()) if cache.exists() else []
    which = arena.chance.choice(([cache], below, below and [
        arena.chance.choice(below)]))
    for path in which:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    arena.tally.faults += 1


def read_slowly(arena, name, path, digest, go):
    """A blob whose reader stops in the middle until told to go on."""
    try:
        connection = fetch.Connection(arena.registry.port, "GET", path,
                                      seconds=PATIENCE)
        response = http.client.HTTPResponse(connection.socket, method="GET")
        response.begin()
        body = response.read(1000)
        go.wait(PATIENCE)
        body += response.read()
        connection.close()
    except (OSError, http.client.HTTPException):
        return
    if response.status == 200 and fetch.digest(body) != digest:
        arena.complain("wrong", f"{name}: {path}")


def delete_round(arena):
    chance = arena.chance
    name = chance.choice(arena.names)
    when = chance.choice(("idle", "building", "serving"))
    manifest = arena.pull(name)
    go = threading.Event()
    asked, reader = None, None
    if when == "building":
        arena.forget()
        asked = arena.ask(name)
        time.sleep(chance.uniform(0, 1))
    elif when == "serving":
        layer = max(manifest["layers"], key=lambda part: part["size"])
        reader = threading.Thread(target=read_slowly, args=(
            arena, name, f"/v2/{name}/blobs/{layer['digest']}",
            layer["digest"], go))
        reader.start()
        time.sleep(0.05)
    delete(arena)
    arena.hashed = {}
    go.set()
    if reader:
        reader.join()
    arena.answer(name, asked)
    # Its link may be there, and nothing that it leads to.
    arena.try_pull(name)
    arena.recovered([name], old=False)


def deleted(directory, seed, rounds, **options):
    """The cache is deleted, or parts of it, while idle, building, serving."""
    with arena_of(directory, seed, "cache deleted",
                  settings=["compression = none"], **options) as arena:
        arena.repeat(rounds, delete_round)
    return arena.tally


