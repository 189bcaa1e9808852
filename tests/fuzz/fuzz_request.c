// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/utf8.h"
#include "fcgi/order.h"
#include "fcgi/request.h"
#include "fcgi/retry.h"
#include "fcgi/route.h"

#include "common/banned.h"

/* A URI: where it leads, and where its answer says to ask again. */

/* An answer with an error: a status, and JSON whose message is text. */
static void check_error(const struct response *response)
{
	autostrbuf head = STRBUF_INIT;
	autojson *json = fuzz_json((unsigned char *)response->body.buf,
				   response->body.len);

	need(response->status >= 400 && response->status < 500);
	need(json);
	need(utf8_is_valid(response->body.buf, response->body.len));
	response_head(response, &head);
	need(strlen(head.buf) == head.len);
	need(strstr(head.buf, "\r\n\r\n") == head.buf + head.len - 4);
}

/* None of what a name may never be. */
static void check_name(const char *name)
{
	need(*name && *name != '/' && !strstr(name, "..") &&
	     !strstr(name, "//") && !strchr(name, ':') && !strchr(name, '@'));
	need(name[strlen(name) - 1] != '/');
	for (const char *p = name; *p; p++)
		need(strchr("abcdefghijklmnopqrstuvwxyz0123456789._-/", *p));
}

/* The order of an image, as the keeper will read it. */
static void check_order(const struct target *target)
{
	struct order order = { .name = target->name,
			       .reference = target->reference },
		     again;
	char text[ORDER_STR_SIZE], copy[ORDER_STR_SIZE];
	struct err err = ERR_INIT;

	order_str(&order, text);
	need(!order_parse(&again, text, &err));
	fuzz_need_same(order_str(&again, copy), text);
}

static void check_target(const struct target *target)
{
	bool has_name = target->route == ROUTE_MANIFESTS ||
			target->route == ROUTE_BLOBS ||
			target->route == ROUTE_REFERRERS ||
			target->route == ROUTE_TAGS;

	need(!has_name == !*target->name.text);
	if (!has_name)
		return;
	check_name(target->name.text);
	if (target->route == ROUTE_TAGS || target->has_foreign_digest)
		return;
	need(target->reference.is_digest || target->route == ROUTE_MANIFESTS);
	check_order(target);
}

/* Where an answer sends the client: to the same, one hop further. */
static void check_location(const struct request *request,
			   const struct target *target)
{
	autostrbuf uri = STRBUF_INIT, more = STRBUF_INIT;
	autorequest again = REQUEST_INIT;
	autoresponse error = RESPONSE_INIT;
	struct target same;
	char method[] = "REQUEST_METHOD=GET";
	char *params[] = { method, NULL, NULL };

	strbuf_addstr(&uri, "REQUEST_URI=");
	request_location(request, &uri);
	if (uri.len > REQUEST_URI_MAX)
		return;
	params[1] = uri.buf;
	need(!request_parse(&again, params, &error));
	fuzz_need_same(again.path, request->path);
	need(again.hops ==
	     (request->hops < HOPS_MAX ? request->hops + 1 : HOPS_MAX));
	need(!route_find(again.path, &same, &error));
	need(same.route == target->route);
	fuzz_need_same(same.name.text, target->name.text);
	/* It grows by no more than the number. */
	request_location(&again, &more);
	need(more.len + strlen("REQUEST_URI=") <= uri.len + 2);
}

static void check_path(const char *path)
{
	need(*path == '/' && !strstr(path, "//") && !strstr(path, "/../"));
	for (const char *p = path; *p; p++)
		need(*p > ' ' && *p < 0x7f);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *text = fuzz_string(data, size);
	autofree char *uri = xasprintf("REQUEST_URI=%s", text);
	char method[] = "REQUEST_METHOD=GET";
	char *params[] = { method, uri, NULL };
	autorequest request = REQUEST_INIT;
	autoresponse error = RESPONSE_INIT;
	struct target target;

	if (request_parse(&request, params, &error)) {
		check_error(&error);
		return 0;
	}
	check_path(request.path);
	need(request.hops >= 0 && request.hops <= HOPS_MAX);
	if (route_find(request.path, &target, &error)) {
		check_error(&error);
		return 0;
	}
	check_target(&target);
	check_location(&request, &target);
	return 0;
}
