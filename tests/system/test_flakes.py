# SPDX-License-Identifier: MIT
"""Repository names as attributes of flakes, named and unnamed."""

import http.server
import json
import pathlib
import socketserver
import tarfile
import threading
import uuid

import pytest

from harness import git, nix
from harness.process import run

# The attributes print their own paths.
FLAKE = """{
  outputs = { self }:
    let
      system = "x86_64-linux";
      images = text: import ./images.nix {
        pkgs = import ./pkgs.nix { inherit system; };
        salt = text;
        seconds = "1";
      };
      image = text: (images text).hello;
    in
    {
      packages.${system} = {
        default = image "NAME default";
        web = image "NAME web";
        blog = image "NAME blog";
        "python3.11" = image "NAME dotted";
        bashInteractive = image "NAME bashInteractive";
        twice = image "NAME twice";
        Twice = image "NAME Twice";
        bOth = image "NAME bOth";
        Both = image "NAME Both";
        set.inner = image "NAME inner";
        Set2.Deep.Inner = image "NAME deep";
        number = 7;
      };
      legacyPackages.${system} = {
        web = image "NAME legacy web";
        old = image "NAME old";
        olderSet.Inner = image "NAME older";
      };
      defaultPackage.${system} = image "NAME never";
    };
}
"""


@pytest.fixture
def flake(fresh):
    """flake(name): one whose images print that name and their own."""
    def get(name):
        folder = fresh(name)
        (folder / "flake.nix").write_text(FLAKE.replace("NAME", name))
        return folder
    return get


FOUND = {
    "web": "top web", "set/inner": "top inner",
    "python3.11": "top dotted",
    "bashinteractive": "top bashInteractive",
    "twice": "top twice",
    "set2/deep/inner": "top deep",
    "default": "top default",
    "old": "top old", "olderset/inner": "top older",
    # A named flake wins over an attribute of that name.
    "blog": "blog default", "blog/web": "blog web", "blog/blog": "blog blog",
    "blog/default": "blog default", "blog/set/inner": "blog inner",
    "blog/old": "blog old", "a.b_c-d": "a.b_c-d default",
    "a.b_c-d/web": "a.b_c-d web",
}

MISSING = {
    "both": ["bOth", "Both"], "webs": ["webs", "nearest: web"],
    "set": ["set"], "set/iner": ["iner", "nearest: inner"],
    "web/more": ["web"], "number": ["number"],
    "blog/nothing": ["flake blog", "nothing"],
    "packages": ["packages"], "never": ["never"],
}


def greeting(registry, name):
    """What an image prints: the file is in one of its store paths."""
    out = registry.flakehub("inspect", "--json", name).ok().out
    files = [path for layer in json.loads(out)["layers"]
             for path in layer["storePaths"] if path.endswith("-greeting")]
    assert len(files) == 1, out
    return pathlib.Path(files[0]).read_text()


def test_names(make_registry, client_of, flake):
    """Every way to write a name, and those that are none."""
    registry = make_registry(flake("top"), flakes={
        "blog": flake("blog"), "a.b_c-d": flake("a.b_c-d")})
    for name, says in FOUND.items():
        registry.manifest(name)
        assert greeting(registry, name) == f"Hello from {says}\n", name
    podman = client_of("podman")
    for name in "blog", "set2/deep/inner", "python3.11":
        out = podman.run(registry.reference(name), pull=True).ok().out
        assert out == f"Hello from {FOUND[name]}\n", name
        podman.remove(registry.reference(name))
    for name, words in MISSING.items():
        reply = registry.get(f"/v2/{name}/manifests/latest")
        assert reply.status == 404, (name, str(reply))
        code, message = reply.error()
        assert code in ("MANIFEST_UNKNOWN", "NAME_UNKNOWN"), name
        for word in words:
            assert word in message, (name, message)


def test_named_flakes_alone(make_registry, flake):
    registry = make_registry(None, flakes={"blog": flake("blog")})
    registry.manifest("blog/web")
    registry.manifest("blog")
    reply = registry.get("/v2/web/manifests/latest")
    assert reply.status == 404
    code, message = reply.error()
    assert code == "NAME_UNKNOWN" and "web" in message
    reply = registry.get("/v2/blogs/tags/list")
    assert reply.status == 404 and reply.error()[0] == "NAME_UNKNOWN"


def test_sections_of_their_own(make_registry, flake):
    """A named flake sets compression and ages for itself."""
    folder = flake("one")
    registry = make_registry(folder, settings=["max-age = 1h"], flakes={
        "zstd": [f"url = {folder}", "compression = zstd", "max-age = 0s",
                 "max-layers = 2"]})
    plain, _ = registry.manifest("web")
    other, _ = registry.manifest("zstd/web")
    assert {layer["mediaType"].rsplit("+")[-1]
            for layer in plain["layers"]} == {"gzip"}
    assert {layer["mediaType"].rsplit("+")[-1]
            for layer in other["layers"]} == {"zstd"}
    (folder / "flake.nix").write_text(FLAKE.replace("NAME", "two"))
    assert registry.manifest("web")[0] == plain
    assert registry.manifest("zstd/web")[0] != other


def test_kinds_of_folders(make_registry, fresh, directory):
    """path:, a folder, a git work tree, a bare repository, a tarball: the
    same image, as far as the folder's text goes."""
    folder = fresh("plain")
    tree = git.Repository(fresh("tree"))
    tree.commit(salt=(folder / "salt").read_text().strip())
    bare = tree.bare(directory / "bare.git")
    with tarfile.open(directory / "flake.tar.gz", "w:gz") as tar:
        tar.add(folder, "flake-1.0")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=directory)

        def log_message(self, *args):
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/flake.tar.gz"
        registry = make_registry(folder, settings=["max-age = 0s"], flakes={
            "path": f"path:{folder}", "tree": f"git+file://{tree.path}",
            "bare": f"git+file://{bare}", "http": url,
            "file": f"file://{directory}/flake.tar.gz"})
        digest = registry.manifest("hello")[1].digest()
        for name in "path", "tree", "bare", "http", "file":
            assert registry.manifest(f"{name}/hello")[1].digest() == digest, \
                name
        # A newer tarball is seen, too.
        (folder / "salt").write_text(f"{uuid.uuid4().hex}\n")
        with tarfile.open(directory / "flake.tar.gz", "w:gz") as tar:
            tar.add(folder, "flake-1.0")
        assert registry.manifest("http/hello")[1].digest() == \
            registry.manifest("hello")[1].digest() != digest
        reply = registry.get("/v2/http/hello/manifests/main")
        assert reply.status == 404 and "latest alone" in reply.error()[1]
        server.shutdown()


def test_not_reproducible_is_said(make_registry, fresh):
    """A folder's image is made again while its output is there."""
    registry = make_registry(f"path:{fresh()}")
    registry.manifest("hello")
    out = registry.flakehub("inspect", "hello").ok().out
    assert "in no commit" in out, out
    assert run(["grep", "-rl", "in no commit",
                registry.cache / "repositories"]).status == 0


def test_environment_of_the_evaluation(make_registry, fresh, directory):
    """Nothing of the request, the settings or the environment reaches a
    flake but what Nix gives it."""
    folder = fresh()
    (folder / "flake.nix").write_text("""{
  outputs = { self }: {
    packages.x86_64-linux.env =
      throw "saw <${builtins.getEnv "FLAKEHUB_CONFIG"}>";
  };
}
""")
    registry = make_registry(folder, environment=nix.environment(directory))
    reply = registry.get("/v2/env/manifests/latest")
    assert reply.status == 404 and "saw <>" in reply.error()[1]


def test_folder_of_another_user(make_registry, fresh):
    """git reads it for its owner alone; the answer says what to do."""
    flake = fresh()
    run(["git", "init", "-q", flake]).ok()
    run(["chown", "-R", "12345", flake]).ok()
    registry = make_registry(flake)
    for tag in "latest", "main":
        reply = registry.get(f"/v2/hello/manifests/{tag}")
        assert reply.status == 403, str(reply)
        message = reply.error()[1]
        assert "another user" in message and "safe.directory" in message
