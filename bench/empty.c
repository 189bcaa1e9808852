// SPDX-License-Identifier: MIT
#include <fcgiapp.h>
#include <pthread.h>
#include <stddef.h>

#include "common/banned.h"

/*
 * The least that a FastCGI program can do: two bytes for every request, on as
 * many threads as flakehub.fcgi has. The listening socket is standard input.
 */

#define THREADS 8

static void *work(void *arg)
{
	FCGX_Request request;

	FCGX_InitRequest(&request, 0, 0);
	while (FCGX_Accept_r(&request) >= 0) {
		FCGX_PutS("Content-Type: text/plain\r\n"
			  "Content-Length: 2\r\n\r\nok",
			  request.out);
		FCGX_Finish_r(&request);
	}
	return arg;
}

int main(void)
{
	pthread_t threads[THREADS];

	FCGX_Init();
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			return 1;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
