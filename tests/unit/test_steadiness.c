// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <time.h>

#include "common/cachefile.h"
#include "common/steadiness.h"
#include "tests/unit/cachefixture.h"

#include "common/banned.h"

static void test_steadiness(void **state)
{
	struct cachefixture *f = *state;
	autostrbuf text = STRBUF_INIT, other = STRBUF_INIT;
	struct err err = ERR_INIT;
	bool is_steady = false;
	char *real;

	assert_int_equal(steadiness_look(&f->cache, &is_steady, &err), 0);
	assert_true(is_steady);
	assert_int_equal(steadiness_look(&f->cache, &is_steady, &err), 0);
	assert_true(is_steady);
	assert_int_equal(
		cachefile_read(f->cache.fd, "clock", 4096, &text, &err), 0);
	real = strchr(text.buf, '\n');
	strbuf_addf(&other, "real %jd%s", (intmax_t)time(NULL) + DAY, real);
	assert_int_equal(cachefile_replace(f->cache.fd, "./clock", other.buf,
					   other.len, CACHEFILE_NO_SYNC, &err),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(steadiness_look(&f->cache, &is_steady, &err),
				 0);
		assert_false(is_steady);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_steadiness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
