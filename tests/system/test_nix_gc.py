# SPDX-License-Identifier: MIT
"""nix-collect-garbage beside pulls, in a store of the test's own."""

import os
import threading
import time

import pytest

from harness import nix
from harness.git import Repository
from harness.registry import assert_whole, blobs
from harness.store import Store

PLAIN = "compression = none"


@pytest.fixture
def store(directory):
    """Its own, so that collecting takes nothing from anybody."""
    namespace = Store(directory)
    assert namespace.run("ls", "-A", "/nix").ok().out == ""
    yield namespace
    namespace.stop()


WRAPPER = """#!/bin/sh
# nix, and a collection right after its first four evaluations.
nix=/usr/bin/nix
"$nix" "$@"
status=$?
case " $* " in *" eval "*)
	echo . >>"{count}"
	if [ "$(wc -l <"{count}")" -le 4 ]; then
		nix-collect-garbage >&2
	fi
esac
exit $status
"""


def wrapped(wrapper, directory):
    """The environment with the wrapper for nix, and the file that has a line
    for each evaluation."""
    folder, count = directory / "wrappers", directory / "count"
    folder.mkdir()
    (folder / "nix").write_text(wrapper.format(count=count))
    (folder / "nix").chmod(0o755)
    return nix.environment(
        directory, path=f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"), count


def outputs(store, registry):
    roots = sorted(registry.cache.glob("roots/tag.*"))
    return [os.readlink(root) for root in roots]


def test_roots(store, make_registry, fresh):
    """What is live stays in the store; what was evicted goes."""
    registry = make_registry(fresh(), settings=[PLAIN, "max-age = 1h"],
                             prefix=store.prefix)
    digest = registry.pull("hello")
    output, = outputs(store, registry)
    store.collect()
    store.run("test", "-e", output).ok()
    # A layer can still be made again.
    for file in blobs(registry.cache).values():
        file.unlink()
    assert registry.pull("hello", digest) == digest
    for file in [*blobs(registry.cache).values(), *registry.cache.glob(
            "repositories/*/_manifests/*")]:
        os.utime(file, (time.time() - 7200,) * 2)
    registry.settings.append("cache-size = 1M")
    registry.write_settings()
    registry.flakehub("gc").ok()
    assert not blobs(registry.cache) and not outputs(store, registry)
    store.collect()
    assert store.run("test", "-e", output).status == 1
    # And by its tag it comes again.
    assert registry.pull("hello") == digest
    assert_whole(registry.cache)


FLAKE = """{ outputs = { self }: { packages.x86_64-linux."2048.if" =
  derivation { name = "game"; system = "x86_64-linux"; builder = "/bin/sh";
    args = [ "-c" "echo SALT >$out; chmod +x $out" ]; }; }; }
"""


def test_output_is_gone(store, make_registry, directory):
    """The image of a digest is evaluated and built again, by a name that is
    no identifier of Nix's, and though the derivation is collected in between,
    again and again."""
    flake = directory / "flake"
    flake.mkdir()
    (flake / "flake.nix").write_text(FLAKE.replace("SALT", str(directory)))
    bare = Repository(flake).bare(directory / "r.git")
    environment, count = wrapped(WRAPPER, directory)
    count.write_text(".\n" * 4)
    registry = make_registry(f"git+file://{bare}",
                             settings=[PLAIN, "sandbox-eval = no"],
                             prefix=store.prefix, environment=environment)
    digest = registry.pull("2048.if")
    output, = outputs(store, registry)
    for file in [*blobs(registry.cache).values(),
                 *registry.cache.glob("roots/*")]:
        file.unlink()
    store.collect()
    assert store.run("test", "-e", output).status == 1
    count.write_text("")
    assert registry.pull("2048.if", digest) == digest
    assert count.read_text().count(".") == 5
    assert_whole(registry.cache)


def test_collected_under_load(store, make_registry, fresh):
    """Collecting again and again: warm pulls, new builds, and layers that are
    made again of what a live image has in the store never fail. A collector
    that never rests may outlive a new build's ten attempts (RELIABILITY.md),
    so it rests as long as one takes."""
    flake, live = fresh(), fresh("live")
    registry = make_registry(flake, flakes={"live": live}, settings=[
        PLAIN, "max-age = 0s", "error-max-age = 0s"], prefix=store.prefix)
    digest = registry.pull("hello")
    kept = registry.pull("live/hello")
    salt = (live / "salt").read_bytes().strip()
    own, = (file for file in blobs(registry.cache).values()
            if b"Hello from " + salt in file.read_bytes())
    stop, collected, failures, again = threading.Event(), [], [], []

    def collector():
        try:
            while not stop.is_set():
                collected.append(store.collect())
                stop.wait(4)
        except BaseException as e:
            failures.append(e)

    def warm():
        try:
            while not stop.is_set():
                assert registry.pull("hello", digest) == digest
                stop.wait(0.05)
        except BaseException as e:
            failures.append(e)

    def remade():
        try:
            while not stop.is_set():
                own.unlink()
                assert registry.pull("live/hello", kept) == kept
                again.append(own.stat())
                stop.wait(0.05)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=f) for f in (collector, warm, remade)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            (flake / "salt").write_text(f"{number} {time.time()}\n")
            for name in "hello", "from-image":
                registry.pull(name)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    assert len(collected) > 1 and again
    assert_whole(registry.cache)


def pull_through(wrapper, store, make_registry, fresh, directory):
    """hello is pulled, with the wrapper for nix: the registry, and the file
    that has a dot for each evaluation."""
    environment, count = wrapped(wrapper, directory)
    registry = make_registry(
        fresh(), settings=[PLAIN, "sandbox-eval = no"],
        prefix=store.prefix, environment=environment)
    registry.pull("hello")
    return registry, count


def test_collected_between_evaluation_and_build(store, make_registry, fresh,
                                                directory):
    """The derivation is gone when it is to be built."""
    registry, count = pull_through(WRAPPER, store, make_registry, fresh,
                                   directory)
    assert count.read_text().count(".") == 5
    assert_whole(registry.cache)


SOURCE_WRAPPER = """#!/bin/sh
# nix, after the collector: in the middle of taking the source at the first
# evaluation, and through with it at the others.
case " $* " in *" eval "*)
	echo . >>"{count}"
	if [ "$(wc -l <"{count}")" = 1 ]; then
		for argument; do
			case $argument in path:/nix/store/*)
				source=${{argument#path:}}
				source=${{source%%[?#]*}}
			esac
		done
		nix-store --delete "$source" >&2
		mkdir "$source"
		echo "{{ }}" >"$source/flake.nix"
	else
		nix-collect-garbage >&2
	fi
esac
exec /usr/bin/nix "$@"
"""


def test_collected_before_evaluation(store, make_registry, fresh, directory):
    """The copy of the flake's folder is gone, or going, when it is to be
    evaluated: it is copied once more, and held."""
    registry, count = pull_through(SOURCE_WRAPPER, store, make_registry, fresh,
                                   directory)
    assert count.read_text().count(".") == 2
    # The root that held it has gone.
    assert len(list((registry.cache / "roots").iterdir())) == 1
    assert_whole(registry.cache)
