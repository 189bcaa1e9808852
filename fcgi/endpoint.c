// SPDX-License-Identifier: MIT
#include "fcgi/endpoint.h"

#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/space.h"

#include "common/banned.h"

const struct flake_settings *endpoint_flake(const struct service *service,
					    const struct call *call,
					    struct response *response)
{
	const struct repository_name *name = &call->target->name;
	const char *attribute;
	const struct flake_settings *flake =
		settings_find_flake(service->settings, name, &attribute);

	if (!flake)
		response_error(response, PROBLEM_NAME_UNKNOWN,
			       "no flake is set for the repository %s in "
			       "flakehub.conf",
			       name->text);
	return flake;
}

const char *endpoint_image(const struct call *call, char out[ORDER_STR_SIZE])
{
	const struct order order = {
		.name = call->target->name,
		.reference = call->target->reference,
	};

	return order_str(&order, out);
}

bool endpoint_not_modified(const struct call *call, const struct digest *digest,
			   struct response *response)
{
	if (!request_has_etag(call->request, digest))
		return false;
	response->status = 304;
	response->length = 0;
	return true;
}

enum answer endpoint_cache_failed(const struct call *call,
				  const struct err *err,
				  struct response *response)
{
	log_err(err, "path", call->request->path, NULL);
	response_error(response, PROBLEM_DENIED,
		       "the registry cannot read its cache; its log says why");
	return ANSWER_NOW;
}

enum answer endpoint_build(const struct call *call, struct response *response)
{
	char image[ORDER_STR_SIZE];

	if (call->turn == TURN_FIRST)
		return ANSWER_LATER;
	response_error(response, PROBLEM_TOO_MANY_REQUESTS,
		       "%s was built and has gone from the cache again; pull "
		       "once more",
		       order_str(&call->order, image));
	return ANSWER_NOW;
}

int64_t endpoint_age(int64_t when)
{
	int64_t now = time(NULL);

	return now < when ? when - now : now - when;
}

const struct err *endpoint_failure(const struct service *service,
				   const struct call *call,
				   const struct flake_settings *flake,
				   struct failure *record)
{
	struct digest key;
	struct err ignored = ERR_INIT;
	const char *none;

	if (call->turn == TURN_FAILED)
		return call->failure;
	if (call->turn == TURN_BUILT)
		return NULL;
	order_key(&call->order, &key);
	if (!cache_get_failure(service->cache, &key, record, &ignored) &&
	    digest_equal(&record->flake, &flake->id) &&
	    endpoint_age(record->when) < flake->image.error_max_age)
		return &record->err;
	/* No failure could be noted: each pull would start a builder. */
	none = space_none(service->cache);
	if (!none)
		return NULL;
	err_set(&record->err, ERR_SYSTEM, "nothing can be built: %s", none);
	return &record->err;
}

enum answer endpoint_failed(const struct call *call, const struct err *failure,
			    struct response *response)
{
	char image[ORDER_STR_SIZE];
	const char *msg = failure->msg;
	size_t len = strlen(msg);

	while (len && msg[len - 1] == '\n')
		len--;
	order_str(&call->order, image);
	if (call->order.is_task) {
		response_error(response, problem_of(failure->code), "%.*s",
			       (int)len, msg);
		return ANSWER_NOW;
	}
	response_error(response, problem_of(failure->code),
		       "%s: %.*s\n(the whole log: flakehub log %s)", image,
		       (int)len, msg, image);
	return ANSWER_NOW;
}

enum answer base_answer(const struct service *service, struct call *call,
			struct response *response)
{
	(void)service;
	(void)call;
	response_body(response, "application/json", "{}", 2);
	response_field(response, "Cache-Control", "no-cache");
	return ANSWER_NOW;
}

/*
 * distribution-spec, "Listing referrers": nothing here is a referrer. The
 * empty list spares clients their search for tags instead; a 404 would not.
 */
enum answer referrers_answer(const struct service *service, struct call *call,
			     struct response *response)
{
	static const char empty[] =
		"{\"schemaVersion\":2,\"mediaType\":"
		"\"application/vnd.oci.image.index.v1+json\","
		"\"manifests\":[]}";
	const char *query = call->request->query;

	(void)service;
	for (const char *p = query; (p = strstr(p, "artifactType=")); p++)
		if (p == query || p[-1] == '&') {
			response_field(response, "OCI-Filters-Applied",
				       "artifactType");
			break;
		}
	response_body(response, media_type_name(MEDIA_INDEX), empty,
		      sizeof(empty) - 1);
	response_field(response, "Cache-Control", "no-cache");
	return ANSWER_NOW;
}
