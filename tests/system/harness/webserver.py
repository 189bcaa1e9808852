# SPDX-License-Identifier: MIT
"""lighttpd and nginx, run with the example files of this repository.

Only paths and the port are other: each pair of SUBSTITUTIONS stands for text
that the example file must hold, and which is replaced wherever it stands."""

import os
import re
import shutil
import socket

from . import ROOT
from .process import Process, wait_for

USER = "www-data"
SERVERS = ("lighttpd", "nginx")

SENDFILE = {"lighttpd": "x-sendfile", "nginx": "x-accel-redirect"}

SUBSTITUTIONS = {
    "lighttpd": (
        ("server.port = 5000", "server.port = {port}"),
        ("/run/flakehub/flakehub.sock", "{socket}"),
        ("/var/cache/flakehub", "{cache}"),
        ("/run/lighttpd-flakehub.pid", "{dir}/lighttpd.pid"),
        ("/var/log/lighttpd", "{dir}"),
    ),
    "nginx": (
        ("listen 127.0.0.1:5000;", "listen 127.0.0.1:{port};"),
        ("/run/flakehub/flakehub.sock", "{socket}"),
        ("/var/cache/flakehub", "{cache}"),
        ("/run/nginx-flakehub.pid", "{dir}/nginx.pid"),
        ("/var/log/nginx", "{dir}"),
        ("/var/lib/nginx", "{dir}"),
    ),
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert path, f"{name} is not installed: scripts/install-deps check"
    return path


def accepts(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


# What the lines to uncomment hold.
TLS = ("ssl", "443", "server.bind :=")
PASSWORDS = ("auth", "method")


def uncomment(text, words):
    """Without the '#' of the lines that are there to be uncommented, which
    have no blank after it, and hold one of these words."""
    def line(match):
        wanted = any(word in match[2] for word in words)
        return match[1] + match[2] if wanted else match[0]
    return re.sub(r"^(\s*)#([^ #\n].*)$", line, text, flags=re.M)


def configuration(name, values, more=(), words=()):
    """The example file with values in it; more: pairs, as above."""
    text = (ROOT / f"{name}.conf.example").read_text()
    text = uncomment(text, words)
    for old, new in SUBSTITUTIONS[name] + tuple(more):
        assert old in text, f"{name}.conf.example does not hold: {old}"
        text = text.replace(old, new.format(**values))
    return text


class WebServer:
    """more, words: see configuration(). The command is run after `prefix`,
    which may lead to where only `is_up` can tell that it serves."""

    def __init__(self, name, directory, socket_path, cache, port=None,
                 more=(), prefix=(), words=(), is_up=None):
        self.name = name
        self.port = port or free_port()
        directory.mkdir(exist_ok=True)
        if os.getuid() == 0:
            # Both become this user before or after they open their logs.
            shutil.chown(directory, USER, USER)
        file = directory / f"{name}.conf"
        file.write_text(configuration(name, {
            "port": self.port, "socket": socket_path, "cache": cache,
            "dir": directory}, more, words))
        if name == "lighttpd":
            argv = [program(name), "-D", "-f", file]
        else:
            argv = [program(name), "-c", file, "-p", directory,
                    "-e", directory / "error.log", "-g", "daemon off;"]
        self.argv = [*prefix, *argv]
        self.directory = directory
        self.is_up = is_up
        self.start()

    def start(self):
        """Also after it was ended."""
        self.process = Process(self.argv,
                               self.directory / f"{self.name}.out")
        is_up = self.is_up
        try:
            wait_for(f"{self.name} listens", lambda:
                     self.process.assert_running()
                     and (is_up() if is_up else accepts(self.port)))
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.stop()
