// SPDX-License-Identifier: MIT
#include "fcgi/exchange.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "fcgi/reply.h"
#include "fcgi/retry.h"

#include "common/banned.h"

/* A web server that takes or sends nothing for that long is stuck. */
#define STALL_SECONDS  60
/* It sends the parameters of a request at once. */
#define PARAMS_SECONDS 10

typedef enum answer endpoint_function(const struct service *service,
				      struct call *call,
				      struct response *response);

static endpoint_function *const endpoints[] = {
	[ROUTE_BASE] = base_answer,	[ROUTE_MANIFESTS] = manifest_answer,
	[ROUTE_BLOBS] = blob_answer,	[ROUTE_REFERRERS] = referrers_answer,
	[ROUTE_TAGS] = tags_answer,	[ROUTE_CATALOG] = catalog_answer,
	[ROUTE_HEALTH] = health_answer,
};

/* Block or unblock the signal that ends a wait in accept(2). */
static void mask_wake(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, EXCHANGE_WAKE_SIGNAL);
	pthread_sigmask(how, &set, NULL);
}

static int accept_connection(int listener)
{
	const struct timeval params = { .tv_sec = PARAMS_SECONDS };
	const struct timeval stall = { .tv_sec = STALL_SECONDS };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	/* Whoever made the socket may have made it non-blocking. */
	if (fd < 0 && errno == EAGAIN) {
		struct pollfd pfd = { .fd = listener, .events = POLLIN };

		if (poll(&pfd, 1, -1) < 0)
			return -1;
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			errno = EINTR;
	}
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &params, sizeof(params));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall));
	return fd;
}

static unsigned int next_id(void)
{
	static atomic_uint counter;

	return (unsigned int)getpid() << 16 ^ atomic_fetch_add(&counter, 1);
}

/*
 * The connection is accepted here and not by libfcgi, which knows no timeouts
 * and would let a web server that stalls hold a worker for ever. It takes one
 * that it is given as kept open from an earlier request, and cannot accept
 * another: listener -1.
 */
struct exchange *exchange_receive(int fd, struct kept *kept)
{
	struct exchange *exchange = xcalloc(1, sizeof(*exchange));

	exchange->arrived_ms = clock_monotonic_ms();
	exchange->id = next_id();
	exchange->kept = kept;
	FCGX_InitRequest(&exchange->fcgi, -1, 0);
	exchange->fcgi.ipcFd = fd;
	exchange->fcgi.keepConnection = 1;
	if (FCGX_Accept_r(&exchange->fcgi) < 0) {
		free(exchange);
		errno = EBADMSG;
		return NULL;
	}
	return exchange;
}

struct exchange *exchange_accept(int listener, struct kept *kept)
{
	int fd, saved;

	mask_wake(SIG_UNBLOCK);
	fd = accept_connection(listener);
	saved = errno;
	mask_wake(SIG_BLOCK);
	errno = saved;
	return fd < 0 ? NULL : exchange_receive(fd, kept);
}

static void log_exchange(const struct exchange *exchange, int status,
			 int64_t length)
{
	const struct request *request = &exchange->request;
	int64_t now = clock_monotonic_ms();
	char id[16], status_text[16], ms[24], waited[24], bytes[24];

	snprintf(id, sizeof(id), "%08x", exchange->id);
	snprintf(status_text, sizeof(status_text), "%d", status);
	snprintf(ms, sizeof(ms), "%" PRId64, now - exchange->arrived_ms);
	snprintf(waited, sizeof(waited), "%" PRId64, now - exchange->parked_ms);
	snprintf(bytes, sizeof(bytes), "%" PRId64, length);
	log_event(LOG_LEVEL_INFO, "req", id, "method",
		  request_param(request, "REQUEST_METHOD"), "path",
		  request_param(request, "REQUEST_URI"), "status", status_text,
		  "bytes", length > 0 ? bytes : NULL, "ms", ms, "waited",
		  exchange->parked_ms ? waited : NULL, NULL);
}

/* All but the end of it, which is sent when it has been logged. */
static void write_response(struct reply *reply, const struct request *request,
			   const struct response *response)
{
	autostrbuf head = STRBUF_INIT;

	response_head(response, &head);
	reply_write(reply, head.buf, head.len);
	if (request->head || response->status == 304)
		return;
	if (response->fd >= 0)
		reply_write_file(reply, response->fd, response->offset,
				 (uint64_t)response->length);
	else
		reply_write(reply, response->body.buf, response->body.len);
}

static bool has_body(const struct exchange *exchange)
{
	const char *length =
		request_param(&exchange->request, "CONTENT_LENGTH");
	const char *method =
		request_param(&exchange->request, "REQUEST_METHOD");

	return !method ||
	       (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) ||
	       (length && *length && strcmp(length, "0") != 0);
}

/*
 * The connection can bring another request: the web server wants that, was
 * told the end of this one, and has nothing of it left to send.
 */
static bool is_reusable(struct exchange *exchange)
{
	FCGX_Request *fcgi = &exchange->fcgi;

	return fcgi->keepConnection && !has_body(exchange) &&
	       FCGX_GetChar(fcgi->in) == EOF && !FCGX_GetError(fcgi->in);
}

/*
 * libfcgi waits up to 2 s for the web server to close its end first, lest
 * the answer be lost while a body is still on its way. Without one there is
 * nothing to lose, and a web server with much to do would hold up others.
 */
static void hang_up(struct exchange *exchange)
{
	char rest[256];

	if (!has_body(exchange)) {
		while (recv(exchange->fcgi.ipcFd, rest, sizeof(rest),
			    MSG_DONTWAIT) > 0)
			;
		FCGX_Detach(&exchange->fcgi);
	}
	FCGX_Free(&exchange->fcgi, 1);
}

static void release(struct exchange *exchange)
{
	int fd = exchange->fcgi.ipcFd;

	if (is_reusable(exchange)) {
		FCGX_Free(&exchange->fcgi, 0);
		if (!kept_add(exchange->kept, fd))
			close(fd);
	} else {
		hang_up(exchange);
	}
	request_release(&exchange->request);
	free(exchange);
}

/* Send it, log it, and free the exchange. */
static void finish(struct exchange *exchange, const struct response *response)
{
	autoreply reply;

	reply_init(&reply, exchange->fcgi.ipcFd, exchange->fcgi.requestId);
	write_response(&reply, &exchange->request, response);
	log_exchange(exchange, response->status, response->length);
	reply_end(&reply);
	/* nginx drops the connection when it is told to send the file. */
	if (reply.has_failed || response->length < 0)
		exchange->fcgi.keepConnection = 0;
	release(exchange);
}

static enum answer call_endpoint(struct exchange *exchange,
				 const struct service *service,
				 struct response *response)
{
	struct err err = ERR_INIT;

	exchange->call.request = &exchange->request;
	exchange->call.target = &exchange->target;
	if (cache_refresh(service->cache, &err))
		log_err(&err, NULL);
	return endpoints[exchange->target.route](service, &exchange->call,
						 response);
}

enum answer exchange_answer(struct exchange *exchange,
			    const struct service *service, struct order *order)
{
	autoresponse response = RESPONSE_INIT;
	enum answer answer = ANSWER_NOW;

	if (!request_parse(&exchange->request, exchange->fcgi.envp,
			   &response) &&
	    !route_find(exchange->request.path, &exchange->target, &response))
		answer = call_endpoint(exchange, service, &response);
	*order = exchange->call.order;
	if (answer != ANSWER_LATER)
		finish(exchange, &response);
	return answer;
}

void exchange_resume(struct exchange *exchange, const struct service *service,
		     enum turn turn, const struct err *failure)
{
	autoresponse response = RESPONSE_INIT;
	enum answer answer;

	exchange->call.turn = turn;
	exchange->call.failure = failure;
	answer = call_endpoint(exchange, service, &response);
	assert(answer != ANSWER_LATER);
	finish(exchange, &response);
}

bool exchange_has_hops(const struct exchange *exchange)
{
	return exchange->request.hops < HOPS_MAX;
}

void exchange_redirect(struct exchange *exchange)
{
	autoresponse response = RESPONSE_INIT;
	autostrbuf location = STRBUF_INIT;

	request_location(&exchange->request, &location);
	response.status = 307;
	response_field(&response, "Location", "%s", location.buf);
	response_field(&response, "Cache-Control", "no-store");
	/* Some clients count bytes, not headers, as a sign of life. */
	response_body(&response, "text/plain", "still building\n", 15);
	finish(exchange, &response);
}

void exchange_refuse(struct exchange *exchange, enum problem problem,
		     const char *format, ...)
{
	autoresponse response = RESPONSE_INIT;
	autofree char *msg = NULL;
	va_list ap;

	va_start(ap, format);
	msg = xvasprintf(format, ap);
	va_end(ap);
	response_error(&response, problem, "%s", msg);
	finish(exchange, &response);
}

void exchange_abandon(struct exchange *exchange)
{
	/* 499 as nginx logs it: there is nobody to see it. */
	log_exchange(exchange, 499, 0);
	exchange->fcgi.keepConnection = 0;
	release(exchange);
}
