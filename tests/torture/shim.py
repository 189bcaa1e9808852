# SPDX-License-Identifier: MIT
"""The shim: built here, told what to do through a page of shared memory."""

import errno
import mmap
import os
import shlex
import struct

from harness import ROOT
from harness.process import run
from harness.registry import FLAKEHUB

# enum call of shim.h
CALLS = ("read write open fsync syncfs link rename mkdir unlink stat utime "
         "flock close readdir pipe_read pipe_write wait").split()
SHORT, KILL, DROP = 1000, 1001, 1002

# struct control of shim.h: a field's type and its offset
FIELDS = {"armed": ("=I", 0), "calls": ("=I", 4), "action": ("=I", 8),
          "per_million": ("=I", 12), "nth": ("=Q", 16), "left": ("=Q", 24),
          "seed": ("=Q", 32), "counted": ("=Q", 40), "injected": ("=Q", 48),
          "clock_s": ("=q", 56)}
BUILDER, RESPONDER = 1, 2


def build(directory):
    """The path of the shared object, compiled into a folder."""
    out = directory / "shim.so"
    if not out.exists():
        run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O2",
             "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
             f"-I{ROOT}", "-o", out,
             *sorted((ROOT / "tests/torture").glob("*.c"))]).ok()
    return out


class Shim:
    """shim.environment makes programs see what is told to the shim."""

    def __init__(self, directory):
        self.directory = directory
        file = directory / "control"
        file.write_bytes(bytes(mmap.PAGESIZE))
        # The responder may run as another user.
        file.chmod(0o666)
        with open(file, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        self.environment = {
            "LD_PRELOAD": str(build(directory)),
            "TORTURE_CONTROL": str(file),
        }
        self.environment["ASAN_OPTIONS"] = ":".join(filter(None, (
            os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0")))
        # Builders are started with an environment from which all this is
        # missing.
        wrapper = directory / "flakehub-with-shim"
        exports = "".join(f"export {name}={shlex.quote(value)}\n"
                          for name, value in self.environment.items())
        wrapper.write_text(f"#!/bin/sh\n{exports}"
                           f"exec {shlex.quote(str(FLAKEHUB))} \"$@\"\n")
        wrapper.chmod(0o755)
        self.environment["FLAKEHUB"] = str(wrapper)

    def recording(self, file, under):
        return dict(self.environment, TORTURE_RECORD=str(file),
                    TORTURE_UNDER=str(under))

    def _get(self, name):
        code, offset = FIELDS[name]
        return struct.unpack_from(code, self.page, offset)[0]

    def _set(self, **fields):
        for name, value in fields.items():
            code, offset = FIELDS[name]
            struct.pack_into(code, self.page, offset, value)

    def arm(self, action, calls=CALLS, programs=BUILDER | RESPONDER, nth=0,
            probability=0.0, limit=1 << 62, seed=0):
        """From now on: an errno's name, SHORT, KILL or DROP, at the n-th of
        these calls, or at each with that probability."""
        if isinstance(action, str):
            action = getattr(errno, action)
        mask = sum(1 << CALLS.index(call) for call in calls)
        self._set(armed=0, calls=mask, action=action, nth=nth, left=limit,
                  per_million=int(probability * 1e6), seed=seed, counted=0,
                  injected=0)
        self._set(armed=programs)

    def disarm(self):
        """No more; how often it was done."""
        self._set(armed=0)
        return self._get("injected")

    def counted(self):
        """Calls that could have failed since arm()."""
        return self._get("counted")

    def set_clock(self, seconds):
        """Ahead of the machine's by so much."""
        self._set(clock_s=seconds)
