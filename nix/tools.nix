# SPDX-License-Identifier: MIT
#
# flakehubTools: a derivation that carries functions, so that it can stand
# in a flake's `packages`, where nothing but derivations may.
{ pkgs }:
let
  customisationLayer = import ./customisation-layer.nix { inherit pkgs; };
  functions = {
    streamLayeredImageConf = import ./stream-layered-image-conf.nix {
      inherit pkgs customisationLayer;
    };
  };
in
pkgs.writeText "flakehub-tools" ''
  flakehubTools is a set of Nix functions: ${
    builtins.concatStringsSep ", " (builtins.attrNames functions)
  }.
  There is nothing in it to build. Call a function of it in your flake:

    packages.x86_64-linux.web =
      flakehub.packages.x86_64-linux.flakehubTools.streamLayeredImageConf {
        name = "web";
        contents = [ … ];
        config.Cmd = [ … ];
      };
''
// functions
