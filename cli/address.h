// SPDX-License-Identifier: MIT
#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "common/err.h"

/* Where to listen: an address and a port of this machine. */
struct address {
	char host[INET6_ADDRSTRLEN + 2]; /* numeric; IPv6 in brackets */
	char port[6];
	/* As a client here names it: "localhost:5000", "192.0.2.1:5000". */
	char name[INET6_ADDRSTRLEN + 16];
	struct sockaddr_storage socket;
	socklen_t len;
};

/* Look host up, IPv4 first. port is a number from 1 to 65535. */
MUST_CHECK int address_resolve(struct address *address, const char *host,
			       const char *port, struct err *err);
bool is_port(const char *text);

/* ERR_REFUSED if somebody else listens there. */
MUST_CHECK int address_check_free(const struct address *address,
				  struct err *err);

/* Does somebody listen there by now? */
bool address_accepts(const struct address *address);

#endif
