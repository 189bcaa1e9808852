// SPDX-License-Identifier: MIT
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const char *const names[] = {
	[ERR_NONE] = "none",	       [ERR_MALFORMED] = "malformed",
	[ERR_UNKNOWN] = "unknown",     [ERR_BUSY] = "busy",
	[ERR_TIMED_OUT] = "timed-out", [ERR_NIX] = "nix-failed",
	[ERR_UPSTREAM] = "upstream",   [ERR_REFUSED] = "refused",
	[ERR_SYSTEM] = "system",
};

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
	va_list ap;
	int n;

	err->code = ERR_SYSTEM;
	err->sys = sys;
	va_start(ap, format);
	n = vsnprintf(err->msg, sizeof(err->msg), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s",
			 strerrordesc_np(sys) ? strerrordesc_np(sys)
					      : "unknown error");
	return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char old[ERR_MSG_SIZE];
	va_list ap;
	int n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, format);
	n = vsnprintf(err->msg, sizeof(err->msg), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(err->msg))
		snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s",
			 old);
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
