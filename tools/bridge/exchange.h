// One file of a mount, opened, written to and read to its end.
//
//   OPENING --> ASKING <--> PAUSED --> CLOSING
//
// A mount answers when it pleases, so opening, writing and reading are a waiter's work (waiters.h), closing a kernel
// worker's, as is opening on behalf of another user or for long (OPENING). Loop thread only.
#ifndef TOKFS_BRIDGE_EXCHANGE_H
#define TOKFS_BRIDGE_EXCHANGE_H

#include "engine/base/loop.h"
#include "engine/base/str.h"

struct exchange;

// Files that have answered well and wait a moment for their next request: an open costs as much as an exchange.
struct exchange_pool;
int exchange_pool_new(struct loop *loop, struct exchange_pool **ret, struct err *err);
// Closes those whose path begins so, as a mount that has gone lives on as long as its files are open. "": all.
void exchange_pool_flush(struct exchange_pool *pool, const char *prefix);
// Flushes all, and what ends from here on does not rest.
void exchange_pool_stop(struct exchange_pool *pool);
void exchange_pool_free(struct exchange_pool *pool); // after that; NULL is accepted

struct exchange_ends {
    int open;  // 0 or -errno
    int write; // 0 or -errno: the request was refused, and what was read is the reason
    int read;  // 0 or -errno, in place of the end of file; -EAGAIN: no thread was to be had
};

struct exchange_sink {
    // NULL, or called when the file has been opened, unless it comes from the pool. Such an open may take its time: it
    // keeps none of the threads that open for others.
    void (*opened)(void *ctx);
    // Bytes, valid during the call. No more are read until exchange_go_on, which it may call.
    void (*data)(void *ctx, struct str bytes);
    // It has ended, and is freed by itself: the last call.
    void (*ended)(void *ctx, const struct exchange_ends *ends);
    void *ctx;
    uint64_t timeout_ns; // 0, or after it, it ends (read: -ETIMEDOUT), though the mount may keep its thread for longer
    uint64_t pace_ns;    // 0, or how far apart reads are at least: who need not be the first to know has less work
};

// `path` is copied; `body` is malloc'ed memory, freed by the exchange (by a failed start as well), NULL: the file is
// only read. `personality` as for loop_open. NULL when out of memory. Nothing is called before it returns.
struct exchange *exchange_start(struct exchange_pool *pool, const char *path, char *body, size_t body_len,
                                unsigned personality, const struct exchange_sink *sink);
void exchange_go_on(struct exchange *exchange);
// waiters_pass and waiters_hold for what is read from here on: pieces that `pass` takes, the sink does not see.
void exchange_pass(struct exchange *exchange, bool (*pass)(void *ctx, struct str bytes), void *ctx);
void exchange_hold(struct exchange *exchange);
// What was read is all: as if the end of the file had been read. Within `data` only; `ended` runs after it.
void exchange_complete(struct exchange *exchange);
// Ends it soon: no callback runs any more.
void exchange_cancel(struct exchange *exchange);

#endif
