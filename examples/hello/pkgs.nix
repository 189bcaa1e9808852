# SPDX-License-Identifier: MIT
#
# The few functions of nixpkgs that this example and flakehubTools use,
# with no compiler and no download: the one program is the busybox that is
# /bin/sh in Nix's sandbox, as `scripts/serve` and Debian set it up.
{ system }:
let
  upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lower = "abcdefghijklmnopqrstuvwxyz";
  chars = s: builtins.genList (i: builtins.substring i 1 s) 26;
in
rec {
  lib.toLower = builtins.replaceStrings (chars upper) (chars lower);

  stdenv.hostPlatform.go.GOARCH = {
    x86_64-linux = "amd64";
    aarch64-linux = "arm64";
  }.${system};

  runCommand = name: attributes: script:
    derivation
      (removeAttrs attributes [ "passthru" ] // {
        inherit name system script;
        builder = "/bin/sh";
        args = [ "-e" "-c" "eval \"$script\"" ];
      })
    // attributes.passthru or { };

  writeText = name: text:
    runCommand name { inherit text; passAsFile = [ "text" ]; } ''
      cat "$textPath" >$out
    '';

  busybox = runCommand "busybox" { } ''
    mkdir -p $out/bin
    if ! cat /proc/self/exe >$out/bin/busybox; then
      echo "this example needs a whole busybox as the sandbox's /bin/sh:" >&2
      echo "  sandbox-paths = /bin/sh=/bin/busybox" >&2
      exit 1
    fi
    chmod +x $out/bin/busybox
    for name in $($out/bin/busybox --list); do
      [ -e $out/bin/$name ] || ln -s busybox $out/bin/$name
    done
  '';
}
