// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "common/lockcheck.h"
#include "common/pin.h"

#include "common/banned.h"

/* What `nix flake metadata` prints, and the locks in it. */

static const char *text_at(struct json_object *json, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(json, key, &value)
		       ? json_object_get_string(value)
		       : NULL;
}

/* None of the inputs is of this host, as somebody else would put it. */
static void check_locked(struct json_object *locked)
{
	const char *type = text_at(locked, "type");
	const char *path = text_at(locked, "path");
	const char *url = text_at(locked, "url");

	need(type && strcmp(type, "indirect"));
	if (!strcmp(type, "path")) {
		need(path && path[0] != '/' && strcmp(path, "..") &&
		     strncmp(path, "../", 3) && !strstr(path, "/../"));
		need(strlen(path) < 3 ||
		     strcmp(path + strlen(path) - 3, "/.."));
	}
	if (url)
		need(url[0] != '/' && url[0] != '.' &&
		     strncasecmp(url, "file:", 5) &&
		     strncasecmp(url, "git+file:", 9));
}

static void check_locks(struct json_object *locks)
{
	struct json_object *nodes, *locked;
	struct err err = ERR_INIT;

	if (lockcheck_inputs(locks, &err)) {
		fuzz_need_error(&err);
		return;
	}
	if (!json_object_object_get_ex(locks, "nodes", &nodes))
		return;
	json_object_object_foreach(nodes, name, node)
	{
		(void)name;
		if (json_object_object_get_ex(node, "locked", &locked))
			check_locked(locked);
	}
}

static void check_pin(const struct flake_pin *pin)
{
	autojson *locks = NULL;

	need(pin->url && pin->nar_hash && pin->locks);
	need(pin->reproducible || pin->reason);
	need(strlen(pin->revision) < sizeof(pin->revision));
	locks = fuzz_json((const unsigned char *)pin->locks,
			  strlen(pin->locks));
	need(locks);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autojson *json = fuzz_json(data, size);
	autopin pin = FLAKE_PIN_INIT, checked = FLAKE_PIN_INIT;
	struct json_object *locks;
	struct err err = ERR_INIT;
	int rc;

	if (!json)
		return 0;
	if (json_object_object_get_ex(json, "locks", &locks) &&
	    json_object_is_type(locks, json_type_object))
		check_locks(locks);
	rc = pin_read(&pin, json, true, &err);
	if (rc)
		fuzz_need_error(&err);
	else
		check_pin(&pin);
	err.code = ERR_NONE;
	if (pin_read(&checked, json, false, &err)) {
		fuzz_need_error(&err);
		return 0;
	}
	need(!rc);
	fuzz_need_same(checked.url, pin.url);
	return 0;
}
