# SPDX-License-Identifier: MIT
"""A Nix store of a test's own."""

import os

from . import nix
from .process import Process, run, wait_for


class Store:
    """Processes for which /nix is another folder. It ends with its holder."""

    def __init__(self, directory):
        (directory / "nix").mkdir()
        self.holder = Process(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             f"mount --bind {directory}/nix /nix && echo ready && "
             "exec sleep 3600"], directory / "holder.log")
        wait_for("a store of its own", lambda: self.holder.assert_running()
                 and "ready" in self.holder.output())
        self.prefix = ["nsenter", "--mount", "--target", self.holder.pid]
        self.environment = dict(os.environ, NIX_CONFIG=nix.SINGLE_USER,
                                HOME=str(directory))

    def run(self, *argv):
        return run([*self.prefix, *argv], env=self.environment)

    def collect(self):
        return self.run("nix-collect-garbage").ok()

    def stop(self):
        self.holder.stop()
