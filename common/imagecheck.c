// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/imagework.h"

#include "common/banned.h"

/* Is a path what it was when the image was made? As the store says. */
static int check_path(const struct closure *closure,
		      const struct layer_path *path, struct err *err)
{
	ssize_t i = closure_find(closure, path->path);

	if (i < 0)
		return err_set(err, ERR_REFUSED,
			       "%s is not in the closure any more", path->path);
	if (strcmp(closure->paths[i].nar_hash, path->nar_hash))
		return err_set(err, ERR_REFUSED,
			       "%s has other contents now: its hash is %s and "
			       "was %s",
			       path->path, closure->paths[i].nar_hash,
			       path->nar_hash);
	return 0;
}

void image_name_culprit(struct image_work *work, const struct record *record,
			struct err *err)
{
	autoclosure closure = CLOSURE_INIT;
	struct err why = ERR_INIT;

	if (nix_closure(&work->nix, record->output_path, &closure, &why))
		return;
	for (size_t i = 0; i < record->nr; i++)
		for (size_t j = 0; j < record->inputs[i].nr_paths; j++)
			if (check_path(&closure, &record->inputs[i].paths[j],
				       &why))
				goto found;
	/* As it is on disk: somebody may have written to the store. */
	if (!nix_verify_paths(&work->nix, &closure, &why))
		return;
found:
	err_wrap(&why, "%s", err->msg);
	*err = why;
	err->code = ERR_REFUSED;
}
