// SPDX-License-Identifier: MIT
#include <stdint.h>
#include <string.h>

#include "common/alloc.h"
#include "common/index.h"
#include "common/log.h"
#include "fcgi/endpoint.h"

#include "common/banned.h"

/* What the cache has of the image that a call is for. */
struct standing {
	const struct flake_settings *flake;
	struct image_head image;
	struct strbuf body; /* its manifest, where that is to be sent */
	int64_t age;	    /* seconds since it was last found to be so */
	bool is_there;
	bool is_fixed; /* a digest or a revision: never older than fresh */
};

static void standing_release(struct standing *standing)
{
	strbuf_release(&standing->body);
}

#define autostanding __attribute__((cleanup(standing_release))) struct standing

/*
 * Read the image's manifest, or see that it is there. Who has read it has it,
 * whatever `flakehub verify` or gc do in the meantime. One of another size
 * than its record says is not: a build puts that right.
 */
static int find_manifest(const struct service *service, const struct call *call,
			 struct standing *standing, struct err *err)
{
	const struct digest *digest = &standing->image.manifest.digest;
	uint64_t size = standing->image.manifest.size, is = 0;
	struct err why = ERR_INIT;

	if (call->request->head) {
		standing->is_there =
			cache_has_blob(service->cache, digest, &is) &&
			is == size;
		return 0;
	}
	standing->is_there = !cache_read_blob(
		service->cache, digest, MANIFEST_MAX, &standing->body, &why);
	if (standing->is_there && standing->body.len != size) {
		strbuf_reset(&standing->body);
		standing->is_there = false;
		return 0;
	}
	/* A link or a FIFO in its place is none. */
	if (standing->is_there || why.code == ERR_UNKNOWN ||
	    !cache_has_blob(service->cache, digest, NULL))
		return 0;
	*err = why;
	return -1;
}

/* A tag that clients ask for on their own: never worth a build. */
static bool is_passive(const struct target *target)
{
	return !target->reference.is_digest &&
	       tag_is_passive(&target->reference.tag);
}

/* The record of the tag, if its image is of the right flake. */
static int find_tag(const struct service *service, const struct call *call,
		    struct standing *standing, struct digest *manifest,
		    struct err *err)
{
	const struct target *target = call->target;
	struct tag_record record;

	if (cache_get_tag(service->cache, &target->name, &target->reference.tag,
			  &record, err))
		return -1;
	*manifest = record.image.manifest.digest;
	standing->age = endpoint_age(record.resolved);
	standing->is_fixed =
		strlen(record.revision) == 40 &&
		!strcmp(record.revision, target->reference.tag.text);
	return 0;
}

/* ERR_UNKNOWN if the repository has no such image. */
static int find_image(const struct service *service, const struct call *call,
		      struct standing *standing, struct err *err)
{
	const struct target *target = call->target;
	struct digest manifest = target->reference.digest;

	standing->is_fixed = target->reference.is_digest;
	if (!standing->is_fixed &&
	    find_tag(service, call, standing, &manifest, err))
		return -1;
	/* Read for a tag, too: this is what marks the image as used. */
	if (cache_get_record(service->cache, &target->name, &manifest,
			     &standing->image, NULL, err)) {
		if (err->code != ERR_MALFORMED)
			return -1;
		log_err(err, NULL); /* a build writes it anew */
		return err_set(err, ERR_UNKNOWN, "its record is malformed");
	}
	if (!digest_equal(&standing->image.flake, &standing->flake->id))
		return err_set(err, ERR_UNKNOWN, "of another flake");
	return find_manifest(service, call, standing, err);
}

/* RFC 5861: both are counted from when it stopped being fresh. */
static bool is_fresh_for(const struct standing *standing, int64_t more_s)
{
	int64_t max_age = standing->flake->image.max_age;

	return standing->is_there &&
	       (standing->is_fixed || standing->age < max_age + more_s);
}

/* The manifest, if it has not been read yet. */
static int read_body(const struct service *service, struct standing *standing,
		     struct err *err)
{
	const struct descriptor *manifest = &standing->image.manifest;

	if (!standing->body.len &&
	    cache_read_blob(service->cache, &manifest->digest, MANIFEST_MAX,
			    &standing->body, err))
		return -1;
	if (standing->body.len != manifest->size)
		return err_set(err, ERR_SYSTEM,
			       "the cache's manifest has %zu bytes and not "
			       "those of its record",
			       standing->body.len);
	return 0;
}

/*
 * A client that knows no index gets the image of the first system
 * (distribution does the same with the lists of old).
 */
static int choose_first(const struct service *service, const struct call *call,
			struct standing *standing, struct err *err)
{
	const struct strbuf *body = &standing->body;
	autoindex index = IMAGE_INDEX_INIT;

	if (read_body(service, standing, err) ||
	    index_parse(&index, body->buf, body->len, "an index", err))
		return -1;
	if (!index.nr)
		return err_set(err, ERR_MALFORMED, "an index is empty");
	strbuf_reset(&standing->body);
	return cache_get_record(service->cache, &call->target->name,
				&index.members[0].manifest.digest,
				&standing->image, NULL, err);
}

static enum answer send_image(const struct service *service,
			      const struct call *call,
			      struct standing *standing,
			      struct response *response)
{
	const struct descriptor *manifest = &standing->image.manifest;
	bool is_digest = call->target->reference.is_digest;
	struct err err = ERR_INIT;
	char image[ORDER_STR_SIZE];
	const char *type;

	if (media_type_is_index(manifest->media_type) && !is_digest &&
	    !request_accepts(call->request, manifest->media_type) &&
	    choose_first(service, call, standing, &err))
		return endpoint_cache_failed(call, &err, response);
	type = media_type_name(manifest->media_type);
	if (!request_accepts(call->request, manifest->media_type)) {
		response_error(response, PROBLEM_MANIFEST_UNKNOWN,
			       "%s is of the media type %s, which the Accept "
			       "header of this client does not allow",
			       endpoint_image(call, image), type);
		return ANSWER_NOW;
	}
	response_digest(response, &manifest->digest);
	response_field(response, "Cache-Control", "%s",
		       is_digest ? CACHE_CONTROL_IMMUTABLE : "no-cache");
	if (endpoint_not_modified(call, &manifest->digest, response))
		return ANSWER_NOW;
	response_field(response, "Content-Type", "%s", type);
	response->length = (int64_t)manifest->size;
	if (call->request->head)
		return ANSWER_NOW;
	if (read_body(service, standing, &err))
		return endpoint_cache_failed(call, &err, response);
	response->body = standing->body;
	standing->body = (struct strbuf)STRBUF_INIT;
	return ANSWER_NOW;
}

/*
 * The line of a failure that says why: the first. Newer Nix (2.26 does) has
 * "error:" alone there, then what it was doing, and "error: why" at last.
 */
static const char *reason_line(const char *msg)
{
	static const char mark[] = "error: ";
	const char *found = msg, *line = msg;

	if (strncmp(msg, "error:\n", strlen("error:\n")))
		return msg;
	while ((line = strchr(line, '\n'))) {
		line += 1 + strspn(line + 1, " ");
		if (!strncmp(line, mark, strlen(mark)))
			found = line;
	}
	return found;
}

static enum answer send_stale(const struct service *service,
			      const struct call *call,
			      struct standing *standing,
			      const struct err *failure,
			      struct response *response)
{
	const char *reason = reason_line(failure->msg);
	char image[ORDER_STR_SIZE];
	autostrbuf text = STRBUF_INIT;

	endpoint_image(call, image);
	log_event(LOG_LEVEL_WARN, "image", image, "stale", "served", "code",
		  err_code_name(failure->code), "msg", failure->msg, NULL);
	/* The reason alone: the warning is one line of limited length. */
	strbuf_addf(&text, "%s is %jd s old; making it anew failed: ", image,
		    (intmax_t)standing->age);
	text_clean(&text, reason, strcspn(reason, "\n"));
	if (text.len > 1024)
		text.buf[1024] = 0;
	response_quoted_field(response, "Warning", "299 - ", text.buf);
	return send_image(service, call, standing, response);
}

static enum answer nothing_known(const struct call *call,
				 struct response *response)
{
	const struct target *target = call->target;
	char image[ORDER_STR_SIZE];

	if (target->has_foreign_digest)
		response_error(response, PROBLEM_MANIFEST_UNKNOWN,
			       "images here have sha256 digests only");
	else if (target->reference.is_digest)
		response_error(response, PROBLEM_MANIFEST_UNKNOWN,
			       "%s was not made here; pull it by its tag",
			       endpoint_image(call, image));
	else
		response_error(response, PROBLEM_MANIFEST_UNKNOWN,
			       "%s is not in the cache, and nothing is built "
			       "for a tag of this form",
			       endpoint_image(call, image));
	return ANSWER_NOW;
}

enum answer manifest_answer(const struct service *service, struct call *call,
			    struct response *response)
{
	autostanding standing = { .body = STRBUF_INIT };
	struct failure record;
	const struct err *failure;
	struct err err = ERR_INIT;
	const struct image_settings *ages;

	standing.flake = endpoint_flake(service, call, response);
	if (!standing.flake)
		return ANSWER_NOW;
	ages = &standing.flake->image;
	if (call->target->has_foreign_digest)
		return nothing_known(call, response);
	call->order.name = call->target->name;
	call->order.reference = call->target->reference;
	if (find_image(service, call, &standing, &err) &&
	    err.code != ERR_UNKNOWN)
		return endpoint_cache_failed(call, &err, response);
	if (call->target->reference.is_digest && err.code == ERR_UNKNOWN)
		return nothing_known(call, response);
	if (is_fresh_for(&standing, 0) ||
	    (call->turn == TURN_BUILT && standing.is_there) ||
	    (is_passive(call->target) && standing.is_there))
		return send_image(service, call, &standing, response);
	if (is_passive(call->target))
		return nothing_known(call, response);
	failure = endpoint_failure(service, call, standing.flake, &record);
	/* What the upstream says is not there any more is no error of its. */
	if (failure && failure->code != ERR_UNKNOWN &&
	    is_fresh_for(&standing, ages->stale_if_error))
		return send_stale(service, call, &standing, failure, response);
	if (is_fresh_for(&standing, ages->stale_while_revalidate)) {
		send_image(service, call, &standing, response);
		return failure ? ANSWER_NOW : ANSWER_AND_REFRESH;
	}
	if (failure)
		return endpoint_failed(call, failure, response);
	return endpoint_build(call, response);
}
