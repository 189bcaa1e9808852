// SPDX-License-Identifier: MIT
#include <inttypes.h>

#include "common/alloc.h"
#include "fcgi/endpoint.h"
#include "fcgi/range.h"

#include "common/banned.h"

/* lighttpd sends the first 10 parts of a Range header and drops the rest. */
#define LIGHTTPD_RANGES_MAX 10

/*
 * Up to this size a blob is read here: behind nginx, which opens a connection
 * to us for each that it is to send itself, that is up to twice as fast, and
 * behind lighttpd a little; from 64 KiB on sendfile(2) is (docs/PERFORMANCE.md).
 */
#define INLINE_MAX (32 << 10)

/* Where nginx finds the blobs, an internal location of its configuration. */
#define ACCEL_LOCATION "/_blobs/"

/* path, as it stands in the X-Sendfile header: lighttpd decodes it. */
static void add_encoded(struct strbuf *out, const char *path)
{
	for (; *path; path++)
		if (*path <= ' ' || *path > '~' || *path == '%')
			strbuf_addf(out, "%%%02X", (unsigned char)*path);
		else
			strbuf_addch(out, *path);
}

/*
 * Leave it to the web server. Its Content-Length, Range and If-Range are the
 * server's too; what it has no code for was answered before.
 */
static void send_by_server(const struct service *service,
			   const struct digest *digest,
			   struct response *response)
{
	char path[CACHE_BLOB_PATH_SIZE];
	autostrbuf value = STRBUF_INIT;
	bool accel = service->settings->sendfile == SENDFILE_X_ACCEL_REDIRECT;

	if (accel)
		strbuf_addstr(&value, ACCEL_LOCATION);
	else
		add_encoded(&value, service->cache->path);
	if (!accel)
		strbuf_addstr(&value, "/blobs/");
	strbuf_addstr(&value, cache_blob_path(digest, path));
	response_field(response, accel ? "X-Accel-Redirect" : "X-Sendfile",
		       "%s", value.buf);
	response->length = -1;
}

static void unsatisfiable(struct response *response, uint64_t size)
{
	response_error(response, PROBLEM_RANGE_UNSATISFIABLE,
		       "the blob has %" PRIu64 " bytes", size);
	response_field(response, "Content-Range", "bytes */%" PRIu64, size);
}

/* Send it from here, through the web server; -1 and err if it cannot be. */
static int send_by_us(const struct service *service, const struct call *call,
		      const struct digest *digest, const struct range *range,
		      uint64_t size, struct response *response, struct err *err)
{
	if (!call->request->head) {
		response->fd =
			cache_open_blob(service->cache, digest, NULL, err);
		if (response->fd < 0)
			return -1;
	}
	response_field(response, "Accept-Ranges", "bytes");
	if (range) {
		response->status = 206;
		response_field(response, "Content-Range",
			       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			       range->first, range->first + range->length - 1,
			       size);
	}
	response->length = (int64_t)(range ? range->length : size);
	response->offset = range ? range->first : 0;
	return 0;
}

/*
 * Several ranges are for the web server to take apart; and a Range header of
 * any kind, for it would be applied to what we send once more.
 */
static bool is_ours(const struct service *service, const struct call *call,
		    uint64_t size)
{
	if (service->settings->sendfile == SENDFILE_NONE)
		return true;
	return !request_param(call->request, "HTTP_RANGE") &&
	       (call->request->head || size <= INLINE_MAX);
}

/* -1 and err if it cannot be read, ERR_UNKNOWN if it is gone. */
static int send_blob(const struct service *service, const struct call *call,
		     const struct digest *digest, uint64_t size,
		     struct response *response, struct err *err)
{
	enum settings_sendfile sendfile = service->settings->sendfile;
	/* RFC 9110, 14.2: it has no meaning but with GET. */
	const char *header = call->request->head
				     ? NULL
				     : request_range(call->request, digest);
	struct range range;
	enum range_kind kind = range_parse(header, size, &range);

	if (sendfile == SENDFILE_X_SENDFILE &&
	    range_count(header) > LIGHTTPD_RANGES_MAX) {
		response_error(response, PROBLEM_RANGE_INVALID,
			       "at most %d ranges in a request here",
			       LIGHTTPD_RANGES_MAX);
		return 0;
	}
	response_digest(response, digest);
	response_field(response, "Cache-Control", CACHE_CONTROL_IMMUTABLE);
	if (endpoint_not_modified(call, digest, response))
		return 0;
	/* lighttpd's own 416 says neither how long the blob is nor JSON. */
	if (kind == RANGE_UNSATISFIABLE) {
		unsatisfiable(response, size);
		return 0;
	}
	response_field(response, "Content-Type", "application/octet-stream");
	if (is_ours(service, call, size))
		return send_by_us(service, call, digest,
				  kind == RANGE_PART ? &range : NULL, size,
				  response, err);
	send_by_server(service, digest, response);
	return 0;
}

static enum answer unknown(const struct call *call, struct response *response)
{
	char str[DIGEST_STR_SIZE];

	if (call->target->has_foreign_digest)
		response_error(response, PROBLEM_BLOB_UNKNOWN,
			       "blobs here have sha256 digests only");
	else
		response_error(
			response, PROBLEM_BLOB_UNKNOWN,
			"no image of %s has the blob %s",
			call->target->name.text,
			digest_str(&call->target->reference.digest, str));
	return ANSWER_NOW;
}

/*
 * A blob is served to those alone who may ask for a repository that it is
 * linked to, however many others hold the same bytes.
 */
enum answer blob_answer(const struct service *service, struct call *call,
			struct response *response)
{
	const struct target *target = call->target;
	const struct digest *digest = &target->reference.digest;
	const struct flake_settings *flake =
		endpoint_flake(service, call, response);
	struct err err = ERR_INIT;
	const struct err *failure;
	struct failure record;
	struct blob_link link;
	uint64_t size;

	if (!flake)
		return ANSWER_NOW;
	if (target->has_foreign_digest)
		return unknown(call, response);
	if (cache_get_link(service->cache, &target->name, digest, &link, &err))
		return err.code == ERR_UNKNOWN
			       ? unknown(call, response)
			       : endpoint_cache_failed(call, &err, response);
	if (!digest_equal(&link.flake, &flake->id))
		return unknown(call, response);
	cache_use_record(service->cache, &target->name, &link.manifest);
	if (cache_use_blob(service->cache, digest, &size)) {
		if (!send_blob(service, call, digest, size, response, &err))
			return ANSWER_NOW;
		/* `flakehub verify` may have moved it away by now. */
		if (err.code != ERR_UNKNOWN)
			return endpoint_cache_failed(call, &err, response);
		response_release(response);
	}
	call->order.name = target->name;
	call->order.reference.is_digest = true;
	call->order.reference.digest = link.manifest;
	failure = endpoint_failure(service, call, flake, &record);
	if (failure)
		return endpoint_failed(call, failure, response);
	return endpoint_build(call, response);
}
