# SPDX-License-Identifier: MIT
"""Passwords and tokens are used, and are seen nowhere."""

import base64
import contextlib
import functools
import http.server
import os
import tempfile
import threading
import time
import urllib.parse

import pytest

from harness import nix
from harness.git import Repository
from harness.process import run
from harness.registry import FLAKEHUB

USER, PASSWORD, TOKEN = "me", "hunter2-in-the-url", "token-of-the-environment"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, for whoever knows the password."""

    def do_GET(self):
        want = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {want}":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(handler):
    """Its host and port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def served(directory, fresh):
    """(host and port, folder) of a flake's repository behind a password."""
    flake = fresh("private", seconds=1)
    repository = Repository(flake)
    folder = directory / "www"
    folder.mkdir()
    bare = repository.bare(folder / "r.git")
    run(["git", "-C", bare, "update-server-info"]).ok()
    run(["git", "-C", flake, "archive", "--prefix=r/", "-o",
         folder / "r.tar.gz", "HEAD"]).ok()
    with serving(functools.partial(Handler, directory=folder)) as host:
        yield host


def files_with(secret, *folders):
    """Their names. The secret is in no arguments: other tests look at them."""
    with tempfile.NamedTemporaryFile("w") as pattern:
        pattern.write(secret)
        pattern.flush()
        result = run(["grep", "-rlaF", "-f", pattern.name, *folders])
    assert result.status in (0, 1), str(result)
    return result.out


class Watch:
    """The arguments of every process, looked at all the time."""

    def __init__(self, *secrets):
        self.secrets = [secret.encode() for secret in secrets]
        self.seen, self.programs = set(), set()
        self.is_over = False
        self.thread = threading.Thread(target=self._watch)

    def _look(self, pid):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            line = f.read()
        self.programs.add(os.path.basename(line.split(b"\0")[0]))
        if any(secret in line for secret in self.secrets):
            self.seen.add(line)

    def _watch(self):
        while not self.is_over:
            for name in os.listdir("/proc"):
                try:
                    if name.isdigit():
                        self._look(name)
                except OSError:
                    pass
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()


@pytest.mark.parametrize("sandbox", ["yes", "no"])
@pytest.mark.parametrize("url", ["git+http://{}/r.git", "http://{}/r.tar.gz"])
def test_url(make_registry, directory, served, url, sandbox):
    """The password opens the repository, and stands in the settings alone."""
    # So that every process lives long enough to be seen.
    environment = nix.environment(
        directory, http_proxy=f"http://u:{TOKEN}@127.0.0.1:1",
        no_proxy="127.0.0.1", GITHUB_TOKEN=TOKEN,
        NIX_CONFIG=nix.SINGLE_USER + f"access-tokens = x.org={TOKEN}\n")
    registry = make_registry(
        url.format(f"{USER}:{PASSWORD}@{served}"), environment=environment,
        settings=[f"sandbox-eval = {sandbox}"])
    said = []
    with Watch(PASSWORD, TOKEN) as watch:
        registry.manifest("hello")
        said.append(str(registry.get("/v2/nothing/manifests/latest")))
        said.append(str(registry.get("/v2/hello/tags/list")))
        said.append(str(registry.get("/v2/hello/manifests/nothing")))
        for args in (["list"], ["log", "hello"], ["inspect", "hello"],
                     ["inspect", "--json", "hello"], ["config", "--check"],
                     ["build", "broken"], ["log", "broken"]):
            said.append(str(registry.flakehub(*args)))
    # The watching works: on a busy machine short lives are missed.
    assert {b"nix", b"nix-store", b"git", b"flakehub"} & watch.programs
    assert not watch.seen
    said.append(registry.log.read_text())
    for text in said:
        assert PASSWORD not in text and TOKEN not in text, text
    registry.config.unlink()
    for secret in PASSWORD, TOKEN:
        found = files_with(secret, registry.directory,
                           registry.environment["HOME"])
        assert not found, found


@pytest.mark.parametrize("key", ["token", "access_token", "private_token"])
def test_token_in_the_query(directory, key):
    """It would stand in the process list: refused, and said nowhere."""
    file = directory / "flakehub.conf"
    url = f"https://host/x.tar.gz?a=b&{key}={TOKEN}"
    file.write_text(f"[flake]\nurl = {url}\n")
    for args in ["--config", file, "config", "--check"], ["serve", url]:
        result = run([FLAKEHUB, *args])
        assert result.status in (1, 2), str(result)
        assert "credentials" in result.err, result.err
        assert TOKEN not in result.err + result.out


INPUT = """{ inputs.x = { url = "URL"; flake = false; };
  outputs = { self, x }: { packages.x86_64-linux.default = x; }; }
"""


def test_token_of_an_input(make_registry, directory, served):
    """Of a flake's own inputs Nix prints the URLs: theirs are masked."""
    flake = directory / "flake"
    flake.mkdir()
    url = f"http://{USER}:{PASSWORD}x@{served}/r.tar.gz?token={TOKEN}"
    (flake / "flake.nix").write_text(INPUT.replace("URL", url))
    registry = make_registry(f"path:{flake}")
    reply = registry.get("/v2/default/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert f"://…@{served}/r.tar.gz?token=…" in reply.error()[1], str(reply)
    said = [str(reply), registry.log.read_text()]
    said += [str(registry.flakehub(*args)) for args in
             (["log", "default"], ["list"], ["build", "default"])]
    for text in said:
        assert PASSWORD not in text and TOKEN not in text, text


def test_wrong_password(make_registry, served):
    registry = make_registry(f"git+http://{USER}:{PASSWORD}x@{served}/r.git")
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    for text in str(reply), registry.log.read_text(), \
            registry.flakehub("log", "hello").out:
        assert PASSWORD not in text, text


class Echo(http.server.BaseHTTPRequestHandler):
    """It refuses everybody, and says with what they came."""

    def do_GET(self):
        self.close_connection = True
        sent = self.headers.get("Authorization", "")
        if not sent:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        login = base64.b64decode(sent.split()[1]).decode()
        body = (f"bad login {login}, {urllib.parse.quote(login)}\n"
                f"that was {sent}\n").encode()
        self.send_response(403)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # In two pieces, the password in both.
        middle = body.index(PASSWORD.encode()) + 5
        for piece in body[:middle], body[middle:]:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(0.02)

    def log_message(self, *_):
        pass


@pytest.fixture
def echo():
    with serving(Echo) as host:
        yield host


@pytest.mark.parametrize("url,where", [
    ("git+http://{}/r.git", "url"), ("git+http://{}/r.git", "netrc"),
    ("http://{}/r.tar.gz", "url")])
def test_server_that_says_it(make_registry, directory, echo, url, where):
    """What a server sends back of a login is masked in all that quotes it."""
    secret = f"{PASSWORD}%&"
    quoted = urllib.parse.quote(secret)
    basic = base64.b64encode(f"{USER}:{secret}".encode()).decode()
    login = f"{USER}:{quoted}@" if where == "url" else ""
    registry = make_registry(url.format(login + echo))
    if where == "netrc":
        file = directory / "netrc"
        file.write_text(f"machine 127.0.0.1 login {USER} password {secret}\n")
        with registry.config.open("a") as f:
            f.write(f"credentials = {file}\n")
        registry.process.stop()
        registry.start_responder()
    reply = registry.get("/v2/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    assert f"bad login {USER}:…, {USER}%3A…" in reply.error()[1], str(reply)
    said = [str(reply), registry.log.read_text()]
    said += [str(registry.flakehub(*args)) for args in
             (["log", "hello"], ["build", "hello"], ["refresh"])]
    for text in said:
        assert PASSWORD not in text and basic not in text, text
    # The settings, and the netrc file, are not below it.
    for text in PASSWORD, basic:
        found = files_with(text, registry.cache)
        assert not found, found


def test_netrc(make_registry, directory, served):
    """It is the flake's own: of another flake it opens nothing."""
    file = directory / "netrc"
    file.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    file.chmod(0o600)
    registry = make_registry(f"git+http://{served}/r.git")
    with registry.config.open("a") as f:
        f.write(f"credentials = {file}\n"
                f"[flake other]\nurl = git+http://{served}/r.git\n")
    registry.process.stop()
    registry.start_responder()
    with Watch(PASSWORD) as watch:
        registry.manifest("hello")
    assert not watch.seen
    reply = registry.get("/v2/other/hello/manifests/latest")
    assert 400 <= reply.status < 500, str(reply)
    found = files_with(PASSWORD, registry.directory)
    assert not found, found


def test_modes(make_registry, simple):
    """Sources and mirrors may be private: only their owner reads them."""
    registry = make_registry(simple)
    registry.manifest("hello")
    for name in "git", "locks":
        mode = (registry.cache / name).stat().st_mode & 0o777
        assert mode == 0o700, (name, oct(mode))


@pytest.mark.parametrize("text,said", [
    (None, "cannot read the credentials"), ("what?", "neither a netrc file"),
    ("machine host login a password b", "good")])
def test_credentials_are_checked(directory, text, said):
    file = directory / "credentials"
    if text:
        file.write_text(text)
    config = directory / "flakehub.conf"
    config.write_text("[flake blog]\nurl = git+https://host/x\n"
                      f"credentials = {file}\n")
    result = run([FLAKEHUB, "--config", config, "config", "--check"])
    assert said in result.err + result.out, str(result)
    assert (result.status == 0) == (said == "good")


def test_settings_that_all_may_read(directory):
    """A password in a file that every user may read is warned of."""
    file = directory / "flakehub.conf"
    file.write_text(f"[flake]\nurl = git+https://a:{PASSWORD}@host/x\n")
    for mode, warned in (0o644, True), (0o600, False):
        file.chmod(mode)
        result = run([FLAKEHUB, "--config", file, "config", "--check"]).ok()
        assert ("may read" in result.err) == warned, str(result)
        assert PASSWORD not in result.err + result.out
