# SPDX-License-Identifier: MIT
{
  description = "A registry whose container images are the outputs of a flake, built by Nix when they are pulled";

  # There is no flake.lock: it is still to be made, by `nix flake lock`, by
  # whoever has the network, and nobody has built this with nixpkgs itself
  # so far. tests/nix/run builds it with a stand-in for it.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems =
        [ "x86_64-linux" "aarch64-linux" "armv7l-linux" "riscv64-linux" ];

      # An attribute for each system, made by f from its packages and ours.
      forEach = f: lib.genAttrs systems (system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
        in
        f pkgs (import ./nix { inherit pkgs; }));
    in
    {
      packages = forEach (pkgs: ours: {
        inherit (ours) flakehub flakehubTools;
        default = ours.flakehub;
      });

      # services.flakehub, for NixOS.
      nixosModules.default = import ./nix/module.nix self.packages;

      overlays.default = final: prev: import ./nix { pkgs = final; };

      # nix run . -- FLAKE
      apps = forEach (pkgs: ours: {
        default = {
          type = "app";
          program = "${pkgs.writeShellScript "flakehub-serve" ''
            exec ${ours.flakehub}/bin/flakehub serve "$@"
          ''}";
          meta.description = "Serve a flake's images on localhost";
        };
      });

      checks = forEach (pkgs: ours: {
        # The unit tests are not run there: they lay out set-user-ID files,
        # which the sandbox forbids.
        inherit (ours) flakehub;

        conf = pkgs.runCommand "check-conf"
          {
            nativeBuildInputs = [ pkgs.jq ];
            conf = ours.flakehubTools.streamLayeredImageConf {
              name = "check";
              contents = [ pkgs.bash ];
              extraCommands = "echo made >made";
              fakeRootCommands = "chown 1000:100 made";
              config.Cmd = [ "${pkgs.bash}/bin/bash" ];
            };
          } ''
          jq -e '.roots == ["${pkgs.bash}"]
            and .repo_tag == "check:" + ($ENV.conf[11:43])' $conf
          layer=$(jq -r .customisation_layer $conf)
          echo "$(cat $layer/checksum)  $layer/layer.tar" | sha256sum -c
          tar -tvf $layer/layer.tar --numeric-owner | grep '1000/100.* ./made'
          touch $out
        '';
      });

      devShells = forEach (pkgs: ours: {
        default = pkgs.mkShell {
          inputsFrom = [ ours.flakehub ];
          packages = [
            pkgs.clang-tools
            pkgs.cmocka
            pkgs.cppcheck
            pkgs.jq
            pkgs.lighttpd
            pkgs.mandoc
            pkgs.nginx
            (pkgs.python3.withPackages (python: [ python.pytest ]))
            pkgs.shellcheck
            pkgs.skopeo
            pkgs.valgrind
          ];
        };
      });
    };
}
