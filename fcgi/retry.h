// SPDX-License-Identifier: MIT
#ifndef FCGI_RETRY_H
#define FCGI_RETRY_H

/*
 * How a request that waits is kept alive: held for a while, then sent to
 * itself by a 307, which starts the client's timers anew.
 */

/* containerd 2.3 and Docker 29.7 give up 30 s after a request. */
#define HOLD_MS		    25000
/* Go's clients follow 9 redirects; one is left to who is in between. */
#define HOPS_MAX	    8
/* containers/image waits that long and asks again. */
#define RETRY_AFTER_SECONDS 5

#endif
