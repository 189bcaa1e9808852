# SPDX-License-Identifier: MIT
{ pkgs, flakehubTools }:
let
  conf = arguments: flakehubTools.streamLayeredImageConf
    ({ name = "test"; } // arguments);
  right = arguments: expected: { image = conf arguments; inherit expected; };

  folder = name: files: pkgs.runCommand name { } (builtins.concatStringsSep "\n"
    (map
      (file: ''
        mkdir -p "$(dirname "$out/${file}")"
        echo ${name} >"$out/${file}"
      '')
      files));
  one = folder "one" [ "etc/who" "etc/one" "a file" "b" ];
  two = folder "two" [ "etc/who" "etc/two" ".hidden/x" "b/c" "a file/d" ];
  archive = pkgs.runCommand "archive.tar" { } "touch $out";
  has = regex: ''($tar | test("(^|\n)${regex}(\n|$)"))'';
  link = name: root: has "lrwxrwxrwx 0/0 .* [.]/${name} -> ${root}/${name}";
in
{
  right = {
    # Nothing given but the name.
    defaults = right { } ''
      (keys == ["architecture", "config", "created", "customisation_layer",
        "from_image", "gid", "gname", "includeStorePaths", "maxLayers",
        "mtime", "os", "repo_tag", "roots", "store_dir", "uid", "uname"])
      and .architecture == "${pkgs.go.GOARCH}"
      and .config == {}
      and .created == "1970-01-01T00:00:01Z"
      and .customisation_layer == null
      and .from_image == null
      and .gid == 0
      and .gname == "root"
      and .includeStorePaths == true
      and .maxLayers == 100
      and .mtime == "1970-01-01T00:00:01Z"
      and .os == "linux"
      and .roots == []
      and .store_dir == "${builtins.storeDir}"
      and .uid == 0
      and .uname == "root"
    '';

    name = right { name = "Example.org/Team/My_Web"; tag = "1"; }
      ''.repo_tag == "example.org/team/my_web:1" and
        ($path | endswith("-my_web-conf.json"))'';

    tag = right { tag = "v1.2_3-rc"; } ''.repo_tag == "test:v1.2_3-rc"'';
    # The hash in the conf's own store path.
    tag-null = right { tag = null; }
      ''.repo_tag == "test:" + ($path | split("/") | last | .[0:32])'';

    from-image = right { fromImage = archive; }
      ''.from_image == "${archive}" and (.from_image as $base | $references | contains($base))'';

    contents = right { contents = [ two one ]; }
      ''.roots == ["${two}", "${one}"] and .customisation_layer == null
        and ([.roots[] as $root | $references | contains($root)] | all)'';
    contents-one = right { contents = one; } ''.roots == ["${one}"]'';
    contents-inside = right { contents = [ "${one}/etc" ]; }
      ''.roots == ["${one}/etc"] and ($references | contains("${one}"))'';
    contents-source = right { contents = [ ./folder ]; }
      ''(.roots | length) == 1
        and (.roots[0] as $root | $references | contains($root))'';

    config = right
      {
        config = {
          Cmd = [ "${one}/a file" 1 null true ];
          Env = [ "A=ü\"\\\n" ];
          ExposedPorts."80/tcp" = { };
          Nested.lower.x = { };
        };
      } ''
      .config == {
        Cmd: ["${one}/a file", 1, null, true],
        Env: ["A=ü\"\\\n"],
        ExposedPorts: {"80/tcp": {}},
        Nested: {lower: {x: {}}}
      } and .roots == [] and ($references | contains("${one}"))
    '';
    config-null = right { config = null; } ".config == null";

    architecture = right { architecture = "riscv64"; }
      ''.architecture == "riscv64"'';

    created = right { created = "2024-02-29T12:00:00+01:00"; }
      ''.created == "2024-02-29T12:00:00+01:00"
        and .mtime == "1970-01-01T00:00:01Z"'';
    created-now = right { created = "now"; } ''.created == "now"'';

    mtime = right { mtime = "2001-09-09T01:46:40Z"; }
      ''.mtime == "2001-09-09T01:46:40Z"
        and .created == "1970-01-01T00:00:01Z"'';
    mtime-layer = right
      { mtime = "2001-09-09T01:46:40Z"; extraCommands = "echo >made"; }
      (has "-rw-r--r-- 0/0 .* 2001-09-09 01:46 [.]/made");
    mtime-now = right { mtime = "now"; extraCommands = "echo >made"; }
      (has "-rw-r--r-- 0/0 .* 1970-01-01 00:00 [.]/made");

    uid = right { uid = 1000; } ".uid == 1000";
    uid-text = right { uid = "1000"; } ''(.uid | tostring) == "1000"'';
    gid = right { gid = 100; } ".gid == 100";
    uname = right { uname = "user"; } ''.uname == "user"'';
    gname = right { gname = "users"; } ''.gname == "users"'';

    max-layers = right { maxLayers = 2; } ".maxLayers == 2";

    # What is in both is of the first, whatever it is in the second.
    extra-commands = right
      {
        contents = [ one two ];
        extraCommands = ''
          echo made >etc/made
          rm etc/two
          ln -s made etc/link
        '';
      } ''
      ${has "drwxr-xr-x 0/0 .* [.]/etc/"}
      and ${link "etc/who" one} and ${link "etc/one" one}
      and ${link "a file" one} and ${link "b" one}
      and ${link ".hidden/x" two}
      and ${has "-rw-r--r-- 0/0 +5 .* [.]/etc/made"}
      and ${has "lrwxrwxrwx 0/0 .* [.]/etc/link -> made"}
      and (${has "[^>]*/two"} | not)
      and (${has "[^>]*/[cd]"} | not)
      and ([.roots[] as $root | $references | contains($root)] | all)
    '';
    # The first wins the other way round too.
    extra-commands-order = right
      { contents = [ two one ]; extraCommands = ":"; }
      ''${link "etc/who" two} and ${link "b/c" two} and ${link "a file/d" two}'';

    fake-root-commands = right
      {
        contents = [ one ];
        extraCommands = "mkdir data; echo secret >data/secret";
        fakeRootCommands = ''
          [ "$(id -u)" = 0 ]
          chown -R 1000:100 data
          chmod 600 data/secret
          chown -h 5:6 etc/who
        '';
      } ''
      ${has "drwxr-xr-x 1000/100 .* [.]/data/"}
      and ${has "-rw------- 1000/100 .* [.]/data/secret"}
      and ${has "lrwxrwxrwx 5/6 .* [.]/etc/who -> ${one}/etc/who"}
      and ${link "etc/one" one}
    '';

    enable-fakechroot = right
      {
        contents = [ one ];
        enableFakechroot = true;
        fakeRootCommands = ''
          [ "$PWD" = / ]
          mkdir /data
          cat "/a file" >/data/copy
          chown 7:8 /data/copy
        '';
      } ''
      ${has "-rw-r--r-- 7/8 +4 .* [.]/data/copy"}
      and (${has "[^>]* [.]/(nix|proc|dev|build)/.*"} | not)
    '';

    include-store-paths = right { contents = [ one ]; includeStorePaths = false; }
      ''.includeStorePaths == false and .roots == ["${one}"]'';

    passthru = {
      image = conf { passthru.greeting = "hello"; tag = "5"; };
      expected =
        let
          image = conf { passthru.greeting = "hello"; tag = "5"; };
        in
        ''"${image.greeting} ${image.imageName} ${image.imageTag}"
          == "hello test 5"'';
    };
    # imageTag is known without building.
    image-tag = {
      image = conf { };
      expected = ''.repo_tag == "test:${(conf { }).imageTag}"'';
    };
  };

  wrong = {
    name = { image = conf { name = "no blanks"; }; expected = "name must be"; };
    tag = { image = conf { tag = "a/b"; }; expected = "tag must be"; };
    tag-number = { image = conf { tag = 1; }; expected = "tag must be"; };
    architecture = {
      image = conf { architecture = "x86_64"; };
      expected = "architecture must be";
    };
    config = { image = conf { config = [ ]; }; expected = "config must be"; };
    max-layers = {
      image = conf { maxLayers = 1; };
      expected = "maxLayers must be";
    };
    uid = { image = conf { uid = "me"; }; expected = "uid must be"; };
    gid = { image = conf { gid = -1; }; expected = "gid must be"; };
    created = { image = conf { created = 0; }; expected = "created must be"; };
    unknown = { image = conf { content = [ ]; }; expected = "'content'"; };
  };
}
