// SPDX-License-Identifier: MIT
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

/*
 * Every limit that is not a setting, with its reason. A read without a limit
 * here is a mistake.
 */

/* distribution-spec: many clients cap host and name at 255 in all. */
#define REPOSITORY_NAME_MAX   255
/* distribution-spec: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
#define TAG_MAX		      128
/* lighttpd and nginx refuse longer request lines than 8 KiB themselves. */
#define REQUEST_URI_MAX	      8192
/* containerd and containers/image read no manifest over 4 MiB. */
#define MANIFEST_MAX	      (4u << 20)
/* Docker's layer store takes 125 layers; some are left to who builds on us. */
#define LAYERS_MAX	      125
/* A conf names each store path of its closure: 2,000 paths are 200 KB. */
#define CONF_MAX	      (16u << 20)
/* An image config: as the conf, with a history entry per layer. */
#define IMAGE_CONFIG_MAX      (16u << 20)
/* A record names each store path of its image and its flake's locks. */
#define RECORD_MAX	      (32u << 20)
/* Links, tag records, layer entries: a few hundred bytes each. */
#define SMALL_FILE_MAX	      65536
/* Entries of a listing at once; more are on the next page. */
#define LIST_MAX	      1000
/* Settings are written by hand. */
#define SETTINGS_MAX	      (1u << 20)
/* JSON of nix eval and nix flake metadata: large locks reach a few MB. */
#define NIX_JSON_MAX	      (64u << 20)
/* nix path-info of a closure: 10,000 paths with references. */
#define NIX_CLOSURE_MAX	      (256u << 20)
/* What is kept of a build's log; Nix's own limit is a setting of Nix. */
#define BUILD_LOG_MAX	      (64u << 20)
/* git ls-remote: some repositories have 500,000 refs. */
#define REFS_MAX	      (64u << 20)
/* What a document's values take, as json-c keeps them: 800 bytes for a "{}".
 * The largest lock files and lists of names are a tenth of it. */
#define JSON_MEMORY_MAX	      (96u << 20)
/* The same of nix path-info, which only real store paths make large: it is
 * counted as 3 to 6 KB a path, so this is above 100,000 of them. */
#define CLOSURE_MEMORY_MAX    (1024u << 20)
/* JSON nested deeper is no conf of this world, and costs stack. */
#define JSON_DEPTH_MAX	      64
/* A path in a store path: the kernel takes no longer one in a call. */
#define TREE_DEPTH_MAX	      2048
/* manifest.json of a docker-archive. */
#define ARCHIVE_MANIFEST_MAX  (4u << 20)
/* A docker-archive has three members a layer and a few more. */
#define ARCHIVE_MEMBERS_MAX   65536u
/* Their names and what links lead to, all of them: 256 bytes each. */
#define ARCHIVE_NAMES_MAX     (16u << 20)
/* A member's header: libarchive takes 1 MiB of pax, but any length of a sparse
 * file's map, which takes ten times that in memory. */
#define ARCHIVE_HEADER_MAX    (4u << 20)
/* To unpack xz: xz -9 takes 65 MiB, and a dictionary may have 4 GiB. */
#define XZ_MEMORY_MAX	      (96u << 20)
/* An honest archive or layer becomes 50 times as large at most; a bomb 1,000. */
#define EXPANSION_MAX	      200u
/* That much is let through before anybody counts: a large empty file. It is
 * once for each layer or archive, and once for all layers of an image. */
#define EXPANSION_FREE	      (1ull << 30)
/* Of an image that says its layers itself. Docker takes 125, podman some
 * hundreds; far above that only time is lost. */
#define IMAGE_LAYERS_MAX      1000u
/* Symlinks followed in the store, likewise. */
#define STORE_LINKS_MAX	      16
/* Steps and KiB of a match: a path takes a few hundred; no RE2 is slower. */
#define PATTERN_STEPS_MAX     1000000u
#define PATTERN_HEAP_MAX      16384u
/* So many bytes of a subject make a step cost one more: it may look at all. */
#define PATTERN_STEP_BYTES    64
/* Of an image: 1,000 a file for a million of them; 12 s of a processor. */
#define PATTERN_STEPS_ALL_MAX (1000ull * 1000 * 1000)
/* Of an image: people write some, and each is tried on each file. */
#define PATTERNS_MAX	      5000u
/* Manifests of an index: a few for each platform that there is. */
#define INDEX_MEMBERS_MAX     256u
/* The last line of a dockerTools script: two store paths and a few words. */
#define SCRIPT_LINE_MAX	      4096
/* A key of a URL's query, looked at for a password. */
#define QUERY_KEY_MAX	      128
/* The names of a flake's images, of which `serve` prints ten. */
#define SERVE_NAMES_MAX	      (1u << 20)
/* What lighttpd says before it ends; only the last line is told. */
#define WEBSERVER_LOG_MAX     (1u << 20)
/* Symlinks followed inside an archive before it is called a loop. */
#define ARCHIVE_LINKS_MAX     16

#endif
