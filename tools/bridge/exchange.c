// One operation is under way at a time, in `op`; its end is the beginning of the next. A file that was written to and
// read to its end goes to the pool, and the next request for the same path and user begins with WRITING. If its mount
// has gone meanwhile, that write fails, nothing was accepted, and the file is opened anew.
//
// 1. `fd` is open from the end of OPENING to the beginning of CLOSING.
// 2. A cancelled exchange calls nobody; it goes to CLOSING from wherever it is.
#include "tools/bridge/exchange.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536

enum stage { OPENING, WRITING, WAITING, READING, PAUSED, COMPLETE, CLOSING };

#define POOL_MAX 256

struct idle_file {
    char *path;
    unsigned personality;
    int fd;
};

struct exchange_pool {
    struct loop *loop;
    struct idle_file idle[POOL_MAX];
    size_t n;
};

struct exchange {
    struct loop_op op;
    struct loop *loop;
    struct exchange_pool *pool;
    struct exchange_sink sink;
    struct exchange_ends ends;
    enum stage stage;
    int fd;
    char *body;
    struct str unwritten; // the rest of the body
    bool is_cancelled;
    bool has_asked; // the file is one to write to
    bool was_idle;  // the file comes from the pool, and its mount has not been heard of since
    unsigned personality;
    bool reads_on; // in `readable`: once more
    char path[];
};

static void exchange_free(struct exchange *ex)
{
    free(ex->body);
    free(ex);
}

// ---- the pool ------------------------------------------------------------------------------------------------------

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret)
{
    *ret = calloc(1, sizeof(**ret));
    if (!*ret) {
        return -ENOMEM;
    }
    (*ret)->loop = loop;
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
    char *path = pool->n < POOL_MAX ? strdup(ex->path) : NULL;
    if (!path) {
        return false;
    }
    pool->idle[pool->n++] = (struct idle_file){ path, ex->personality, ex->fd };
    return true;
}

static void closed(struct loop_op *op, int res)
{
    (void)res;
    free(op);
}

void exchange_pool_flush(struct exchange_pool *pool, const char *prefix)
{
    for (size_t i = pool->n; i-- > 0;) {
        struct idle_file file = pool->idle[i];
        struct loop_op *op = strncmp(file.path, prefix, strlen(prefix)) == 0 ? calloc(1, sizeof(*op)) : NULL;
        if (op) {
            op->done = closed;
            loop_close(pool->loop, op, file.fd);
            free(file.path);
            pool->idle[i] = pool->idle[--pool->n];
        }
    }
}

void exchange_pool_free(struct exchange_pool *pool)
{
    assert(!pool || pool->n == 0);
    free(pool);
}

// ---- an exchange ---------------------------------------------------------------------------------------------------

static void close_file(struct exchange *ex)
{
    bool may_rest =
        ex->stage == READING && ex->has_asked && !ex->is_cancelled && ex->ends.write == 0 && ex->ends.read == 0;
    ex->stage = CLOSING;
    if (!ex->is_cancelled) {
        ex->is_cancelled = true; // nothing is told after the end
        ex->sink.ended(ex->sink.ctx, &ex->ends);
    }
    if (ex->fd < 0 || (may_rest && pool_put(ex))) {
        exchange_free(ex);
    } else {
        loop_close(ex->loop, &ex->op, ex->fd);
    }
}

static void wait_readable(struct exchange *ex)
{
    ex->stage = WAITING;
    loop_poll(ex->loop, &ex->op, ex->fd, POLLIN);
}

static void write_rest(struct exchange *ex)
{
    ex->stage = WRITING;
    loop_write_slow(ex->loop, &ex->op, ex->fd, ex->unwritten.ptr, ex->unwritten.len);
}

static void opened(struct exchange *ex, int res)
{
    if (res < 0) {
        ex->ends.open = res;
        close_file(ex);
        return;
    }
    ex->fd = res;
    if (ex->is_cancelled) {
        close_file(ex);
    } else if (ex->body) {
        write_rest(ex);
    } else {
        wait_readable(ex);
    }
}

static bool is_gone(int res)
{
    return res == -ENOTCONN || res == -ECONNABORTED || res == -ESTALE || res == -ENODEV;
}

static void open_file(struct exchange *ex);

// A file from the pool whose mount has gone.
static void reopen(struct exchange *ex)
{
    close(ex->fd); // there is nobody who could let it wait
    ex->fd = -1;
    ex->was_idle = false;
    open_file(ex);
}

static void written(struct exchange *ex, int res)
{
    if (ex->was_idle && is_gone(res)) {
        reopen(ex);
        return;
    }
    ex->was_idle = false;
    if (res > 0 && (size_t)res < ex->unwritten.len) {
        ex->unwritten = str_skip(ex->unwritten, (size_t)res);
        write_rest(ex);
        return;
    }
    ex->ends.write = res < 0 ? res : 0;
    free(ex->body);
    ex->body = NULL;
    wait_readable(ex);
}

static bool read_piece(struct exchange *ex)
{
    char bytes[READ_BYTES];
    ex->stage = READING;
    ssize_t n = read(ex->fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_readable(ex);
    } else if (n <= 0) {
        ex->ends.read = n < 0 ? -errno : 0;
        close_file(ex);
        return false;
    } else {
        ex->stage = PAUSED;
        ex->sink.data(ex->sink.ctx, (struct str){ bytes, (size_t)n });
        if (ex->stage == COMPLETE) {
            close_file(ex);
            return false;
        }
    }
    return true;
}

// What is there, as long as the sink wants more at once.
static void readable(struct exchange *ex)
{
    do {
        ex->reads_on = false;
    } while (read_piece(ex) && ex->reads_on);
}

static void op_done(struct loop_op *op, int res)
{
    struct exchange *ex = (struct exchange *)op;
    if (ex->stage == CLOSING) {
        exchange_free(ex);
    } else if (ex->stage == OPENING) {
        opened(ex, res);
    } else if (ex->is_cancelled) {
        close_file(ex);
    } else if (ex->stage == WRITING) {
        written(ex, res);
    } else if (res < 0) {
        ex->ends.read = res;
        close_file(ex);
    } else {
        readable(ex);
    }
}

static void open_file(struct exchange *ex)
{
    ex->stage = OPENING;
    loop_open(ex->loop, &ex->op, ex->path, (ex->has_asked ? O_RDWR : O_RDONLY) | O_NONBLOCK, ex->personality);
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
    ex->loop = pool->loop;
    ex->op.done = op_done;
    ex->sink = *sink;
    ex->body = body;
    ex->unwritten = (struct str){ body, body_len };
    ex->has_asked = body != NULL;
    ex->personality = personality;
    ex->fd = body ? pool_take(pool, path, personality) : -1;
    ex->was_idle = ex->fd >= 0;
    if (ex->was_idle) {
        write_rest(ex);
    } else {
        open_file(ex);
    }
    return ex;
}

void exchange_go_on(struct exchange *ex, bool is_there)
{
    assert(ex->stage == PAUSED && !ex->is_cancelled);
    if (is_there) {
        ex->stage = READING;
        ex->reads_on = true;
    } else {
        wait_readable(ex);
    }
}

void exchange_complete(struct exchange *ex)
{
    assert(ex->stage == PAUSED && !ex->is_cancelled);
    ex->stage = COMPLETE;
}

void exchange_cancel(struct exchange *ex)
{
    ex->is_cancelled = true;
    if (ex->stage == PAUSED) {
        close_file(ex);
    } else if (ex->stage != CLOSING) {
        loop_cancel(ex->loop, &ex->op);
    }
}
