// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/digest.h"
#include "common/strbuf.h"
#include "tests/unit/scratch.h"
#include "tests/unit/sourcefixture.h"

#include "common/banned.h"

#define LAYOUT	 PATH("layout")
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define AMD64	 "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}"
#define ARM64	 "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}"
#define TAG(x)                                                                 \
	"\"annotations\":{\"org.opencontainers.image.ref.name\":\"" x "\"}"

/* Write a blob; the start of its descriptor, the caller's to free. */
static char *put_blob(const char *text, const char *type)
{
	char hex[DIGEST_HEX_SIZE];
	autofree char *path = NULL;
	struct digest digest;

	digest_of(text, strlen(text), &digest);
	path = xasprintf(LAYOUT "/blobs/sha256/%s", digest_hex(&digest, hex));
	put_file(path, text, strlen(text));
	return xasprintf("{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\","
			 "\"size\":%zu",
			 type, hex, strlen(text));
}

/* An image without layers, whose config has that word. */
static char *put_image(const char *word)
{
	autofree char *config = xasprintf(
		"{\"author\":\"%s\",\"rootfs\":{\"diff_ids\":[]}}", word);
	autofree char *descriptor =
		put_blob(config, "application/vnd.oci.image.config.v1+json");
	autofree char *manifest =
		xasprintf("{\"config\":%s},\"layers\":[]}", descriptor);

	return put_blob(manifest, MANIFEST);
}

/*
 * Open the layout that lists images, of which each is 'a' or 'b' and has what
 * else its descriptor says.
 */
static int open_layout(struct source *source, const char *images,
		       const char *const *more, struct err *err)
{
	autofree char *a = put_image("a"), *b = put_image("b");
	autostrbuf text = STRBUF_INIT;

	strbuf_addstr(&text, "{\"manifests\":[");
	for (size_t i = 0; images[i]; i++)
		strbuf_addf(&text, "%s%s,%s}", i ? "," : "",
			    images[i] == 'a' ? a : b, more[i]);
	strbuf_addstr(&text, "]}");
	put_file(LAYOUT "/oci-layout", "{}", 2);
	put_file(LAYOUT "/index.json", text.buf, text.len);
	return open_output(source, LAYOUT, 9, err);
}

static size_t count(const char *text, const char *part)
{
	size_t nr = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		nr++;
	return nr;
}

static void test_doubles(void **state)
{
	static const struct {
		const char *images;
		const char *more[3];
		size_t members; /* 0: it is an image */
	} cases[] = {
		{ "a", { TAG("1") }, 0 },
		{ "aa", { TAG("1"), TAG("2") }, 0 },
		{ "aaa", { TAG("1"), TAG("2"), TAG("3") }, 0 },
		{ "aa", { AMD64, AMD64 }, 0 },
		{ "ab", { AMD64, ARM64 }, 2 },
		{ "aab", { AMD64, AMD64 "," TAG("2"), ARM64 }, 2 },
		{ "aba", { AMD64, ARM64, AMD64 }, 2 },
		/* One image for two platforms. */
		{ "aa", { AMD64, ARM64 }, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autosource source = SOURCE_INIT;
		autofree char *name = xasprintf("case %zu", i);
		struct err err;

		if (open_layout(&source, cases[i].images, cases[i].more, &err))
			fail_msg("%s: %s", name, err.msg);
		check(name, source.nr_members == cases[i].members);
		if (cases[i].members)
			check(name, count(source.manifest, "\"digest\"") ==
					    cases[i].members);
		else
			check_config(&source, "\"author\":\"a\"");
	}
}

/* What is listed alone, or once, is served as it was written. */
static void test_bytes(void **state)
{
	static const char *const more[] = { AMD64 ",\"x\":  1", ARM64 };
	autosource source = SOURCE_INIT;
	struct err err;

	if (open_layout(&source, "ab", more, &err))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(source.manifest, "\"x\":  1"));
}

static void test_several_images(void **state)
{
	static const char *const more[] = { TAG("1"), TAG("2"), TAG("3") };
	autosource source = SOURCE_INIT;
	struct err err;

	assert_int_equal(open_layout(&source, "aba", more, &err), -1);
	assert_int_equal(err.code, ERR_REFUSED);
	assert_non_null(strstr(err.msg, "lists 2 images that do not say"));
}

/* Its files, and the folder of its blobs, may be symlinks. */
static void test_symlinks(void **state)
{
	static const char *const names[] = { "oci-layout", "index.json",
					     "blobs" };
	static const char *const more[] = { AMD64, ARM64 };
	autosource source = SOURCE_INIT, linked = SOURCE_INIT;
	autofree char *dir = store_file(PATH("linked"));
	struct err err;

	if (open_layout(&source, "ab", more, &err))
		fail_msg("%s", err.msg);
	scratch_mkdir(dir);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		autofree char *link = xasprintf("%s/%s", dir, names[i]);
		autofree char *target = xasprintf(LAYOUT "/%s", names[i]);

		assert_int_equal(symlink(target, link), 0);
	}
	if (open_output(&linked, PATH("linked"), 9, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(linked.manifest, source.manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_several_images),
		cmocka_unit_test(test_symlinks),
	};

	return cmocka_run_group_tests(tests, sourcefixture_set_up,
				      sourcefixture_tear_down);
}
