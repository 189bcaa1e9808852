// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <time.h>

#include "common/cachefile.h"
#include "common/steadiness.h"
#include "tests/unit/broken.h"
#include "tests/unit/cachefixture.h"

#include "common/banned.h"

static bool look(struct cachefixture *f)
{
	struct err err = ERR_INIT;
	bool is_steady;

	if (steadiness_look(&f->cache, &is_steady, &err))
		fail_msg("%s", err.msg);
	return is_steady;
}

static void read_clock(struct cachefixture *f, struct strbuf *text)
{
	struct err err = ERR_INIT;

	assert_int_equal(cachefile_read(f->cache.fd, "clock", 4096, text, &err),
			 0);
}

/* As if the last look had been after so many seconds more. */
static void set_clock(struct cachefixture *f, int64_t seconds)
{
	autostrbuf text = STRBUF_INIT, other = STRBUF_INIT;
	struct err err = ERR_INIT;

	read_clock(f, &text);
	strbuf_addf(&other, "real %jd%s", (intmax_t)(time(NULL) + seconds),
		    strchr(text.buf, '\n'));
	assert_int_equal(cachefile_replace(f->cache.fd, "./clock", other.buf,
					   other.len, CACHEFILE_NO_SYNC, &err),
			 0);
}

static void test_steadiness(void **state)
{
	struct cachefixture *f = *state;

	assert_true(look(f));
	assert_true(look(f));
	set_clock(f, DAY);
	assert_false(look(f));
	assert_false(look(f));
}

static int look_blindly(void *arg)
{
	struct cachefixture *f = arg;
	struct err err = ERR_INIT;
	bool is_steady;

	return steadiness_look(&f->cache, &is_steady, &err) &&
			       err.code == ERR_SYSTEM && *err.msg
		       ? -1
		       : 0;
}

/* Who cannot read the boot ID tells nothing, and takes nothing for told. */
static void test_no_boot_id(void **state)
{
	/* The one file that is opened for reading and not beneath a folder. */
	const struct broken broken = {
		SCMP_SYS(openat), ENOENT, 2, UINT32_MAX, O_RDONLY | O_CLOEXEC,
	};
	struct cachefixture *f = *state;

	assert_int_equal(broken_run(&broken, look_blindly, f), -1);
	assert_true(look(f));
	set_clock(f, -7200);
	for (int i = 0; i < 2; i++) {
		autostrbuf before = STRBUF_INIT, after = STRBUF_INIT;

		read_clock(f, &before);
		assert_int_equal(broken_run(&broken, look_blindly, f), -1);
		read_clock(f, &after);
		assert_string_equal(before.buf, after.buf);
		assert_false(look(f));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_steadiness),
	};
	const struct CMUnitTest faults[] = {
		CACHE_TEST(test_no_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (broken_works() ? cmocka_run_group_tests(faults, NULL, NULL)
			       : 0);
}
