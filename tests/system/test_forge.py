# SPDX-License-Identifier: MIT
"""github:, gitlab: and sourcehut:, against a stand-in on port 443 of
loopback whose certificate is of a CA of the test's."""

import uuid

import pytest

from harness import git, network, nix, tls
from harness.forge import Forge
from harness.process import run

KINDS = {"github": "owner/infra", "gitlab": "owner/infra",
         "sourcehut": "~owner/infra"}


@pytest.fixture
def repository(fresh):
    return git.Repository(fresh("repository"))


@pytest.fixture
def forge(directory, repository):
    """In a network where nobody else has port 443."""
    folder = directory / "forge"
    for owner in "owner", "~owner":
        (folder / owner).mkdir(parents=True)
        repository.bare(folder / owner / "infra")
    authority = tls.Authority(directory / "tls")
    own = network.Network(directory)
    forge = Forge(folder, own, authority.issue(
        "forge", "DNS:localhost", "DNS:api.localhost"))
    forge.prefix = own.prefix
    forge.folder = folder
    forge.authority = authority
    yield forge
    forge.stop()
    own.stop()


@pytest.fixture
def start(make_registry, forge):
    """make_registry(), in that network but for its web server."""
    return lambda flake, **options: make_registry(
        flake, prefix=forge.prefix, **options)


@pytest.fixture
def environment(directory, forge):
    """Both git and Nix are told of the CA."""
    def get(**more):
        certificate = forge.authority.certificate
        return nix.environment(directory, NIX_SSL_CERT_FILE=certificate,
                               GIT_SSL_CAINFO=certificate, **more)
    return get


def push(repository, forge):
    for owner in "owner", "~owner":
        repository.push(forge.folder / owner / "infra")


@pytest.mark.parametrize("kind", KINDS)
def test_kind(start, client_of, repository, forge, environment,
              directory, kind):
    old = repository.commit(salt=uuid.uuid4().hex)
    repository.tag("v1", annotated=True)
    salt = uuid.uuid4().hex
    new = repository.commit(salt=salt)
    repository.branch("feature/x", old)
    push(repository, forge)
    path, log = nix.counting_path(directory, ["git"])
    url = f"{kind}:{KINDS[kind]}"
    registry = start(
        f"{url}?host=localhost", settings=["max-age = 0s", nix.COUNTED],
        environment=environment(PATH=path), flakes={
            "branch": f"{url}/feature%2Fx?host=localhost",
            "tag": f"{url}/v1?host=localhost",
            "pinned": f"{url}/{old}?host=localhost"})
    digest = registry.manifest("hello")[1].digest()
    assert registry.manifest("hello", "main")[1].digest() == digest
    assert registry.manifest("hello", new)[1].digest() == digest
    podman = client_of("podman")
    name = registry.reference("hello")
    assert podman.run(name, pull=True).ok().out == f"Hello from {salt}\n"
    podman.remove(name)

    before = registry.manifest("hello", "v1")[1].digest()
    assert before != digest
    for tag in "feature-x", old:
        assert registry.manifest("hello", tag)[1].digest() == before
    for flake in "branch", "tag", "pinned":
        assert registry.manifest(f"{flake}/hello")[1].digest() == before
    assert registry.get("/v2/hello/tags/list").json()["tags"] == \
        ["feature-x", "latest", "main", "v1"]
    assert registry.get("/v2/pinned/hello/tags/list").json()["tags"] == \
        ["latest"]

    # Of an unchanged commit: one ls-remote, and no archive.
    registry.manifest("hello")
    log.write_text("")
    forge.requests.clear()
    registry.manifest("hello")
    calls = log.read_text().splitlines()
    assert len(calls) == 1 and "ls-remote" in calls[0], calls
    assert all("info/refs" in path or "git-upload-pack" in path
               for path, _ in forge.requests), forge.requests

    reply = registry.get(f"/v2/hello/manifests/{'0' * 40}")
    assert reply.status in (403, 404), str(reply)
    assert "0" * 40 in reply.error()[1]


def test_commit_at_no_tip(start, repository, forge, environment):
    """git says that it is one of the repository's; its archive is Nix's."""
    revision = repository.commit(salt=uuid.uuid4().hex)
    repository.branch("gone")
    push(repository, forge)
    repository("reset", "--hard", "--quiet", "HEAD^")
    repository("branch", "-D", "gone")
    push(repository, forge)
    registry = start("github:owner/infra?host=localhost",
                             environment=environment())
    registry.manifest("hello", revision)


def test_flake_in_a_folder(start, fresh, directory, forge,
                           environment):
    tree = directory / "tree"
    tree.mkdir()
    fresh("tree/sub")
    git.Repository(tree).bare(forge.folder / "owner/nested")
    registry = start(
        "github:owner/nested?host=localhost&dir=sub",
        environment=environment())
    registry.manifest("hello")


def test_private(start, repository, forge, environment, directory):
    """A netrc file is for git and for Nix, and for that flake alone."""
    forge.server.password = "alice:open-sesame"
    # What Nix has fetched it would give again without a password.
    for owner in "owner", "~owner":
        repository.bare(forge.folder / owner / "other")
    netrc = directory / "netrc"
    netrc.write_text("machine localhost\nlogin alice\n"
                     "password open-sesame\n"
                     "machine api.localhost login alice password "
                     "open-sesame\n")
    netrc.chmod(0o600)
    url = "?host=localhost"
    registry = start(
        None, environment=environment(NIX_CONFIG=nix.SINGLE_USER
                                      + "download-attempts = 1\n"),
        flakes={kind: [f"url = {kind}:{path}{url}", f"credentials = {netrc}"]
                for kind, path in KINDS.items()} | {
                    "none": f"github:owner/other{url}",
                    "nobody": f"sourcehut:~owner/other{url}"})
    for kind in KINDS:
        registry.manifest(f"{kind}/hello")
        assert "main" in registry.get(
            f"/v2/{kind}/hello/tags/list").json()["tags"]
    count = len(forge.requests)
    for flake in "none", "nobody":
        reply = registry.get(f"/v2/{flake}/hello/manifests/latest")
        assert reply.status in (403, 404), str(reply)
        assert "localhost" in reply.error()[1]
        # A revision that only the archive is asked for.
        revision = repository("rev-parse", "HEAD")
        reply = registry.get(f"/v2/{flake}/args/manifests/{revision}")
        assert reply.status in (403, 404), str(reply)
    assert all(user is None for _, user in forge.requests[count:])
    said = registry.log.read_text() + "".join(
        registry.flakehub("log", f"{kind}/hello").out for kind in KINDS)
    assert "open-sesame" not in said
    assert not list((registry.cache / "tmp").iterdir())
    found = run(["grep", "-rl", "open-sesame", registry.cache]).out
    assert not found, found


def test_access_token_of_nix(start, forge, environment):
    """access-tokens of Nix's own settings go to the archive, not to git."""
    registry = start(
        "github:owner/infra?host=localhost",
        environment=environment(NIX_CONFIG=nix.SINGLE_USER
                                + "access-tokens = localhost=t0ken\n"))
    registry.manifest("hello")
    archives = [user for path, user in forge.requests if "tarball" in path]
    assert archives == ["token t0ken"]
    assert all(user is None for path, user in forge.requests
               if "tarball" not in path)


def test_unknown_certificate(start, directory):
    """Whose CA is not known is not asked."""
    registry = start("github:owner/infra?host=localhost",
                             environment=nix.environment(directory))
    reply = registry.get("/v2/hello/manifests/latest")
    assert reply.status in (403, 404), str(reply)
    assert "certificate" in reply.error()[1]


def test_commit_of_another_repository(start, fresh, forge, environment):
    """Nix has it in its cache, by its hash alone: it is not given out."""
    other = git.Repository(fresh("private"))
    revision = other.commit(salt=uuid.uuid4().hex)
    later = other.commit(salt=uuid.uuid4().hex)
    other.bare(forge.folder / "owner/private")
    registry = start(None, environment=environment(), flakes={
        "public": "github:owner/infra?host=localhost",
        "private": "github:owner/private?host=localhost"})
    for commit in revision, later:
        registry.manifest("private/hello", commit)
        reply = registry.get(f"/v2/public/hello/manifests/{commit}")
        assert reply.status == 404, str(reply)
        assert f"no commit {commit}" in reply.error()[1]
