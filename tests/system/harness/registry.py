# SPDX-License-Identifier: MIT
"""A whole registry: web server, flakehub.fcgi under spawn-fcgi, cache."""

import hashlib
import json
import os
import pathlib
import signal
import time

from . import ROOT, fetch, nix
from .process import Process, descendants, kill, run, wait_for
from .webserver import SENDFILE, WebServer, program

BUILD = ROOT / os.environ.get("FLAKEHUB_BUILD", "build")
FLAKEHUB = BUILD / "flakehub"
RESPONDER = BUILD / "flakehub.fcgi"
# Variants of the programs have folders of their own: build-thread.
SANITIZED = "-" in BUILD.name


class Registry:
    """Started at once. `settings` are lines "key = value" of the settings
    file, `flakes` its named sections, {name: URL or lines}; `environment`
    changes that of the responder and of builders; both run after `prefix`, a
    command that becomes another user, say. `web` is more for the web
    server."""

    def __init__(self, directory, flake, server="lighttpd", settings=(),
                 environment=None, prefix=(), cache=None, responder=None,
                 flakes=(), web=()):
        self.directory = directory
        self.server = server
        self.prefix = list(prefix)
        self.cache = cache or directory / "cache"
        self.socket = directory / "f.sock"
        self.config = directory / "flakehub.conf"
        self.log = directory / "responder.log"
        self.responder = responder or [RESPONDER]
        self.environment = environment or nix.environment(directory)
        self.environment["FLAKEHUB_CONFIG"] = str(self.config)
        self.settings = list(settings)
        self.flake = flake
        self.flakes = dict(flakes)
        self.web_options = dict(web)
        self.web = None
        self.process = None
        self.write_settings()
        self.start()

    def write_settings(self):
        lines = [f"cache-dir = {self.cache}",
                 f"sendfile = {SENDFILE[self.server]}", *self.settings]
        if self.flake:
            lines += ["[flake]", f"url = {self.flake}"]
        for name, section in self.flakes.items():
            lines += [f"[flake {name}]"]
            lines += section if isinstance(section, list) \
                else [f"url = {section}"]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        self.start_responder()
        try:
            self.web = WebServer(self.server, self.directory / "web",
                                 self.socket, self.cache,
                                 **self.web_options)
        except BaseException:
            self.process.stop()
            raise
        self.port = self.web.port

    def start_responder(self):
        self.process = Process(
            [*self.prefix, program("spawn-fcgi"), "-n", "-s", self.socket,
             "-M", "0666", "-b", "1024", "--", *self.responder],
            self.log, env=self.environment, cwd=self.directory)
        wait_for("the responder's socket", lambda: self.socket.exists()
                 and self.process.assert_running())
        time.sleep(0.05)
        self.process.assert_running()

    def builders(self):
        """The process ids of builders under way, also of an earlier keeper's.
        """
        mark = f"FLAKEHUB_CONFIG={self.config}".encode()
        found = []
        for pid, command in descendants().items():
            if "flakehub build " not in command:
                continue
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        found.append(pid)
            except OSError:
                pass
        return found

    def stop(self):
        """As the operator would; builders go on. Then those are ended."""
        if self.web:
            self.web.stop()
        self.process.stop()
        for pid in self.builders():
            kill(pid, signal.SIGTERM)
        wait_for("builders end", lambda: not self.builders(), 15)

    def reference(self, name, tag=None):
        return f"127.0.0.1:{self.port}/{name}" + (f":{tag}" if tag else "")

    def send(self, method, path, headers=(), **more):
        return fetch.send(self.port, method, path, headers, **more)

    def get(self, path, headers=(), **more):
        return fetch.follow(self.port, "GET", path, headers, **more)[0]

    def manifest(self, name, reference="latest"):
        """The manifest, checked against its digest, and the reply."""
        reply = self.get(f"/v2/{name}/manifests/{reference}")
        assert reply.status == 200, str(reply)
        assert reply.headers["Docker-Content-Digest"] == reply.digest()
        return reply.json(), reply

    def blob(self, name, digest):
        """A blob's bytes, hashed here."""
        reply = self.get(f"/v2/{name}/blobs/{digest}")
        assert reply.status == 200, str(reply)
        assert reply.digest() == digest
        return reply.body

    def pull(self, name, reference="latest"):
        """All of an image, each blob checked; returns its digest."""
        manifest, reply = self.manifest(name, reference)
        for part in [manifest["config"], *manifest["layers"]]:
            self.blob(name, part["digest"])
        return reply.digest()

    def flakehub(self, *args, **options):
        """Run the command with the registry's settings and environment."""
        options.setdefault("env", self.environment)
        options.setdefault("cwd", self.directory)
        return run([*self.prefix, FLAKEHUB, *args], **options)

    def build(self, *args, **options):
        return self.flakehub("build", *args, **options)


def blobs(cache):
    """{digest: file} of a cache."""
    folder = pathlib.Path(cache) / "blobs" / "sha256"
    return {f"sha256:{file.name}": file for file in folder.glob("??/*")}


def hash_file(file):
    with open(file, "rb") as f:
        return "sha256:" + hashlib.file_digest(f, "sha256").hexdigest()


def assert_whole(cache):
    """Hash every blob, and see that each manifest has its blobs."""
    found = blobs(cache)
    for digest, file in found.items():
        assert hash_file(file) == digest, file
        assert file.name[:2] == file.parent.name, file
    for digest, file in found.items():
        if file.stat().st_size > 4 << 20:
            continue
        try:
            manifest = json.loads(file.read_bytes())
        except ValueError:
            continue
        if not isinstance(manifest, dict) or "layers" not in manifest:
            continue
        for part in [manifest["config"], *manifest["layers"]]:
            assert part["digest"] in found, f"{digest} lacks {part}"
            assert found[part["digest"]].stat().st_size == part["size"]
