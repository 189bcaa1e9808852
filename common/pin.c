// SPDX-License-Identifier: MIT
#include "common/pin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/lockcheck.h"
#include "common/secret.h"

#include "common/banned.h"

void flake_pin_release(struct flake_pin *pin)
{
	free(pin->url);
	free(pin->nar_hash);
	free(pin->locks);
	*pin = (struct flake_pin)FLAKE_PIN_INIT;
}

char *pin_store_path(const struct flake_pin *pin)
{
	static const char scheme[] = "path:", store[] = "/nix/store/";
	const char *path;

	if (strncmp(pin->url, scheme, strlen(scheme)) != 0)
		return NULL;
	path = pin->url + strlen(scheme);
	if (strncmp(path, store, strlen(store)) != 0)
		return NULL;
	return xstrndup(path,
			strlen(store) + strcspn(path + strlen(store), "/?"));
}

bool pin_is_back(const struct flake_pin *pin, const char *msg)
{
	static const char missed[] = "': No such file";
	autofree char *source = pin_store_path(pin);

	for (const char *p = msg; source && (p = strstr(p, source)); p++) {
		size_t len = strcspn(p, "'");
		autofree char *file = xasprintf("%.*s", (int)len, p);

		if (!strncmp(p + len, missed, strlen(missed)) &&
		    !access(file, F_OK))
			return true;
	}
	return false;
}

#define METADATA "nix flake metadata"

/*
 * Nix copied a folder that is in no commit to the store: that copy is the
 * pin, since the folder may have changed by the next command.
 */
static char *pin_to_store(struct json_object *locked, const char *store_path,
			  const char *nar_hash, struct err *err)
{
	int64_t modified = 0;
	autostrbuf url = STRBUF_INIT;

	if (json_want_int(locked, "lastModified", &modified, METADATA, err))
		return NULL;
	strbuf_addf(&url, "path:%s?lastModified=%jd&narHash=", store_path,
		    (intmax_t)modified);
	for (const char *p = nar_hash; *p; p++) {
		if (*p == '+' || *p == '=' || *p == '/')
			strbuf_addf(&url, "%%%02X", (unsigned char)*p);
		else
			strbuf_addch(&url, *p);
	}
	return strbuf_detach(&url, NULL);
}

/*
 * Nix 2.8 takes no dir= of a path:, so a dirty flake in a subfolder is asked
 * of as it is, and looked at again by pin_check().
 */
static int pin_folder(struct flake_pin *pin, struct json_object *locked,
		      const char *url, const char *store_path,
		      const char *nar_hash, struct err *err)
{
	pin->reason = "the flake was in no commit";
	pin->moves =
		!nar_hash || json_object_object_get_ex(locked, "dir", NULL);
	pin->url = pin->moves ? xstrdup(url)
			      : pin_to_store(locked, store_path, nar_hash, err);
	return pin->url ? 0 : -1;
}

/*
 * Has the flake a lock file, or no inputs? Nix makes locks on the fly, which
 * may be others tomorrow. A source that is not on disk is taken to have one.
 * 1, 0, or -1 and err.
 */
static int is_locked(struct json_object *locks, struct json_object *locked,
		     const char *store_path, struct err *err)
{
	struct json_object *nodes = NULL;
	const char *dir = "";
	autofree char *folder = NULL, *lock = NULL;

	if (json_want_object(locks, "nodes", &nodes, METADATA, err) ||
	    json_want_string(locked, "dir", &dir, METADATA, err))
		return -1;
	if (!nodes || json_object_object_length(nodes) <= 1)
		return 1;
	folder = xasprintf("%s/%s", store_path, dir);
	lock = xasprintf("%s/flake.lock", folder);
	return access(folder, F_OK) || !access(lock, F_OK);
}

static int read_metadata(struct flake_pin *pin, struct json_object *json,
			 struct err *err)
{
	const char *url, *path, *revision = NULL, *nar_hash = NULL;
	struct json_object *locked, *locks;
	autostrbuf text = STRBUF_INIT, shown = STRBUF_INIT;
	int has_locks;

	if (json_need_string(json, "url", &url, METADATA, err) ||
	    json_need_string(json, "path", &path, METADATA, err) ||
	    json_want_string(json, "revision", &revision, METADATA, err) ||
	    json_need_object(json, "locked", &locked, METADATA, err) ||
	    json_want_string(locked, "narHash", &nar_hash, METADATA, err) ||
	    json_need_object(json, "locks", &locks, METADATA, err))
		return -1;
	if (revision && strlen(revision) < sizeof(pin->revision))
		memcpy(pin->revision, revision, strlen(revision) + 1);
	pin->nar_hash = xstrdup(nar_hash ? nar_hash : path);
	json_format_compact(&text, locks);
	/* Records show it to every user of the host. */
	secret_mask(&shown, text.buf);
	pin->locks = strbuf_detach(&shown, NULL);
	pin->reproducible = revision != NULL;
	if (revision)
		pin->url = xstrdup(url);
	else if (pin_folder(pin, locked, url, path, nar_hash, err))
		return -1;
	has_locks = is_locked(locks, locked, path, err);
	if (!has_locks) {
		pin->reproducible = false;
		pin->reason = "the flake has inputs and no flake.lock";
	}
	return has_locks < 0 ? -1 : 0;
}

/* Before any of them is fetched: a lock names what it has not seen. */
static int check_inputs(struct json_object *metadata, struct err *err)
{
	struct json_object *locks;

	if (json_need_object(metadata, "locks", &locks, METADATA, err))
		return -1;
	return lockcheck_inputs(locks, err);
}

int pin_read(struct flake_pin *pin, struct json_object *metadata,
	     bool host_files, struct err *err)
{
	*pin = (struct flake_pin)FLAKE_PIN_INIT;
	if (read_metadata(pin, metadata, err) ||
	    (!host_files && check_inputs(metadata, err))) {
		flake_pin_release(pin);
		return -1;
	}
	return 0;
}

int pin_now(struct nix *nix, const char *url, struct flake_pin *pin,
	    struct err *err)
{
	autojson *json = NULL;

	*pin = (struct flake_pin)FLAKE_PIN_INIT;
	if (nix_flake_metadata(nix, url, &json, err))
		return -1;
	return pin_read(pin, json, nix->host_files, err);
}

void pin_revision(struct flake_pin *pin, char *url, const char *revision)
{
	*pin = (struct flake_pin)FLAKE_PIN_INIT;
	pin->url = url;
	snprintf(pin->revision, sizeof(pin->revision), "%s", revision);
}

int pin_complete(struct nix *nix, struct flake_pin *pin, struct err *err)
{
	struct flake_pin complete;

	if (pin->nar_hash)
		return 0;
	if (pin_now(nix, pin->url, &complete, err))
		return -1;
	/* The revision stays the one that was asked for. */
	free(complete.url);
	pin->nar_hash = complete.nar_hash;
	pin->locks = complete.locks;
	pin->reproducible = complete.reproducible;
	pin->reason = complete.reason;
	return 0;
}

int pin_check(struct nix *nix, const struct flake_pin *pin, struct err *err)
{
	autopin again = FLAKE_PIN_INIT;

	if (!pin->moves)
		return 0;
	if (pin_now(nix, pin->url, &again, err))
		return -1;
	if (strcmp(again.nar_hash, pin->nar_hash))
		return err_set(err, ERR_BUSY,
			       "the flake's folder was changed while it was "
			       "evaluated: pull again");
	return 0;
}
