# SPDX-License-Identifier: MIT
#
# A flake to try flakehub with. It has no inputs and needs no network:
#
#   ./scripts/serve examples/hello
#   docker run --rm localhost:5000/hello
#
# Your own flake would have nixpkgs and flakehub as its inputs instead, as
# in nix/README.md; pkgs.nix is the little of nixpkgs that is needed here.
{
  description = "An image that says hello";

  outputs = { self }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      image = system:
        let
          pkgs = import ./pkgs.nix { inherit system; };
          inherit (import ../../nix { inherit pkgs; }) flakehubTools;

          greeting = pkgs.writeText "greeting" ''
            Hello! This image was made by Nix when you asked for it.
          '';

          hello = pkgs.runCommand "hello" { } ''
            mkdir -p $out/bin
            cat >$out/bin/hello <<EOF
            #!${pkgs.busybox}/bin/sh
            exec ${pkgs.busybox}/bin/cat ${greeting}
            EOF
            chmod +x $out/bin/hello
          '';
        in
        flakehubTools.streamLayeredImageConf {
          name = "hello";
          contents = [ hello pkgs.busybox ];
          config = {
            Cmd = [ "/bin/hello" ];
            Env = [ "PATH=/bin" ];
          };
        };
    in
    {
      packages = builtins.listToAttrs (map
        (system: {
          name = system;
          value = rec {
            hello = image system;
            default = hello;
          };
        })
        systems);
    };
}
