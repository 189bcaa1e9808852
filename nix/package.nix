# SPDX-License-Identifier: MIT
#
# flakehub as a package: `flakehub` and `flakehub.fcgi`, which find the
# programs that they run.
{
  lib,
  stdenv,
  makeWrapper,
  pkg-config,
  fcgi,
  json_c,
  libarchive,
  libdeflate,
  libseccomp,
  openssl,
  pcre2,
  xz,
  zlib,
  zstd,
  git,
  lighttpd,
  nix,
}:
let
  # What the programs are not made of: no need to build them again for it.
  others = [
    ".ci"
    "bench"
    "docs"
    "examples"
    "flake.lock"
    "flake.nix"
    "nix"
    "scripts"
    "tests"
  ];
in
stdenv.mkDerivation {
  pname = "flakehub";
  version = lib.fileContents ../VERSION;

  src = builtins.path {
    name = "flakehub-source";
    path = ../.;
    filter = path: type:
      !(dirOf path == toString ../. && builtins.elem (baseNameOf path) others);
  };

  nativeBuildInputs = [ makeWrapper pkg-config ];
  buildInputs = [ fcgi json_c libarchive libdeflate libseccomp openssl pcre2 xz zlib zstd ];

  enableParallelBuilding = true;
  # Compilers that are newer than the warnings' list must not break it, and
  # the Makefile chooses its own _FORTIFY_SOURCE.
  makeFlags = [ "PREFIX=${placeholder "out"}" "WARNINGS=-Wall" ];
  hardeningDisable = [ "fortify" "fortify3" ];

  postInstall = ''
    for program in "$out"/bin/*; do
      wrapProgram "$program" \
        --prefix PATH : "$out/bin:${lib.makeBinPath [ git lighttpd nix ]}"
    done
  '';

  meta = {
    description = "Container registry that builds images from a flake's outputs";
    license = lib.licenses.mit;
    mainProgram = "flakehub";
    platforms = lib.platforms.linux;
  };
}
