# SPDX-License-Identifier: MIT
"""Power loss between any two file operations.

What a builder, gc and verify do to the files of a cache is recorded by the
shim (record.c), and then done again up to each operation onto a fresh folder,
as a disk could have it after the power went:

all         all operations until then
synced      all names until then; of each file only what was synced, the rest
            gone, half there, or zeros
unordered   as `synced`, and of the names that were not synced some, at random:
            no file system that we know of is that bad
"""

import collections
import hashlib
import json
import random
import shutil
import sys

from harness import nix
from harness.process import run
from harness.registry import FLAKEHUB, blobs

from . import shim
from .arena import Arena, Wrong, read_manifest

MODELS = ("all", "synced", "unordered")

Operation = collections.namedtuple("Operation", "what args data")


def read_log(file):
    """The operations, in their order."""
    text = file.read_bytes()
    result, at = [], 0
    while at < len(text):
        end = text.index(b"\n", at)
        what, *args = text[at:end].decode().split(" ")
        at, data = end + 1, None
        if what == "write":
            size = int(args[2])
            data = text[at:at + size]
            at += size + 1
        result.append(Operation(what, args, data))
    return result


class File:
    """A file's bytes, and those that a sync has made lasting."""

    def __init__(self):
        self.data = bytearray()
        self.synced = None

    def sync(self):
        self.synced = bytes(self.data)

    def lasting(self, chance):
        """What is there after power was lost."""
        if self.synced is not None:
            return self.synced
        size = len(self.data)
        return chance.choice((b"", bytes(self.data[:size // 2]), bytes(size)))


def parent(path):
    return path.rpartition("/")[0] or "."


class Names:
    """A tree of names. Its values are File, a symlink's target or None for a
    folder."""

    def __init__(self, entries=None):
        self.entries = dict(entries or {})

    def apply(self, change):
        """What cannot be, since what it needs was lost, is not."""
        what, path, value = change
        if path != "." and parent(path) != "." and \
                self.entries.get(parent(path), 0) is not None:
            return
        if what == "put":
            self.entries[path] = value
        elif what == "remove":
            self.entries.pop(path, None)
        elif path in self.entries or value in self.entries:
            # Rename: value is where it was. Its file may be there alone.
            node = self.entries.pop(value, None)
            if node is not None:
                self.entries[path] = node


class Disk:
    """What operations have done, and what of it lasts."""

    def __init__(self):
        self.names = Names()
        self.lasting = Names()
        self.pending = []
        self.files = {}
        self.folders = {}

    def _change(self, *change):
        self.names.apply(change)
        self.pending.append(change)

    def _flush(self, folder=None):
        """The names in a folder last now, or all."""
        left = []
        for change in self.pending:
            if folder is None or parent(change[1]) == folder:
                self.lasting.apply(change)
            else:
                left.append(change)
        self.pending = left

    def do(self, op):
        getattr(self, f"_{op.what}")(op, *op.args)

    def _create(self, _, inode, path):
        self.files[inode] = File()
        if path != "-":
            self._change("put", path, self.files[inode])

    def _mkdir(self, _, inode, path):
        self.folders[inode] = path
        if path != ".":
            self._change("put", path, None)

    def _write(self, op, inode, offset, size):
        file = self.files.get(inode)
        if file:
            offset, size = int(offset), int(size)
            if len(file.data) < offset:
                file.data.extend(bytes(offset - len(file.data)))
            file.data[offset:offset + size] = op.data

    def _truncate(self, _, inode, _path):
        if inode in self.files:
            self.files[inode].data.clear()

    def _fsync(self, _, inode, _path):
        if inode in self.folders:
            self._flush(self.folders[inode])
        elif inode in self.files:
            self.files[inode].sync()

    def _syncfs(self, _, _inode, _path):
        for file in self.files.values():
            file.sync()
        self._flush()

    def _link(self, _, inode, path):
        self._change("put", path, self.files[inode])

    def _rename(self, _, old, path):
        self._change("rename", path, old)

    def _unlink(self, _, _inode, path):
        self._change("remove", path, None)

    _rmdir = _unlink

    def _symlink(self, _, target, path):
        self._change("put", path, target)

    def state(self, model, chance):
        """{path: bytes, a symlink's target, or None for a folder}."""
        names = self.names
        if model == "unordered":
            names = Names(self.lasting.entries)
            for change in self.pending:
                if chance.random() < 0.5:
                    names.apply(change)
        result = {}
        for path, node in names.entries.items():
            if isinstance(node, File):
                result[path] = bytes(node.data) if model == "all" \
                    else node.lasting(chance)
            else:
                result[path] = node
        return result


def wrongly_named(state):
    """Blobs that are not what they are called."""
    return [path for path, data in state.items()
            if path.startswith("blobs/sha256/") and isinstance(data, bytes)
            and hashlib.sha256(data).hexdigest() != path.rpartition("/")[2]]


def lacking(state):
    """Manifests without one of their blobs."""
    found = []
    there = {path.rpartition("/")[2] for path in state
             if path.startswith("blobs/sha256/")}
    for path, data in state.items():
        if not path.startswith("blobs/sha256/") or not data or \
                not data.startswith(b'{"schemaVersion"'):
            continue
        try:
            manifest = json.loads(data)
        except ValueError:
            continue
        for part in [manifest["config"], *manifest["layers"]]:
            if part["digest"].split(":")[1] not in there:
                found.append(f"{path} lacks {part['digest']}")
    return found


def look_at_all(arena, operations, found):
    """Without serving them, which takes a second each. Where names come in no
    order, a manifest may be there before its image config is: whoever asks for
    that has it made, as the pulls show."""
    for number, model, state in found:
        where = f"after {number} operations, {model}, " \
            f"{operations[number - 1][:2]}: "
        for column, paths in (("wrong", wrongly_named(state)),
                              ("lost", lacking(state))):
            if paths and (column, model) != ("lost", "unordered"):
                arena.complain(column, where + str(paths))


def lay_out(state, folder):
    """The state as files; a folder as mkdirat(2) would have made it."""
    folder.mkdir()
    for path in sorted(state):
        value, file = state[path], folder / path
        if value is None:
            file.mkdir(mode=0o700 if path in ("git", "locks") else 0o755)
        elif isinstance(value, str):
            file.symlink_to(value)
        else:
            file.write_bytes(value)
            file.chmod(0o644)


def key_of(state):
    """Of what could matter: not of files that are still being written."""
    text = sorted((path, hashlib.sha256(data).digest()
                   if isinstance(data, bytes) else data)
                  for path, data in state.items()
                  if not path.startswith("tmp/"))
    return hashlib.sha256(repr(text).encode()).digest()


def states(operations, seed, models=MODELS):
    """(number, model, state): all that are different, in order."""
    disk, seen = Disk(), set()
    for number, operation in enumerate(operations):
        disk.do(operation)
        for model in models:
            chance = random.Random(f"{seed} {number} {model}")
            state = disk.state(model, chance)
            key = key_of(state)
            if key not in seen:
                seen.add(key)
                yield number + 1, model, state


class Recording:
    """A cache, the commands that were run over it, and what they did."""

    def __init__(self, arena, faults):
        self.directory = arena.directory / "recorded"
        self.cache = self.directory / "cache"
        self.log = self.directory / "log"
        self.directory.mkdir()
        self.config = self.directory / "flakehub.conf"
        self.arena = arena
        # Its log's names are relative: the folder may be another later.
        self.environment = nix.environment(
            self.directory, **faults.recording(self.log, self.cache))
        self.write()

    def write(self, *settings):
        self.config.write_text("\n".join([
            f"cache-dir = {self.cache}", *self.arena.settings, *settings,
            "[flake]", f"url = {self.arena.flake}", ""]))

    def flakehub(self, *args):
        return run([FLAKEHUB, "--config", self.config, *args],
                   env=self.environment)


def age_all(cache):
    run(["find", cache, "-exec", "touch", "-h", "-d", "1 day ago", "{}",
         "+"]).ok()


def record(arena, faults, names):
    """Two images that share layers, one of them anew, all evicted, one made
    again, a bad blob moved aside and made again."""
    recording = Recording(arena, faults)
    first, second = names
    digests = {name: recording.flakehub("build", name).ok().out.split()[1]
               for name in (first, second)}
    recording.flakehub("build", second).ok()
    recording.write("cache-size = 1M")
    age_all(recording.cache)
    recording.flakehub("gc").ok()
    gone = {name: digest for name, digest in digests.items()
            if digest not in blobs(recording.cache)}
    assert gone, "nothing was evicted"
    recording.write()
    for name, digest in gone.items():
        recording.flakehub("build", f"{name}@{digest}").ok()
    blob = max(recording.cache.glob("blobs/sha256/*/*"),
               key=lambda file: file.stat().st_size)
    blob.chmod(0o644)
    with open(blob, "r+b") as f:
        f.write(b"#")
    blob.chmod(0o444)
    recording.flakehub("verify", "--repair").ok()
    return read_log(recording.log)


def served(arena, model):
    """Nothing but right bytes, for everything that could be asked for."""
    found = blobs(arena.cache)
    for file in arena.cache.glob("repositories/*/_blobs/*"):
        name, digest = file.parents[1].name, f"sha256:{file.name}"
        # What is not there is made again: that is the next pull's.
        if digest not in found:
            continue
        reply = arena.registry.get(f"/v2/{name}/blobs/{digest}")
        if reply.status == 200 and reply.digest() != digest:
            raise Wrong(f"{name}: a blob is not {digest}")
    for digest, file in found.items():
        manifest = read_manifest(file)
        for part in [manifest["config"], *manifest["layers"]] \
                if manifest else []:
            if part["digest"] not in found and model != "unordered":
                arena.complain("lost", f"{digest} lacks {part['digest']}")


def check(arena, model, state, names):
    """A cache as the power loss left it, under the running registry."""
    bad = wrongly_named(state)
    if bad:
        raise Wrong(f"torn: {bad}")
    fresh = arena.directory / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    lay_out(state, fresh)
    shutil.rmtree(arena.cache, ignore_errors=True)
    fresh.rename(arena.cache)
    served(arena, model)
    if arena.chance.random() < 0.1:
        # Where names come in no order an image may lack a blob, and is mended.
        arena.registry.flakehub(
            "verify", *["--repair"] * (model == "unordered")).ok()
    for name in names:
        arena.pull(name)
    arena.settle()
    arena.hashed = {}
    arena.check_cache()
    arena.check_locks()


def sabotaged(operations):
    """The same without one sync: the models must find a torn blob."""
    left = [op for op in operations if op.what not in ("fsync", "syncfs")]
    return any(wrongly_named(state) for _, _, state in
               states(left, "sabotage", ("synced",)))


def power_loss(directory, seed, rounds):
    """Every prefix of what was recorded, or as many as there are rounds for,
    at random."""
    faults = shim.Shim(directory)
    with Arena(directory, seed, "power loss",
               settings=["compression = none"]) as arena:
        names = arena.names[0], arena.names[4]
        with arena.round():
            arena.learn(*names)
            operations = record(arena, faults, names)
            found = list(states(operations, seed))
            assert sabotaged(operations), "a missing fsync is not found"
            look_at_all(arena, operations, found)
            print(f"# power loss: {len(operations)} operations, {len(found)} "
                  "states that differ", file=sys.stderr, flush=True)
        arena.chance.shuffle(found)
        for index in arena.rounds(min(rounds, len(found))):
            number, model, state = found[index]
            with arena.round():
                arena.tally.faults += 1
                try:
                    check(arena, model, state, names)
                except (Wrong, AssertionError) as e:
                    raise type(e)(f"after {number} operations, {model}: "
                                  f"{operations[number - 1][:2]}: {e}") from e
    return arena.tally
