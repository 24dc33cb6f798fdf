// Requests to other HTTP servers, by libcurl on the loop. Connections are kept for the next request. Loop thread only.
#ifndef TOKFS_BRIDGE_CLIENT_H
#define TOKFS_BRIDGE_CLIENT_H

#include "engine/base/err.h"
#include "engine/base/loop.h"
#include "engine/base/str.h"

struct client;
struct client_call;

int client_new(struct loop *loop, struct client **ret, struct err *err);
void client_stop(struct client *client); // no callback runs any more; free it when the loop has nothing pending
void client_free(struct client *client); // NULL is accepted, likewise above

struct client_request {
    const char *url;
    const char *const *headers; // NULL at the end
    struct str body;            // POST, and stays until the end; ptr NULL: GET
    uint64_t timeout_ms;        // 0: as long as it takes
};

struct client_sink {
    // A piece of the body. False: no more before client_go_on, and this piece comes again.
    bool (*data)(void *ctx, struct str bytes);
    // It has ended, and is freed: the last call. `why` NULL: an answer came whole; else no answer came, or not all.
    void (*ended)(void *ctx, const char *why);
    void *ctx;
};

// NULL when out of memory. Nothing is called before it returns.
struct client_call *client_start(struct client *client, const struct client_request *request,
                                 const struct client_sink *sink);
void client_go_on(struct client_call *call);
void client_cancel(struct client_call *call); // not from within its callbacks; no callback runs any more
// From the first piece on.
unsigned client_status(const struct client_call *call);
const char *client_content_type(const struct client_call *call); // "" where it is not told

#endif
