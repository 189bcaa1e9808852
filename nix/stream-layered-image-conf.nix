# SPDX-License-Identifier: MIT
#
# streamLayeredImageConf: an image as one small JSON file, NAME-conf.json.
#
# The file says what the image is made of: its roots, its config, its
# limits. What follows from that (the closure, which store path goes into
# which layer, every digest) is left to `flakehub build`, so that an image
# costs the Nix store nothing but this file.
#
# The closure of the image is that of the conf's own references: a store
# path named in `config` alone is in it too.
{ pkgs, customisationLayer }:
let
  goarch = pkgs.stdenv.hostPlatform.go.GOARCH or pkgs.go.GOARCH;
in
{
  # Name of the image, as a Docker archive of it would have it.
  name,
  # Its tag. null: the hash in the conf's store path.
  tag ? null,
  # A docker-archive (a tarball) to put the layers on; null: from scratch.
  fromImage ? null,
  # What is linked into /: a package, or a list of such. Of two that have
  # the same file the first wins.
  contents ? [ ],
  # The OCI config object (Cmd, Entrypoint, Env, …), kept as it is.
  config ? { },
  # GOARCH of the image.
  architecture ? goarch,
  # ISO 8601, or "now": when the conf was built.
  created ? "1970-01-01T00:00:01Z",
  # Time of the files, written like `created`.
  mtime ? "1970-01-01T00:00:01Z",
  # Owner of the store paths in the image.
  uid ? 0,
  gid ? 0,
  uname ? "root",
  gname ? "root",
  # Shell commands run in the image's / before it is packed. Any command
  # here makes Nix build a customisation layer.
  extraCommands ? "",
  # The same, run as a root that fakeroot pretends: chown works.
  fakeRootCommands ? "",
  # Whether / is the image's / too while fakeRootCommands run.
  enableFakechroot ? false,
  # Never more layers than this, those of fromImage included.
  maxLayers ? 100,
  # Whether the closure is in the image. Without it, something else must
  # bring /nix/store to the container.
  includeStorePaths ? true,
  # More attributes for the result.
  passthru ? { },
}:
let
  # value, if it is right; else an error that says what is.
  check = argument: right: ok: value:
    if ok then
      value
    else
      throw "streamLayeredImageConf: ${argument} must be ${right}";

  isOwner = id: (builtins.isInt id && id >= 0) || isNumber id;
  isNumber = id: builtins.isString id && builtins.match "[0-9]+" id != null;
  isLine = s: builtins.isString s && builtins.match "[^\n]+" s != null;
  isWord = s: builtins.isString s && builtins.match "[a-z0-9]{1,31}" s != null;

  imageName =
    let
      lower = pkgs.lib.toLower name;
    in
    check "name" "an image name, like \"web\" or \"example.org/web\""
      (builtins.isString name
        && builtins.match "[a-z0-9]([a-z0-9._/:-]*[a-z0-9])?" lower != null)
      lower;
  baseName = baseNameOf imageName;

  givenTag =
    check "tag" "null or at most 128 letters, digits and . _ -"
      (tag == null
        || (builtins.isString tag
          && builtins.match "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}" tag != null))
      tag;

  # "${x}" copies what is a path of the flake's source into the store.
  roots = map (root: "${root}")
    (if builtins.isList contents then contents else [ contents ]);

  # All but repo_tag, for which the conf's own hash may be needed.
  conf = {
    architecture = check "architecture" "a GOARCH, like \"amd64\""
      (isWord architecture) architecture;
    os = "linux";
    config = check "config" "null or an attribute set"
      (config == null || builtins.isAttrs config) config;
    store_dir = builtins.storeDir;
    from_image = if fromImage == null then null else "${fromImage}";
    inherit roots;
    maxLayers = check "maxLayers" "a number greater than 1"
      (builtins.isInt maxLayers && maxLayers > 1) maxLayers;
    includeStorePaths = check "includeStorePaths" "true or false"
      (builtins.isBool includeStorePaths) includeStorePaths;
    customisation_layer =
      if extraCommands == "" && fakeRootCommands == "" then
        null
      else
        "${customisationLayer {
          inherit baseName roots mtime;
          inherit extraCommands fakeRootCommands enableFakechroot;
        }}";
    created = check "created" "an ISO 8601 time or \"now\""
      (isLine created) created;
    mtime = check "mtime" "an ISO 8601 time or \"now\"" (isLine mtime) mtime;
    uid = check "uid" "a number" (isOwner uid) uid;
    gid = check "gid" "a number" (isOwner gid) gid;
    uname = check "uname" "a user's name" (isLine uname) uname;
    gname = check "gname" "a group's name" (isLine gname) gname;
  };

  hashOf = path:
    builtins.substring 0 32
      (baseNameOf (builtins.unsafeDiscardStringContext path));

  result = pkgs.runCommand "${baseName}-conf.json"
    {
      conf = builtins.toJSON conf;
      passAsFile = [ "conf" ];
      inherit imageName;
      imageTag = if givenTag == null then "" else givenTag;
      preferLocalBuild = true;
      allowSubstitutes = false;
      passthru = passthru // {
        inherit imageName fromImage;
        imageTag = if givenTag == null then hashOf result.outPath else givenTag;
      };
    }
    # The conf without its opening brace comes after repo_tag. Neither the
    # name nor the tag holds a character that JSON would want escaped.
    ''
      if [ -z "$imageTag" ]; then
        imageTag=''${out##*/}
        imageTag=''${imageTag%%-*}
      fi
      {
        printf '{"repo_tag":"%s:%s",' "$imageName" "$imageTag"
        tail -c +2 "$confPath"
      } >"$out"
    '';
in
result
