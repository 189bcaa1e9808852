# SPDX-License-Identifier: MIT
"""A registry that is tortured, and what must be true of it after each fault."""

import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import pathlib
import random
import select
import shutil
import signal
import time
import traceback

from harness import ROOT, fetch, nix, watch
from harness.process import is_alive, kill, run, wait_for
from harness.registry import BUILD, FLAKEHUB, Registry, blobs, hash_file

SETTINGS = ["max-age = 0s", "stale-if-error = 0s", "error-max-age = 0s",
            "max-builds = 4",
            # Nix waits for ever for some of its own, if they are killed.
            "build-timeout = 1m"]
# Under a sanitizer, on a machine with other work.
PATIENCE = 120
IMAGES = 40


def children(pid):
    """Of all its threads. Who looks for what lives for a moment cannot look
    through all processes."""
    found, folder = [], f"/proc/{pid}/task"
    # A process that ends meanwhile has no folder, or none of a thread.
    with contextlib.suppress(OSError):
        for thread in os.listdir(folder):
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"{folder}/{thread}/children").read_text()
                found += [int(word) for word in text.split()]
    return found


def command_of(pid):
    """None if it is gone, or about to be reaped."""
    try:
        text = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return text.replace(b"\0", b" ").decode(errors="replace").strip() or None


def below(pid, without=()):
    """{pid: command} of the living processes below one."""
    result, todo = {}, [pid]
    while todo:
        for child in children(todo.pop()):
            if child in without or child in result:
                continue
            todo.append(child)
            command = command_of(child)
            if command:
                result[child] = command
    return result


class Wrong(Exception):
    """Bytes that are not what they are called."""


@dataclasses.dataclass
class Tally:
    """What came of the rounds of a fault."""
    kind: str
    rounds: int = 0
    faults: int = 0
    wrong: int = 0
    lost: int = 0
    locks: int = 0
    processes: int = 0
    failed: int = 0  # pulls that did not work once the fault was gone
    reports: int = 0  # of programs that are watched

    def add(self, other):
        for field in dataclasses.fields(self)[1:]:
            setattr(self, field.name,
                    getattr(self, field.name) + getattr(other, field.name))

    def is_clean(self):
        return not (self.wrong or self.lost or self.locks or self.processes
                    or self.failed or self.reports)


def make_flake(directory, salt):
    """The flake of small images, never built before."""
    flake = directory / "flake"
    flake.mkdir()
    shutil.copy(ROOT / "tests/torture/flake/flake.nix", flake)
    shutil.copy(ROOT / "examples/hello/pkgs.nix", flake)
    shutil.copytree(ROOT / "nix", flake / "flakehub")
    (flake / "salt").write_text(f"{salt}\n")
    (flake / "round").write_text("0\n")
    return flake


class Arena:
    """A registry over a cache of its own, and the digests that its images
    have: those that `flakehub build` gives over another cache, undisturbed.
    """

    def __init__(self, directory, seed, kind, server="lighttpd", settings=(),
                 environment=None, prefix=(), cache=None, images=6,
                 keep=lambda: []):
        self.directory = directory
        self.chance = random.Random(f"{seed} {kind}")
        self.tally = Tally(kind)
        self.before = set(below(os.getpid()))
        # Others that serve.
        self.keep = keep
        self.names = [f"i-{n}" for n in range(images)]
        # All that are tortured from one seed have these of Nix.
        self.flake = make_flake(directory, seed)
        self.settings = [*SETTINGS, *settings]
        self.hashed = {}
        self.expected = {}
        folder = directory / "registry"
        folder.mkdir()
        self.calm = nix.environment(directory)
        self.prefix = list(prefix)
        self.registry = Registry(
            folder, self.flake, server, settings=self.settings, cache=cache,
            environment=dict(environment or nix.environment(folder)),
            prefix=prefix)
        self.cache = self.registry.cache
        (directory / "reference.conf").write_text("\n".join([
            f"cache-dir = {directory}/reference", *self.settings, "[flake]",
            f"url = {self.flake}", ""]))

    def learn(self, *names):
        """What the images are, and warm the store with them."""
        for name in names or self.names:
            out = run([*self.prefix, FLAKEHUB, "--config",
                       self.directory / "reference.conf", "build", name],
                      env=self.calm).ok().out
            self.expected[name] = out.split()[1]

    def new_round(self, salt=None):
        """Other images of the same layers, or of others."""
        text = f"{self.tally.rounds} {self.chance.random()}"
        (self.flake / ("salt" if salt else "round")).write_text(f"{text}\n")
        self.expected = {}

    def forget(self, folders=("blobs", "layers", "repositories")):
        """As if all that is in these had been evicted."""
        for name in folders:
            shutil.rmtree(self.cache / name, ignore_errors=True)
        self.hashed = {}

    def forget_some(self):
        """Now this, now that, so that builders have now more and now less to
        do."""
        self.forget(self.chance.choice((
            ("blobs", "layers", "repositories"), ("blobs", "layers"),
            ("blobs",), ("repositories",))))

    # What is asked.

    def check(self, name, reply):
        """A manifest that was answered must be the right one."""
        if reply.status != 200:
            return False
        digest = reply.headers["Docker-Content-Digest"]
        if reply.digest() != digest:
            raise Wrong(f"{name}: the manifest is not {digest}")
        if digest != self.expected.setdefault(name, digest):
            raise Wrong(f"{name}: {digest}, not {self.expected[name]}")
        return True

    def pull_blobs(self, name, manifest):
        for part in [manifest["config"], *manifest["layers"]]:
            reply = self.registry.get(f"/v2/{name}/blobs/{part['digest']}")
            if reply.status != 200:
                return False
            if reply.digest() != part["digest"]:
                raise Wrong(f"{name}: a blob is not {part['digest']}")
        return True

    def try_pull(self, name, reference="latest"):
        """A pull in the middle of it: it may fail, and nothing is wrong."""
        try:
            reply = self.registry.get(f"/v2/{name}/manifests/{reference}")
            return (self.check(name, reply) and
                    self.pull_blobs(name, reply.json()))
        except (OSError, http.client.HTTPException):
            return False

    def pull(self, name, reference="latest"):
        """A pull that must work."""
        reply = self.registry.get(f"/v2/{name}/manifests/{reference}")
        assert self.check(name, reply), str(reply)
        manifest = reply.json()
        for part in [manifest["config"], *manifest["layers"]]:
            reply = self.registry.get(f"/v2/{name}/blobs/{part['digest']}")
            assert reply.status == 200, str(reply)
            if reply.digest() != part["digest"]:
                raise Wrong(f"{name}: a blob is not {part['digest']}")
        return manifest

    def pull_old(self, name, digest):
        """By its digest: what was once made is there, or comes again."""
        reply = self.registry.get(f"/v2/{name}/manifests/{digest}")
        if reply.status != 200:
            self.complain("lost", f"{name}@{digest}: {reply}")
        elif reply.digest() != digest:
            raise Wrong(f"{name}: the manifest is not {digest}")
        else:
            assert self.pull_blobs(name, reply.json()), f"{name}@{digest}"

    def records(self):
        """(name, digest) of the images that are known here."""
        return [(file.parents[1].name, f"sha256:{file.name}") for file in
                self.cache.glob("repositories/*/_manifests/*")]

    def ask(self, name, reference="latest"):
        """Send it, to be answered later."""
        try:
            return fetch.Connection(self.registry.port, "GET",
                                    f"/v2/{name}/manifests/{reference}",
                                    seconds=PATIENCE)
        except OSError:
            return None

    @staticmethod
    def is_answered(connection):
        """Has the reply begun, or was there never a question?"""
        if not connection:
            return True
        return bool(select.select([connection.socket], [], [], 0)[0])

    def answer(self, name, connection):
        try:
            if connection:
                self.check(name, connection.reply())
        except (OSError, http.client.HTTPException):
            pass

    # What must be true.

    def rounds(self, number):
        """So many, or until TORTURE_END, a time of the monotonic clock."""
        self.tally.rounds = 0
        end = float(os.environ.get("TORTURE_END", "inf"))
        while self.tally.rounds < number and time.monotonic() < end:
            yield self.tally.rounds

    def repeat(self, number, one, *args):
        """one(arena, …) in each of so many rounds."""
        for _ in self.rounds(number):
            with self.round():
                one(self, *args)

    @contextlib.contextmanager
    def round(self):
        """One fault. What goes wrong in it is counted, and told."""
        self.tally.rounds += 1
        try:
            yield
        except Wrong as e:
            self.complain("wrong", e)
        except Exception as e:  # pylint: disable=broad-except
            self.complain("failed", e)
        self.take_reports()

    def take_reports(self):
        for report in watch.take_reports(BUILD):
            self.complain("reports", report)

    def complain(self, column, reason):
        setattr(self.tally, column, getattr(self.tally, column) + 1)
        text = "".join(traceback.format_exception(reason)) if isinstance(
            reason, Exception) else reason
        with open(self.directory / "complaints", "a",
                  encoding="utf-8") as f:
            f.write(f"{self.tally.kind}, round {self.tally.rounds}: {column}: "
                    f"{text}\n")

    def recovered(self, names=None, old=True):
        """Now that the fault is gone: the next pull works, and all is as it
        should be."""
        self.answers()
        names = names or [self.chance.choice(self.names)]
        for name in names:
            self.pull(name)
        old = self.records() if old else None
        if old:
            name, digest = self.chance.choice(old)
            self.pull_old(name, digest)
        self.settle()
        self.check_cache()
        self.check_locks()

    def answers(self):
        def is_up():
            try:
                return self.registry.send("GET", "/v2/").status == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_for("/v2/ answers", is_up, PATIENCE)

    def ours(self):
        """Processes that should not be there when nothing is under way."""
        kept = [self.registry.web.process.pid, *self.keep()]
        serving = [self.registry.process.pid, *self.victims("responder")]
        return {pid: command for pid, command in below(
            os.getpid(), kept).items()
                if pid not in serving and pid not in self.before}

    def settle(self):
        """Nothing of ours is left but the servers."""
        try:
            wait_for("builders and Nix end", lambda: not self.ours(), PATIENCE)
        except TimeoutError:
            left = self.ours()
            self.complain("processes", str(left))
            for pid in left:
                kill(pid, signal.SIGKILL)

    def check_locks(self):
        for file in (self.cache / "locks").glob("**/*"):
            try:
                with open(file, "rb") as f:
                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.complain("locks", str(file))
            except FileNotFoundError:
                pass

    def check_cache(self, cache=None):
        """Every blob is what it is called; no manifest lacks one."""
        found = blobs(cache or self.cache)
        for digest, file in found.items():
            st = file.stat()
            key = st.st_ino, st.st_mtime_ns, st.st_size
            if self.hashed.get(digest) == key:
                continue
            if hash_file(file) != digest:
                raise Wrong(f"{file} has other bytes")
            self.hashed[digest] = key
        for digest, file in found.items():
            manifest = read_manifest(file)
            for part in [manifest["config"], *manifest["layers"]] \
                    if manifest else []:
                if part["digest"] not in found:
                    self.complain("lost", f"{digest} lacks {part['digest']}")

    def victims(self, which):
        keeper = self.registry.process.pid
        if which == "keeper":
            return [keeper]
        if which == "responder":
            return [pid for pid in children(keeper)
                    if "flakehub.fcgi" in (command_of(pid) or "")]
        if which == "builder":
            return [pid for pid in children(keeper)
                    if "flakehub build" in (command_of(pid) or "")]
        if which == "web server":
            pid = self.registry.web.process.pid
            return [pid, *below(pid)]
        assert which == "nix"
        return [pid for builder in self.victims("builder")
                for pid in below(builder)]

    def restart(self, which):
        """What a service manager does."""
        registry = self.registry
        if which == "keeper":
            registry.process.popen.wait(PATIENCE)
            registry.start_responder()
        elif which == "web server":
            registry.web.process.stop()
            registry.web.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.registry.stop()
        self.take_reports()


def read_manifest(file):
    if file.stat().st_size > 100000:
        return None
    try:
        manifest = json.loads(file.read_bytes())
    except ValueError:
        return None
    if isinstance(manifest, dict) and "layers" in manifest:
        return manifest
    return None


def ended(pids):
    return lambda: not any(map(is_alive, pids))
