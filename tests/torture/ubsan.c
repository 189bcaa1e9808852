// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <stdlib.h>

/*
 * Preloaded into programs with gcc's address and undefined sanitizers, this
 * makes the latter write where UBSAN_REPORTS says. By itself it does not: its
 * library calls the other's function of the same name, and then writes to the
 * standard error.
 */

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("UBSAN_REPORTS");
	void *library = dlopen("libubsan.so.1", RTLD_LAZY | RTLD_NOLOAD);
	void (*set)(const char *) = NULL;

	if (!path || !library)
		return;
	*(void **)&set = dlsym(library, "__sanitizer_set_report_path");
	if (set)
		set(path);
}
