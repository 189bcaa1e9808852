// SPDX-License-Identifier: MIT
#ifndef COMMON_ALLOC_H
#define COMMON_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#include "common/err.h"

/*
 * Memory and file descriptors that clean up after themselves. Out of memory
 * ends the process: a worker is disposable and is started again.
 */

/* As malloc(3) and its family, but they abort instead of returning NULL. */
void *xmalloc(size_t size) __attribute__((returns_nonnull, malloc));
void *xcalloc(size_t n, size_t size) __attribute__((returns_nonnull, malloc));
/* n * size is checked for overflow. */
void *xreallocarray(void *p, size_t n, size_t size)
	__attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((returns_nonnull, malloc));
char *xstrndup(const char *s, size_t n)
	__attribute__((returns_nonnull, malloc));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2)
	__attribute__((returns_nonnull));
char *xvasprintf(const char *format, va_list ap)
	__attribute__((returns_nonnull, format(printf, 1, 0)));

/* Make room for one more element of an array that doubles as it grows. */
#define ALLOC_GROW(array, nr, alloc)                                           \
	do {                                                                   \
		if ((nr) >= (alloc)) {                                         \
			(alloc) = (alloc) ? (alloc)*2 : 8;                     \
			(array) = xreallocarray((array), (alloc),              \
						sizeof(*(array)));             \
		}                                                              \
	} while (0)

void cleanup_free(void *p);
void cleanup_close(const int *fd);

/* Freed, closed at the end of the scope; a negative descriptor is none. */
#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

/* Ownership leaves the variable, which is NULL or -1 afterwards. */
#define steal_ptr(p)                                                           \
	__extension__({                                                        \
		__typeof__(*(p)) stolen_ = *(p);                               \
		*(p) = NULL;                                                   \
		stolen_;                                                       \
	})
int steal_fd(int *fd);

#endif
