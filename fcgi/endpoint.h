// SPDX-License-Identifier: MIT
#ifndef FCGI_ENDPOINT_H
#define FCGI_ENDPOINT_H

#include "common/cache.h"
#include "common/settings.h"
#include "fcgi/order.h"
#include "fcgi/request.h"
#include "fcgi/response.h"
#include "fcgi/route.h"

/*
 * The registry's endpoints: each answers a call out of settings and cache,
 * and neither waits nor runs anything. What must be built first is an order,
 * for the waiter; when that has ended, the endpoint is called again and
 * answers for good.
 */

struct service {
	const struct settings *settings;
	const struct cache *cache;
};

enum turn {
	TURN_FIRST,
	TURN_BUILT,  /* its order ended well */
	TURN_FAILED, /* or did not, and call.failure says why */
};

struct call {
	const struct request *request;
	const struct target *target;
	enum turn turn;
	const struct err *failure;
	struct order order; /* unless ANSWER_NOW */
};

enum answer {
	ANSWER_NOW,
	ANSWER_AND_REFRESH, /* and have the order built behind it */
	ANSWER_LATER,	    /* there is no response yet; only at TURN_FIRST */
};

enum answer base_answer(const struct service *service, struct call *call,
			struct response *response);
enum answer manifest_answer(const struct service *service, struct call *call,
			    struct response *response);
enum answer blob_answer(const struct service *service, struct call *call,
			struct response *response);
enum answer referrers_answer(const struct service *service, struct call *call,
			     struct response *response);
enum answer tags_answer(const struct service *service, struct call *call,
			struct response *response);
enum answer catalog_answer(const struct service *service, struct call *call,
			   struct response *response);
enum answer health_answer(const struct service *service, struct call *call,
			  struct response *response);

/* The flake of the call's repository, or NULL with an error in response. */
const struct flake_settings *endpoint_flake(const struct service *service,
					    const struct call *call,
					    struct response *response);

/* What the call asks for as messages name it, "NAME:TAG". Returns out. */
const char *endpoint_image(const struct call *call, char out[ORDER_STR_SIZE]);

/* Answer 304 if the client has this digest, and true. */
bool endpoint_not_modified(const struct call *call, const struct digest *digest,
			   struct response *response);

/* A failure to read the cache: log it, tell the client that there was one. */
enum answer endpoint_cache_failed(const struct call *call,
				  const struct err *err,
				  struct response *response);

/*
 * Have call.order built, or if that has been done already without there being
 * anything to send, tell the client to try once more.
 */
enum answer endpoint_build(const struct call *call, struct response *response);

/*
 * The failure that this call is to be told about: its own, or on its first
 * turn that of a build shortly before it, or that none could even leave a
 * failure, which goes to *record. NULL if there is none.
 */
const struct err *endpoint_failure(const struct service *service,
				   const struct call *call,
				   const struct flake_settings *flake,
				   struct failure *record);

/* Seconds since a time, or until it: a clock that was set back is no excuse. */
int64_t endpoint_age(int64_t when);

/* Tell the client why call.order was not built, and how to see more. */
enum answer endpoint_failed(const struct call *call, const struct err *failure,
			    struct response *response);

#define CACHE_CONTROL_IMMUTABLE "public, max-age=31536000, immutable"

#endif
