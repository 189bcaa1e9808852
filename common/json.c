// SPDX-License-Identifier: MIT
#include "common/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/limits.h"
#include "common/utf8.h"

#include "common/banned.h"

/*
 * The parser is our own because json-c's saturates integers, replaces lone
 * surrogates, and takes the last of two equal keys without a word. It makes
 * json-c's objects.
 */
struct parser {
	const char *p, *end, *start;
	const char *name;
	struct err *err;
	size_t memory_max, memory; /* bytes: what may be taken, and is */
};

/*
 * What json-c and malloc() take, in bytes, rounded up: an object has a table
 * of 16 members from the start, an array one of 32 values, and a table that
 * grows is there twice for a while.
 */
#define OBJECT_MEMORY 736
#define MEMBER_MEMORY 192
#define ARRAY_MEMORY  304
#define VALUE_MEMORY  96
#define TEXT_MEMORY   32 /* of a number, for its text */

/* Where in the document the parser is, for messages: a key or an index. */
struct place {
	const struct place *parent;
	const char *key; /* NULL in an array */
	size_t index;
	unsigned int depth;
};

static struct json_object *parse_value(struct parser *ps,
				       const struct place *at);

void cleanup_json(struct json_object **json)
{
	json_object_put(*json);
}

static void format_place(struct strbuf *out, const struct place *at)
{
	if (!at->parent)
		return;
	format_place(out, at->parent);
	if (!at->key) {
		strbuf_addf(out, "[%zu]", at->index);
		return;
	}
	if (out->len)
		strbuf_addch(out, '.');
	strbuf_addstr(out, at->key);
}

/* An error at a line, for text that is no JSON. */
static void *syntax(struct parser *ps, const char *expected)
{
	size_t line = 1;

	for (const char *p = ps->start; p < ps->p; p++)
		line += *p == '\n';
	err_set(ps->err, ERR_MALFORMED, "%s: line %zu: expected %s", ps->name,
		line, expected);
	return NULL;
}

/* An error at a key, for JSON that is not taken here. */
static void *semantic(struct parser *ps, const struct place *at,
		      const char *message)
{
	autostrbuf path = STRBUF_INIT;

	format_place(&path, at);
	if (path.len)
		err_set(ps->err, ERR_MALFORMED, "%s: key '%s': %s", ps->name,
			path.buf, message);
	else
		err_set(ps->err, ERR_MALFORMED, "%s: %s", ps->name, message);
	return NULL;
}

/* Take so many bytes for a value. A MB of "{}," is 270 MB of objects. */
static bool take_memory(struct parser *ps, const struct place *at, size_t bytes)
{
	autofree char *message = NULL;

	if (bytes <= ps->memory_max - ps->memory) {
		ps->memory += bytes;
		return true;
	}
	message = xasprintf("more values than %zu MiB of memory hold",
			    ps->memory_max >> 20);
	semantic(ps, at, message);
	ps->err->code = ERR_REFUSED;
	return false;
}

static void skip_space(struct parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\t' ||
				   *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

static bool take(struct parser *ps, char c)
{
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static bool take_word(struct parser *ps, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(ps->end - ps->p) < len || memcmp(ps->p, word, len))
		return false;
	ps->p += len;
	return true;
}

static bool is_digit(const struct parser *ps)
{
	return ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9';
}

static bool skip_digits(struct parser *ps)
{
	if (!is_digit(ps))
		return false;
	while (is_digit(ps))
		ps->p++;
	return true;
}

/* Four hex digits, or -1. */
static int take_hex4(struct parser *ps)
{
	int value = 0;

	if (ps->end - ps->p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = *ps->p++;

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if (c >= 'a' && c <= 'f')
			value |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value |= c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/* The rest of \uXXXX, with the second half of a surrogate pair. */
static void *parse_unicode(struct parser *ps, const struct place *at,
			   struct strbuf *out)
{
	int high = take_hex4(ps), low;

	if (high < 0)
		return syntax(ps, "four hex digits after \\u");
	if (high < 0xd800 || high > 0xdfff) {
		utf8_add(out, (uint32_t)high);
		return out;
	}
	if (high > 0xdbff || !take_word(ps, "\\u"))
		return semantic(ps, at, "a lone surrogate");
	low = take_hex4(ps);
	if (low < 0)
		return syntax(ps, "four hex digits after \\u");
	if (low < 0xdc00 || low > 0xdfff)
		return semantic(ps, at, "a lone surrogate");
	utf8_add(out, 0x10000 + (((uint32_t)high - 0xd800) << 10) +
			      ((uint32_t)low - 0xdc00));
	return out;
}

static void *parse_escape(struct parser *ps, const struct place *at,
			  struct strbuf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *which;

	if (take(ps, 'u'))
		return parse_unicode(ps, at, out);
	if (ps->p == ps->end || !*ps->p || !(which = strchr(from, *ps->p)))
		return syntax(ps, "an escape sequence after \\");
	ps->p++;
	strbuf_addch(out, to[which - from]);
	return out;
}

/* The end of the ASCII characters that stand for themselves: most there are. */
static const char *skip_plain(const char *p, const char *end)
{
	while (p < end && *p != '"' && *p != '\\' && (signed char)*p >= ' ')
		p++;
	return p;
}

/* A string, at its opening quote, appended to out. NULL is an error. */
static void *parse_string(struct parser *ps, const struct place *at,
			  struct strbuf *out)
{
	if (!take(ps, '"'))
		return syntax(ps, "a string");
	for (;;) {
		const char *plain = skip_plain(ps->p, ps->end);
		uint32_t c;
		size_t n;

		strbuf_add(out, ps->p, (size_t)(plain - ps->p));
		ps->p = plain;
		if (ps->p == ps->end)
			return syntax(ps, "\" at the end of a string");
		if (take(ps, '"'))
			return out;
		if (take(ps, '\\')) {
			if (!parse_escape(ps, at, out))
				return NULL;
			continue;
		}
		if ((unsigned char)*ps->p < 0x20)
			return syntax(ps, "no control character in a string");
		n = utf8_decode(ps->p, (size_t)(ps->end - ps->p), &c);
		if (!n)
			return semantic(ps, at, "a string that is not UTF-8");
		strbuf_add(out, ps->p, n);
		ps->p += n;
	}
}

static struct json_object *new_integer(struct parser *ps,
				       const struct place *at, const char *text)
{
	errno = 0;
	if (*text == '-') {
		long long value = strtoll(text, NULL, 10);

		if (!errno)
			return json_object_new_int64(value);
	} else {
		unsigned long long value = strtoull(text, NULL, 10);

		if (!errno && value <= INT64_MAX)
			return json_object_new_int64((int64_t)value);
		if (!errno)
			return json_object_new_uint64(value);
	}
	return semantic(ps, at, "an integer beyond 64 bits");
}

static struct json_object *parse_number(struct parser *ps,
					const struct place *at)
{
	const char *start = ps->p;
	autofree char *text = NULL;
	bool real = false;
	double value;

	take(ps, '-');
	if (!take(ps, '0') && !skip_digits(ps))
		return syntax(ps, "a digit");
	if (take(ps, '.')) {
		real = true;
		if (!skip_digits(ps))
			return syntax(ps, "a digit after the point");
	}
	if (take(ps, 'e') || take(ps, 'E')) {
		real = true;
		if (!take(ps, '+'))
			take(ps, '-');
		if (!skip_digits(ps))
			return syntax(ps, "a digit in the exponent");
	}
	if (!take_memory(ps, at, TEXT_MEMORY + (size_t)(ps->p - start)))
		return NULL;
	text = xstrndup(start, (size_t)(ps->p - start));
	if (!real)
		return new_integer(ps, at, text);
	value = strtod(text, NULL);
	if (!isfinite(value))
		return semantic(ps, at, "a number beyond a double's range");
	return json_object_new_double_s(value, text);
}

static struct json_object *parse_array(struct parser *ps,
				       const struct place *at)
{
	autojson *array = NULL;
	struct place inner = { .parent = at, .depth = at->depth + 1 };

	if (!take_memory(ps, at, ARRAY_MEMORY))
		return NULL;
	array = json_object_new_array();
	skip_space(ps);
	if (take(ps, ']'))
		return steal_ptr(&array);
	do {
		struct json_object *value = NULL;

		skip_space(ps);
		value = parse_value(ps, &inner);
		if (!value && ps->err->code)
			return NULL;
		if (json_object_array_add(array, value))
			abort();
		inner.index++;
		skip_space(ps);
	} while (take(ps, ','));
	if (!take(ps, ']'))
		return syntax(ps, "',' or ']' after a value of an array");
	return steal_ptr(&array);
}

/* "key": value, which is added to object. NULL is an error. */
static void *parse_pair(struct parser *ps, const struct place *at,
			struct json_object *object)
{
	autostrbuf key = STRBUF_INIT;
	struct place inner = { .parent = at, .depth = at->depth + 1 };
	struct json_object *value;

	if (!parse_string(ps, at, &key) ||
	    !take_memory(ps, at, MEMBER_MEMORY + key.len))
		return NULL;
	inner.key = key.buf;
	if (strlen(key.buf) != key.len)
		return semantic(ps, &inner, "a NUL in a key");
	if (json_object_object_get_ex(object, key.buf, NULL))
		return semantic(ps, &inner, "the same key a second time");
	skip_space(ps);
	if (!take(ps, ':'))
		return syntax(ps, "':' after a key");
	skip_space(ps);
	value = parse_value(ps, &inner);
	if (!value && ps->err->code)
		return NULL;
	if (json_object_object_add(object, key.buf, value))
		abort();
	return object;
}

static struct json_object *parse_object(struct parser *ps,
					const struct place *at)
{
	autojson *object = NULL;

	if (!take_memory(ps, at, OBJECT_MEMORY))
		return NULL;
	object = json_object_new_object();
	skip_space(ps);
	if (take(ps, '}'))
		return steal_ptr(&object);
	do {
		skip_space(ps);
		if (ps->p == ps->end || *ps->p != '"')
			return syntax(ps, "a key in quotes");
		if (!parse_pair(ps, at, object))
			return NULL;
		skip_space(ps);
	} while (take(ps, ','));
	if (!take(ps, '}'))
		return syntax(ps, "',' or '}' after a value of an object");
	return steal_ptr(&object);
}

/*
 * NULL is the value null, or an error if err->code says so: it is ERR_NONE
 * until the first.
 */
static struct json_object *parse_value(struct parser *ps,
				       const struct place *at)
{
	autostrbuf text = STRBUF_INIT;

	if (at->depth > JSON_DEPTH_MAX)
		return semantic(ps, at, "nested too deep");
	if (!take_memory(ps, at, VALUE_MEMORY))
		return NULL;
	if (take(ps, '{'))
		return parse_object(ps, at);
	if (take(ps, '['))
		return parse_array(ps, at);
	if (take_word(ps, "null"))
		return NULL;
	if (take_word(ps, "true"))
		return json_object_new_boolean(1);
	if (take_word(ps, "false"))
		return json_object_new_boolean(0);
	if (is_digit(ps) || (ps->p < ps->end && *ps->p == '-'))
		return parse_number(ps, at);
	if (ps->p == ps->end || *ps->p != '"')
		return syntax(ps, "a value");
	if (!parse_string(ps, at, &text) || !take_memory(ps, at, text.len))
		return NULL;
	if (text.len > INT32_MAX)
		return semantic(ps, at, "a string of more than 2 GiB");
	return json_object_new_string_len(text.buf, (int)text.len);
}

int json_parse_large(struct json_object **json, const char *text, size_t len,
		     size_t memory_max, const char *name, struct err *err)
{
	struct parser ps = { .p = text,
			     .start = text,
			     .end = text + len,
			     .name = name,
			     .err = err,
			     .memory_max = memory_max };
	struct place top = { .depth = 0 };
	autojson *value = NULL;

	err->code = ERR_NONE;
	skip_space(&ps);
	value = parse_value(&ps, &top);
	if (!value && err->code)
		return -1;
	skip_space(&ps);
	if (ps.p != ps.end) {
		syntax(&ps, "nothing after the value");
		return -1;
	}
	*json = steal_ptr(&value);
	return 0;
}

int json_parse(struct json_object **json, const char *text, size_t len,
	       const char *name, struct err *err)
{
	return json_parse_large(json, text, len, JSON_MEMORY_MAX, name, err);
}

int json_read(struct json_object **json, int fd, size_t max, const char *name,
	      struct err *err)
{
	autostrbuf text = STRBUF_INIT;

	if (strbuf_read(&text, fd, max, name, err))
		return -1;
	return json_parse(json, text.buf, text.len, name, err);
}
