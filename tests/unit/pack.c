// SPDX-License-Identifier: MIT
#include "tests/unit/pack.h"

#include <archive.h>
#include <archive_entry.h>

#include "tests/unit/check.h"

#include "common/banned.h"

void pack(const char *file, const struct pack_entry *entries, size_t nr,
	  int filter)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter(a, filter);
	assert_int_equal(archive_write_open_filename(a, file), ARCHIVE_OK);
	for (size_t i = 0; i < nr && entries[i].name; i++) {
		const struct pack_entry *in = &entries[i];
		struct archive_entry *e = archive_entry_new();
		size_t len = in->len		? in->len
			     : in->data != NULL ? strlen(in->data)
						: 0;

		archive_entry_set_pathname(e, in->name);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_filetype(e, in->symlink ? AE_IFLNK
					      : in->data || in->hardlink
						      ? AE_IFREG
						      : AE_IFDIR);
		if (in->symlink)
			archive_entry_set_symlink(e, in->symlink);
		if (in->hardlink)
			archive_entry_set_hardlink(e, in->hardlink);
		archive_entry_set_size(e, (int64_t)len);
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		if (len)
			archive_write_data(a, in->data, len);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}
