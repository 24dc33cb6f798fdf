// An operation is handed to a thread (`go`). What it reads it keeps for the loop, puts the operation into the list of
// those that have something to tell, and wakes the loop, if nobody has done so yet, through an eventfd that the ring
// reads.
//
//   waiters_start --go--> thread: write, read, read ... --list--> loop: ready() --> waiters_take
//                                        `--> pass(), while waiters_pass lets it
//
// 1. The list and each operation's `kept`, `is_listed` and `is_over` are under the lock; what the thread finds out
//    (`written`, `n_read`) is the loop's once it is over. All else is the loop thread's.
// 2. A thread has its operation from `go` until the loop has seen that it is over, and ends only when it is told to.
// 3. A cancelled operation's thread is sent a signal, which ends the call that it is in. A signal that comes before the
//    call has begun is lost, so it is sent again until the operation is over.
// 4. An operation's `pass` is under a lock of its own, which is taken before the other: a piece is passed on, or kept
//    and `pass` forgotten, before the loop can set it again; which it does only when nothing is kept. So pieces keep
//    their order.
#include "tools/bridge/waiters.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10) // reserved; a few pages are used
#define READ_BYTES  16384
#define FIRST_BYTES 4096 // of the first read, and of those after one that brought less: the kernel pins all of a buffer
#define KEPT_BYTES  16384     // and no more is read before they are taken
#define PACE_NS     32000u    // between two reads of one file, for each that is being read: some 30,000 reads a second
#define REST_MAX_NS 10000000u // from the end of one to the beginning of the next
#define PACE_MIN_NS 1000000u  // less is not worth a sleep
#define THREADS_MAX 1024      // what comes beyond waits for one of them,
#define SHORT_MAX   64        // but for what only reads, as health checks do
#define OPENS_MAX   4         // at a time: of a thousand that look up one name each undoes what the others found
#define IDLE_MAX    64        // threads that are kept though nothing needs them
#define SIGNAL      SIGUSR1
#define AGAIN_NS    20000000u
#define TRIM_NS     1000000000u

struct waiter {
    struct waiter *next; // of those that are idle
    struct waiters *waiters;
    pthread_t thread;
    sem_t go;
    pthread_cond_t taken;
    struct wait_op *op; // NULL with `go`: end
    atomic_bool is_cancelled;
};

struct waiters {
    struct loop_op wake, again, trim;
    struct loop *loop;
    struct waiter *idle;
    unsigned n_idle;
    unsigned n_unneeded; // the least that were idle since the last trim
    atomic_uint n_pending;
    bool is_stopped;
    bool is_in_list;                           // being worked off: whether to listen on is known after it
    struct wait_op *cancelled;                 // and not done yet
    struct wait_op *queue_first, **queue_last; // no thread yet; linked by `next`
    int fd;
    uint64_t n_wakes; // what the ring reads of it
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct wait_op *first, **last; // of those that have something to tell
    unsigned n_threads;
    sem_t may_open;
};

// ---- a thread ------------------------------------------------------------------------------------------------------

static int open_file(struct waiter *waiter, struct wait_op *op)
{
    int r = op->fd >= 0 ? 0 : -EINTR;
    while (r == -EINTR && !atomic_load(&waiter->is_cancelled)) {
        if (sem_wait(&waiter->waiters->may_open) == 0) {
            op->fd = open(op->path, op->flags | O_CLOEXEC);
            r = op->fd < 0 ? -errno : 0;
            sem_post(&waiter->waiters->may_open);
        }
    }
    return r;
}

static int write_all(struct waiter *waiter, struct wait_op *op)
{
    for (struct str rest = op->out; rest.len > 0;) {
        ssize_t n = atomic_load(&waiter->is_cancelled) ? 0 : write(op->fd, rest.ptr, rest.len);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (atomic_load(&waiter->is_cancelled)) {
            return -EINTR;
        }
        rest = str_skip(rest, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static ssize_t read_some(struct waiter *waiter, struct wait_op *op, char *bytes, size_t size)
{
    ssize_t n = -1;
    errno = EINTR;
    while (n < 0 && errno == EINTR && !atomic_load(&waiter->is_cancelled)) {
        n = read(op->fd, bytes, size);
    }
    return n < 0 ? -errno : n;
}

// Under the lock; whether the loop is to be woken.
static bool list(struct waiters *waiters, struct wait_op *op)
{
    bool is_first = !waiters->first;
    if (op->is_listed) {
        return false;
    }
    op->is_listed = true;
    op->next = NULL;
    *waiters->last = op;
    waiters->last = &op->next;
    return is_first;
}

static void wake(struct waiters *waiters)
{
    uint64_t one = 1;
    if (write(waiters->fd, &one, sizeof(one)) < 0) {
        abort(); // a counter of 64 bits
    }
}

// Under `passing`.
static bool pass_on(struct wait_op *op, const char *bytes, ssize_t n)
{
    bool is_passed = op->pass && op->follows && n > 0 && op->pass(op->pass_ctx, (struct str){ bytes, (size_t)n });
    op->pass = is_passed ? op->pass : NULL;
    return is_passed;
}

// False: that was the last of it, and the operation is the loop's again.
static bool tell(struct waiter *waiter, struct wait_op *op, const char *bytes, ssize_t n)
{
    struct waiters *waiters = waiter->waiters;
    pthread_mutex_lock(&op->passing);
    if (pass_on(op, bytes, n)) {
        pthread_mutex_unlock(&op->passing);
        return true;
    }
    pthread_mutex_lock(&waiters->lock);
    if (n > 0 && strbuf_append(&op->kept, (struct str){ bytes, (size_t)n }) < 0) {
        n = -ENOMEM;
    }
    op->n_read = n;
    bool goes_on = n > 0 && op->follows;
    op->is_over = !goes_on;
    bool must_wake = list(waiters, op);
    pthread_mutex_unlock(&op->passing);
    while (goes_on && !must_wake && op->kept.len >= KEPT_BYTES && !atomic_load(&waiter->is_cancelled)) {
        pthread_cond_wait(&waiter->taken, &waiters->lock);
    }
    pthread_mutex_unlock(&waiters->lock);
    if (must_wake) {
        wake(waiters);
    }
    return goes_on;
}

// Many streams whose tokens come fast are read less often, and more at once: each read costs the mount and us as much
// as a few tokens do. And not at once after a token has come: where those of all come in the same instant, the next
// reads of who got his first would take the processors from who gets his last. Tokens that come more slowly than this
// are not kept waiting.
static void pace(struct waiter *waiter, const struct wait_op *op, uint64_t begin_ns)
{
    struct waiters *waiters = waiter->waiters;
    uint64_t pace_ns = (uint64_t)atomic_load_explicit(&waiters->n_pending, memory_order_relaxed) * PACE_NS;
    uint64_t rest_ns = pace_ns < REST_MAX_NS ? pace_ns : REST_MAX_NS;
    pace_ns = pace_ns < op->pace_ns ? op->pace_ns : pace_ns;
    if (pace_ns < PACE_MIN_NS) {
        return;
    }
    uint64_t now = clock_monotonic_ns(), until_ns = begin_ns + pace_ns;
    until_ns = until_ns < now + rest_ns ? now + rest_ns : until_ns;
    struct timespec until = { (time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u) };
    while (!atomic_load(&waiter->is_cancelled) &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static void read_all(struct waiter *waiter, struct wait_op *op)
{
    _Alignas(4096) char bytes[READ_BYTES]; // as few pages as can be for the kernel to pin
    size_t size = FIRST_BYTES;
    for (;;) {
        uint64_t begin_ns = clock_monotonic_ns();
        ssize_t n = read_some(waiter, op, bytes, size);
        size = n == (ssize_t)size ? sizeof(bytes) : FIRST_BYTES;
        if (!tell(waiter, op, bytes, n)) {
            return;
        }
        pace(waiter, op, begin_ns);
    }
}

static void work(struct waiter *waiter, struct wait_op *op)
{
    op->opened = open_file(waiter, op);
    op->written = op->opened < 0 ? op->opened : write_all(waiter, op);
    if (op->opened < 0) {
        tell(waiter, op, NULL, op->opened);
    } else {
        read_all(waiter, op);
    }
}

static void waiter_deinit(struct waiter *waiter)
{
    sem_destroy(&waiter->go);
    pthread_cond_destroy(&waiter->taken);
    free(waiter);
}

static void *waiter_main(void *ctx)
{
    struct waiter *waiter = ctx;
    struct waiters *waiters = waiter->waiters;
    pthread_setname_np(pthread_self(), "tokfs-waiter");
    for (;;) {
        while (sem_wait(&waiter->go) < 0) {
        }
        struct wait_op *op = waiter->op;
        if (!op) {
            break;
        }
        work(waiter, op);
    }
    waiter_deinit(waiter);
    pthread_mutex_lock(&waiters->lock);
    waiters->n_threads--;
    pthread_cond_signal(&waiters->ended);
    pthread_mutex_unlock(&waiters->lock);
    return NULL;
}

static struct waiter *waiter_new(struct waiters *waiters, unsigned n_max)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    pthread_attr_t attr;
    if (!waiter) {
        return NULL;
    }
    waiter->waiters = waiters;
    sem_init(&waiter->go, 0, 0);
    pthread_cond_init(&waiter->taken, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&waiters->lock);
    bool is_made = waiters->n_threads < n_max && pthread_create(&waiter->thread, &attr, waiter_main, waiter) == 0;
    waiters->n_threads += is_made;
    pthread_mutex_unlock(&waiters->lock);
    pthread_attr_destroy(&attr);
    if (!is_made) {
        waiter_deinit(waiter);
        waiter = NULL;
    }
    return waiter;
}

// ---- the loop's side -----------------------------------------------------------------------------------------------

static struct waiter *take_idle(struct waiters *waiters)
{
    struct waiter *waiter = waiters->idle;
    if (waiter) {
        waiters->idle = waiter->next;
        waiters->n_idle--;
        waiters->n_unneeded = waiters->n_unneeded < waiters->n_idle ? waiters->n_unneeded : waiters->n_idle;
    }
    return waiter;
}

// op NULL: to end.
static void hand_to(struct waiter *waiter, struct wait_op *op)
{
    if (op) {
        op->waiter = waiter;
    }
    waiter->op = op;
    atomic_store(&waiter->is_cancelled, false);
    sem_post(&waiter->go);
}

static void enqueue(struct waiters *waiters, struct wait_op *op)
{
    op->waiter = NULL;
    op->next = NULL;
    *waiters->queue_last = op;
    waiters->queue_last = &op->next;
}

// Whether it was there.
static bool dequeue(struct waiters *waiters, struct wait_op *op)
{
    struct wait_op **at = &waiters->queue_first;
    while (*at && *at != op) {
        at = &(*at)->next;
    }
    bool is_there = *at != NULL;
    if (is_there) {
        *at = op->next;
        waiters->queue_last = op->next ? waiters->queue_last : at;
    }
    return is_there;
}

static void put_idle(struct waiters *waiters, struct waiter *waiter)
{
    struct wait_op *op = waiters->queue_first;
    if (op) {
        dequeue(waiters, op);
        hand_to(waiter, op);
        return;
    }
    waiter->next = waiters->idle;
    waiters->idle = waiter;
    waiters->n_idle++;
    if (waiters->n_idle > IDLE_MAX && !waiters->trim.is_pending && !waiters->is_stopped) {
        waiters->n_unneeded = waiters->n_idle;
        loop_timer(waiters->loop, &waiters->trim, TRIM_NS);
    }
}

// Ends the threads that nothing needed for a while.
static void trim_done(struct loop_op *op, int res)
{
    struct waiters *waiters = (struct waiters *)((char *)op - offsetof(struct waiters, trim));
    (void)res;
    unsigned n = waiters->n_unneeded;
    for (struct waiter *waiter; n > 0 && waiters->n_idle > IDLE_MAX && (waiter = take_idle(waiters)); n--) {
        hand_to(waiter, NULL);
    }
    waiters->n_unneeded = waiters->n_idle;
    if (waiters->n_idle > IDLE_MAX && !waiters->is_stopped) {
        loop_timer(waiters->loop, &waiters->trim, TRIM_NS);
    }
}

static void listen_for_done(struct waiters *waiters)
{
    if (waiters->n_pending > 0 && !waiters->wake.is_pending && !waiters->is_in_list) {
        loop_read(waiters->loop, &waiters->wake, waiters->fd, &waiters->n_wakes, sizeof(waiters->n_wakes),
                  (uint64_t)-1);
    }
}

int waiters_start(struct waiters *waiters, struct wait_op *op)
{
    assert(!op->is_pending && op->ready);
    struct waiter *waiter = take_idle(waiters);
    waiter = waiter ? waiter : waiter_new(waiters, THREADS_MAX + (op->out.len > 0 ? 0 : SHORT_MAX));
    if (!waiter && waiters->n_pending == 0) {
        return -EAGAIN; // not even one
    }
    op->is_pending = true;
    op->is_over = op->is_cancelled = false;
    waiters->n_pending++;
    listen_for_done(waiters);
    if (waiter) {
        hand_to(waiter, op);
    } else {
        enqueue(waiters, op);
    }
    return 0;
}

static void again_done(struct loop_op *op, int res)
{
    struct waiters *waiters = (struct waiters *)((char *)op - offsetof(struct waiters, again));
    for (struct wait_op *each = waiters->cancelled; each; each = each->next_cancelled) {
        pthread_kill(each->waiter->thread, SIGNAL);
    }
    if (waiters->cancelled && res != -ECANCELED) {
        loop_timer(waiters->loop, &waiters->again, AGAIN_NS);
    }
}

// One that no thread has had.
static void give_back(struct waiters *waiters, struct wait_op *op)
{
    pthread_mutex_lock(&waiters->lock);
    op->opened = op->written = -EINTR;
    op->n_read = -EINTR;
    op->is_over = true;
    bool must_wake = list(waiters, op);
    pthread_mutex_unlock(&waiters->lock);
    if (must_wake) {
        wake(waiters);
    }
}

void waiters_cancel(struct waiters *waiters, struct wait_op *op)
{
    if (!op->is_pending || op->is_cancelled) {
        return;
    }
    op->is_cancelled = true;
    waiters_hold(op);
    if (!op->waiter && dequeue(waiters, op)) {
        give_back(waiters, op);
        return;
    }
    op->next_cancelled = waiters->cancelled;
    waiters->cancelled = op;
    pthread_mutex_lock(&waiters->lock);
    atomic_store(&op->waiter->is_cancelled, true);
    pthread_cond_signal(&op->waiter->taken);
    pthread_mutex_unlock(&waiters->lock);
    pthread_kill(op->waiter->thread, SIGNAL);
    if (!waiters->again.is_pending) {
        loop_timer(waiters->loop, &waiters->again, AGAIN_NS);
    }
}

// The thread has nothing to do with it any more.
static void take_back(struct waiters *waiters, struct wait_op *op)
{
    struct wait_op **at = &waiters->cancelled;
    while (*at && *at != op) {
        at = &(*at)->next_cancelled;
    }
    if (*at) {
        *at = op->next_cancelled;
    }
    if (op->waiter) {
        put_idle(waiters, op->waiter);
    }
    op->is_pending = false;
    waiters->n_pending--;
}

// The first of the list; NULL: it is empty.
static struct wait_op *next_listed(struct waiters *waiters, bool *ret_is_over)
{
    pthread_mutex_lock(&waiters->lock);
    struct wait_op *op = waiters->first;
    if (op) {
        waiters->first = op->next;
        waiters->last = waiters->first ? waiters->last : &waiters->first;
        op->is_listed = false;
        *ret_is_over = op->is_over;
    }
    pthread_mutex_unlock(&waiters->lock);
    return op;
}

// Once stopped, nothing may stay in the ring. Of operations that were found over while others were taken back no thread
// writes, so that what listens may have nobody to hear.
static void cease(struct waiters *waiters)
{
    if (waiters->is_stopped && waiters->n_pending == 0) {
        loop_cancel(waiters->loop, &waiters->wake);
    }
}

static void wake_done(struct loop_op *loop_op, int res)
{
    struct waiters *waiters = (struct waiters *)loop_op;
    bool is_over = false;
    (void)res;
    waiters->is_in_list = true;
    for (struct wait_op *op; (op = next_listed(waiters, &is_over));) {
        if (is_over) {
            take_back(waiters, op);
        }
        op->ready(op);
    }
    waiters->is_in_list = false;
    listen_for_done(waiters);
    cease(waiters);
}

struct str waiters_take(struct waiters *waiters, struct wait_op *op)
{
    pthread_mutex_lock(&waiters->lock);
    struct strbuf kept = op->kept;
    op->kept = op->given;
    op->given = kept;
    strbuf_reset(&op->kept);
    if (kept.len >= KEPT_BYTES && op->is_pending) {
        pthread_cond_signal(&op->waiter->taken);
    }
    pthread_mutex_unlock(&waiters->lock);
    return strbuf_str(&op->given);
}

void waiters_pass(struct waiters *waiters, struct wait_op *op, bool (*pass)(void *ctx, struct str bytes), void *ctx)
{
    if (!op->is_pending || op->is_cancelled) {
        return;
    }
    pthread_mutex_lock(&op->passing);
    pthread_mutex_lock(&waiters->lock);
    bool is_next = op->kept.len == 0;
    pthread_mutex_unlock(&waiters->lock);
    op->pass = is_next ? pass : NULL;
    op->pass_ctx = ctx;
    pthread_mutex_unlock(&op->passing);
}

void waiters_hold(struct wait_op *op)
{
    pthread_mutex_lock(&op->passing);
    op->pass = NULL;
    pthread_mutex_unlock(&op->passing);
}

void wait_op_init(struct wait_op *op, void (*ready)(struct wait_op *op))
{
    *op = (struct wait_op){ .ready = ready, .fd = -1 };
    pthread_mutex_init(&op->passing, NULL);
    strbuf_init(&op->kept, 0);
    strbuf_init(&op->given, 0);
}

void wait_op_deinit(struct wait_op *op)
{
    assert(!op->is_pending);
    pthread_mutex_destroy(&op->passing);
    strbuf_deinit(&op->kept);
    strbuf_deinit(&op->given);
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void on_signal(int number)
{
    (void)number; // it has ended the system call, which is what it is for
}

int waiters_new(struct loop *loop, struct waiters **ret, struct err *err)
{
    struct waiters *waiters = calloc(1, sizeof(*waiters));
    struct sigaction action = { .sa_handler = on_signal };
    static_assert(offsetof(struct waiters, wake) == 0, "wake_done");
    int fd = eventfd(0, EFD_CLOEXEC);
    if (!waiters || fd < 0 || sigaction(SIGNAL, &action, NULL) < 0) {
        free(waiters);
        if (fd >= 0) {
            close(fd);
        }
        return err_set(err, -ENOMEM, "out of memory, or of descriptors");
    }
    waiters->loop = loop;
    waiters->fd = fd;
    waiters->wake.done = wake_done;
    waiters->again.done = again_done;
    waiters->trim.done = trim_done;
    waiters->last = &waiters->first;
    waiters->queue_last = &waiters->queue_first;
    pthread_mutex_init(&waiters->lock, NULL);
    pthread_cond_init(&waiters->ended, NULL);
    sem_init(&waiters->may_open, 0, OPENS_MAX);
    *ret = waiters;
    return 0;
}

void waiters_stop(struct waiters *waiters)
{
    waiters->is_stopped = true;
    loop_cancel(waiters->loop, &waiters->trim);
    cease(waiters);
}

void waiters_free(struct waiters *waiters)
{
    if (!waiters) {
        return;
    }
    assert(waiters->n_pending == 0);
    for (struct waiter *waiter; (waiter = take_idle(waiters));) {
        hand_to(waiter, NULL);
    }
    pthread_mutex_lock(&waiters->lock);
    while (waiters->n_threads > 0) {
        pthread_cond_wait(&waiters->ended, &waiters->lock);
    }
    pthread_mutex_unlock(&waiters->lock);
    pthread_mutex_destroy(&waiters->lock);
    pthread_cond_destroy(&waiters->ended);
    sem_destroy(&waiters->may_open);
    close(waiters->fd);
    free(waiters);
}
