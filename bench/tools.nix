# SPDX-License-Identifier: MIT
#
# One closure of Debian packages as nixpkgs' three kinds of image, in the
# shapes and by the steps of its dockerTools. Builders find python3 and pigz
# in the host's /usr/bin, which the benchmark lets into the sandbox.
{ pkgs
, # Store paths, a list for each layer.
  layers
, # stream.py
  streamer
, # A line that is another in each image.
  salt
}:
let
  inherit (pkgs) lib runCommand;

  config.Cmd = [ "${pkgs.coreutils}/bin/cat" "/etc/salt" ];
  architecture = pkgs.go.GOARCH;
  created = "1970-01-01T00:00:01+00:00";

  customisation = runCommand "bench-customisation-layer" { inherit salt; } ''
    mkdir -p $out tree/etc
    echo "$salt" >tree/etc/salt
    tar -C tree --sort=name --mtime=@1 --owner=0 --group=0 \
      -cf $out/layer.tar .
    sha256sum $out/layer.tar | cut -d " " -f 1 >$out/checksum
  '';

  conf = pkgs.writeText "bench-conf.json" (builtins.toJSON {
    inherit architecture config created;
    os = "linux";
    store_dir = builtins.storeDir;
    from_image = null;
    store_layers = layers;
    customisation_layer = customisation;
    repo_tag = "bench:1";
    mtime = created;
    uid = "0";
    gid = "0";
    uname = "root";
    gname = "root";
  });

  compress = "/usr/bin/pigz -p $NIX_BUILD_CORES -nTR";
in
rec {
  stream = runCommand "stream-bench" { passthru = { inherit conf; }; } ''
    cat >$out <<'EOF'
    #!${pkgs.stdenv.shell}
    exec "${program}"  ${conf} "$@" 
    EOF
    chmod +x $out
  '';
  program = runCommand "stream" { } "cp ${streamer} $out; chmod +x $out";

  layered = runCommand "bench.tar.gz" { passthru = { inherit stream; }; }
    "${stream} | ${compress} >$out";

  # One layer: the tree of the image's /, then the closure appended to it.
  image = runCommand "docker-image-bench.tar.gz"
    {
      paths = lib.concatStringsSep "\n" (builtins.concatLists layers);
      passAsFile = [ "paths" ];
      config = builtins.toJSON {
        inherit architecture config created;
        os = "linux";
      };
    } ''
    mkdir image
    cp ${customisation}/layer.tar image/layer.tar
    chmod u+w image/layer.tar
    for path in $(cat $pathsPath); do
      find $path
    done >files
    tar -rpf image/layer.tar --hard-dereference --sort=name --mtime=@1 \
      --owner=0 --group=0 --no-recursion --verbatim-files-from \
      --files-from files 2>/dev/null
    digest=$(sha256sum image/layer.tar | cut -d " " -f 1)
    rootfs="\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}"
    echo "''${config%\}},$rootfs}" >image/config.json
    mkdir image/$digest
    mv image/layer.tar image/$digest
    echo '[{"Config": "config.json", "RepoTags": ["bench:1"],' \
      "\"Layers\": [\"$digest/layer.tar\"]}]" >image/manifest.json
    tar -C image --hard-dereference --sort=name --mtime=@1 --owner=0 \
      --group=0 --xform s:'^./':: -c . | ${compress} >$out
  '';
}
