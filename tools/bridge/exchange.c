// One operation is under way at a time, in `op` or in `wait`; its end is the beginning of the next. A file that was
// written to and read to its end goes to the pool, and the next request for the same path and user begins with ASKING.
// If its mount has gone meanwhile, that write fails, nothing was accepted, and the file is opened anew. Files that
// nobody took for a moment are closed: while one is open, its mount cannot be unmounted.
//
// 1. `fd` is open from the end of OPENING, or of the first ASKING, to the beginning of CLOSING.
// 2. A cancelled exchange calls nobody; it goes to CLOSING from wherever it is.
// 3. One whose time is up has told so, and is cancelled.
#include "tools/bridge/exchange.h"
#include "tools/bridge/waiters.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL_MAX 1024
#define REST_NS  5000000u // longer than a busy client needs for its next request

enum stage { OPENING, ASKING, PAUSED, COMPLETE, GIVING_UP, CLOSING };

struct idle_file {
    char *path;
    unsigned personality;
    int fd;
    uint64_t since_ns;
};

struct exchange_pool {
    struct loop_op timer; // while files rest
    struct loop *loop;
    struct waiters *waiters;
    struct idle_file idle[POOL_MAX];
    size_t n;
    bool is_stopped;
};

struct exchange {
    struct loop_op op;
    struct loop_op timeout;
    struct wait_op wait;
    struct exchange_pool *pool;
    struct exchange_sink sink;
    struct exchange_ends ends;
    enum stage stage;
    int fd;
    char *body;
    size_t body_len;
    bool is_cancelled;
    bool has_asked;  // the file is one to write to
    bool was_idle;   // the file comes from the pool, and its mount has not been heard of since
    bool has_read;   // something of the answer
    bool is_in_data; // the sink is being called
    bool is_over;    // but for `timeout`, which is being cancelled
    unsigned personality;
    char path[];
};

static void exchange_free(struct exchange *ex)
{
    if (ex->timeout.is_pending) {
        ex->is_over = true;
        loop_cancel(ex->pool->loop, &ex->timeout);
        return;
    }
    free(ex->body);
    wait_op_deinit(&ex->wait);
    free(ex);
}

// ---- the pool ------------------------------------------------------------------------------------------------------

static void timer_done(struct loop_op *op, int res);

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret, struct err *err)
{
    struct exchange_pool *pool = calloc(1, sizeof(*pool));
    if (!pool) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    static_assert(offsetof(struct exchange_pool, timer) == 0, "timer_done");
    pool->timer.done = timer_done;
    pool->loop = loop;
    int r = waiters_new(loop, &pool->waiters, err);
    if (r < 0) {
        free(pool);
        return r;
    }
    *ret = pool;
    return 0;
}

static int pool_take(struct exchange_pool *pool, const char *path, unsigned personality)
{
    for (size_t i = pool->n; i-- > 0;) {
        struct idle_file file = pool->idle[i];
        if (file.personality == personality && strcmp(file.path, path) == 0) {
            pool->idle[i] = pool->idle[--pool->n];
            free(file.path);
            return file.fd;
        }
    }
    return -1;
}

static bool pool_put(struct exchange *ex)
{
    struct exchange_pool *pool = ex->pool;
    char *path = pool->n < POOL_MAX && !pool->is_stopped ? strdup(ex->path) : NULL;
    if (!path) {
        return false;
    }
    pool->idle[pool->n++] = (struct idle_file){ path, ex->personality, ex->fd, clock_monotonic_ns() };
    if (!pool->timer.is_pending) {
        loop_timer(pool->loop, &pool->timer, REST_NS);
    }
    return true;
}

static void closed(struct loop_op *op, int res)
{
    (void)res;
    free(op);
}

static void close_idle(struct exchange_pool *pool, size_t idx)
{
    struct idle_file file = pool->idle[idx];
    struct loop_op *op = calloc(1, sizeof(*op));
    if (op) { // else the next time
        op->done = closed;
        loop_close(pool->loop, op, file.fd);
        free(file.path);
        pool->idle[idx] = pool->idle[--pool->n];
    }
}

static void timer_done(struct loop_op *op, int res)
{
    struct exchange_pool *pool = (struct exchange_pool *)op;
    uint64_t now = clock_monotonic_ns();
    if (res < 0) {
        return;
    }
    for (size_t i = pool->n; i-- > 0;) {
        if (now - pool->idle[i].since_ns >= REST_NS) {
            close_idle(pool, i);
        }
    }
    if (pool->n > 0) {
        loop_timer(pool->loop, &pool->timer, REST_NS);
    }
}

void exchange_pool_flush(struct exchange_pool *pool, const char *prefix)
{
    for (size_t i = pool->n; i-- > 0;) {
        if (strncmp(pool->idle[i].path, prefix, strlen(prefix)) == 0) {
            close_idle(pool, i);
        }
    }
}

void exchange_pool_stop(struct exchange_pool *pool)
{
    pool->is_stopped = true;
    exchange_pool_flush(pool, "");
    loop_cancel(pool->loop, &pool->timer);
    waiters_stop(pool->waiters);
}

void exchange_pool_free(struct exchange_pool *pool)
{
    if (pool) {
        assert(pool->n == 0);
        waiters_free(pool->waiters);
        free(pool);
    }
}

// ---- an exchange ---------------------------------------------------------------------------------------------------

static void close_file(struct exchange *ex)
{
    bool is_over = ex->stage == ASKING || ex->stage == COMPLETE;
    bool is_well = ex->ends.open == 0 && ex->ends.write == 0 && ex->ends.read == 0 && ex->wait.n_read >= 0;
    bool may_rest = is_over && is_well && ex->has_asked && !ex->is_cancelled;
    ex->stage = CLOSING;
    if (!ex->is_cancelled) {
        ex->is_cancelled = true; // nothing is told after the end
        ex->sink.ended(ex->sink.ctx, &ex->ends);
    }
    if (ex->fd < 0 || (may_rest && pool_put(ex))) {
        exchange_free(ex);
    } else {
        loop_close(ex->pool->loop, &ex->op, ex->fd);
    }
}

// Opens the file, if it is not open, writes the body, if there is one, and reads: first once, since most answers are
// read at once, then to the end.
static void ask(struct exchange *ex)
{
    ex->stage = ASKING;
    ex->wait.fd = ex->fd;
    ex->wait.path = ex->path;
    ex->wait.flags = ex->has_asked ? O_RDWR : O_RDONLY;
    ex->wait.out = (struct str){ ex->body, ex->body ? ex->body_len : 0 };
    ex->wait.follows = ex->has_read;
    ex->wait.pace_ns = ex->sink.pace_ns;
    int r = waiters_start(ex->pool->waiters, &ex->wait);
    if (r < 0) {
        ex->stage = GIVING_UP;
        ex->ends.read = r;
        loop_timer(ex->pool->loop, &ex->op, 0);
    }
}

// Only the ring opens on behalf of others, and where the caller waits for that alone.
static void begin(struct exchange *ex)
{
    if (ex->fd >= 0 || (ex->personality == 0 && !ex->sink.opened)) {
        ask(ex);
        return;
    }
    ex->stage = OPENING;
    loop_open(ex->pool->loop, &ex->op, ex->path, ex->has_asked ? O_RDWR : O_RDONLY, ex->personality);
}

static void opened(struct exchange *ex, int res)
{
    if (res < 0) {
        ex->ends.open = res;
        close_file(ex);
        return;
    }
    ex->fd = res;
    if (!ex->is_cancelled && ex->sink.opened) {
        ex->sink.opened(ex->sink.ctx);
    }
    if (ex->is_cancelled) {
        close_file(ex);
    } else {
        ask(ex);
    }
}

static bool is_gone(int res)
{
    return res == -ENOTCONN || res == -ECONNABORTED || res == -ESTALE || res == -ENODEV;
}

// A file from the pool whose mount has gone.
static void reopen(struct exchange *ex)
{
    close(ex->fd); // there is nobody who could let it wait
    ex->fd = -1;
    ex->was_idle = false;
    begin(ex);
}

// What there is, as long as the sink wants more.
static void deliver(struct exchange *ex)
{
    while (ex->stage == ASKING) {
        struct str bytes = waiters_take(ex->pool->waiters, &ex->wait);
        if (bytes.len > 0) {
            ex->stage = PAUSED;
            ex->has_read = ex->is_in_data = true;
            ex->sink.data(ex->sink.ctx, bytes);
            ex->is_in_data = false;
        } else if (ex->wait.is_pending) {
            return;
        } else if (ex->wait.n_read > 0) {
            ask(ex); // that was the first read
            return;
        } else {
            ex->ends.read = ex->ends.open < 0 ? 0 : (int)ex->wait.n_read;
            close_file(ex);
            return;
        }
    }
    if (ex->stage == COMPLETE && !ex->wait.is_pending) {
        close_file(ex);
    }
}

static void wait_ready(struct wait_op *op)
{
    struct exchange *ex = (struct exchange *)((char *)op - offsetof(struct exchange, wait));
    if (!op->is_pending) {
        ex->fd = op->fd;
        ex->ends.open = op->opened;
    }
    if (!op->is_pending && (ex->is_cancelled || ex->stage == COMPLETE)) {
        close_file(ex);
        return;
    }
    if (!ex->is_cancelled && ex->was_idle && is_gone(op->written)) {
        reopen(ex);
        return;
    }
    ex->was_idle = false;
    ex->ends.write = ex->body && op->opened == 0 ? op->written : ex->ends.write; // the first read: it is over
    free(ex->body);
    ex->body = NULL;
    if (!ex->is_cancelled) {
        deliver(ex);
    }
}

static void op_done(struct loop_op *op, int res)
{
    struct exchange *ex = (struct exchange *)op;
    if (ex->stage == CLOSING) {
        exchange_free(ex);
    } else if (ex->stage == OPENING) {
        opened(ex, res);
    } else {
        close_file(ex);
    }
}

static void timed_out(struct loop_op *op, int res)
{
    struct exchange *ex = (struct exchange *)((char *)op - offsetof(struct exchange, timeout));
    if (ex->is_over) {
        exchange_free(ex);
    } else if (res == 0 && !ex->is_cancelled) {
        struct exchange_sink sink = ex->sink;
        struct exchange_ends ends = ex->ends;
        ends.read = -ETIMEDOUT;
        exchange_cancel(ex);
        sink.ended(sink.ctx, &ends);
    }
}

struct exchange *exchange_start(struct exchange_pool *pool, const char *path, char *body, size_t body_len,
                                unsigned personality, const struct exchange_sink *sink)
{
    size_t n = strlen(path) + 1;
    struct exchange *ex = calloc(1, sizeof(*ex) + n);
    static_assert(offsetof(struct exchange, op) == 0, "op_done");
    if (!ex) {
        free(body);
        return NULL;
    }
    memcpy(ex->path, path, n);
    ex->pool = pool;
    ex->op.done = op_done;
    ex->timeout.done = timed_out;
    wait_op_init(&ex->wait, wait_ready);
    ex->sink = *sink;
    ex->body = body;
    ex->body_len = body_len;
    ex->has_asked = body != NULL;
    ex->personality = personality;
    ex->fd = body ? pool_take(pool, path, personality) : -1;
    ex->was_idle = ex->fd >= 0;
    if (sink->timeout_ns > 0) {
        loop_timer(pool->loop, &ex->timeout, sink->timeout_ns);
    }
    begin(ex);
    return ex;
}

void exchange_go_on(struct exchange *ex)
{
    assert(ex->stage == PAUSED && !ex->is_cancelled);
    ex->stage = ASKING;
    if (!ex->is_in_data) {
        deliver(ex);
    }
}

void exchange_pass(struct exchange *ex, bool (*pass)(void *ctx, struct str bytes), void *ctx)
{
    if (ex->stage == ASKING && !ex->is_cancelled) {
        waiters_pass(ex->pool->waiters, &ex->wait, pass, ctx);
    }
}

void exchange_hold(struct exchange *ex)
{
    waiters_hold(&ex->wait);
}

void exchange_complete(struct exchange *ex)
{
    assert(ex->stage == PAUSED && !ex->is_cancelled);
    ex->stage = COMPLETE;
}

void exchange_cancel(struct exchange *ex)
{
    ex->is_cancelled = true;
    if (ex->wait.is_pending) {
        waiters_cancel(ex->pool->waiters, &ex->wait);
    } else if (ex->stage == PAUSED) {
        close_file(ex);
    } else if (ex->stage != CLOSING) {
        loop_cancel(ex->pool->loop, &ex->op);
    }
}
