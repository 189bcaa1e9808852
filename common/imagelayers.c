// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "common/alloc.h"
#include "common/imagework.h"
#include "common/lease.h"

#include "common/banned.h"

/* Between a layer's making and the hold ten minutes must pass to lose one. */
#define ATTEMPTS 3

static bool use_all(const struct cache *cache, const struct layer *layers,
		    size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!cache_use_blob(cache, &layers[i].blob.digest, NULL))
			return false;
	return true;
}

int image_make_layers(struct image_work *work, const struct layer_input *inputs,
		      size_t nr, enum compression compression,
		      struct layer *layers, int *hold, struct err *err)
{
	const struct cache *cache = work->build->cache;
	struct layer_progress progress = image_work_progress(work);

	image_tell_layers(work, inputs, nr);
	for (int i = 0; i < ATTEMPTS; i++) {
		if (layers_make(cache, inputs, nr, compression,
				&work->expansion, &progress, layers, err))
			return -1;
		*hold = lease_hold(cache, err);
		if (*hold < 0)
			return -1;
		if (use_all(cache, layers, nr))
			return 0;
		close(steal_fd(hold));
	}
	return err_set(err, ERR_BUSY,
		       "layers went from the cache while others were made");
}
