# SPDX-License-Identifier: MIT
"""A network of the test's own: a namespace whose loopback has an address that
nobody takes for loopback, where every port is free."""

import ctypes
import os
import random
import threading

from .process import Process, wait_for


class Network:
    def __init__(self, directory):
        # RFC 2544: for tests, and so routed nowhere.
        self.address = f"198.18.{random.randrange(256)}." \
                       f"{random.randrange(1, 255)}"
        ready = directory / "network"
        self.process = Process(
            ["unshare", "--net", "sh", "-ec",
             f"ip link set lo up; ip address add {self.address}/32 dev lo; "
             f"touch {ready}; exec sleep infinity"],
            directory / "network.log")
        wait_for("the network", lambda: self.process.assert_running()
                 and ready.exists())
        self.prefix = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net",
                       "--"]

    def inside(self, call):
        """What call() returns, which is made in there: a socket stays where
        it was made."""
        result = []

        def enter():
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
            try:
                if libc.setns(fd, 0):
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(call())
            finally:
                os.close(fd)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return result[0]

    def stop(self):
        self.process.stop()
