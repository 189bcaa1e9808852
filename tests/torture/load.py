#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many clients for a long time: load with a clock, and eviction, collecting
and restarts under it. Part of `make torture` (plan.py), and alone:

load.py [--rounds N] [--only WORD] [--seed N]

Each round is a line: what was done, what went wrong, what it took."""

import asyncio
import contextlib
import os
import pathlib
import random
import re
import resource
import signal
import statistics
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from torture import options  # noqa: E402
from torture.arena import Tally  # noqa: E402
from fastcgi import THREADS  # noqa: E402
from harness import crowd, nix, process, watch  # noqa: E402
from harness.eviction import Evictor  # noqa: E402
from harness.process import descendants, wait_for  # noqa: E402
from harness.registry import BUILD, Registry, assert_whole  # noqa: E402
from harness.store import Store  # noqa: E402
from harness.webserver import WebServer  # noqa: E402

WARM = ("hello", "packages", "args", "fixed-tag", "many", "two-layers",
        "no-store", "twice", "from-image", "owned")
COLD = ("slow", *(f"slow-{n}" for n in range(1, 10)))
# How long a cold one takes beside evaluation: five after the other, since two
# are built at once.
SECONDS = 3
# A round of what has no end of its own.
ROUND_S = 20
CONNECTIONS = 1000


def say(*words):
    """Beside the table, which is made of the last line of our output."""
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def milliseconds(pulls):
    """Median and slowest."""
    taken = [pull.seconds * 1000 for pull in pulls]
    return statistics.median(taken), max(taken)


def with_descriptors():
    """Our end of a thousand connections, and those of the web server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))


class Bout:
    """A registry of small images, and rounds of one kind over it."""

    def __init__(self, directory, seed, kind, server="lighttpd", settings=(),
                 **more):
        with_descriptors()
        self.directory = directory
        self.kind = kind
        self.chance = random.Random(f"{seed} {kind}")
        self.tally = Tally(kind)
        self.flake = nix.make_flake("simple", directory / "flake")
        (self.flake / "seconds").write_text(f"{SECONDS}\n")
        self.new_salt()
        (directory / "registry").mkdir()
        self.registry = Registry(directory / "registry", self.flake, server,
                                 settings=settings, **more)
        wait_for("the responder's threads", self.is_ready, 60)

    def new_salt(self):
        (self.flake / "salt").write_text(f"{self.chance.random()}\n")

    def complain(self, what):
        with open(self.directory / "complaints", "a",
                  encoding="utf-8") as file:
            file.write(f"round {self.tally.rounds}: {what}\n")

    def count(self, results):
        """The pulls among them that succeeded; the others are a failure, or
        worse."""
        good = []
        for result in results:
            if isinstance(result, crowd.Other):
                self.tally.wrong += 1
            elif isinstance(result, BaseException):
                self.tally.failed += 1
            else:
                good.append(result)
                continue
            self.complain("".join(traceback.format_exception(result)))
        return good

    def pulls(self, clients, images, each=1):
        return [asyncio.ensure_future(clients.pull(image))
                for _ in range(each) for image in images]

    async def gather(self, tasks):
        return self.count(await asyncio.gather(*tasks,
                                               return_exceptions=True))

    def answers(self, mark=0):
        """What the responder's log says of requests that had not to wait,
        since it was so long: how many, and the ms of the slowest."""
        text = self.registry.log.read_text(errors="replace")[mark:]
        taken = [int(ms) for ms in re.findall(
            r"^level=info req=.* ms=(\d+)$", text, re.M)]
        return (f"{len(taken)} answers of the responder that waited for "
                f"nothing, the slowest after {max(taken, default=0)} ms")

    def log_size(self):
        return len(self.registry.log.read_text(errors="replace"))

    def responder(self):
        """Its process id: the keeper's child, not yet a builder."""
        keeper = self.registry.process.pid
        found = [pid for pid, command in descendants(keeper).items()
                 if "flakehub.fcgi" in command]
        return found[0] if len(found) == 1 else None

    def is_ready(self):
        pid = self.responder()
        return pid and len(os.listdir(f"/proc/{pid}/task")) >= THREADS

    def holdings(self):
        pid = wait_for("a responder", self.responder, 60)
        return [len(os.listdir(f"/proc/{pid}/{what}"))
                for what in ("fd", "task")]

    async def given_back(self, before, seconds=10):
        """All descriptors and threads but those of connections that nginx
        keeps."""
        if self.registry.server == "nginx":
            await asyncio.to_thread(self.registry.web.stop)
        await asyncio.to_thread(wait_for, "all is given back",
                                lambda: self.holdings() == before, seconds)
        if self.registry.server == "nginx":
            await asyncio.to_thread(self.registry.web.start)

    def run(self, rounds, one):
        """one() for each round; whatever happens, all is ended and looked
        at."""
        try:
            for _ in range(rounds):
                self.tally.rounds += 1
                try:
                    asyncio.run(one())
                except Exception:
                    self.tally.failed += 1
                    self.complain(traceback.format_exc())
            wait_for("builders end", lambda: not self.registry.builders(), 120)
            try:
                assert_whole(self.registry.cache)
            except AssertionError:
                self.tally.wrong += 1
                self.complain(traceback.format_exc())
        finally:
            self.registry.stop()
        for report in watch.take_reports(BUILD):
            self.tally.reports += 1
            self.complain(report)
        return self.tally


def at_once(directory, seed, rounds, server):
    """200 pulls of 20 images, ten of them cold, with 800 connections open
    beside them on which nothing is said."""
    bout = Bout(directory, seed, f"200 pulls at once, {server}", server)

    async def one():
        bout.new_salt()
        before = bout.holdings()
        clients = crowd.Crowd(bout.registry.port, connections=CONNECTIONS)
        await bout.gather(bout.pulls(clients, WARM))
        idle = [await clients.half_open()
                for _ in range(CONNECTIONS - 200)]
        mark = bout.log_size()
        done = await bout.gather(bout.pulls(clients, WARM + COLD, 10))
        for writer in idle:
            clients.hang_up(writer)
        warm, slowest = milliseconds([p for p in done if p.name in WARM])
        cold, last = milliseconds([p for p in done if p.name in COLD])
        await bout.given_back(before)
        say(f"{bout.kind}: {len(done)} right, {clients.most} connections at "
            f"most; {bout.answers(mark)}; warm median {warm:.0f} ms, slowest "
            f"{slowest:.0f} ms, ratio "
            f"{slowest / warm:.2f}; cold median {cold:.0f} ms, slowest "
            f"{last:.0f} ms; load {os.getloadavg()[0]:.0f}")

    return bout.run(rounds, one)


async def while_others(bout, clients, images, condition, pause=0.0):
    """Pull each image again and again while it is to go on, with up to so
    many seconds in between."""
    done = []

    async def client(image):
        while condition():
            done.extend(bout.count(await asyncio.gather(
                clients.pull(image), return_exceptions=True)))
            await asyncio.sleep(bout.chance.uniform(0, pause))

    await asyncio.gather(*map(client, images))
    return done


def bad_clients(directory, seed, rounds, server):
    """Clients at 1 KB/s, that vanish, that never say all of it."""
    bout = Bout(directory, seed, f"bad clients, {server}", server,
                ["max-age = 1h"])

    async def nuisance(clients, layer, end):
        blob = f"/v2/many/blobs/{layer}"
        kinds = (lambda: clients.ask(blob, rate=1024),
                 lambda: clients.vanish(blob, bout.chance.randrange(9000)),
                 lambda: clients.vanish(blob),
                 lambda: clients.vanish("/v2/slow/manifests/latest"),
                 clients.half_open)
        bad = 0
        while time.monotonic() < end:
            with contextlib.suppress(OSError, EOFError, TimeoutError,
                                     asyncio.TimeoutError):
                async with asyncio.timeout(bout.chance.uniform(0, 3)):
                    await bout.chance.choice(kinds)()
            bad += 1
            # Or they would keep this program from all else.
            await asyncio.sleep(bout.chance.uniform(0, 2))
        return bad

    async def one():
        bout.new_salt()
        before = bout.holdings()
        clients = crowd.Crowd(bout.registry.port)
        await bout.gather(bout.pulls(clients, WARM))
        manifest = bout.registry.manifest("many")[0]
        layer = max(manifest["layers"], key=lambda part: part["size"])
        mark = bout.log_size()
        end = time.monotonic() + ROUND_S
        cold = bout.pulls(clients, COLD[:2], 5)
        bad = [asyncio.ensure_future(nuisance(clients, layer["digest"], end))
               for _ in range(200)]
        done = await while_others(bout, clients, WARM,
                                  lambda: time.monotonic() < end, 0.4)
        bout.tally.faults += sum(await asyncio.gather(*bad))
        done += await bout.gather(cold)
        # Those half open are the web server's until it has waited enough.
        await bout.given_back(before, 60)
        say(f"{bout.kind}: {len(done)} pulls right beside them; "
            f"{bout.answers(mark)}")

    return bout.run(rounds, one)


def evicted(directory, seed, rounds, server):
    """Pulls of more than the cache may hold, while all that was not used for
    three seconds is evicted."""
    bout = Bout(directory, seed, f"eviction under load, {server}", server,
                ["compression = none", "cache-size = 1M", "max-age = 5s",
                 f"max-builds = {os.cpu_count()}"])
    digests = {}

    async def one():
        clients = crowd.Crowd(bout.registry.port)
        end = time.monotonic() + ROUND_S
        with Evictor(bout.registry) as evictor:
            done = await while_others(
                bout, clients, WARM, lambda: time.monotonic() < end, 12)
            # Its end is waited for by a thread.
            evictor.stop.set()
            await asyncio.to_thread(evictor.join)
        bout.tally.faults += evictor.evicted
        for pull in done:
            if digests.setdefault(pull.name, pull.digest) != pull.digest:
                bout.tally.wrong += 1
                bout.complain(f"{pull.name}: another digest")
        say(f"{bout.kind}: {len(done)} pulls right, {evictor.evicted} "
            "images evicted")

    return bout.run(rounds, one)


def collected(directory, seed, rounds, server):
    """nix-collect-garbage and eviction again and again, in a store of its
    own: what is live is pulled, or made again of the store."""
    store = Store(directory)
    stop, collections, failures = threading.Event(), [], []

    def collector():
        while not stop.is_set():
            try:
                collections.append(store.collect())
            except BaseException as e:
                failures.append(e)
                return

    thread = threading.Thread(target=collector)
    try:
        bout = Bout(directory, seed, f"collecting under load, {server}",
                    server, ["compression = none", "cache-size = 1M",
                             "max-age = 5s", "error-max-age = 0s"],
                    prefix=store.prefix)

        async def one():
            bout.new_salt()
            clients = crowd.Crowd(bout.registry.port)
            before, end = len(collections), time.monotonic() + ROUND_S
            with Evictor(bout.registry) as evictor:
                done = await while_others(
                    bout, clients, ("hello", "many", "from-image", "owned"),
                    lambda: time.monotonic() < end, 10)
                evictor.stop.set()
                await asyncio.to_thread(evictor.join)
            assert not failures, failures
            bout.tally.faults += len(collections) - before
            say(f"{bout.kind}: {len(done)} pulls right, "
                f"{len(collections) - before} collections, "
                f"{evictor.evicted} images evicted")

        thread.start()
        return bout.run(rounds, one)
    finally:
        stop.set()
        if thread.ident:
            thread.join()
        store.stop()


def restarts(directory, seed, rounds, server):
    """The responder, the keeper or the web server ends at some moment and
    comes back; who asks again gets it. Then the builds go on."""
    bout = Bout(directory, seed, f"restarts under load, {server}", server,
                ["max-age = 1h"])
    registry = bout.registry

    def responder():
        os.kill(wait_for("a responder", bout.responder, 60), signal.SIGTERM)

    def keeper():
        # spawn-fcgi refuses while the old one has the socket.
        registry.process.popen.terminate()
        registry.process.popen.wait(45)
        registry.start_responder()

    def web():
        registry.web.stop()
        registry.web = WebServer(server, registry.directory / "web",
                                 registry.socket, registry.cache,
                                 registry.port)

    def reload():
        os.kill(registry.web.process.pid,
                signal.SIGHUP if server == "nginx" else signal.SIGUSR1)

    async def one():
        bout.new_salt()
        clients = crowd.Crowd(registry.port, retries=300)
        await bout.gather(bout.pulls(clients, WARM))
        cold = bout.pulls(clients, bout.chance.sample(COLD, 3), 5)
        warm = asyncio.ensure_future(while_others(
            bout, clients, WARM, lambda: not all(t.done() for t in cold)))
        what = [bout.chance.choice((responder, keeper, web, reload))
                for _ in range(2)]
        for restart in what:
            await asyncio.sleep(bout.chance.uniform(0, 2))
            await asyncio.to_thread(restart)
            bout.tally.faults += 1
        done = await bout.gather(cold) + await warm
        say(f"{bout.kind}: {' and '.join(f.__name__ for f in what)}; "
            f"{len(done)} pulls right, {sum(p.retries for p in done)} "
            "requests asked again")

    return bout.run(rounds, one)


BOUTS = {"at once": at_once, "bad clients": bad_clients, "evicted": evicted,
         "collected": collected, "restarts": restarts}


def main():
    args = options.parser(rounds=5).parse_args()
    process.become_subreaper()
    directory = options.make_folder("load")
    good = True
    say(f"seed {args.seed}")
    for name, bout in BOUTS.items():
        for server in ("lighttpd", "nginx"):
            if args.only not in f"{name}, {server}":
                continue
            folder = directory / f"{name.replace(' ', '-')}-{server}"
            folder.mkdir()
            folder.chmod(0o755)
            tally = bout(folder, args.seed, args.rounds, server)
            say(tally)
            good = good and tally.is_clean()
    options.leave_folder(directory, good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
