// SPDX-License-Identifier: MIT
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#undef err_set
#undef err_errno
#undef err_wrap

static const char *const names[] = {
	[ERR_NONE] = "none",	       [ERR_MALFORMED] = "malformed",
	[ERR_UNKNOWN] = "unknown",     [ERR_BUSY] = "busy",
	[ERR_TIMED_OUT] = "timed-out", [ERR_NIX] = "nix-failed",
	[ERR_UPSTREAM] = "upstream",   [ERR_REFUSED] = "refused",
	[ERR_SYSTEM] = "system",
};

/* Add text to the message, cut where it is full. */
static void append(struct err *err, const char *text)
{
	size_t used = strlen(err->msg);
	size_t len = strnlen(text, sizeof(err->msg) - 1 - used);

	memcpy(err->msg + used, text, len);
	err->msg[used + len] = 0;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	va_list ap;

	err->code = code;
	err->sys = 0;
	va_start(ap, format);
	vsnprintf(err->msg, sizeof(err->msg), format, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
	int sys = errno;
	const char *text = strerrordesc_np(sys);
	va_list ap;

	err->code = ERR_SYSTEM;
	err->sys = sys;
	va_start(ap, format);
	vsnprintf(err->msg, sizeof(err->msg), format, ap);
	va_end(ap);
	append(err, ": ");
	append(err, text ? text : "unknown error");
	return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char old[ERR_MSG_SIZE];
	va_list ap;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, format);
	vsnprintf(err->msg, sizeof(err->msg), format, ap);
	va_end(ap);
	append(err, ": ");
	append(err, old);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	return names[code];
}

enum err_code err_code_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], name))
			return (enum err_code)i;
	return ERR_SYSTEM;
}
