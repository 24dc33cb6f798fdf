// One file of a mount, opened, written to and read to its end, by the ring.
//
//   OPENING --> WRITING --> WAITING <--> READING --> CLOSING
//
// The file is opened O_NONBLOCK. Opening, writing and closing are a kernel worker's work, since a mount answers them
// when it pleases (a write of a request is held until the request was checked). A descriptor that is ready is read at
// once. Loop thread only.
#ifndef TOKFS_BRIDGE_EXCHANGE_H
#define TOKFS_BRIDGE_EXCHANGE_H

#include "engine/base/loop.h"
#include "engine/base/str.h"

struct exchange;

// Files that have answered well and wait for their next request: an open costs as much as an exchange.
struct exchange_pool;
int exchange_pool_new(struct loop *loop, struct exchange_pool **ret);
// Closes those whose path begins so, as a mount that has gone lives on as long as its files are open. "": all.
void exchange_pool_flush(struct exchange_pool *pool, const char *prefix);
void exchange_pool_free(struct exchange_pool *pool); // after a flush of all, when no exchange is left; NULL is accepted

struct exchange_ends {
    int open;  // 0 or -errno
    int write; // 0 or -errno: the request was refused, and what was read is the reason
    int read;  // 0 or -errno, in place of the end of file
};

struct exchange_sink {
    // Bytes, valid during the call. No more are read until exchange_go_on, which it may call.
    void (*data)(void *ctx, struct str bytes);
    // It has ended, and is freed by itself: the last call.
    void (*ended)(void *ctx, const struct exchange_ends *ends);
    void *ctx;
};

// `path` is copied; `body` is malloc'ed memory, freed by the exchange (by a failed start as well), NULL: the file is
// only read. `personality` as for loop_open. NULL when out of memory. Nothing is called before it returns.
struct exchange *exchange_start(struct exchange_pool *pool, const char *path, char *body, size_t body_len,
                                unsigned personality, const struct exchange_sink *sink);
// `is_there`: what is left is there already, most likely, so that it need not be waited for; within `data` only.
void exchange_go_on(struct exchange *exchange, bool is_there);
// What was read is all: as if the end of the file had been read. Within `data` only; `ended` runs after it.
void exchange_complete(struct exchange *exchange);
// Ends it soon: no callback runs any more.
void exchange_cancel(struct exchange *exchange);

#endif
