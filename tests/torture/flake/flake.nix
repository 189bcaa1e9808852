# SPDX-License-Identifier: MIT
#
# Many small images that share layers: i-0 ... i-39. Making one takes Nix a
# second and us a fifth of one. A copy of it, with examples/hello/pkgs.nix and
# nix/ as flakehub/ beside it, is a flake without inputs. What is in `salt`
# goes into every derivation, what is in `round` into the images' configs.
{
  description = "Images to be tortured with";

  outputs = { self }:
    let
      system = "x86_64-linux";
      line = file:
        builtins.replaceStrings [ "\n" ] [ "" ] (builtins.readFile file);
      salt = line ./salt;
      round = line ./round;
      pkgs = import ./pkgs.nix { inherit system; };
      inherit (import ./flakehub { inherit pkgs; }) flakehubTools;
      run = name: pkgs.runCommand name { inherit salt; };

      # A directory with so many KB in it.
      data = name: kilobytes: more: run name ''
        mkdir $out
        yes "${name} $salt" | head -c ${toString (kilobytes * 1024)} >$out/data
        echo "${toString more}" >$out/needs
      '';
      base = data "base" 300 [ ];
      middle = data "middle" 700 [ base ];
      top = data "top" 50 [ middle ];

      image = number:
        let
          name = "i-${toString number}";
          own = data name (100 + 37 * number) [ top ];
        in
        {
          inherit name;
          value = flakehubTools.streamLayeredImageConf {
            inherit name;
            contents = [ own ];
            config.Cmd = [ "/data" ];
            config.Env = [ "ROUND=${round}" ];
            maxLayers = 6;
          };
        };
    in
    {
      packages.${system} =
        builtins.listToAttrs (builtins.genList image 40);
    };
}
