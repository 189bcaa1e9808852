# SPDX-License-Identifier: MIT
"""What flakes have already, pulled from us and loaded by its own tools: from
the packages, which are built, and the image, which never was, to the image in
docker. Its own tools give it to this machine's docker, or, which is what we
do, serve it: by a registry that it is copied to."""

import json
import shutil
import subprocess
import time
import uuid

from history import Path
from image import ROOT, fixtures, manifest, nix, registry, settle
from load import empty_docker_registry
from planners import auto_layer
from harness import clients, process  # after image, which finds harness

# Output -> the function of nixpkgs that makes it, and what prints an archive.
KINDS = {"stream": ("streamLayeredImage", "{0}"),
         "layered": ("buildLayeredImage", "cat {0}"),
         "image": ("buildImage", "cat {0}")}

# What is timed, and what that ends with.
OURS = "until the manifest", "docker pull from us, all of it"
LOADED = "nix build", "nix build, docker load"
SERVED = ("nix build, skopeo copy",
          "nix build, skopeo copy to docker-registry, docker pull")

# Builders may use the host's programs, python3 and pigz.
CONFIG = nix.SINGLE_USER.replace(
    "/bin/sh=", "/usr /lib /lib64 /bin/sh=")

FLAKE = """{
  outputs = { self }:
    let
      lib = import ./nixpkgs/lib.nix;
      system = "x86_64-linux";
      packages = builtins.fromJSON (builtins.readFile ./nixpkgs/packages.json);
      pkgs = import ./nixpkgs/pkgs.nix { inherit lib system packages; };
      debian = import ./nixpkgs/debian { inherit system packages; };
    in
    {
      names = builtins.listToAttrs (map
        (entry: { inherit (entry) name; value = debian.${entry.name}; })
        packages);
      packages.${system} = import ./tools.nix {
        inherit pkgs;
        layers = map (map (name: debian.${name}))
          (builtins.fromJSON (builtins.readFile ./layers.json));
        streamer = ./stream.py;
        salt = lib.fileContents ./salt;
      };
    };
}
"""


def evaluate(flake, attribute):
    out = subprocess.run(
        ["nix", "eval", "--json", "--no-write-lock-file",
         f"path:{flake}#{attribute}"], stdout=subprocess.PIPE, check=True,
        env=nix.environment(flake.parent)).stdout
    return json.loads(out)


class Tools:
    def __init__(self, bench):
        self.bench = bench
        self.figures = bench.figures
        self.source = bench.folder / "tools"
        folder = bench.folder / "docker"
        folder.mkdir()
        self.docker = clients.Docker(folder)

    def prepare(self):
        """A flake of the three images, in the layers that nixpkgs would make
        now."""
        fixture = "bench" if self.bench.size == "full" else "small"
        shutil.copytree(fixtures() / f"flake-{fixture}", self.source)
        for file in (ROOT / "bench/tools.nix",
                     ROOT / "tests/fixtures/kinds/stream.py"):
            shutil.copy(file, self.source)
        (self.source / "flake.nix").write_text(FLAKE, encoding="utf-8")
        (self.source / "layers.json").write_text(
            json.dumps(self.layers()), encoding="utf-8")

    def layers(self):
        """Lists of names of packages."""
        names = {path: name for name, path in
                 evaluate(self.source, "names").items()}
        out = subprocess.run(
            ["nix", "path-info", "--json", *names], check=True,
            stdout=subprocess.PIPE, env=nix.environment(self.bench.folder),
            ).stdout
        closure = {
            told["path"]: Path(told["narSize"], sorted(
                set(told["references"]).intersection(names) - {told["path"]}))
            for told in json.loads(out) if told["path"] in names}
        layers = auto_layer(closure, 99)
        self.figures.note(
            f"tools: {len(layers)} layers of {len(closure)} store paths, "
            f"{sum(p.size for p in closure.values()) / 1e6:,.0f} MB")
        return [[names[path] for path in layer] for layer in layers]

    def fresh_flake(self):
        """A copy, no image of which was ever built."""
        flake = self.bench.folder / "tools-fresh"
        shutil.rmtree(flake, ignore_errors=True)
        return nix.copy_flake(self.source, flake, uuid.uuid4().hex)

    def checked(self, flake, reference):
        """The image is in docker, and is that of the flake; then it goes."""
        out = self.docker.run(reference).ok().out
        if out != (flake / "salt").read_text(encoding="utf-8"):
            raise RuntimeError(f"{reference} prints {out}")
        self.docker.remove(reference)

    def ours(self, name, *settings):
        flake = self.fresh_flake()
        with self.bench.fresh("tools-registry") as folder:
            with registry(folder, flake, "max-age = 1h", *settings,
                          environment={"NIX_CONFIG": CONFIG}) as server:
                settle()
                start = time.monotonic()
                manifest(server.port, name)
                until_manifest = time.monotonic() - start
                self.docker.pull(server.reference(name, "latest")).ok()
                taken = time.monotonic() - start
                self.checked(flake, server.reference(name, "latest"))
        return until_manifest, taken

    def its_own(self, name):
        flake = self.fresh_flake()
        settle()
        start = time.monotonic()
        path = nix.build(flake, name, CONFIG)
        until_built = time.monotonic() - start
        self.docker.load(KINDS[name][1].format(path)).ok()
        taken = time.monotonic() - start
        self.checked(flake, "bench:1")
        return until_built, taken

    def served(self, name):
        """By skopeo, which needs no docker, and docker-registry."""
        flake = self.fresh_flake()
        with self.bench.fresh("docker-registry") as folder, \
                empty_docker_registry(folder / "registry") as (port, _):
            image = f"127.0.0.1:{port}/{name}:latest"
            settle()
            start = time.monotonic()
            path = nix.build(flake, name, CONFIG)
            # skopeo 1.9 reads no archive from a pipe, and none in gzip whose
            # manifest is at its end (1.9.3, tried).
            archive = folder / "archive.tar"
            printed = path if name == "stream" else f"pigz -dc {path}"
            process.run(["sh", "-c", f"{printed} >{archive}"], 900).ok()
            process.run(
                ["skopeo", "--insecure-policy", "copy", "--quiet",
                 "--dest-tls-verify=false", f"docker-archive:{archive}",
                 f"docker://{image}"], 900).ok()
            until_copied = time.monotonic() - start
            self.docker.pull(image).ok()
            taken = time.monotonic() - start
            self.checked(flake, image)
        return until_copied, taken

    def round(self, number):
        ways = ((self.ours, OURS), (self.its_own, LOADED),
                (self.served, SERVED))
        for name, (function, _) in KINDS.items():
            for what, (begun, ended) in ways[::1 if number % 2 else -1]:
                until_begun, taken = what(name)
                self.add(f"{function}: {begun}", until_begun)
                self.add(f"{function}: {ended}", taken)

    def add(self, name, value):
        self.figures.add(f"tools, {name}", value, "s")

    def ratios(self):
        for function, _ in KINDS.values():
            for ended in LOADED[1], SERVED[1]:
                self.figures.ratio(
                    f"{function}: pulled from us / {ended}",
                    f"tools, {function}: {OURS[1]}",
                    f"tools, {function}: {ended}", "<= 1")


def measure(bench):
    tools = Tools(bench)
    try:
        tools.prepare()
        for number in range(bench.rounds):
            bench.say(f"tools: round {number + 1} of {bench.rounds}")
            tools.round(number)
    finally:
        tools.docker.stop()
    tools.ratios()
