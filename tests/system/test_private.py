# SPDX-License-Identifier: MIT
"""Private flakes: a password over http, a key over ssh; each is given to git
and Nix for its own flake alone."""

import os
import pathlib
import tarfile
import uuid

import pytest

from harness import fetch, git, nix
from harness.process import Process, run, wait_for
from harness.webserver import accepts, free_port, program

USER, PASSWORD = "alice", "open-sesame-17"

# A real web server before git http-backend; below /files/ files as they are.
# lighttpd 1.4.79 cuts what is PATH_INFO off the URL before it asks mod_cgi.
LIGHTTPD = """server.modules = (
	"mod_accesslog", "mod_alias", "mod_setenv", "mod_auth",
	"mod_authn_file", "mod_cgi")
server.port = {port}
server.bind = "127.0.0.1"
server.document-root = "{dir}/files"
server.errorlog = "{dir}/error.log"
accesslog.filename = "{dir}/access.log"
accesslog.format = "%u %r %>s"
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "{dir}/htpasswd"
auth.require = ("/" => ("method" => "basic", "realm" => "git",
	"require" => "valid-user"))
alias.url = ("/git/" => "/usr/lib/git-core/git-http-backend/")
$HTTP["url"] =~ "^/git" {{
	cgi.assign = ("" => "")
	setenv.add-environment = ("GIT_PROJECT_ROOT" => "{dir}/git",
		"GIT_HTTP_EXPORT_ALL" => "1", "GIT_CONFIG_NOSYSTEM" => "1",
		"GIT_CONFIG_GLOBAL" => "/dev/null")
}}
"""


@pytest.fixture
def repository(fresh):
    return git.Repository(fresh("repository"))


class Web:
    def __init__(self, directory):
        self.directory = directory
        for name in "git", "files":
            (directory / name).mkdir(parents=True)
        run(["htpasswd", "-b", "-B", "-c", directory / "htpasswd", USER,
             PASSWORD]).ok()
        self.port = free_port()
        conf = directory / "lighttpd.conf"
        conf.write_text(LIGHTTPD.format(port=self.port, dir=directory))
        self.process = Process([program("lighttpd"), "-D", "-f", conf],
                               directory / "out")
        wait_for("lighttpd", lambda: self.process.assert_running()
                 and accepts(self.port))
        self.url = f"http://127.0.0.1:{self.port}"

    def log(self):
        return (self.directory / "access.log").read_text()


@pytest.fixture
def web(directory):
    web = Web(directory / "web")
    yield web
    web.process.stop()


@pytest.fixture
def netrc(directory):
    file = directory / "blog.netrc"
    file.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    file.chmod(0o600)
    return file


def test_password(make_registry, repository, web, netrc, directory):
    """By branch, tag and revision, one at no tip included; not for a flake
    of the same host without it."""
    lost = repository.commit(salt=uuid.uuid4().hex)
    repository("reset", "--hard", "--quiet", "HEAD^")
    revision = repository.commit(salt=uuid.uuid4().hex)
    repository.tag("v1", annotated=True)
    bare = repository.bare(web.directory / "git/blog")
    repository("push", "--quiet", str(bare), f"{lost}:refs/heads/gone")
    run(["git", "-C", bare, "update-ref", "-d", "refs/heads/gone"]).ok()
    run(["git", "-C", bare, "config", "uploadpack.allowAnySHA1InWant",
         "true"]).ok()
    repository.bare(web.directory / "git/other")
    url = f"git+{web.url}/git/blog"
    registry = make_registry(None, flakes={
        "blog": [f"url = {url}", f"credentials = {netrc}"],
        "other": f"git+{web.url}/git/other"})
    digest = registry.manifest("blog/hello")[1].digest()
    for tag in "main", "v1", revision:
        assert registry.manifest("blog/hello", tag)[1].digest() == digest
    registry.manifest("blog/hello", lost)
    assert registry.get("/v2/blog/tags/list").json()["tags"] == \
        ["latest", "main", "v1"]
    names = registry.get("/v2/_catalog").json()["repositories"]
    assert "blog/hello" in names and "other/hello" not in names
    fetch.send(web.port, "GET", "/before")
    for path in "manifests/latest", "manifests/v1", f"manifests/{revision}":
        reply = registry.get(f"/v2/other/hello/{path}")
        assert reply.status in (403, 404), str(reply)
        assert "127.0.0.1" in reply.error()[1]
    # lighttpd writes its log with a delay, in order.
    fetch.send(web.port, "GET", "/after")
    wait_for("the log", lambda: "/after" in web.log())
    first, second = web.log().split("/before")
    assert f"{USER} GET /git/blog/info/refs" in first
    assert USER not in second

    # Nothing of it is anywhere.
    said = registry.log.read_text() + registry.flakehub(
        "log", "blog/hello").out + registry.flakehub(
            "inspect", "--json", "blog/hello").out
    assert PASSWORD not in said
    assert not list((registry.cache / "tmp").iterdir())
    assert not run(["grep", "-rl", PASSWORD, registry.cache]).out


def test_wrong_password(make_registry, repository, web, netrc):
    repository.bare(web.directory / "git/blog")
    netrc.write_text(f"machine 127.0.0.1 login {USER} password wr0ng\n")
    registry = make_registry(None, flakes={
        "blog": [f"url = git+{web.url}/git/blog", f"credentials = {netrc}"]})
    reply = registry.get("/v2/blog/hello/manifests/latest")
    assert reply.status in (403, 404), str(reply)
    message = reply.error()[1]
    assert "uthentication" in message or "Username" in message, message
    assert "wr0ng" not in message


def test_tarball(make_registry, fresh, web, netrc):
    """Nix itself is given it for what it downloads."""
    with tarfile.open(web.directory / "files/flake.tar.gz", "w:gz") as tar:
        tar.add(fresh(), "flake")
    (web.directory / "files/other.tar.gz").hardlink_to(
        web.directory / "files/flake.tar.gz")
    registry = make_registry(None, flakes={
        "blog": [f"url = {web.url}/flake.tar.gz", f"credentials = {netrc}"],
        "other": f"{web.url}/other.tar.gz"})
    registry.manifest("blog/hello")
    reply = registry.get("/v2/other/hello/manifests/latest")
    assert reply.status in (403, 404) and "401" in reply.error()[1]


@pytest.mark.parametrize("text,words", [
    (None, ["cannot read the credentials"]),
    ("hello\n", ["neither a netrc file", "nor an ssh private key"]),
    ("", ["neither a netrc file"])])
def test_file_that_is_none(make_registry, simple, directory, text, words):
    file = directory / "credentials"
    if text is not None:
        file.write_text(text)
    registry = make_registry(None, flakes={
        "blog": [f"url = {simple}", f"credentials = {file}"]})
    reply = registry.get("/v2/blog/hello/manifests/latest")
    assert reply.status == 403, str(reply)
    for word in [str(file), *words]:
        assert word in reply.error()[1]


SSHD = """Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
AuthorizedKeysFile {dir}/authorized
PidFile {dir}/pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
LogLevel VERBOSE
"""

# ssh takes the home folder of /etc/passwd and not HOME, so the host's key is
# given by what is mounted over /etc/ssh for the registry alone.
MOUNT = ["unshare", "--mount", "sh", "-ec",
         'mount --bind "$1" /etc/ssh; shift; exec "$@"', "sh"]


class Sshd:
    def __init__(self, directory):
        directory.mkdir()
        self.directory = directory
        for name in "host", "user", "stranger":
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name,
                 "-f", directory / name]).ok()
        self.key = directory / "user"
        (directory / "authorized").write_text(
            (directory / "user.pub").read_text())
        self.port = free_port()
        conf = directory / "sshd_config"
        conf.write_text(SSHD.format(port=self.port, dir=directory))
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.process = Process([program("sshd"), "-D", "-e", "-f", conf],
                               directory / "log")
        wait_for("sshd", lambda: self.process.assert_running()
                 and accepts(self.port))
        self.etc = directory / "etc"
        self.etc.mkdir()
        kind, key, *_ = (directory / "host.pub").read_text().split()
        (self.etc / "ssh_known_hosts").write_text(
            f"[127.0.0.1]:{self.port} {kind} {key}\n")


@pytest.fixture
def sshd(directory):
    sshd = Sshd(directory / "sshd")
    yield sshd
    sshd.process.stop()


def test_key(make_registry, repository, sshd, directory):
    assert os.getuid() == 0, "sshd needs root"
    lost = repository.commit(salt=uuid.uuid4().hex)
    revision = repository.commit(salt=uuid.uuid4().hex)
    repository.tag("v1")
    bare = repository.bare(directory / "bare.git")
    url = f"git+ssh://root@127.0.0.1:{sshd.port}{bare}"
    registry = make_registry(
        None, prefix=[*MOUNT, str(sshd.etc)], flakes={
            "blog": [f"url = {url}", f"credentials = {sshd.key}"],
            "stranger": [f"url = {url}",
                         f"credentials = {sshd.directory}/stranger"],
            "none": url},
        environment=nix.environment(directory))
    digest = registry.manifest("blog/hello")[1].digest()
    for tag in "v1", "main", revision:
        assert registry.manifest("blog/hello", tag)[1].digest() == digest
    registry.manifest("blog/hello", lost)
    assert "Accepted publickey" in sshd.process.output()
    for flake in "stranger", "none":
        reply = registry.get(f"/v2/{flake}/hello/manifests/latest")
        assert reply.status in (403, 404), str(reply)
        assert "Permission denied" in reply.error()[1], str(reply)


def test_host_that_is_not_known(make_registry, repository, sshd, directory):
    """Its key is in no known_hosts: nothing is asked, nothing accepted."""
    bare = repository.bare(directory / "bare.git")
    (sshd.etc / "ssh_known_hosts").write_text("")
    registry = make_registry(
        None, prefix=[*MOUNT, str(sshd.etc)], flakes={"blog": [
            f"url = git+ssh://root@127.0.0.1:{sshd.port}{bare}",
            f"credentials = {sshd.key}"]})
    reply = registry.get("/v2/blog/hello/manifests/latest")
    assert reply.status in (403, 404), str(reply)
    assert "Host key verification failed" in reply.error()[1], str(reply)
