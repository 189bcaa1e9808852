// SPDX-License-Identifier: MIT
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/catalog.h"
#include "common/flakeref.h"
#include "common/json.h"
#include "fcgi/endpoint.h"

#include "common/banned.h"

/* distribution-spec, "Listing tags": n and last of the query. */
struct page {
	size_t n;   /* at most LIST_MAX */
	char *last; /* begin after this one; NULL: at the beginning */
};

static void page_release(struct page *page)
{
	free(page->last);
}
#define autopage __attribute__((cleanup(page_release))) struct page

/*
 * The value of key in the query, the caller's; NULL without it. Decoded, but
 * as it stands if it has a broken escape: that is no number, either.
 */
static char *query_value(const char *query, const char *key)
{
	size_t key_len = strlen(key);

	while (*query) {
		size_t len = strcspn(query, "&");

		if (len > key_len && !memcmp(query, key, key_len) &&
		    query[key_len] == '=') {
			const char *raw = query + key_len + 1;
			char *value = url_decode(raw, len - key_len - 1);

			return value ? value : xstrndup(raw, len - key_len - 1);
		}
		query += len;
		query += *query == '&';
	}
	return NULL;
}

/* Whatever its size, a number: more than LIST_MAX is LIST_MAX. */
static int parse_n(const char *text, size_t *n)
{
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return -1;
	for (*n = 0; *text; text++)
		if (*n <= LIST_MAX)
			*n = *n * 10 + (size_t)(*text - '0');
	if (*n > LIST_MAX)
		*n = LIST_MAX;
	return 0;
}

static int parse_page(const struct call *call, struct page *page,
		      struct response *response)
{
	autofree char *n = query_value(call->request->query, "n");

	*page = (struct page){ .n = LIST_MAX };
	if (n && parse_n(n, &page->n))
		return response_error(response, PROBLEM_PAGINATION,
				      "n is the number of entries to list, 0 "
				      "or more; not '%s'",
				      n);
	page->last = query_value(call->request->query, "last");
	return 0;
}

/* RFC 8288; the path as it was asked for, so behind any mount. */
static void add_link(const struct call *call, const struct page *page,
		     const char *last, struct response *response)
{
	autostrbuf encoded = STRBUF_INIT;

	url_encode(&encoded, last);
	response_field(response, "Link", "<%s?n=%zu&last=%s>; rel=\"next\"",
		       call->request->path, page->n, encoded.buf);
}

/* The page's part of the list, and where the next one begins. */
static struct json_object *cut_page(const struct call *call,
				    const struct page *page,
				    const struct name_list *list,
				    struct response *response)
{
	struct json_object *array = json_object_new_array();
	size_t first = 0, end;

	while (page->last && first < list->nr &&
	       strcmp(list->names[first], page->last) <= 0)
		first++;
	end = list->nr - first > page->n ? first + page->n : list->nr;
	for (size_t i = first; i < end; i++)
		json_object_array_add(array,
				      json_object_new_string(list->names[i]));
	/* n=0 asks whether there is a list, not for the next part of it. */
	if (end < list->nr && page->n)
		add_link(call, page, list->names[end - 1], response);
	return array;
}

static void send_json(struct json_object *json, struct response *response)
{
	autostrbuf body = STRBUF_INIT;

	json_format_compact(&body, json);
	response_body(response, "application/json", body.buf, body.len);
	response_field(response, "Cache-Control", "no-cache");
}

static void send_tags(const struct call *call, const struct page *page,
		      const struct name_list *tags, struct response *response)
{
	autojson *json = json_object_new_object();

	json_object_object_add(json, "name",
			       json_object_new_string(call->target->name.text));
	json_object_object_add(json, "tags",
			       cut_page(call, page, tags, response));
	send_json(json, response);
}

static void send_names(const struct call *call, const struct page *page,
		       const struct name_list *names, struct response *response)
{
	autojson *json = json_object_new_object();

	json_object_object_add(json, "repositories",
			       cut_page(call, page, names, response));
	send_json(json, response);
}

/*
 * The failure that this call is to be told about: of the task that was done
 * for it, or on its first turn of the same task shortly before. NULL if there
 * is none.
 */
static const struct err *failure_of(const struct service *service,
				    const struct call *call, int64_t max_age,
				    struct failure *record)
{
	struct digest key;
	struct err ignored;

	if (call->turn == TURN_FAILED)
		return call->failure;
	order_key(&call->order, &key);
	if (call->turn == TURN_BUILT ||
	    cache_get_failure(service->cache, &key, record, &ignored) ||
	    endpoint_age(record->when) >= max_age)
		return NULL;
	return &record->err;
}

static int found_tag(const struct tag *tag, void *found)
{
	*(bool *)found = true;
	return 1;
}

/* A package of a branch alone is in no list of names, but was pulled. */
static bool is_repository(const struct service *service,
			  const struct flake_settings *flake,
			  const struct repository_name *name,
			  const char *attribute)
{
	struct err ignored;
	bool found = false;

	if (catalog_has(service->cache, flake, attribute))
		return true;
	return !cache_each_tag(service->cache, name, found_tag, &found,
			       &ignored) &&
	       found;
}

/*
 * What is fresh is sent; what is stale when git could not be asked. Tags cost
 * one `git ls-remote`, so a stale list is waited for.
 */
enum answer tags_answer(const struct service *service, struct call *call,
			struct response *response)
{
	const struct flake_settings *flake =
		endpoint_flake(service, call, response);
	const char *attribute = "";
	autonames tags = NAME_LIST_INIT;
	autopage page = { .n = 0 };
	struct err err = ERR_INIT;
	int64_t asked = 0;
	const struct err *failure;
	struct failure record;
	bool known;

	if (!flake || parse_page(call, &page, response))
		return ANSWER_NOW;
	settings_find_flake(service->settings, &call->target->name, &attribute);
	if (!is_repository(service, flake, &call->target->name, attribute)) {
		response_error(response, PROBLEM_NAME_UNKNOWN,
			       "there is no repository %s",
			       call->target->name.text);
		return ANSWER_NOW;
	}
	call->order.is_task = true;
	task_init(&call->order.task, TASK_TAGS, flake->name);
	failure =
		failure_of(service, call, flake->image.error_max_age, &record);
	known = !catalog_tags(service->cache, flake, &tags, &asked, &err);
	if (known && (failure || call->turn != TURN_FIRST ||
		      endpoint_age(asked) < flake->image.max_age)) {
		send_tags(call, &page, &tags, response);
		return ANSWER_NOW;
	}
	return failure ? endpoint_failed(call, failure, response)
		       : endpoint_build(call, response);
}

/*
 * Names cost an evaluation, so the list that there is is sent at once and
 * asked for anew behind it; only the first is waited for.
 */
enum answer catalog_answer(const struct service *service, struct call *call,
			   struct response *response)
{
	const struct settings *settings = service->settings;
	autonames names = NAME_LIST_INIT;
	autopage page = { .n = 0 };
	struct err err = ERR_INIT;
	const struct err *failure;
	struct failure record;
	int64_t asked = 0;

	if (parse_page(call, &page, response))
		return ANSWER_NOW;
	if (catalog_names(service->cache, settings, &names, &asked, &err))
		return endpoint_cache_failed(call, &err, response);
	call->order.is_task = true;
	task_init(&call->order.task, TASK_NAMES, "");
	failure = failure_of(service, call, settings->image.error_max_age,
			     &record);
	if (!asked && settings->nr_flakes && call->turn == TURN_FIRST &&
	    !failure)
		return ANSWER_LATER;
	/* Flakes that cannot be asked do not hide the others. */
	if (failure && !names.nr)
		return endpoint_failed(call, failure, response);
	send_names(call, &page, &names, response);
	return call->turn == TURN_FIRST && !failure &&
			       endpoint_age(asked) >= settings->image.max_age
		       ? ANSWER_AND_REFRESH
		       : ANSWER_NOW;
}
