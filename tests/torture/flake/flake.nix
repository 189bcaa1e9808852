# SPDX-License-Identifier: MIT
#
# Many small images that share layers: i-0 ... i-39, of four kinds. Making one takes Nix a
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

      conf = name: own: flakehubTools.streamLayeredImageConf {
        inherit name;
        contents = [ own ];
        config.Cmd = [ "/data" ];
        config.Env = [ "ROUND=${round}" ];
        maxLayers = 6;
      };

      # Each is told apart by looking at it, and looks as well like the last.
      kinds = [
        conf
        # As streamLayeredImage: a program whose last line names a conf.
        (name: own: run name ''
          cat >$out <<'EOF'
          #!/bin/sh
          exec /x-stream ${conf name own} "$@"
          EOF
          chmod +x $out
        '')
        (name: own: run name ''
          mkdir -p $out/bin $out/etc
          ln -s ${own}/data $out/data
          echo '#!/bin/sh
          echo ${round}' >$out/bin/odd
          chmod +x $out/bin/odd
        '')
        # An OCI layout, with a program in it.
        (name: own: run name ''
          blob() {
            hash=$(sha256sum <$1 | cut -d " " -f 1)
            size=$(wc -c <$1)
            mv $1 $out/blobs/sha256/$hash
          }
          mkdir -p $out/blobs/sha256 $out/bin layer
          cp ${own}/data $out/bin/data
          chmod +x $out/bin/data
          cp ${own}/data layer
          touch -d @1 layer/data layer
          tar -C layer -cf layer.tar data
          blob layer.tar
          layer=$hash layersize=$size
          echo '{"architecture":"amd64","os":"linux","config":{"Env":["ROUND=${
            round}"]},"rootfs":{"type":"layers","diff_ids":["sha256:'$layer'"]
            }}' | tr -d '\n' >config
          blob config
          m=application/vnd.oci.image
          echo '{"schemaVersion":2,"mediaType":"'$m'.manifest.v1+json",
            "config":{"mediaType":"'$m'.config.v1+json","digest":"sha256:'$hash'
            ","size":'$size'},"layers":[{"mediaType":"'$m'.layer.v1.tar",
            "digest":"sha256:'$layer'","size":'$layersize'}]}' |
            tr -d '\n ' >manifest
          blob manifest
          echo '{"schemaVersion":2,"manifests":[{"mediaType":
            "'$m'.manifest.v1+json","digest":"sha256:'$hash'","size":'$size'}]
            }' >$out/index.json
          echo '{"imageLayoutVersion":"1.0.0"}' >$out/oci-layout
        '')
      ];

      image = number:
        let
          name = "i-${toString number}";
          own = data name (100 + 37 * number) [ top ];
          kind = builtins.elemAt kinds (number - number / 4 * 4);
        in
        {
          inherit name;
          value = kind name own;
        };
    in
    {
      packages.${system} =
        builtins.listToAttrs (builtins.genList image 40);
    };
}
