# SPDX-License-Identifier: MIT
#
# A check for each argument of streamLayeredImageConf. `run` builds each
# image and evaluates its jq expression on the conf, with $tar the listing of
# the customisation layer; each of `wrong` must fail to evaluate, with a
# message that matches.
{
  description = "Tests of flakehubTools";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    flakehub.url = "git+https://git.example.org/flakehub";
    flakehub.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs = { self, nixpkgs, flakehub }:
    let
      tests = system: import ./arguments.nix {
        pkgs = nixpkgs.legacyPackages.${system};
        inherit (flakehub.packages.${system}) flakehubTools;
      };
      forEach = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ];
      each = f: builtins.mapAttrs (name: f);
    in
    {
      packages = forEach (system:
        each (test: test.image) (tests system).right);
      legacyPackages = forEach (system:
        each (test: test.image) (tests system).wrong);
      expected = forEach (system: {
        right = each (test: test.expected) (tests system).right;
        wrong = each (test: test.expected) (tests system).wrong;
      });
    };
}
