# SPDX-License-Identifier: MIT
#
# services.flakehub: flakehub.fcgi under systemd, with Nix through its daemon,
# `flakehub gc` by a timer, and lighttpd or nginx in front if one is wanted.
# Its arguments are the flake's packages, {flakehub = …;} by system.
packages:
{ config, lib, pkgs, ... }:
let
  cfg = config.services.flakehub;

  inherit (lib) mkEnableOption mkIf mkMerge mkOption types;

  value = v:
    if v == true then "yes"
    else if v == false then "no"
    else if builtins.isList v then lib.concatStringsSep " " (map toString v)
    else toString v;
  lines = section: lib.concatStringsSep "" (lib.mapAttrsToList
    (key: v: lib.optionalString (v != null) "${key} = ${value v}\n")
    section);
  section = name: settings:
    "\n[flake${lib.optionalString (name != "") " ${name}"}]\n"
    + lines settings;

  file = pkgs.writeText "flakehub.conf" (lines cfg.settings
    + lib.optionalString (cfg.flake != { }) (section "" cfg.flake)
    + lib.concatStringsSep "" (lib.mapAttrsToList section cfg.flakes));

  settingsType = with types;
    attrsOf (nullOr (oneOf [ bool int str (listOf str) ]));

  socket = "/run/flakehub/flakehub.sock";
  cache = cfg.settings.cache-dir or "/var/cache/flakehub";

  # Of both units; systemd/flakehub.service says why.
  hardening = {
    NoNewPrivileges = true;
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateDevices = true;
    ProtectClock = true;
    ProtectKernelModules = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    LockPersonality = true;
    RemoveIPC = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
  };
  owner = {
    User = cfg.user;
    Group = cfg.group;
    CacheDirectory = "flakehub";
    CacheDirectoryMode = "0755";
    ReadWritePaths = [ cache ];
    UMask = "0022";
  };
in
{
  options.services.flakehub = {
    enable = mkEnableOption "flakehub, an OCI registry of Nix flakes";

    package = mkOption {
      type = types.package;
      default = packages.${pkgs.stdenv.hostPlatform.system}.flakehub;
      description = "The flakehub to run.";
    };

    user = mkOption {
      type = types.str;
      default = "flakehub";
      description = ''
        The user as whom it runs and who owns the cache; made if it is
        "flakehub".
      '';
    };

    group = mkOption {
      type = types.str;
      default = "flakehub";
      description = "Its group.";
    };

    socketGroup = mkOption {
      type = types.str;
      default = cfg.group;
      example = "lighttpd";
      description = ''
        The web server's group. Who is in it can write to ${socket}, and is
        believed.
      '';
    };

    settings = mkOption {
      type = settingsType;
      default = { };
      example = { cache-size = "100G"; max-builds = 4; };
      description = ''
        What flakehub.conf(5) has before its first section. It goes to the
        store, which every user reads: no passwords.
      '';
    };

    flake = mkOption {
      type = settingsType;
      default = { };
      example = { url = "github:me/infra"; };
      description = "The flake without a name, its images are HOST/ATTRIBUTE.";
    };

    flakes = mkOption {
      type = types.attrsOf settingsType;
      default = { };
      example = {
        blog = {
          url = "git+https://git.example.org/blog";
          credentials = "/run/keys/blog.netrc";
        };
      };
      description = ''
        Named flakes, HOST/NAME/ATTRIBUTE. Passwords are in the file that
        credentials names, which is not in the store.
      '';
    };

    lighttpd.enable = mkEnableOption ''
      lighttpd in front of it, on port 5000 of localhost. For TLS, passwords
      or another port write services.lighttpd yourself, after
      lighttpd.conf.example'';
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [{
        assertion = cfg.flake != { } || cfg.flakes != { };
        message = "services.flakehub has neither flake nor flakes";
      }];

      nix.settings.experimental-features = [ "nix-command" "flakes" ];

      users.users = mkIf (cfg.user == "flakehub") {
        flakehub = {
          isSystemUser = true;
          group = cfg.group;
          home = "/var/lib/flakehub";
        };
      };
      users.groups = mkIf (cfg.group == "flakehub") { flakehub = { }; };

      environment.systemPackages = [ cfg.package ];
      environment.etc."flakehub/flakehub.conf".source = file;

      systemd.sockets.flakehub = {
        description = "Socket of flakehub, an OCI registry of Nix flakes";
        wantedBy = [ "sockets.target" ];
        socketConfig = {
          ListenStream = socket;
          SocketUser = cfg.user;
          SocketGroup = cfg.socketGroup;
          SocketMode = "0660";
          Backlog = 1024;
        };
      };

      systemd.services.flakehub = {
        description = "flakehub, an OCI registry of Nix flakes";
        requires = [ "flakehub.socket" ];
        after = [ "flakehub.socket" "network.target" "nix-daemon.socket" ];
        wantedBy = [ "multi-user.target" ];
        path = [ pkgs.bubblewrap pkgs.git pkgs.openssh config.nix.package ];
        environment = {
          NIX_REMOTE = "daemon";
          HOME = "/var/lib/flakehub";
        };
        serviceConfig = hardening // owner // {
          ExecStart = "${cfg.package}/bin/flakehub.fcgi --config ${file}";
          StandardInput = "socket";
          StandardOutput = "journal";
          StandardError = "journal";
          Restart = "on-failure";
          KillMode = "process";
          TimeoutStopSec = "40s";
          TasksMax = 16384;
          Delegate = "pids";
          LimitNOFILE = 65536;
          StateDirectory = "flakehub";
          StateDirectoryMode = "0700";
          TemporaryFileSystem = "/tmp:mode=1777 /var/tmp:mode=1777";
          RestrictAddressFamilies =
            [ "AF_UNIX" "AF_INET" "AF_INET6" "AF_NETLINK" ];
          SystemCallFilter = [
            "@system-service @mount seccomp"
            "landlock_create_ruleset landlock_restrict_self"
          ];
        };
      };

      systemd.services.flakehub-gc = {
        description = "Remove from flakehub's cache what nobody pulls";
        startAt = "hourly";
        serviceConfig = hardening // owner // {
          Type = "oneshot";
          ExecStart = "${cfg.package}/bin/flakehub --config ${file} gc";
          Nice = 10;
          IOSchedulingClass = "idle";
          PrivateNetwork = true;
          PrivateTmp = true;
          ProtectControlGroups = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelTunables = true;
          # Not ProcSubset, which hides the boot ID: was the clock set since?
          ProtectProc = "invisible";
          RestrictNamespaces = true;
          RestrictAddressFamilies = [ "AF_UNIX" ];
          IPAddressDeny = "any";
          MemoryDenyWriteExecute = true;
          SystemCallFilter = [ "@system-service" "~@privileged @resources" ];
        };
      };
      systemd.timers.flakehub-gc.timerConfig = {
        RandomizedDelaySec = "10m";
        Persistent = true;
      };
    }

    (mkIf cfg.lighttpd.enable {
      services.flakehub.socketGroup = lib.mkDefault "lighttpd";
      services.lighttpd = {
        enable = true;
        port = 5000;
        enableModules = [ "mod_redirect" "mod_fastcgi" ];
        extraConfig = ''
          server.bind = "127.0.0.1"
          server.follow-symlink = "disable"
          server.stat-cache-engine = "disable"
          server.stream-response-body = 1
          url.redirect = ("^/v2$" => "/v2/")
          url.redirect-code = 301
          fastcgi.server = ("/v2/" => ((
            "socket" => "${socket}",
            "check-local" => "disable",
            "x-sendfile" => "enable",
            "x-sendfile-docroot" => ("${cache}/blobs"),
            "tcp-fin-propagate" => "enable",
            "read-timeout" => 3660,
          )), "/healthz" => ((
            "socket" => "${socket}",
            "check-local" => "disable",
          )))
        '';
      };
    })
  ]);
}
