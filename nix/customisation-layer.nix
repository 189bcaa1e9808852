# SPDX-License-Identifier: MIT
#
# The layer that commands of the image's author change: layer.tar, and its
# SHA-256 in hex in `checksum`.
#
# It starts as the tree that `flakehub build` makes by itself where there
# are no commands: real directories, everything else a symlink into the
# store, and of two roots that have the same file the first wins.
{ pkgs }:

{
  # Name of the image.
  baseName,
  # Store paths whose trees make up the image's /.
  roots,
  # Shell commands: run in the tree, as the user who builds ...
  extraCommands,
  # ... and then as a root that fakeroot pretends,
  fakeRootCommands,
  # who sees the tree as /.
  enableFakechroot,
  # ISO 8601. "now" would give another layer each time: one second into
  # 1970 stands for it.
  mtime,
}:
let
  inherit (pkgs) lib;

  # fakeroot goes around proot, so that tar, outside, is told of the same
  # owners, and packs the tree without what proot binds into it.
  asRoot =
    if enableFakechroot then
      ''
        binds=
        for directory in /dev /proc /sys "$NIX_STORE"; do
          if [ -e "$directory" ]; then
            binds="$binds -b $directory"
          fi
        done
        proot -r "$PWD" -w / $binds bash -c "$asRoot"
      ''
    else
      ''
        bash -c "$asRoot"
      '';
in
pkgs.runCommand "${baseName}-customisation-layer"
{
  inherit roots extraCommands fakeRootCommands;
  mtime = if mtime == "now" then "@1" else mtime;
  nativeBuildInputs =
    lib.optional (fakeRootCommands != "") pkgs.fakeroot
    ++ lib.optional enableFakechroot pkgs.proot;

  # The files of directory $1 go into the tree's directory $2.
  join = ''
    join() {
      local entry name files=()
      for entry in "$1"/*; do
        name=''${entry##*/}
        if [ -d "$entry" ] && [ ! -L "$entry" ]; then
          if [ ! -e "$2/$name" ] && [ ! -L "$2/$name" ]; then
            mkdir "$2/$name"
          fi
          if [ -d "$2/$name" ] && [ ! -L "$2/$name" ]; then
            join "$entry" "$2/$name"
          fi
        elif [ ! -e "$2/$name" ] && [ ! -L "$2/$name" ]; then
          files+=("$entry")
        fi
      done
      if [ ''${#files[@]} -gt 0 ]; then
        printf '%s\0' "''${files[@]}" | xargs -0 ln -s -t "$2" --
      fi
    }
  '';

  asRoot = ''
    if [ -e "$stdenv/setup" ]; then
      source "$stdenv/setup"
    fi
    set -e
    eval "$fakeRootCommands"
  '';

  # Names in byte order and numeric owners: the tar is a function of the
  # tree alone.
  pack = ''
    LC_ALL=C tar --sort=name --format=gnu --numeric-owner \
      --mtime="$mtime" --hard-dereference $owner -cf "$out/layer.tar" .
  '';
} ''
  umask 022
  mkdir tree "$out"
  (
    eval "$join"
    shopt -s dotglob nullglob
    for root in $roots; do
      if [ ! -d "$root" ]; then
        echo "contents: $root is not a directory" >&2
        exit 1
      fi
      join "$root" tree
    done
  )
  cd tree
  (
    eval "$extraCommands"
  )
  ${if fakeRootCommands == "" then ''
    owner="--owner=0 --group=0"
    eval "$pack"
  '' else ''
    owner=
    export owner
    fakeroot bash -e -c '${asRoot}
      eval "$pack"'
  ''}
  cd ..
  sha256sum "$out/layer.tar" | cut -d " " -f 1 >"$out/checksum"
''
