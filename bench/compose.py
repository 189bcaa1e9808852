# SPDX-License-Identifier: MIT
"""Five packages composed, beside an image that the flake makes of the same
five: from the first request to the manifest, nothing of either in the cache,
and neither's own derivation ever built. The packages are Debian's, all of
them built; one of them, jq, anew for each round, so that the rest is new."""

import shutil
import time
import uuid

from image import fixtures, manifest, nix, registry, settle

PACKAGES = {"full": ("coreutils", "git", "imagemagick", "jq", "python3-minimal"),
            "small": ("bash", "coreutils", "grep", "jq", "sed")}

FLAKE = """{{
  outputs = {{ self }}:
    let
      lib = import ./nixpkgs/lib.nix;
      pkgs = import ./nixpkgs/pkgs.nix {{
        inherit lib;
        system = "x86_64-linux";
        packages =
          builtins.fromJSON (builtins.readFile ./nixpkgs/packages.json);
      }};
      inherit (import ./flakehub {{ inherit pkgs; }}) flakehubTools;
      chosen = {{
        inherit (pkgs) {packages};
        jq = derivation
          (pkgs.jq.drvAttrs // {{ salt = builtins.readFile ./salt; }});
      }};
    in
    {{
      packages.x86_64-linux = chosen // {{
        together = flakehubTools.streamLayeredImageConf {{
          name = "together";
          contents = builtins.attrValues chosen;
        }};
      }};
    }};
}}
"""


def first_pull(bench, flake, name, compose):
    with bench.fresh("compose") as folder:
        with registry(folder, flake, "max-age = 1h", "[flake pkgs]",
                      f"url = path:{flake}",
                      f"compose = {compose}") as server:
            settle()
            start = time.monotonic()
            manifest(server.port, f"pkgs/{name}")
            return time.monotonic() - start


def measure(bench):
    packages = PACKAGES[bench.size]
    others = [name for name in packages if name != "jq"]
    source = nix.make_flake(*(("bench", fixtures() / "flake-bench")
                              if bench.size == "full" else
                              ("small", fixtures() / "flake-small")))
    for number in range(bench.rounds):
        bench.say(f"compose: round {number + 1} of {bench.rounds}")
        flake = bench.folder / "composed"
        shutil.rmtree(flake, ignore_errors=True)
        nix.copy_flake(source, flake, uuid.uuid4().hex)
        text = FLAKE.format(packages=" ".join(others))
        (flake / "flake.nix").write_text(text, encoding="utf-8")
        for name in packages:
            nix.build(flake, name)
        names = [("compose: one image of the flake", "together", "no"),
                 ("compose: five packages", "/".join(packages),
                  "yes")]
        for text, name, compose in names[::1 if number % 2 else -1]:
            bench.figures.add(text, first_pull(bench, flake, name, compose),
                              "s")
    bench.figures.ratio("five packages composed / one image of the same",
                        "compose: five packages",
                        "compose: one image of the flake", "<= 1.3")
