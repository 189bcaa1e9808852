// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/composition.h"
#include "fcgi/order.h"

#include "common/banned.h"

/* Names, tags, digests, and what is made of them: orders, compositions. */

static const char *const words[] = { "..", "//", "\n", "\\" };

static void check_plain(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		need(!strstr(s, words[i]));
	need(*s && *s != '/' && *s != '.' && *s != '-');
}

static void check_name(const char *text, size_t size)
{
	struct repository_name name;
	struct err err = ERR_INIT;

	if (repository_name_parse(&name, text, size, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(strlen(name.text) == size && !memcmp(name.text, text, size));
	need(size <= REPOSITORY_NAME_MAX);
	check_plain(name.text);
	for (const char *p = name.text; *p; p++)
		need(!(*p >= 'A' && *p <= 'Z'));
}

static void check_tag(const char *text, size_t size)
{
	struct tag tag;
	struct err err = ERR_INIT;

	if (tag_parse(&tag, text, size, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(strlen(tag.text) == size && !memcmp(tag.text, text, size));
	need(size <= TAG_MAX && !strchr(tag.text, '/'));
	need(tag.text[0] != '.' && tag.text[0] != '-');
}

static void check_digest(const char *text, size_t size)
{
	struct digest digest, same;
	struct err err = ERR_INIT;
	char str[DIGEST_STR_SIZE], hex[DIGEST_HEX_SIZE];

	if (digest_parse(&digest, text, size, &err)) {
		fuzz_need_error(&err);
		return;
	}
	need(size == DIGEST_STR_SIZE - 1);
	need(!memcmp(digest_str(&digest, str), text, size));
	digest_hex(&digest, hex);
	need(!digest_parse_hex(&same, hex, strlen(hex), &err));
	need(digest_equal(&same, &digest));
}

static void check_reference(const char *text, size_t size)
{
	struct reference ref;
	struct err err = ERR_INIT;
	char str[REFERENCE_STR_SIZE];

	if (reference_parse(&ref, text, size, &err)) {
		fuzz_need_error(&err);
		return;
	}
	reference_str(&ref, str);
	need(strlen(str) == size && !memcmp(str, text, size));
	need(ref.is_digest == !!memchr(text, ':', size));
}

static void check_order(const char *text)
{
	struct order order, again;
	struct digest key, same;
	char str[ORDER_STR_SIZE], copy[ORDER_STR_SIZE];
	struct err err = ERR_INIT;

	if (order_parse(&order, text, &err)) {
		fuzz_need_error(&err);
		return;
	}
	order_str(&order, str);
	need(!order_parse(&again, str, &err));
	fuzz_need_same(order_str(&again, copy), str);
	order_key(&order, &key);
	order_key(&again, &same);
	need(digest_equal(&key, &same));
	if (!order.is_task)
		check_plain(order.name.text);
}

/* Of a name: in canonical form, and the same when it is put together anew. */
static void check_composition(const char *text)
{
	autofree char *one = NULL, *again_one = NULL, *plain = NULL;
	autofree char *composition = NULL, *again = NULL;
	struct repository_name name;
	struct err err = ERR_INIT;

	if (repository_name_parse(&name, text, strlen(text), &err))
		return;
	composition = composition_parse(text, &one);
	need(!composition == !!one);
	if (!composition)
		return;
	need(composition_is(composition) && composition[0] == '+');
	need(strlen(composition) < strlen(text) + 64);
	plain = xstrdup(composition + 1);
	for (char *p = plain; *p; p++)
		if (*p == '+')
			*p = '/';
	again = composition_parse(plain, &again_one);
	need(again);
	fuzz_need_same(again, composition);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	autofree char *text = fuzz_string(data, size);

	check_name((const char *)data, size);
	check_tag((const char *)data, size);
	check_digest((const char *)data, size);
	check_reference((const char *)data, size);
	check_order(text);
	check_composition(text);
	return 0;
}
