# SPDX-License-Identifier: MIT
"""Eviction while others pull: leases that end sooner than in ten minutes."""

import fcntl
import os
import threading
import time

from .registry import blobs


def records(cache, name="*"):
    return list(cache.glob(f"repositories/{name}/_manifests/*"))


def set_age(file, seconds):
    then = time.time() - seconds
    os.utime(file, (then, then), follow_symlinks=False)


LEASE = 3


class Evictor(threading.Thread):
    """Evicts all that was not used for LEASE seconds, again and again.

    A lease is ten minutes, so those of other files are made to end: first
    all are made due to be renewed, then those that nobody renewed are made
    old. Both as the program does it, while nobody else can give one."""

    def __init__(self, registry):
        super().__init__()
        self.registry = registry
        self.stop = threading.Event()
        self.failure = None
        self.evicted = 0

    def set_ages(self, at_least, seconds):
        cache = self.registry.cache
        with open(cache / "locks/evict", "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for file in [*records(cache), *blobs(cache).values()]:
                st = file.stat()
                if time.time() - max(st.st_mtime, st.st_atime) >= at_least:
                    set_age(file, seconds)

    def round(self):
        self.set_ages(0, 100)
        self.stop.wait(LEASE)
        self.set_ages(90, 700)
        out = self.registry.flakehub("gc").ok().out
        self.evicted += sum(line.startswith("image ")
                            for line in out.splitlines())

    def run(self):
        try:
            while not self.stop.is_set():
                self.round()
        except BaseException as e:
            self.failure = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *args):
        self.stop.set()
        self.join()
        if self.failure and not args[0]:
            raise self.failure
