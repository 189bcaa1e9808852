# SPDX-License-Identifier: MIT
#
# A stand-in for nixpkgs' lib.evalModules and what NixOS declares, for
# nix/module.nix alone: options are declared and typed, definitions are
# merged, mkIf and mkDefault obeyed, and what nobody declared is an error,
# below the parts of NixOS that `free` names. It is no NixOS: whether these
# options mean there what they should is not shown by it.
{ lib }:
let
  inherit (builtins) all any attrNames concatMap concatStringsSep elem
    elemAt filter foldl' isAttrs isBool isFunction isInt isList isString
    length listToAttrs map mapAttrs;

  type = name: check: { inherit name check; };

  types = rec {
    bool = type "bool" isBool;
    int = type "int" isInt;
    str = type "str" isString;
    package = type "package" (v: isAttrs v && v ? outPath);
    anything = type "anything" (v: true);
    listOf = t: type "list of ${t.name}" (v: isList v && all t.check v);
    attrsOf = t: type "attrs of ${t.name}"
      (v: isAttrs v && all (name: t.check v.${name}) (attrNames v));
    nullOr = t: type "null or ${t.name}" (v: v == null || t.check v);
    oneOf = ts: type "one of ${concatStringsSep ", " (map (t: t.name) ts)}"
      (v: any (t: t.check v) ts);
  };

  mark = kind: more: { _kind = kind; } // more;
  kindOf = v: if isAttrs v then v._kind or "" else "";

  moduleLib = lib // {
    inherit types;
    mkOption = mark "option";
    mkEnableOption = what: mark "option" {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
    mkIf = condition: content: mark "if" { inherit condition content; };
    mkMerge = contents: mark "merge" { inherit contents; };
    mkDefault = content: mark "default" { inherit content; };
    concatStringsSep = concatStringsSep;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  };

  # {path, value, isDefault, isOn} of each value. Conditions are not looked at
  # before somebody asks for that value: they may be of other options.
  leaves = isLeaf: path: isOn: v: {
    "if" = leaves isLeaf path (isOn && v.condition) v.content;
    merge = concatMap (leaves isLeaf path isOn) v.contents;
    default =
      [{ inherit path isOn; value = v.content; isDefault = true; }];
  }.${kindOf v} or (
    if isLeaf path || !isAttrs v || v ? outPath then
      [{ inherit path isOn; value = v; isDefault = false; }]
    else concatMap (name: leaves isLeaf (path ++ [ name ]) isOn v.${name})
      (attrNames v));

  show = concatStringsSep ".";

  options = path: v:
    if kindOf v == "option" then [{ name = show path; option = v; }]
    else concatMap (name: options (path ++ [ name ]) v.${name}) (attrNames v);

  nest = path: value:
    if path == [ ] then value
    else { ${builtins.head path} = nest (builtins.tail path) value; };
  join = a: b: a // mapAttrs
    (name: v:
      if a ? ${name} && isAttrs a.${name} && isAttrs v && !(v ? outPath)
      then join a.${name} v else v)
    b;

  free = [
    "assertions"
    "environment.etc"
    "environment.systemPackages"
    "nix.settings"
    "services.lighttpd"
    "systemd.services"
    "systemd.sockets"
    "systemd.timers"
    "users.groups"
    "users.users"
  ];
in
# The config that a module and the user's definitions make.
{ module, pkgs, definitions ? { } }:
let
  evaluated = module { inherit config pkgs; lib = moduleLib; };
  declared = options [ ] evaluated.options;
  declaredNames = map (o: o.name) declared;
  isFree = path: elem (show path) free;
  isLeaf = path: elem (show path) declaredNames || isFree path;
  all' = leaves isLeaf [ ] true definitions
    ++ leaves isLeaf [ ] true evaluated.config;

  strays = filter (l: !isLeaf l.path) all';

  valueOf = o:
    let
      given = filter (l: show l.path == o.name && l.isOn) all';
      strong = filter (l: !l.isDefault) given;
      chosen = if strong != [ ] then strong else given;
      v =
        if chosen != [ ] then (elemAt chosen 0).value
        else o.option.default or (throw "${o.name} has no value");
    in
    if length chosen > 1 then throw "${o.name} is defined twice"
    else if !(o.option ? description) then throw "${o.name} says nothing"
    else if !o.option.type.check v then
      throw "${o.name} is no ${o.option.type.name}"
    else v;

  path = o: filter isString (builtins.split "[.]" o.name);
  config = foldl' join { nix.package = pkgs.nix; }
    (map (o: nest (path o) (valueOf o)) declared);
  whole = foldl' join config (map (l: nest l.path l.value)
    (filter (l: isFree l.path && l.isOn) all'));
in
if strays != [ ] then
  throw "no such option: ${show (elemAt strays 0).path}"
else
  builtins.deepSeq (map valueOf declared) whole
