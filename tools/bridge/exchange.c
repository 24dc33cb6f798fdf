// One operation is under way at a time, in `op`; its end is the beginning of the next.
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

enum stage { OPENING, WRITING, WAITING, PAUSED, CLOSING };

struct exchange {
    struct loop_op op;
    struct loop *loop;
    struct exchange_sink sink;
    struct exchange_ends ends;
    enum stage stage;
    int fd;
    char *body;
    struct str unwritten; // the rest of the body
    bool is_cancelled;
    char path[];
};

static void exchange_free(struct exchange *ex)
{
    free(ex->body);
    free(ex);
}

static void close_file(struct exchange *ex)
{
    ex->stage = CLOSING;
    if (!ex->is_cancelled) {
        ex->is_cancelled = true; // nothing is told after the end
        ex->sink.ended(ex->sink.ctx, &ex->ends);
    }
    if (ex->fd < 0) {
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

static void written(struct exchange *ex, int res)
{
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

// What is there, in one piece.
static void readable(struct exchange *ex)
{
    char bytes[READ_BYTES];
    ssize_t n = read(ex->fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_readable(ex);
    } else if (n <= 0) {
        ex->ends.read = n < 0 ? -errno : 0;
        close_file(ex);
    } else {
        ex->stage = PAUSED;
        ex->sink.data(ex->sink.ctx, (struct str){ bytes, (size_t)n });
    }
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

struct exchange *exchange_start(struct loop *loop, const char *path, char *body, size_t body_len, unsigned personality,
                                const struct exchange_sink *sink)
{
    size_t n = strlen(path) + 1;
    struct exchange *ex = calloc(1, sizeof(*ex) + n);
    static_assert(offsetof(struct exchange, op) == 0, "op_done");
    if (!ex) {
        free(body);
        return NULL;
    }
    memcpy(ex->path, path, n);
    ex->loop = loop;
    ex->op.done = op_done;
    ex->sink = *sink;
    ex->body = body;
    ex->unwritten = (struct str){ body, body_len };
    ex->fd = -1;
    loop_open(loop, &ex->op, ex->path, (body ? O_RDWR : O_RDONLY) | O_NONBLOCK, personality);
    return ex;
}

void exchange_go_on(struct exchange *ex)
{
    assert(ex->stage == PAUSED && !ex->is_cancelled);
    wait_readable(ex);
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
