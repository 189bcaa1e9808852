# SPDX-License-Identifier: MIT
"""wrk, and the servers that flakehub's are compared with."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess

from image import PROGRAMS, process
from figures import cores
from harness.webserver import WebServer, accepts, free_port, program

HERE = pathlib.Path(__file__).resolve().parent

# Changes to the example files: the cache's blobs as static files instead.
STATIC = {
    "lighttpd": (
        ('document-root = "/nonexistent"',
         'document-root = "{cache}/blobs"'),),
    "nginx": (
        ("location / {\n\t\t\treturn 404;\n\t\t}",
         "location /sha256/ {{\n\t\t\talias {cache}/blobs/sha256/;\n"
         "\t\t\tsendfile on;\n\t\t\ttcp_nopush on;\n\t\t}}"),),
}

# libfcgi holds a thread for each connection that is kept, and nginx would wait
# for it: the limit is what it was before connections were.
NOT_KEPT = {
    "lighttpd": (),
    "nginx": (("\t\tkeepalive 32;\n", ""), ("fastcgi_keep_conn on;", "")),
}


class Load:
    """What wrk saw: requests and bytes a second, and latencies in ms."""

    def __init__(self, line):
        requests, size, us, errors, median, slow = line.split()[1:]
        self.requests = int(requests) / (int(us) / 1e6)
        self.megabytes = int(size) / int(us)
        self.errors = int(errors)
        self.median = float(median) / 1000
        self.slow = float(slow) / 1000


def heads(port, path, connections, seconds):
    """HEAD requests a second, by ab: wrk waits for their bodies."""
    out = subprocess.run(
        ["ab", "-q", "-i", "-k", "-c", str(connections), "-t", str(seconds),
         "-n", "1000000", f"http://127.0.0.1:{port}{path}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        check=True).stdout
    if "Non-2xx" in out:
        raise RuntimeError(f"HEAD {path}: {out}")
    return float(re.search(r"Requests per second: +([0-9.]+)", out)[1])


def wrk(port, path, connections, seconds, paths=None):
    environment = dict(os.environ)
    if paths:
        environment["WRK_PATHS"] = str(paths)
    out = subprocess.run(
        ["wrk", f"-t{min(connections, cores())}", f"-c{connections}",
         f"-d{seconds}s", "--timeout", "60s", "-s", str(HERE / "wrk.lua"),
         f"http://127.0.0.1:{port}{path}"],
        stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    load = Load(next(line for line in out.splitlines()
                     if line.startswith("RESULT")))
    if load.errors:
        raise RuntimeError(f"{path}: {load.errors} errors")
    return load


@contextlib.contextmanager
def empty(folder, server):
    """The empty FastCGI reply, behind a web server like flakehub's; its
    port."""
    folder.mkdir()
    path = folder / "empty.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1024)
        path.chmod(0o666)
        popen = subprocess.Popen([str(PROGRAMS / "empty")], stdin=listener)
    (folder / "cache" / "blobs").mkdir(parents=True)
    web = None
    try:
        web = WebServer(server, folder / "web", path, folder / "cache",
                        more=NOT_KEPT[server])
        yield web.port
    finally:
        if web:
            web.stop()
        popen.kill()
        popen.wait()


@contextlib.contextmanager
def static(folder, server, cache):
    """The cache's blobs as static files of a server of the same settings; its
    port. A blob is at /sha256/ab/abcd..."""
    folder.mkdir()
    web = WebServer(server, folder / "web", folder / "no.sock", cache,
                    more=STATIC[server])
    try:
        yield web.port
    finally:
        web.stop()


CONFIG = """version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {folder}/data
  cache:
    blobdescriptor: inmemory
http:
  addr: 127.0.0.1:{port}
"""


@contextlib.contextmanager
def empty_docker_registry(folder):
    """Debian's docker-registry; its port and process id."""
    folder.mkdir()
    port = free_port()
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    server = process.Process(
        [program("docker-registry"), "serve", folder / "config.yml"],
        folder / "log")
    try:
        process.wait_for("docker-registry", lambda: server.assert_running()
                         and accepts(port))
        yield port, server.pid
    finally:
        server.stop()


@contextlib.contextmanager
def docker_registry(folder, port, name):
    """The same, with the image that a registry has at port."""
    with empty_docker_registry(folder) as (own, pid):
        process.run(
            ["skopeo", "copy", "--quiet", "--preserve-digests",
             "--src-tls-verify=false",
             "--dest-tls-verify=false", "--insecure-policy",
             f"docker://127.0.0.1:{port}/{name}",
             f"docker://127.0.0.1:{own}/{name}"], 600).ok()
        yield own, pid
