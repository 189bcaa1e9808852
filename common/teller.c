// SPDX-License-Identifier: MIT
#include "common/teller.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"

#include "common/banned.h"

struct teller {
	struct layer_progress to;
	pthread_mutex_t lock;
};

struct teller *teller_new(const struct layer_progress *to)
{
	struct teller *teller = xcalloc(1, sizeof(*teller));

	if (to)
		teller->to = *to;
	pthread_mutex_init(&teller->lock, NULL);
	return teller;
}

void teller_free(struct teller *teller)
{
	pthread_mutex_destroy(&teller->lock);
	free(teller);
}

void teller_bytes(struct teller *teller, uint64_t tar_bytes)
{
	const struct layer_progress *to = &teller->to;

	if (!to->bytes)
		return;
	pthread_mutex_lock(&teller->lock);
	to->bytes(to->arg, tar_bytes);
	pthread_mutex_unlock(&teller->lock);
}

void teller_layer(struct teller *teller, const struct layer_input *input,
		  const struct layer *layer, bool made)
{
	const struct layer_progress *to = &teller->to;

	if (!to->layer)
		return;
	pthread_mutex_lock(&teller->lock);
	to->layer(to->arg, input, layer, made);
	pthread_mutex_unlock(&teller->lock);
}

void teller_warn(struct teller *teller, const char *format, ...)
{
	const struct layer_progress *to = &teller->to;
	char message[1024];
	va_list ap;

	if (!to->warning)
		return;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	pthread_mutex_lock(&teller->lock);
	to->warning(to->arg, message);
	pthread_mutex_unlock(&teller->lock);
}
