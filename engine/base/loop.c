// The loop owns the ring and, while they are pending, the operations; callers own their memory.
//
//   loop_read & co.      flush             kernel             dispatch
//   IDLE --------> QUEUED -----> IN_FLIGHT -------> completed -------> IDLE, then done()
//                    | loop_cancel  | loop_cancel
//                    v              v
//                 dropped        CANCELLING --flush--> the kernel is asked, the operation still completes by itself
//
// 1. An op is in at most one list: `queue` when QUEUED, `cancels` when CANCELLING. Both are intrusive, so submitting
// and
//    cancelling never allocate and never fail.
// 2. The ring is touched by turn() only, never inside a callback; submissions keep their order.
// 3. Every submission carries its op's address as user_data, except cancellations, which carry 0 and are forgotten. A
//    cancellation is withdrawn when its op completes first, so that it cannot hit the op's next use: what the kernel
//    was already handed runs before a later submission.
// 4. n_pending counts the ops with is_pending, in whatever stage.
//
// The ring is made disabled and enabled by the first turn: with IORING_SETUP_SINGLE_ISSUER the kernel takes the
// enabling thread for the owner, and that is the thread that runs the loop.
#include "engine/base/loop.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX    64
#define RW_BYTES_MAX 0x7ffff000u // what one read or write moves at most (MAX_RW_COUNT of Linux)

enum code {
    CODE_READ,
    CODE_WRITE,
    CODE_FSYNC,
    CODE_FDATASYNC,
    CODE_POLL,
    CODE_TIMER,
    CODE_OPEN,
    CODE_OPENAT,
    CODE_RENAMEAT,
    CODE_UNLINKAT,
    CODE_CLOSE
};
enum stage { STAGE_IDLE, STAGE_QUEUED, STAGE_IN_FLIGHT, STAGE_CANCELLING };

struct op_list {
    struct loop_op *first, *last;
};

struct loop {
    struct io_uring ring;
    struct op_list queue;   // not yet handed to the kernel
    struct op_list cancels; // in flight, the kernel to be asked to end them
    size_t n_pending;
    void (*turn_end)(void *ctx);
    void *turn_end_ctx;
    struct iovec registered; // the buffer; of length 0: none
    bool may_watch;
    struct loop_watcher *watchers[LOOP_WATCHERS_MAX]; // NULL: none
    bool is_enabled;
    bool is_stopping;
};

// ---- lists ---------------------------------------------------------------------------------------------------------

static void list_append(struct op_list *list, struct loop_op *op)
{
    op->next = NULL;
    op->prev = list->last;
    if (list->last) {
        list->last->next = op;
    } else {
        list->first = op;
    }
    list->last = op;
}

static void list_remove(struct op_list *list, struct loop_op *op)
{
    *(op->prev ? &op->prev->next : &list->first) = op->next;
    *(op->next ? &op->next->prev : &list->last) = op->prev;
    op->next = op->prev = NULL;
}

// ---- life ----------------------------------------------------------------------------------------------------------

uint64_t clock_monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

// The cheapest mode that the kernel has: completions gathered until we ask (6.1), without interrupting us (5.19),
// plain. The first tells poll(2) nothing of what it has gathered.
static int init_ring(unsigned n_entries, bool may_watch, struct io_uring *ring)
{
    static const unsigned modes[] = {
        IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
        IORING_SETUP_R_DISABLED,
    };
    int rc = -EINVAL;
    for (size_t i = may_watch ? 1 : 0; i < sizeof(modes) / sizeof(modes[0]) && rc == -EINVAL; i++) {
        rc = io_uring_queue_init(n_entries, ring, modes[i]);
    }
    return rc;
}

static int new_loop(unsigned n_entries, bool may_watch, struct loop **ret, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop) {
        return err_set(err, -ENOMEM, "io_uring: out of memory");
    }
    loop->may_watch = may_watch;
    int rc = init_ring(n_entries, may_watch, &loop->ring);
    if (rc == 0) {
        *ret = loop;
        return 0;
    }
    free(loop);
    if (rc == -EPERM || rc == -ENOSYS) {
        return err_set(
            err, rc,
            "io_uring is not permitted (%s): see sysctl kernel.io_uring_disabled, which must be 0, and the seccomp "
            "profile of the container",
            strerror(-rc));
    }
    if (rc == -ENOMEM) {
        return err_set(err, rc, "io_uring: no memory for %u entries; see ulimit -l (locked memory)", n_entries);
    }
    return err_set(err, rc, "io_uring: cannot create a ring of %u entries: %s", n_entries, strerror(-rc));
}

int loop_new(unsigned n_entries, struct loop **ret, struct err *err)
{
    return new_loop(n_entries, false, ret, err);
}

int loop_new_watching(unsigned n_entries, struct loop **ret, struct err *err)
{
    return new_loop(n_entries, true, ret, err);
}

static void replace_watcher(struct loop *loop, struct loop_watcher *old, struct loop_watcher *new)
{
    size_t i = 0;
    while (i < LOOP_WATCHERS_MAX && loop->watchers[i] != old) {
        i++;
    }
    assert(loop->may_watch && i < LOOP_WATCHERS_MAX);
    loop->watchers[i] = new;
}

void loop_watch(struct loop *loop, struct loop_watcher *watcher)
{
    replace_watcher(loop, NULL, watcher);
}

void loop_unwatch(struct loop *loop, struct loop_watcher *watcher)
{
    replace_watcher(loop, watcher, NULL);
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    assert(loop->n_pending == 0);
    io_uring_queue_exit(&loop->ring);
    free(loop);
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_set_turn_end(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    loop->turn_end = fn;
    loop->turn_end_ctx = ctx;
}

size_t loop_n_pending(const struct loop *loop)
{
    return loop->n_pending;
}

// ---- submitting ----------------------------------------------------------------------------------------------------

static void enqueue(struct loop *loop, struct loop_op *op, enum code code, int fd)
{
    assert(!op->is_pending && op->done);
    op->is_pending = true;
    op->is_cancelled = false;
    op->is_async = false;
    op->owner = loop;
    op->code = (uint8_t)code;
    op->stage = STAGE_QUEUED;
    op->fd = fd;
    list_append(&loop->queue, op);
    loop->n_pending++;
}

static void enqueue_rw(struct loop *loop, struct loop_op *op, enum code code, int fd, void *buf, size_t len,
                       uint64_t offset)
{
    op->buf = buf;
    op->len = len < RW_BYTES_MAX ? (uint32_t)len : RW_BYTES_MAX;
    op->offset = offset;
    enqueue(loop, op, code, fd);
}

bool loop_register_buffer(struct loop *loop, void *mem, size_t bytes)
{
    const struct iovec buffer = { mem, bytes };
    assert(loop->registered.iov_len == 0);
    bool is_registered = io_uring_register_buffers(&loop->ring, &buffer, 1) == 0;
    loop->registered = is_registered ? buffer : loop->registered;
    return is_registered;
}

static bool is_registered(const struct loop *loop, const struct loop_op *op)
{
    uintptr_t offset = (uintptr_t)op->buf - (uintptr_t)loop->registered.iov_base;
    return offset < loop->registered.iov_len && op->len <= loop->registered.iov_len - offset;
}

static void prepare_read(struct io_uring_sqe *sqe, const struct loop_op *op)
{
    if (is_registered(op->owner, op)) {
        io_uring_prep_read_fixed(sqe, op->fd, op->buf, op->len, op->offset, 0);
    } else {
        io_uring_prep_read(sqe, op->fd, op->buf, op->len, op->offset);
    }
}

void loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
    enqueue_rw(loop, op, CODE_READ, fd, buf, len, offset);
}

void loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset)
{
    enqueue_rw(loop, op, CODE_WRITE, fd, (void *)(uintptr_t)buf, len, offset);
}

void loop_write_slow(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len)
{
    loop_write(loop, op, fd, buf, len, (uint64_t)-1);
    op->is_async = true;
}

void loop_read_slow(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len, uint64_t offset)
{
    loop_read(loop, op, fd, buf, len, offset);
    op->is_async = true;
}

void loop_open(struct loop *loop, struct loop_op *op, const char *path, int flags, unsigned personality)
{
    op->buf = (void *)(uintptr_t)path;
    op->len = (uint32_t)(flags | O_CLOEXEC);
    op->personality = (uint16_t)personality;
    enqueue(loop, op, CODE_OPEN, AT_FDCWD);
    op->is_async = true;
}

void loop_close(struct loop *loop, struct loop_op *op, int fd)
{
    enqueue(loop, op, CODE_CLOSE, fd);
    op->is_async = true; // closing a mount's file waits for the mount
}

int loop_add_personality(struct loop *loop)
{
    return io_uring_register_personality(&loop->ring);
}

void loop_remove_personality(struct loop *loop, unsigned personality)
{
    io_uring_unregister_personality(&loop->ring, (int)personality);
}

void loop_fsync(struct loop *loop, struct loop_op *op, int fd)
{
    enqueue(loop, op, CODE_FSYNC, fd);
}

void loop_fdatasync(struct loop *loop, struct loop_op *op, int fd)
{
    enqueue(loop, op, CODE_FDATASYNC, fd);
}

// Names travel in the fields of a read or write.
static void enqueue_name(struct loop *loop, struct loop_op *op, enum code code, int dir_fd, const char *name)
{
    op->buf = (void *)(uintptr_t)name;
    enqueue(loop, op, code, dir_fd);
}

void loop_openat(struct loop *loop, struct loop_op *op, int dir_fd, const char *name, int flags, mode_t mode)
{
    op->len = (uint32_t)flags;
    op->offset = mode;
    enqueue_name(loop, op, CODE_OPENAT, dir_fd, name);
}

void loop_renameat(struct loop *loop, struct loop_op *op, int dir_fd, const char *from, const char *to)
{
    op->offset = (uintptr_t)to;
    enqueue_name(loop, op, CODE_RENAMEAT, dir_fd, from);
}

void loop_unlinkat(struct loop *loop, struct loop_op *op, int dir_fd, const char *name)
{
    enqueue_name(loop, op, CODE_UNLINKAT, dir_fd, name);
}

void loop_poll(struct loop *loop, struct loop_op *op, int fd, short events)
{
    op->len = (uint16_t)events;
    enqueue(loop, op, CODE_POLL, fd);
}

// The deadline is absolute: the wait for the turn's end does not lengthen it, and timers of one turn keep their order.
void loop_timer(struct loop *loop, struct loop_op *op, uint64_t delay_ns)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t deadline = delay_ns < INT64_MAX - now ? now + delay_ns : INT64_MAX;
    op->timeout[0] = (int64_t)(deadline / 1000000000u);
    op->timeout[1] = (int64_t)(deadline % 1000000000u);
    enqueue(loop, op, CODE_TIMER, -1);
}

void loop_cancel(struct loop *loop, struct loop_op *op)
{
    if (!op->is_pending || op->is_cancelled) {
        return;
    }
    assert(op->owner == loop);
    op->is_cancelled = true;
    if (op->stage == STAGE_IN_FLIGHT) {
        op->stage = STAGE_CANCELLING;
        list_append(&loop->cancels, op);
    }
}

// ---- a turn --------------------------------------------------------------------------------------------------------

static void finish(struct loop *loop, struct loop_op *op, int res)
{
    if (op->stage == STAGE_CANCELLING) {
        list_remove(&loop->cancels, op);
    }
    if (op->code == CODE_TIMER && res == -ETIME) {
        res = 0;
    }
    if (op->is_cancelled && res == -EINTR) {
        res = -ECANCELED; // a call that was already blocking in a kernel worker
    }
    op->stage = STAGE_IDLE;
    op->is_pending = false;
    loop->n_pending--;
    op->done(op, res);
}

static void prepare(struct io_uring_sqe *sqe, struct loop_op *op)
{
    static_assert(sizeof(op->timeout) == sizeof(struct __kernel_timespec), "a timer's storage");
    switch ((enum code)op->code) {
    case CODE_READ: prepare_read(sqe, op); break;
    case CODE_WRITE: io_uring_prep_write(sqe, op->fd, op->buf, op->len, op->offset); break;
    case CODE_FSYNC: io_uring_prep_fsync(sqe, op->fd, 0); break;
    case CODE_FDATASYNC: io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC); break;
    case CODE_POLL: io_uring_prep_poll_add(sqe, op->fd, op->len); break;
    case CODE_TIMER: io_uring_prep_timeout(sqe, (struct __kernel_timespec *)op->timeout, 0, IORING_TIMEOUT_ABS); break;
    case CODE_OPEN:
        io_uring_prep_openat(sqe, op->fd, op->buf, (int)op->len, 0);
        sqe->personality = op->personality;
        break;
    case CODE_OPENAT: io_uring_prep_openat(sqe, op->fd, op->buf, (int)op->len, (mode_t)op->offset); break;
    case CODE_RENAMEAT:
        io_uring_prep_renameat(sqe, op->fd, op->buf, op->fd, (const char *)(uintptr_t)op->offset, 0);
        break;
    case CODE_UNLINKAT: io_uring_prep_unlinkat(sqe, op->fd, op->buf, 0); break;
    case CODE_CLOSE: io_uring_prep_close(sqe, op->fd); break;
    }
    if (op->is_async) {
        io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
    }
    io_uring_sqe_set_data(sqe, op);
}

// A free entry, after handing over a full queue; NULL when the kernel takes no more before completions are reaped.
static struct io_uring_sqe *take_entry(struct loop *loop)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    if (!sqe && io_uring_submit(&loop->ring) >= 0) {
        sqe = io_uring_get_sqe(&loop->ring);
    }
    return sqe;
}

// Moves what waits into the ring, cancellations first; what does not fit stays for the next turn. Ops that were
// cancelled while they waited are moved to *ret_dropped.
static void flush(struct loop *loop, struct op_list *ret_dropped)
{
    struct io_uring_sqe *sqe;
    for (struct loop_op *op; (op = loop->cancels.first) && (sqe = take_entry(loop));) {
        list_remove(&loop->cancels, op);
        op->stage = STAGE_IN_FLIGHT;
        io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)op, 0);
        io_uring_sqe_set_data64(sqe, 0);
    }
    for (struct loop_op *op, *next = loop->queue.first; (op = next);) {
        next = op->next;
        if (op->is_cancelled) {
            list_remove(&loop->queue, op);
            list_append(ret_dropped, op);
        } else if ((sqe = take_entry(loop))) {
            list_remove(&loop->queue, op);
            op->stage = STAGE_IN_FLIGHT;
            prepare(sqe, op);
        } else {
            break;
        }
    }
}

// Hands the ring to the kernel and sleeps until something completes, unless there is other work.
static int enter(struct loop *loop, bool may_sleep)
{
    int rc = may_sleep ? io_uring_submit_and_wait(&loop->ring, 1) : io_uring_submit_and_get_events(&loop->ring);
    if (rc == -EAGAIN && io_uring_cq_ready(&loop->ring) == 0) {
        // The kernel lacks memory for a request right now and nothing of ours is about to give any back.
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY ? 0 : rc;
}

// Likewise, but asleep in poll(2); *ret_ready: bits of the watchers to be called.
static int enter_watching(struct loop *loop, bool may_sleep, unsigned *ret_ready)
{
    struct pollfd fds[1 + LOOP_WATCHERS_MAX] = { { .fd = loop->ring.ring_fd, .events = POLLIN } };
    int rc = io_uring_sq_ready(&loop->ring) > 0 ? enter(loop, false) : 0;
    for (size_t i = 0; i < LOOP_WATCHERS_MAX; i++) {
        fds[1 + i] = (struct pollfd){ .fd = loop->watchers[i] ? loop->watchers[i]->fd : -1, .events = POLLIN };
    }
    may_sleep = may_sleep && rc == 0 && io_uring_cq_ready(&loop->ring) == 0;
    int n = poll(fds, 1 + LOOP_WATCHERS_MAX, may_sleep ? -1 : 0);
    if (n > 0 && fds[0].revents && io_uring_cq_ready(&loop->ring) == 0) {
        io_uring_get_events(&loop->ring); // the kernel keeps what had no room
    }
    for (size_t i = 0; n > 0 && i < LOOP_WATCHERS_MAX; i++) {
        *ret_ready |= fds[1 + i].revents ? 1u << i : 0;
    }
    return rc;
}

// Runs the callbacks of what had completed when it was called: a callback that completes new work at once cannot keep
// it.
static void dispatch(struct loop *loop)
{
    struct io_uring_cqe *cqes[BATCH_MAX];
    struct {
        struct loop_op *op;
        int res;
    } ready[BATCH_MAX];
    unsigned n_left = io_uring_cq_ready(&loop->ring);
    while (n_left > 0) {
        unsigned n = io_uring_peek_batch_cqe(&loop->ring, cqes, n_left < BATCH_MAX ? n_left : BATCH_MAX);
        for (unsigned i = 0; i < n; i++) {
            ready[i].op = io_uring_cqe_get_data(cqes[i]);
            ready[i].res = cqes[i]->res;
        }
        io_uring_cq_advance(&loop->ring, n);
        for (unsigned i = 0; i < n; i++) {
            if (ready[i].op) {
                finish(loop, ready[i].op, ready[i].res);
            }
        }
        n_left -= n;
    }
}

// liburing 2.3 declares io_uring_enable_rings but does not export it.
static int enable(struct loop *loop)
{
    if (loop->is_enabled) {
        return 0;
    }
    int rc = io_uring_register((unsigned)loop->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    loop->is_enabled = rc == 0;
    return rc;
}

static int turn(struct loop *loop)
{
    int rc = enable(loop);
    if (rc < 0) {
        return rc;
    }
    struct op_list dropped = { 0 };
    flush(loop, &dropped);
    bool may_sleep = !dropped.first && !loop->queue.first && !loop->cancels.first;
    unsigned ready = 0;
    rc = loop->may_watch ? enter_watching(loop, may_sleep, &ready) : enter(loop, may_sleep);
    for (struct loop_op *op; (op = dropped.first);) {
        list_remove(&dropped, op);
        finish(loop, op, -ECANCELED);
    }
    dispatch(loop);
    for (size_t i = 0; i < LOOP_WATCHERS_MAX; i++) {
        if (ready & 1u << i && loop->watchers[i]) {
            loop->watchers[i]->ready(loop->watchers[i]);
        }
    }
    if (loop->turn_end) {
        loop->turn_end(loop->turn_end_ctx);
    }
    return rc;
}

static bool has_watchers(const struct loop *loop)
{
    for (size_t i = 0; i < LOOP_WATCHERS_MAX; i++) {
        if (loop->watchers[i]) {
            return true;
        }
    }
    return false;
}

int loop_run(struct loop *loop)
{
    int rc = 0;
    while (rc == 0 && !loop->is_stopping) {
        rc = loop->n_pending > 0 || has_watchers(loop) ? turn(loop) : -EDEADLK;
    }
    loop->is_stopping = false;
    return rc;
}

int loop_run_until_idle(struct loop *loop)
{
    int rc = 0;
    while (rc == 0 && loop->n_pending > 0) {
        rc = turn(loop);
    }
    return rc;
}
