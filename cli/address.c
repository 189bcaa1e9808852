// SPDX-License-Identifier: MIT
#include "cli/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

#include "common/banned.h"

bool is_port(const char *text)
{
	size_t len = strlen(text);
	long n = strtol(text, NULL, 10);

	return len && len <= 5 && strspn(text, "0123456789") == len && n > 0 &&
	       n <= 65535;
}

/* The first result of IPv4, or else the first. There is one at least. */
static const struct addrinfo *prefer_ipv4(const struct addrinfo *found)
{
	const struct addrinfo *a = found;

	while (a->ai_family != AF_INET && a->ai_next)
		a = a->ai_next;
	return a->ai_family == AF_INET ? a : found;
}

/* Loopback and "any" are reached as localhost, which docker trusts. */
static bool is_local(const struct address *address)
{
	return !strcmp(address->host, "127.0.0.1") ||
	       !strcmp(address->host, "0.0.0.0") ||
	       !strcmp(address->host, "[::1]") ||
	       !strcmp(address->host, "[::]");
}

int address_resolve(struct address *address, const char *host, const char *port,
		    struct err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const struct addrinfo *chosen;
	char numeric[INET6_ADDRSTRLEN];
	struct addrinfo *found;
	int rc = getaddrinfo(host, port, &hints, &found);

	if (rc)
		return err_set(err, ERR_REFUSED, "cannot listen on %s: %s",
			       host, gai_strerror(rc));
	chosen = prefer_ipv4(found);
	*address = (struct address){ .len = chosen->ai_addrlen };
	memcpy(&address->socket, chosen->ai_addr, chosen->ai_addrlen);
	rc = getnameinfo(chosen->ai_addr, chosen->ai_addrlen, numeric,
			 sizeof(numeric), NULL, 0, NI_NUMERICHOST);
	snprintf(address->host, sizeof(address->host),
		 chosen->ai_family == AF_INET6 ? "[%s]" : "%s", numeric);
	freeaddrinfo(found);
	if (rc)
		return err_set(err, ERR_REFUSED, "cannot listen on %s: %s",
			       host, gai_strerror(rc));
	snprintf(address->port, sizeof(address->port), "%s", port);
	snprintf(address->name, sizeof(address->name), "%s:%s",
		 is_local(address) ? "localhost" : address->host, port);
	return 0;
}

int address_check_free(const struct address *address, struct err *err)
{
	autoclose int fd = socket(address->socket.ss_family,
				  SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd >= 0 &&
	    !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) &&
	    !bind(fd, (const struct sockaddr *)&address->socket,
		  address->len) &&
	    !listen(fd, 1))
		return 0;
	if (errno == EADDRINUSE)
		return err_set(err, ERR_REFUSED,
			       "port %s of %s is taken; -p says another",
			       address->port, address->host);
	return err_errno(err, "cannot listen on %s, port %s", address->host,
			 address->port);
}

bool address_accepts(const struct address *address)
{
	autoclose int fd = socket(address->socket.ss_family,
				  SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 &&
	       !connect(fd, (const struct sockaddr *)&address->socket,
			address->len);
}
