// SPDX-License-Identifier: MIT
#include "fcgi/order.h"

#include <stdio.h>

#include "common/cache.h"

#include "common/banned.h"

const char *order_str(const struct order *order, char out[ORDER_STR_SIZE])
{
	char reference[REFERENCE_STR_SIZE];

	if (order->is_task)
		snprintf(out, ORDER_STR_SIZE, "%s", task_str(&order->task));
	else
		snprintf(out, ORDER_STR_SIZE, "%s%c%s", order->name.text,
			 order->reference.is_digest ? '@' : ':',
			 reference_str(&order->reference, reference));
	return out;
}

int order_parse(struct order *order, const char *text, struct err *err)
{
	*order = (struct order){ .is_task = task_is(text) };
	return order->is_task ? task_parse(&order->task, text, err)
			      : image_name_parse(&order->name,
						 &order->reference, text, err);
}

void order_key(const struct order *order, struct digest *key)
{
	if (order->is_task)
		task_key(&order->task, key);
	else
		build_key(&order->name, &order->reference, key);
}
