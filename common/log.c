// SPDX-License-Identifier: MIT
#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "common/secret.h"
#include "common/utf8.h"

#include "common/banned.h"

static const char *const level_names[] = {
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* The line and paragraph separators end a line for some readers of logs. */
static bool is_line_end(uint32_t c)
{
	return c == 0x2028 || c == 0x2029;
}

static bool is_bare_value(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("=\"\\", *s))
			return false;
	return true;
}

/* The character of len bytes at s inside a quoted value. */
static void add_quoted(struct strbuf *out, const char *s, size_t len,
		       uint32_t c)
{
	static const char special[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
	const char *p = c < 0x80 && c ? strchr(special, (int)c) : NULL;

	if (p) {
		strbuf_addch(out, '\\');
		strbuf_addch(out, letters[p - special]);
	} else if (is_control(c) || is_line_end(c)) {
		for (size_t i = 0; i < len; i++)
			strbuf_addf(out, "\\x%02x", (unsigned char)s[i]);
	} else {
		strbuf_add(out, s, len);
	}
}

void log_value(struct strbuf *out, const char *s)
{
	size_t len = strlen(s);

	if (is_bare_value(s)) {
		strbuf_add(out, s, len);
		return;
	}
	strbuf_addch(out, '"');
	while (len) {
		uint32_t c;
		size_t n = utf8_decode(s, len, &c);

		if (n)
			add_quoted(out, s, n, c);
		else
			strbuf_addf(out, "\\x%02x", (unsigned char)*s);
		n = n ? n : 1;
		s += n;
		len -= n;
	}
	strbuf_addch(out, '"');
}

static void add_pair(struct strbuf *line, const char *key, const char *value)
{
	if (!value)
		return;
	strbuf_addch(line, ' ');
	strbuf_addstr(line, key);
	strbuf_addch(line, '=');
	log_value(line, value);
}

static void add_pairs(struct strbuf *line, va_list ap)
{
	const char *key;

	while ((key = va_arg(ap, const char *)))
		add_pair(line, key, va_arg(ap, const char *));
}

static void write_line(struct strbuf *line)
{
	strbuf_addch(line, '\n');
	/* There is nobody left to tell when stderr cannot be written. */
	if (write_all(STDERR_FILENO, line->buf, line->len) < 0)
		return;
}

void log_event(enum log_level level, ...)
{
	autostrbuf line = STRBUF_INIT;
	va_list ap;

	strbuf_addf(&line, "level=%s", level_names[level]);
	va_start(ap, level);
	add_pairs(&line, ap);
	va_end(ap);
	write_line(&line);
}

void log_err(const struct err *err, ...)
{
	autostrbuf line = STRBUF_INIT;
	va_list ap;

	strbuf_addf(&line, "level=%s", level_names[LOG_LEVEL_ERROR]);
	va_start(ap, err);
	add_pairs(&line, ap);
	va_end(ap);
	add_pair(&line, "code", err_code_name(err->code));
	add_pair(&line, "msg", err->msg);
	write_line(&line);
}

/* Up to and with the end of a string that a terminal takes as a command. */
static size_t control_string(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\a' || s[i] == '\n')
			return i + (s[i] == '\a');
		if (s[i] == '\033' && i + 1 < len && s[i + 1] == '\\')
			return i + 2;
	}
	return len;
}

/*
 * The length of the escape sequence at s, which starts with ESC (ECMA-48):
 * CSI, a control string, or a short one.
 */
static size_t escape(const char *s, size_t len)
{
	size_t i = 1;

	if (len < 2)
		return len;
	if (strchr("]PX^_", s[1]) && s[1])
		return 2 + control_string(s + 2, len - 2);
	if (s[1] == '[')
		i = 2;
	while (i < len && s[i] >= 0x20 && s[i] < (s[1] == '[' ? 0x40 : 0x30))
		i++;
	return i < len && s[i] >= 0x30 && s[i] <= 0x7e ? i + 1 : i;
}

/* text without control characters, and in UTF-8. */
static void clean_characters(struct strbuf *out, const char *s, size_t len)
{
	while (len) {
		uint32_t c;
		size_t n = utf8_decode(s, len, &c);

		if (!n) {
			strbuf_addstr(out, "\xef\xbf\xbd");
			n = 1;
		} else if (c == '\033') {
			n = escape(s, len);
		} else if (!is_control(c) || c == '\n' || c == '\t') {
			strbuf_add(out, s, n);
		}
		s += n;
		len -= n;
	}
}

void text_clean(struct strbuf *out, const char *text, size_t len)
{
	autostrbuf clean = STRBUF_INIT;

	clean_characters(&clean, text, len);
	secret_mask(out, clean.buf);
}
