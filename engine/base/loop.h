// One io_uring and its completions: submit, reap, run callbacks. Single-threaded: every call is made by the owning
// thread, the one that first runs the loop (until then, by whoever holds it). A ring does not survive fork(): create it
// after.
//
// An operation is a struct loop_op inside its caller's object; it must stay where it is until `done` has run, as must
// the memory it reads or writes. `done` gets the result of the system call (bytes, or negative errno; -ECANCELED after
// loop_cancel; -ETIME never: an expired timer gives 0) and may submit the same op again or free it. It never runs
// inside the call that submits. Submissions are gathered and handed to the kernel once per turn of the loop; any number
// may wait.
#ifndef TOKFS_BASE_LOOP_H
#define TOKFS_BASE_LOOP_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct loop;

struct loop_op {
    void (*done)(struct loop_op *op, int res);
    bool is_pending;    // owned by the loop
    struct loop *owner; // set at submit
    // The rest is private: the request until the kernel has taken it, then what a timer or a cancellation needs.
    struct loop_op *next, *prev;
    void *buf;
    uint64_t offset;
    int64_t timeout[2]; // the timespec of a timer, read by the kernel
    uint32_t len;
    int fd;
    uint16_t personality; // of an open
    uint8_t code;
    uint8_t stage;
    bool is_cancelled;
    bool is_async;
};

// -EPERM or -ENOSYS where the system forbids io_uring (err says where to look), -ENOMEM, -EINVAL.
int loop_new(unsigned n_entries, struct loop **ret, struct err *err);
// One that may have watchers.
int loop_new_watching(unsigned n_entries, struct loop **ret, struct err *err);
void loop_free(struct loop *loop); // asserts that nothing is pending
// Runs until loop_stop: returns after the callbacks of the turn in which it was called (at once when it was called
// before). 0 or -errno; -EDEADLK when nothing is pending, so that nothing could ever wake it.
int loop_run(struct loop *loop);
// Runs until no operation is pending (a loader's private loop). 0 or -errno.
int loop_run_until_idle(struct loop *loop);
void loop_stop(struct loop *loop);
// Called once after each turn's callbacks, before sleeping: the place to flush what the callbacks gathered. NULL
// removes it.
void loop_set_turn_end(struct loop *loop, void (*fn)(void *ctx), void *ctx);
size_t loop_n_pending(const struct loop *loop);

// offset -1: the file's own position (pipes, sockets, devices). A length past what one system call moves is clipped to
// it.
void loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset);
void loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
// Memory that many reads go to: the kernel holds its pages, so that reads into it need not look them up. It stays until
// the loop is freed. One piece, of a GiB at most. False: the system does not let it (RLIMIT_MEMLOCK), and nothing is
// different.
bool loop_register_buffer(struct loop *loop, void *mem, size_t bytes);
// Opens `path` (which must stay until done; flags: O_*; no file is created): the descriptor, O_CLOEXEC. In a kernel
// worker, as the files of a mount answer when it pleases them. `personality`: on whose behalf, 0 for the process's own.
void loop_open(struct loop *loop, struct loop_op *op, const char *path, int flags, unsigned personality);
void loop_close(struct loop *loop, struct loop_op *op, int fd);
// loop_write in a kernel worker from the start: for files whose write may keep its caller waiting.
void loop_write_slow(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len);
// loop_read in a kernel worker from the start, so that several copy from the page cache at the same time.
void loop_read_slow(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset);
// What the process is now allowed to do, as a personality for loop_open: its number, or -errno. Before the loop runs,
// or in its thread.
int loop_add_personality(struct loop *loop);
void loop_remove_personality(struct loop *loop, unsigned personality);
void loop_fsync(struct loop *loop, struct loop_op *op, int fd);
void loop_fdatasync(struct loop *loop, struct loop_op *op, int fd); // without times that nobody needs to find the bytes
// Names are relative to dir_fd and stay valid until `done`. openat: res = the descriptor.
void loop_openat(struct loop *loop, struct loop_op *op, int dir_fd, const char *name, int flags, mode_t mode);
void loop_renameat(struct loop *loop, struct loop_op *op, int dir_fd, const char *from, const char *to);
void loop_unlinkat(struct loop *loop, struct loop_op *op, int dir_fd, const char *name);
void loop_close(struct loop *loop, struct loop_op *op, int fd);              // the last close of a long file takes time
void loop_poll(struct loop *loop, struct loop_op *op, int fd, short events); // one shot; res = ready events
void loop_timer(struct loop *loop, struct loop_op *op, uint64_t delay_ns);   // one shot, counted from this call
// Descriptors that are watched all the time, and that somebody is kept waiting behind: a loop that has some sleeps in
// poll(2) on them and on its ring, so that who woke it may leave it his processor. (A wake through the ring goes to
// where the loop ran last: two idle processors have to be waked for a question and its answer.) `ready` is called once
// per turn while the descriptor is readable. Before the loop runs first; a watcher is the caller's and stays in place
// until loop_unwatch.
#define LOOP_WATCHERS_MAX 4
struct loop_watcher {
    int fd;
    void (*ready)(struct loop_watcher *watcher);
};
void loop_watch(struct loop *loop, struct loop_watcher *watcher);
void loop_unwatch(struct loop *loop, struct loop_watcher *watcher);
// No-op when not pending; `done` still runs, later, with -ECANCELED or with its result where that came first.
void loop_cancel(struct loop *loop, struct loop_op *op);

uint64_t clock_monotonic_ns(void);

#endif
