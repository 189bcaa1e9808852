# SPDX-License-Identifier: MIT
"""What clients and operators get wrong: each has its code, and a sentence
that says what to do."""

import pytest

from harness import git, nix
from harness.process import run
from harness.registry import FLAKEHUB
from harness.webserver import SERVERS

PASSWORD = "hunter2-%21x"


@pytest.fixture(scope="module")
def repository(session_directory, simple):
    folder = session_directory("bad-input")
    repository = git.Repository(nix.copy_flake(simple, folder / "tree"))
    repository.branch("fix/one")
    repository.branch("fix@one")
    return repository


# The path: status, code, words of the message.
REQUESTS = {
    "unknown flake": ("/v2/nowhere/x/manifests/latest", 404,
                      "MANIFEST_UNKNOWN", ["nowhere", "no package"]),
    "ambiguous ref": ("/v2/hello/manifests/fix-one", 404, "MANIFEST_UNKNOWN",
                      ["refs/heads/fix/one or refs/heads/fix@one",
                       "pull the revision instead"]),
    "no such ref": ("/v2/hello/manifests/fix-onn", 404, "MANIFEST_UNKNOWN",
                    ["no git tag, branch or revision fix-onn", "nearest"]),
    "tag of 129 characters": ("/v2/hello/manifests/" + "t" * 129, 400,
                              "TAG_INVALID", ["128"]),
    "negative n": ("/v2/hello/tags/list?n=-1", 400,
                   "PAGINATION_NUMBER_INVALID", ["'-1'", "0 or more"]),
    "negative n of the catalog": ("/v2/_catalog?n=-1", 400,
                                  "PAGINATION_NUMBER_INVALID", ["'-1'"]),
    "n that is no number": ("/v2/hello/tags/list?n=1%20", 400,
                            "PAGINATION_NUMBER_INVALID", ["0 or more"]),
    "huge n": ("/v2/hello/tags/list?n=1000000000000", 200, None, []),
    "unknown last": ("/v2/hello/tags/list?last=nothing", 200, None, []),
    "tags of nothing": ("/v2/nothing/tags/list", 404, "NAME_UNKNOWN",
                        ["nothing"]),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", REQUESTS)
def test_request(shared_registry, repository, server, case):
    registry = shared_registry(server, repository.path)
    registry.get("/v2/_catalog")  # the names are known then
    path, status, code, words = REQUESTS[case]
    reply = registry.get(path)
    assert reply.status == status, str(reply)
    if not code:
        assert reply.json()["name"] == "hello"
        return
    assert reply.error()[0] == code
    for word in words:
        assert word in reply.error()[1], str(reply)


def test_unknown_flake(make_registry, simple):
    """No unnamed flake: the first part must be a named one."""
    registry = make_registry(None, flakes={"blog": simple})
    for path in "/v2/web/manifests/latest", "/v2/web/tags/list":
        reply = registry.get(path)
        assert reply.status == 404 and reply.error()[0] == "NAME_UNKNOWN"
        assert "no flake is set" in reply.error()[1]
        assert "flakehub.conf" in reply.error()[1]
    result = registry.build("web/x")
    assert result.status == 1 and "[flake web]" in result.err


SETTINGS = {
    "two sections of a name": (
        "[flake a]\nurl = /a\n[flake a]\nurl = /b\n", 3, ["a"]),
    "two keys of a name": ("max-age = 1s\nmax-age = 1s\n", 2, ["max-age"]),
    "no unit": ("max-age = 10\n", 1, ["max-age", "unit", "10s"]),
    "no unit of a size": ("cache-size = 20\n", 1, ["cache-size", "20G"]),
    "no flake reference": ("[flake]\nurl = nixpkgs\n", 2, ["github:", "git+"]),
    "an attribute": ("[flake]\nurl = github:o/r#x\n", 2, ["#"]),
    "a broken escape": ("[flake]\nurl = github:o/r?dir=%zz\n", 2, ["%"]),
    "a short revision": ("[flake]\nurl = git+file:///x?rev=abc\n", 2,
                         ["40 lowercase hex digits"]),
    "a password that nobody asks for": (
        "[flake]\nurl = git+ssh://git:hunter2@host/x\n", 2,
        ["only http: and https: take a password", "credentials"]),
    "another": ("[flake]\nurl = git://git:hunter2@host/x\n", 2,
                ["only http: and https: take a password"]),
    "a password with a slash": (
        "[flake]\nurl = git+https://me:hunter2/x@host/x\n", 2, ["%2F"]),
    "a password in host=": (
        "[flake]\nurl = github:o/r?host=me:hunter2@host\n", 2, ["host="]),
    "a system twice": ("systems = x86_64-linux x86_64-linux\n", 1, ["twice"]),
    "no system": ("systems = amd64\n", 1, ["x86_64-linux"]),
    "relative credentials": ("[flake]\nurl = /x\ncredentials = x\n", 3,
                             ["absolute"]),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings(directory, case):
    text, line, words = SETTINGS[case]
    file = directory / "flakehub.conf"
    file.write_text(text)
    result = run([FLAKEHUB, "--config", file, "config", "--check"])
    assert result.status == 2, str(result)
    assert f"{file}:{line}: " in result.err
    for word in words:
        assert word in result.err, result.err
    assert "hunter2" not in result.err


@pytest.mark.parametrize("server", SERVERS)
def test_password_in_a_url(make_registry, directory, server):
    """It is in no message, log, page or record; where it stands matters
    not."""
    urls = {"http": f"git+http://user:{PASSWORD}@127.0.0.1:1/x",
            "https": f"git+https://user:{PASSWORD}@127.0.0.1:1/x",
            "tarball": f"http://user:{PASSWORD}@127.0.0.1:1/x.tar.gz",
            "at": f"git+http://us@er:{PASSWORD}@127.0.0.1:1/x"}
    registry = make_registry(None, server, flakes=urls, settings=[
        "refresh-timeout = 5s"], environment=nix.environment(
            directory, NIX_CONFIG=nix.SINGLE_USER + "download-attempts = 1\n"))
    said = []
    for name in urls:
        for path in (f"/v2/{name}/hello/manifests/latest",
                     f"/v2/{name}/tags/list", "/v2/_catalog"):
            reply = registry.get(path)
            assert reply.status in (200, 403, 404), str(reply)
            said.append(str(reply))
        said += [str(registry.build(f"{name}/hello")),
                 registry.flakehub("log", f"{name}/hello").out]
    said += [registry.log.read_text(),
             registry.flakehub("list").err, registry.flakehub("refresh").err,
             registry.flakehub("config", "--check").out]
    for text in said:
        # The command's own words hold no URL.
        assert "hunter2" not in text, text
    found = run(["grep", "-rl", "hunter2", registry.cache]).out
    assert not found, found
