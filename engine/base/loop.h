// One io_uring and its completions: submit, reap, run callbacks. Single-threaded: every call is made by the owning
// thread.
//
// An operation is a struct loop_op inside its caller's object; it must stay where it is until `done` has run. `done`
// gets the result of the system call (bytes, or negative errno; -ECANCELED after loop_cancel; -ETIME never: an expired
// timer gives 0) and may submit the same op again. Submissions are gathered and handed to the kernel once per turn of
// the loop.
#ifndef TOKFS_BASE_LOOP_H
#define TOKFS_BASE_LOOP_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct loop;

struct loop_op {
    void (*done)(struct loop_op *op, int res);
    bool is_pending;    // owned by the loop
    struct loop *owner; // set at submit
    int64_t timeout[2]; // private: storage of a timer's timespec
};

int loop_new(unsigned n_entries, struct loop **ret, struct err *err);
void loop_free(struct loop *loop); // asserts that nothing is pending
// Runs until loop_stop: returns after the callbacks of the turn in which it was called. 0 or -errno.
int loop_run(struct loop *loop);
// Runs until no operation is pending (a loader's private loop).
int loop_run_until_idle(struct loop *loop);
void loop_stop(struct loop *loop);
// Called once after each turn's callbacks, before sleeping: the place to flush what the callbacks gathered. NULL
// removes it.
void loop_set_turn_end(struct loop *loop, void (*fn)(void *ctx), void *ctx);
size_t loop_n_pending(const struct loop *loop);

void loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len,
               uint64_t offset); // offset -1: stream
void loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
void loop_fsync(struct loop *loop, struct loop_op *op, int fd);
void loop_poll(struct loop *loop, struct loop_op *op, int fd, short events); // one shot; res = ready events
void loop_timer(struct loop *loop, struct loop_op *op, uint64_t delay_ns);   // one shot
void loop_cancel(struct loop *loop,
                 struct loop_op *op); // no-op when not pending; `done` still runs, with -ECANCELED or its result

uint64_t clock_monotonic_ns(void);

#endif
