# SPDX-License-Identifier: MIT
"""tags/list, _catalog, referrers and /healthz, through both web servers."""

import re
import time

import pytest

from harness import fetch, git, nix
from harness.process import wait_for
from harness.webserver import SERVERS

HEX = "0123456789abcdef" * 4
NAMES = [f"b{number:02}" for number in range(25)]
TAGS = sorted(["latest", "main", "Upper", "under_score", "v1.0", *NAMES])


@pytest.fixture(scope="module")
def repository(session_directory, simple):
    folder = session_directory("listing")
    repository = git.Repository(nix.copy_flake(simple, folder / "tree"))
    for name in NAMES + ["Upper"]:
        repository.branch(name)
    repository.tag("v1.0", annotated=True)
    repository.tag("under_score")
    return repository


@pytest.fixture
def registry(request, shared_registry, repository):
    return shared_registry(request.param, repository.path)


both = pytest.mark.parametrize("registry", SERVERS, indirect=True)

# The query: what is listed of TAGS, and whether there is more.
PAGES = {
    "": (TAGS, False),
    "?n=3": (TAGS[:3], True),
    "?n=0": ([], False),
    "?n=1000000000000": (TAGS, False),
    "?n=99999999999999999999999999": (TAGS, False),
    f"?n={len(TAGS)}": (TAGS, False),
    f"?n={len(TAGS) - 1}": (TAGS[:-1], True),
    "?last=b05": (TAGS[TAGS.index("b05") + 1:], False),
    "?n=2&last=b05": (["b06", "b07"], True),
    "?last=b05&n=2": (["b06", "b07"], True),
    # What is no tag is a place in the order all the same.
    "?n=2&last=b05x": (["b06", "b07"], True),
    "?n=2&last=b%305": (["b06", "b07"], True),
    "?last=zzz": ([], False),
    "?n=5&last=v1.0": ([], False),
    "?last=": (TAGS, False),
    "?n=2&ns=docker.io": (TAGS[:2], True),
    "?x=n=3": (TAGS, False),
}


@both
@pytest.mark.parametrize("query", PAGES)
def test_tags(registry, query):
    listed, more = PAGES[query]
    path = f"/v2/hello/tags/list{query}"
    reply = registry.get(path)
    assert reply.status == 200, str(reply)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert reply.json() == {"name": "hello", "tags": listed}
    assert (reply.headers["Link"] is not None) == more
    head = registry.send("HEAD", path)
    assert head.status == 200 and not head.body


@both
@pytest.mark.parametrize("step", (1, 7, 100))
def test_follow_links(registry, step):
    """Page after page is the whole list, each once."""
    path, seen = f"/v2/hello/tags/list?n={step}", []
    while path:
        reply = registry.get(path)
        assert reply.status == 200, str(reply)
        seen += reply.json()["tags"]
        link = reply.headers["Link"]
        path = link and re.fullmatch(r'<(/v2/[^>]+)>; rel="next"',
                                     link).group(1)
    assert seen == TAGS


@both
@pytest.mark.parametrize("where", ("hello/tags/list", "_catalog"))
@pytest.mark.parametrize("n", ("-1", "", "x", "1x", "+1", "%31%", "1.0",
                               "0x10", "%zz"))
def test_bad_n(registry, where, n):
    reply = registry.get(f"/v2/{where}?n={n}")
    if n == "%31%":
        assert reply.status in (200, 400)
        return
    assert reply.status == 400, str(reply)
    code, message = reply.error()
    assert code == "PAGINATION_NUMBER_INVALID"
    assert "number of entries" in message


@both
def test_catalog(registry):
    names = registry.get("/v2/_catalog").json()["repositories"]
    assert names == sorted(names)
    assert {"hello", "default", "many", "two-layers"} <= set(names)
    reply = registry.get("/v2/_catalog?n=2")
    assert reply.json() == {"repositories": names[:2]}
    assert reply.headers["Link"] == \
        f'</v2/_catalog?n=2&last={names[1]}>; rel="next"'
    assert registry.get("/v2/_catalog?n=0").json() == {"repositories": []}
    assert registry.get(f"/v2/_catalog?last={names[3]}").json() == \
        {"repositories": names[4:]}
    assert registry.get("/v2/_catalog?n=1000000000000").json() == \
        {"repositories": names}
    for name in names:
        assert registry.send("HEAD", f"/v2/{name}/tags/list").status == 200
    for name in "no-conf", "hello/x", "nothing":
        reply = registry.get(f"/v2/{name}/tags/list")
        assert reply.status == (200 if name in names or "/" in name else 404)
    assert registry.get("/v2/nothing/tags/list").error()[0] == "NAME_UNKNOWN"


@both
def test_referrers(registry):
    for query, filtered in (("", False), ("?artifactType=a/b", True),
                            ("?n=3", False), ("?n=1&artifactType=x", True),
                            ("?notartifactType=x", False)):
        path = f"/v2/hello/referrers/sha256:{HEX}{query}"
        reply = registry.send("GET", path)
        assert reply.status == 200, str(reply)
        assert reply.headers["Content-Type"] == fetch.INDEX
        assert reply.json() == {"schemaVersion": 2, "mediaType": fetch.INDEX,
                                "manifests": []}
        assert (reply.headers["OCI-Filters-Applied"] == "artifactType") == \
            filtered
        head = registry.send("HEAD", path)
        assert head.status == 200 and not head.body
    for bad in "sha256:x", "latest", "sha256:" + "A" * 64:
        reply = registry.send("GET", f"/v2/hello/referrers/{bad}")
        assert reply.status == 400, str(reply)
        assert reply.error()[0] == "DIGEST_INVALID"
    assert registry.send("GET", "/v2/hello/referrers/").status in (400, 404)


@both
def test_writes(registry):
    for path in ("/v2/hello/tags/list", "/v2/_catalog",
                 f"/v2/hello/referrers/sha256:{HEX}"):
        for method in "POST", "PUT", "DELETE", "PATCH":
            reply = registry.send(method, path)
            assert reply.status == 405, str(reply)
            assert reply.error()[0] == "UNSUPPORTED"


def test_several_flakes(make_registry, fresh):
    """Each below its own name, default as the name itself; one that cannot
    be asked hides none of the others."""
    registry = make_registry(fresh(), flakes={
        "blog": fresh("blog"), "gone": "/nonexistent"})
    names = registry.get("/v2/_catalog").json()["repositories"]
    assert "hello" in names and "default" in names
    assert "blog" in names and "blog/hello" in names
    assert "blog/default" not in names
    assert not any(name.startswith("gone") for name in names)


def test_nothing_waits(make_registry, fresh, directory):
    """Listings ask neither git nor Nix while what is known is fresh."""
    path, log = nix.counting_path(directory)
    registry = make_registry(fresh(), settings=["max-age = 1h", nix.COUNTED],
                             environment=nix.environment(directory, path=path))
    registry.get("/v2/_catalog")
    registry.get("/v2/hello/tags/list")
    calls = log.read_text()
    for _ in range(20):
        registry.get("/v2/_catalog?n=5")
        registry.get("/v2/hello/tags/list?n=5")
    time.sleep(0.3)
    assert log.read_text() == calls


def test_catalog_does_not_wait_for_a_gone_flake_again(make_registry, fresh,
                                                     directory):
    """What failed shortly before is not asked again for every request."""
    path, log = nix.counting_path(directory, ["git"])
    registry = make_registry(
        fresh(), flakes={"gone": "git://127.0.0.1:1/x"},
        settings=["error-max-age = 1h", nix.COUNTED],
        environment=nix.environment(directory, path=path))
    for _ in range(3):
        names = registry.get("/v2/_catalog").json()["repositories"]
        assert "hello" in names
        calls = log.read_text()
    registry.get("/v2/_catalog")
    assert log.read_text() == calls


def test_catalog_is_refreshed_behind(make_registry, fresh):
    folder = fresh()
    registry = make_registry(folder, settings=["max-age = 0s"])
    assert "new" not in registry.get("/v2/_catalog").json()["repositories"]
    text = (folder / "images.nix").read_text()
    (folder / "images.nix").write_text(
        text.replace("default = hello;", "default = hello; new = hello;"))
    wait_for("the new name", lambda: "new" in
             registry.send("GET", "/v2/_catalog").json()["repositories"], 30)


def test_many_tags(make_registry, fresh, directory):
    """50,000 refs: pages of 1,000 at most, in little memory and time."""
    repository = git.Repository(fresh())
    bare = repository.bare(directory / "bare.git")
    revision = repository("rev-parse", "HEAD")
    with open(bare / "packed-refs", "w") as f:
        f.write("# pack-refs with: peeled fully-peeled sorted \n")
        for number in range(50000):
            f.write(f"{revision} refs/heads/n{number:05}\n")
        f.write(f"{revision} refs/heads/zz\n")
    (bare / "refs/heads/main").unlink(missing_ok=True)
    (bare / "HEAD").write_text("ref: refs/heads/zz\n")
    registry = make_registry(f"git+file://{bare}", settings=["max-age = 1h"])
    first = registry.get("/v2/hello/tags/list")
    assert len(first.json()["tags"]) == 1000
    assert "last=" in first.headers["Link"]
    started = time.monotonic()
    reply = registry.get("/v2/hello/tags/list?n=1000000000000&last=n49990")
    taken = time.monotonic() - started
    assert reply.json()["tags"] == [f"n{n}" for n in range(49991, 50000)] \
        + ["zz"]
    assert taken < 2
    registry.manifest("hello", "n40000")


@pytest.mark.parametrize("server", SERVERS)
def test_health(make_registry, fresh, directory, server):
    path, log = nix.counting_path(directory)
    registry = make_registry(fresh(), server, environment=nix.environment(
        directory, path=path))
    reply = registry.send("GET", "/healthz")
    assert reply.status == 200, str(reply)
    health = reply.json()
    assert health["status"] == "ok" and health["freeBytes"] > 0
    assert "nix" in health["nix"]
    for _ in range(10):
        assert registry.send("GET", "/healthz").status == 200
    assert len([line for line in log.read_text().splitlines()
                if "--version" in line]) <= 2
    # Not below /v2/, and nothing beside it.
    assert registry.send("GET", "/v2/healthz").status == 404
    assert registry.send("HEAD", "/healthz").status == 200
    assert registry.send("POST", "/healthz").status == 405


@pytest.mark.parametrize("missing", ("nix", "git"))
def test_health_of_a_sick_one(make_registry, fresh, directory, missing):
    """503, and why."""
    folder = directory / "programs"
    folder.mkdir()
    for name in "nix", "nix-store", "git":
        program = folder / name
        program.write_text("#!/bin/sh\nexit 3\n" if name == missing
                           else f'#!/bin/sh\nexec /usr/bin/{name} "$@"\n')
        program.chmod(0o755)
    registry = make_registry(fresh(), environment=nix.environment(
        directory, path=f"{folder}:/bin"))
    reply = registry.send("GET", "/healthz")
    assert reply.status == 503, str(reply)
    assert missing in reply.json()["problem"], str(reply)
    assert reply.json()["status"] == "failing"
