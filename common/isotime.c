// SPDX-License-Identifier: MIT
#include "common/isotime.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

/* Read exactly n digits at *s, which goes past them. */
static bool take_digits(const char **s, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, ++*s) {
		if (**s < '0' || **s > '9')
			return false;
		*value = *value * 10 + (**s - '0');
	}
	return true;
}

static bool take(const char **s, char c)
{
	if (**s != c)
		return false;
	++*s;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30,
				    31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(const char **s, struct isotime *t)
{
	return take_digits(s, 4, &t->year) && take(s, '-') &&
	       take_digits(s, 2, &t->month) && take(s, '-') &&
	       take_digits(s, 2, &t->day) && t->year >= 1 && t->month >= 1 &&
	       t->month <= 12 && t->day >= 1 &&
	       t->day <= days_in_month(t->year, t->month);
}

static bool take_fraction(const char **s, int *microsecond)
{
	int digits = 0;

	for (; **s >= '0' && **s <= '9'; ++*s, digits++)
		if (digits < 6)
			*microsecond = *microsecond * 10 + (**s - '0');
	for (int i = digits; i < 6; i++)
		*microsecond *= 10;
	return digits > 0;
}

static bool take_clock(const char **s, struct isotime *t)
{
	if (!take_digits(s, 2, &t->hour) || !take(s, ':') ||
	    !take_digits(s, 2, &t->minute))
		return false;
	if (take(s, ':')) {
		if (!take_digits(s, 2, &t->second))
			return false;
		if ((take(s, '.') || take(s, ',')) &&
		    !take_fraction(s, &t->microsecond))
			return false;
	}
	return t->hour <= 23 && t->minute <= 59 && t->second <= 59;
}

static bool take_offset(const char **s, struct isotime *t)
{
	bool west = **s == '-';
	int hour, minute = 0;

	if (!**s || take(s, 'Z'))
		return true;
	if ((!take(s, '+') && !take(s, '-')) || !take_digits(s, 2, &hour))
		return false;
	if ((take(s, ':') || **s) && !take_digits(s, 2, &minute))
		return false;
	if (hour > 23 || minute > 59)
		return false;
	t->offset = (hour * 60 + minute) * 60 * (west ? -1 : 1);
	return true;
}

int isotime_parse(struct isotime *t, const char *s, struct err *err)
{
	const char *p = s;

	*t = (struct isotime){ .year = 0 };
	if (take_date(&p, t) &&
	    (!*p || ((take(&p, 'T') || take(&p, ' ')) && take_clock(&p, t) &&
		     take_offset(&p, t) && !*p)))
		return 0;
	return err_set(err, ERR_MALFORMED,
		       "expected a time like 2024-02-29T12:34:56+02:00, not "
		       "'%.60s'",
		       s);
}

/* Days from 1970-01-01 to a date, by the calendar's cycle of 400 years. */
static int64_t days_from_date(int year, int month, int day)
{
	/* The year begins in March, so that the leap day is its last. */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = (month + 9) % 12;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day -
	       1 - 719468;
}

int64_t isotime_seconds(const struct isotime *t)
{
	int64_t seconds = days_from_date(t->year, t->month, t->day) * 86400 +
			  t->hour * 3600 + t->minute * 60 + t->second -
			  t->offset;

	return seconds < 0 && t->microsecond ? seconds + 1 : seconds;
}

void isotime_from_seconds(struct isotime *t, int64_t seconds)
{
	int64_t days = seconds / 86400, rest = seconds % 86400;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	*t = (struct isotime){ .year = (int)(days / 366 + 1970), .month = 1 };
	/* The guess is early, for times before 1970 late, by a few years. */
	while (days_from_date(t->year, 1, 1) > days)
		t->year--;
	while (days_from_date(t->year + 1, 1, 1) <= days)
		t->year++;
	while (t->month < 12 &&
	       days_from_date(t->year, t->month + 1, 1) <= days)
		t->month++;
	t->day = (int)(days - days_from_date(t->year, t->month, 1)) + 1;
	t->hour = (int)(rest / 3600);
	t->minute = (int)(rest / 60 % 60);
	t->second = (int)(rest % 60);
}

const char *isotime_format(const struct isotime *t, char out[ISOTIME_SIZE])
{
	char fraction[16] = "";
	int offset = abs(t->offset) / 60;

	if (t->microsecond)
		snprintf(fraction, sizeof(fraction), ".%06d",
			 t->microsecond % 1000000);
	snprintf(out, ISOTIME_SIZE,
		 "%04d-%02d-%02dT%02d:%02d:%02d%s%c%02d:%02d", t->year % 10000,
		 t->month % 100, t->day % 100, t->hour % 100, t->minute % 100,
		 t->second % 100, fraction, t->offset < 0 ? '-' : '+',
		 offset / 60 % 100, offset % 60);
	return out;
}
