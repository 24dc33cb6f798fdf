// Threads that wait for mounts in the loop's stead: an open until the mount comes to it, a write of a request until the
// request was checked, a read until there is something to read. (The ring cannot do it: it polls a file that can be
// polled before it reads, which for a mount's file is a request to the mount, twice; a read by a thread is one.)
//
// A thread does nothing but these system calls for the one operation in its hand, and knows no other part of the
// bridge but what it was told to pass pieces to. Calls are the loop thread's; `ready` is called on it.
#ifndef TOKFS_BRIDGE_WAITERS_H
#define TOKFS_BRIDGE_WAITERS_H

#include "engine/base/loop.h"
#include "engine/base/str.h"
#include <pthread.h>

struct waiters;
struct waiter;

struct wait_op {
    void (*ready)(struct wait_op *op); // there is something to take, or it is over
    int fd;                            // -1: to be opened, which sets it
    const char *path;                  // of it
    int flags;                         // O_RDONLY or O_RDWR
    struct str out;                    // to be written before it is read; empty: nothing
    bool follows;                      // reads on to the end of the file; else once
    uint64_t pace_ns;                  // at least so long from the beginning of one read to that of the next
    // Of the thread until it is over:
    int opened, written; // 0 or -errno; nothing is written, nor read, where the file did not open
    ssize_t n_read;  // by the last read, 0 at the end of the file, or -errno; also after a failed write, whose reason
                     // it tells
    bool is_pending; // from waiters_start until it is over and `ready` begins
    // The rest is private.
    pthread_mutex_t passing;
    bool (*pass)(void *ctx, struct str bytes);
    void *pass_ctx;
    struct wait_op *next, *next_cancelled;
    struct waiter *waiter;
    struct strbuf kept, given;
    bool is_listed, is_over, is_cancelled;
};

int waiters_new(struct loop *loop, struct waiters **ret, struct err *err);
void waiters_stop(struct waiters *waiters); // nothing begins any more
void waiters_free(struct waiters *waiters); // the loop has run until nothing was pending; NULL is accepted

void wait_op_init(struct wait_op *op, void (*ready)(struct wait_op *op));
void wait_op_deinit(struct wait_op *op); // not pending

// There are 1,024 threads at most, and what comes beyond waits for one. -EAGAIN: there is none at all.
int waiters_start(struct waiters *waiters, struct wait_op *op);
// What was read and not taken yet, valid until the next take. A thread whose bytes nobody takes stops reading.
struct str waiters_take(struct waiters *waiters, struct wait_op *op);
// From here on the thread gives each piece that it reads to `pass`, which is called on it and does not block, until
// that returns false: then this piece and what follows it are for the loop again. Unless bytes wait to be taken, which
// come first; no-op when not pending.
void waiters_pass(struct waiters *waiters, struct wait_op *op, bool (*pass)(void *ctx, struct str bytes), void *ctx);
// `pass` has returned, and is not called any more. Also by waiters_cancel.
void waiters_hold(struct wait_op *op);
// It is over soon (n_read -EINTR, unless it was over already); no-op when not pending.
void waiters_cancel(struct waiters *waiters, struct wait_op *op);

#endif
