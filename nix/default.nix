# SPDX-License-Identifier: MIT
#
# Everything flakehub has for Nix, out of one package set:
#
#   flakehub       the registry itself
#   flakehubTools  the functions that describe images (nix/README.md)
#
# pkgs is nixpkgs for one system. Only what an attribute needs is looked
# at, so a small stand-in does for flakehubTools (examples/hello).
{ pkgs }:
{
  flakehub = pkgs.callPackage ./package.nix { };
  flakehubTools = import ./tools.nix { inherit pkgs; };
}
