// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "common/health.h"
#include "common/json.h"
#include "fcgi/endpoint.h"

#include "common/banned.h"

static void send_health(const struct health *health, struct response *response)
{
	autojson *json = json_object_new_object();
	autostrbuf body = STRBUF_INIT;

	json_object_object_add(
		json, "status",
		json_object_new_string(*health->problem ? "failing" : "ok"));
	if (*health->problem)
		json_object_object_add(json, "problem",
				       json_object_new_string(health->problem));
	json_object_object_add(json, "nix",
			       json_object_new_string(health->nix));
	json_object_object_add(json, "freeBytes",
			       json_object_new_uint64(health->free_bytes));
	json_format_compact(&body, json);
	response->status = *health->problem ? 503 : 200;
	response_body(response, "application/json", body.buf, body.len);
	response_field(response, "Cache-Control", "no-store");
}

/*
 * GET /healthz: 200 while a build could succeed, as far as can be told without
 * one; else 503 and why.
 */
enum answer health_answer(const struct service *service, struct call *call,
			  struct response *response)
{
	struct health health = { .checked = 0 };
	struct err err = ERR_INIT;

	call->order.is_task = true;
	task_init(&call->order.task, TASK_HEALTH, "");
	if (call->turn == TURN_FAILED) {
		snprintf(health.problem, sizeof(health.problem), "%.500s",
			 call->failure->msg);
		send_health(&health, response);
		return ANSWER_NOW;
	}
	if (!health_read(service->cache, &health, &err) &&
	    (call->turn == TURN_BUILT ||
	     endpoint_age(health.checked) < HEALTH_MAX_AGE_S)) {
		send_health(&health, response);
		return ANSWER_NOW;
	}
	return endpoint_build(call, response);
}
