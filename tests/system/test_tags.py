# SPDX-License-Identifier: MIT
"""git's refs as tags: resolved by git, told by tags/list, fresh after a
push."""

import time
import uuid

import pytest

from harness import git, nix
from harness.process import run
from harness.webserver import SERVERS

COMMITS = 20
UNKNOWN = "MANIFEST_UNKNOWN"


@pytest.fixture
def repository(fresh):
    """A git repository of the simple flake, one commit."""
    return git.Repository(fresh("repository"))


@pytest.fixture
def daemon(directory):
    folder = directory / "served"
    folder.mkdir()
    daemon = git.Daemon(folder, directory / "daemon.log")
    yield daemon
    daemon.stop()


def salted(repository, number):
    """A commit whose images print what is returned, and its revision."""
    salt = f"{number}-{uuid.uuid4().hex}"
    return salt, repository.commit(salt=salt)


def populate(repository):
    """20 commits, 3 branches, 2 tags; {tag of an image: what it prints}."""
    salts = {}
    says = {}
    for number in range(COMMITS):
        salt, revision = salted(repository, number)
        salts[revision] = salt
    revisions = list(salts)
    repository.branch("feature/x", revisions[4])
    repository.branch("stable", revisions[7])
    repository.tag("v1", revisions[2])
    repository.tag("v2.0_rc-1", revisions[9], annotated=True)
    says.update(salts)
    says.update({"latest": salts[revisions[-1]],
                 "main": salts[revisions[-1]],
                 "feature-x": salts[revisions[4]],
                 "stable": salts[revisions[7]],
                 "v1": salts[revisions[2]],
                 "v2.0_rc-1": salts[revisions[9]]})
    return says


def tags(registry, name, query=""):
    reply = registry.get(f"/v2/{name}/tags/list{query}")
    assert reply.status == 200, str(reply)
    assert reply.json()["name"] == name
    return reply.json()["tags"]


@pytest.mark.parametrize("kind", ("local", "daemon"))
def test_every_ref(make_registry, client_of, repository, daemon, kind):
    """Every branch, tag and revision is pulled and run; tags/list is what
    git ls-remote says."""
    says = populate(repository)
    flake = repository.path
    if kind == "daemon":
        repository.bare(daemon.folder / "infra")
        flake = daemon.url("infra")
    registry = make_registry(flake)
    podman = client_of("podman")
    for tag, salt in says.items():
        out = podman.run(registry.reference("hello", tag), pull=True).ok().out
        assert out == f"Hello from {salt}\n", tag
    podman.remove(*(registry.reference("hello", tag) for tag in says))
    mapped = {name.replace("/", "-") for name in repository.refs()}
    assert len(mapped) == 5
    assert tags(registry, "hello") == sorted(mapped | {"latest"})


def test_one_revision_is_one_build(make_registry, repository, directory):
    """Whatever names it: one evaluation, one digest."""
    path, log = nix.counting_path(directory)
    revision = repository.commit(salt=uuid.uuid4().hex)
    repository.tag("v1")
    repository.tag("v2", annotated=True)
    repository.branch("a/b")
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}", settings=[nix.COUNTED],
                             environment=nix.environment(directory, path=path))
    digests = {registry.manifest("hello", tag)[1].digest()
               for tag in ("v1", "v2", "a-b", "main", "latest", revision)}
    assert len(digests) == 1
    calls = log.read_text().splitlines()
    assert sum(" eval " in line for line in calls) == 1, calls


def test_order(make_registry, repository, directory):
    """A git tag before a branch; an exact name before a mapped one; what the
    image at latest calls itself comes last."""
    says = {}
    for tag in "branch", "tag", "slash", "dash", "declared", "latest":
        salt, revision = salted(repository, tag)
        says[tag] = salt, revision
    repository.branch("both", says["branch"][1])
    repository.tag("both", says["tag"][1])
    repository.branch("fix/one", says["slash"][1])
    repository.branch("fix-one", says["dash"][1])
    repository.branch("latest", says["branch"][1])
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}",
                             settings=["max-age = 0s", "error-max-age = 0s"])

    def revision_of(image, tag):
        reply = registry.get(f"/v2/{image}/manifests/{tag}")
        assert reply.status == 200, str(reply)
        file = registry.cache / "repositories" / image / "_tags" / tag
        return [line.split()[1] for line in file.read_text().splitlines()
                if line.startswith("revision ")][0]

    assert revision_of("hello", "both") == says["tag"][1]
    assert revision_of("hello", "fix-one") == says["dash"][1]
    assert revision_of("hello", "latest") == says["latest"][1]
    # fixed-tag's image declares v1.2.
    assert revision_of("fixed-tag", "v1.2") == says["latest"][1]
    repository.tag("v1.2", says["declared"][1])
    repository.push(bare)
    assert revision_of("fixed-tag", "v1.2") == says["declared"][1]


def test_wrong_tags_of_what_fails(make_registry, repository, directory):
    """Each wrong tag may be what the image at latest calls itself; that
    latest cannot be built is remembered."""
    path, log = nix.counting_path(directory)
    registry = make_registry(
        f"git+file://{repository.bare(directory / 'bare.git')}",
        settings=["error-max-age = 1h", nix.COUNTED],
        environment=nix.environment(directory, path=path))
    for tag in "one", "two", "three":
        reply = registry.get(f"/v2/broken/manifests/{tag}")
        assert reply.status == 404 and "no git tag" in reply.error()[1]
    realised = [line for line in log.read_text().splitlines()
                if "--realise" in line]
    assert len(realised) == 1, realised


def test_ambiguous(make_registry, repository, directory):
    repository.branch("fix/one")
    repository.branch("fix@one")
    repository.branch("fix/two")
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}")
    reply = registry.get("/v2/hello/manifests/fix-one")
    assert reply.status == 404
    code, message = reply.error()
    assert code == UNKNOWN
    for word in "refs/heads/fix/one", "refs/heads/fix@one", "pull":
        assert word in message
    listed = tags(registry, "hello")
    assert "fix-one" not in listed and "fix-two" in listed


def test_what_no_tag_can_be(make_registry, repository, directory):
    """Refs whose names no tag can hold, or that are too long."""
    repository.branch("-".join(["x"] * 65))  # 129
    repository.branch("ends")
    repository.branch("ü/ö")
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}")
    listed = tags(registry, "hello")
    assert all(len(tag) <= 128 and tag.isascii() for tag in listed)
    assert "ends" in listed
    for tag in listed:
        registry.manifest("hello", tag)
    reply = registry.get("/v2/hello/manifests/" + "t" * 129)
    assert reply.status == 400
    code, message = reply.error()
    assert code == "TAG_INVALID" and "128" in message, message


def test_revision_at_no_tip(make_registry, repository, daemon):
    """One that was pushed over is fetched all the same, and never again."""
    salt, revision = salted(repository, "lost")
    repository("reset", "--quiet", "--hard", "HEAD^")
    salted(repository, "kept")
    # What no ref names is not copied by a clone.
    bare = repository.bare(daemon.folder / "infra")
    repository("push", "--quiet", str(bare), f"{revision}:refs/heads/gone")
    run(["git", "-C", bare, "update-ref", "-d", "refs/heads/gone"],
        env=git.ENVIRONMENT).ok()
    run(["git", "-C", bare, "config", "uploadpack.allowAnySHA1InWant",
         "true"]).ok()
    registry = make_registry(daemon.url("infra"),
                             settings=["max-age = 0s"])
    manifest, reply = registry.manifest("hello", revision)
    assert reply.headers["Docker-Content-Digest"] == reply.digest()
    # Immutable: with the daemon gone it is as fresh as ever.
    daemon.stop()
    again = registry.get(f"/v2/hello/manifests/{revision}")
    assert again.status == 200 and not again.headers["Warning"]
    # Another image of that revision needs the mirror alone.
    daemon.start()
    registry.manifest("args", revision)


def test_revision_inside_a_branch(make_registry, repository, daemon):
    """git daemon gives no commit by its name: all refs are fetched."""
    revision = repository.commit(salt=uuid.uuid4().hex)
    repository.commit(salt=uuid.uuid4().hex)
    repository.bare(daemon.folder / "infra")
    registry = make_registry(daemon.url("infra"))
    registry.manifest("hello", revision)


@pytest.mark.parametrize("server", SERVERS)
def test_unknown(make_registry, repository, directory, server):
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}", server)
    for tag, words in (("mian", ["mian", "nearest: main"]),
                       ("0" * 40, ["0" * 40]),
                       ("1234567", ["1234567"])):
        reply = registry.get(f"/v2/hello/manifests/{tag}")
        assert reply.status == 404, str(reply)
        code, message = reply.error()
        assert code == UNKNOWN
        for word in words:
            assert word in message, message


def test_vanished_ref(make_registry, repository, directory):
    """The upstream says that it is gone: no stale image, and no error of
    the upstream's."""
    repository.branch("topic")
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}",
                             settings=["max-age = 0s", "error-max-age = 0s"])
    digest = registry.manifest("hello", "topic")[1].digest()
    repository("branch", "-D", "topic")
    repository.push(bare)
    reply = registry.get("/v2/hello/manifests/topic")
    assert reply.status == 404, str(reply)
    assert "topic" in reply.error()[1] and not reply.headers["Warning"]
    assert "topic" not in tags(registry, "hello")
    # Who has its digest still gets it.
    registry.manifest("hello", digest)


def test_pinned(make_registry, repository, directory):
    """A URL that pins a revision offers that alone."""
    old = repository.commit(salt=uuid.uuid4().hex)
    new = repository.commit(salt=uuid.uuid4().hex)
    repository.tag("v1")
    bare = repository.bare(directory / "bare.git")
    path, log = nix.counting_path(directory)
    registry = make_registry(
        f"git+file://{bare}?ref=main&rev={old}",
        settings=["max-age = 0s", nix.COUNTED],
        flakes={"bare": f"git+file://{bare}?rev={old}",
                "tree": f"{repository.path}?rev={old}"},
        environment=nix.environment(directory, path=path))
    for name in "hello", "bare/hello", "tree/hello":
        digest = registry.manifest(name)[1].digest()
        assert registry.manifest(name, old)[1].digest() == digest
        for tag in new, "v1", "main":
            reply = registry.get(f"/v2/{name}/manifests/{tag}")
            assert reply.status == 404, str(reply)
            assert "pins" in reply.error()[1]
        assert tags(registry, name) == ["latest"]
    # What can never change costs nothing to ask.
    calls = log.read_text()
    registry.manifest("hello")
    assert log.read_text() == calls


def test_ref_of_the_url(make_registry, repository, directory):
    """latest is the ref that the URL names, else HEAD."""
    salt, revision = salted(repository, "topic")
    repository.branch("to/pic")
    repository.tag("v1", annotated=True)
    salted(repository, "main")
    bare = repository.bare(directory / "bare.git")
    run(["git", "-C", bare, "symbolic-ref", "HEAD", "refs/heads/to/pic"]).ok()
    url = f"git+file://{bare}"
    registry = make_registry(url, flakes={
        "branch": f"{url}?ref=to/pic", "full": f"{url}?ref=refs/heads/to/pic",
        "tag": f"{url}?ref=v1", "other": f"{url}?ref=main",
        "none": f"{url}?ref=nowhere"})
    digest = registry.manifest("hello")[1].digest()
    assert registry.manifest("hello", revision)[1].digest() == digest
    for name in "branch", "full", "tag":
        assert registry.manifest(f"{name}/hello")[1].digest() == digest, name
    assert registry.manifest("other/hello")[1].digest() != digest
    reply = registry.get("/v2/none/hello/manifests/latest")
    assert reply.status == 404 and "no ref nowhere" in reply.error()[1]


def test_flake_in_a_folder(make_registry, fresh, directory):
    """dir=, of a work tree and of a server."""
    tree = directory / "tree"
    tree.mkdir()
    fresh("tree/sub")
    repository = git.Repository(tree)
    repository.tag("v1")
    bare = repository.bare(directory / "bare.git")
    registry = make_registry(f"git+file://{bare}?dir=sub", flakes={
        "folder": f"{tree}/sub", "query": f"{tree}?dir=sub",
        "path": f"path:{tree}/sub"})
    digest = registry.manifest("hello")[1].digest()
    for name in "folder", "query":
        assert registry.manifest(f"{name}/hello")[1].digest() == digest
        assert registry.manifest(f"{name}/hello", "v1")[1].digest() == digest
    registry.manifest("path/hello")
    assert tags(registry, "path/hello") == ["latest"]
    reply = registry.get("/v2/path/hello/manifests/main")
    assert reply.status == 404
    assert "no git repository" in reply.error()[1], str(reply)


def test_work_tree(make_registry, repository):
    """latest is what is in the folder; tags are what is committed."""
    salt, revision = salted(repository, 1)
    registry = make_registry(repository.path, settings=["max-age = 0s"])
    clean = registry.manifest("hello")[1].digest()
    assert registry.manifest("hello", "main")[1].digest() == clean
    (repository.path / "salt").write_text("changed\n")
    assert registry.manifest("hello")[1].digest() != clean
    assert registry.manifest("hello", "main")[1].digest() == clean


def test_empty_repository(make_registry, directory):
    bare = directory / "empty.git"
    run(["git", "init", "--quiet", "--bare", bare]).ok()
    registry = make_registry(f"git+file://{bare}")
    reply = registry.get("/v2/hello/manifests/latest")
    assert reply.status == 404
    assert "HEAD" in reply.error()[1]
    assert tags(registry, "hello") == ["latest"]


def test_sha256_tags_build_nothing(make_registry, repository, directory):
    """Clients ask for them on their own, git ref or not."""
    tag = f"sha256-{'a' * 64}"
    repository.tag(tag)
    path, log = nix.counting_path(directory)
    registry = make_registry(repository.path, settings=[nix.COUNTED],
                             environment=nix.environment(directory, path=path))
    for name in tag, f"{tag}.sig", "latest-esgztoc":
        reply = registry.send("GET", f"/v2/hello/manifests/{name}")
        assert reply.status == 404 and reply.error()[0] == UNKNOWN
    time.sleep(0.2)
    assert not log.read_text() and not registry.builders()
