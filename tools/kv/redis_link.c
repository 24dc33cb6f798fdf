// hiredis tells by hooks what it wants to hear of its socket; each want is a one-shot poll of the loop, armed again as
// long as it is wanted. A connection's memory stays until its polls have ended, after the library's context has gone:
// the next connection has memory of its own. The context's cleanup hook is the one place where a connection ends.
#include "tools/kv/redis_link.h"
#include "engine/base/log.h"
#include "tools/kv/lookup.h"
#include <assert.h>
#include <errno.h>
#include <hiredis/async.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_NS 100000000u
#define BACKOFF_MAX_NS 1000000000u
#define TICK_NS        1000000000u
#define SILENCE_NS     30000000000u
#define GREETING_NS    10000000000u // to be connected and greeted
#define WARN_NS        60000000000u
#define COMMAND_BYTES  64 // what a command takes beside its arguments, at least

struct connection {
    struct loop_op reads, writes;
    struct redis_link *link;
    redisAsyncContext *context; // NULL: it has gone
    bool wants_read, wants_write;
    bool is_entered; // the library is at work
};

struct redis_link {
    struct loop_op retry, tick;
    struct loop *loop;
    struct redis_url url;
    struct redis_link_owner owner;
    struct connection *connection;
    struct lookup *lookup;
    uint64_t backoff_ns, heard_ns, warned_ns;
    size_t waiting_bytes;
    unsigned n_waiting; // commands
    bool is_up, is_stopped;
    bool is_told; // that it is down
    char name[300];
};

struct command {
    struct redis_link *link;
    redis_answered *answered;
    void *ctx;
    size_t n_bytes;
};

// ---- the library's socket on the loop ------------------------------------------------------------------------------

static void connection_settle(struct connection *c)
{
    if (!c->is_entered && !c->context && !c->reads.is_pending && !c->writes.is_pending) {
        free(c);
    }
}

static void arm(struct connection *c)
{
    if (c->context && c->wants_read && !c->reads.is_pending) {
        loop_poll(c->link->loop, &c->reads, c->context->c.fd, POLLIN);
    }
    if (c->context && c->wants_write && !c->writes.is_pending) {
        loop_poll(c->link->loop, &c->writes, c->context->c.fd, POLLOUT);
    }
}

static void enter(struct connection *c, void (*handle)(redisAsyncContext *context))
{
    c->is_entered = true;
    handle(c->context);
    c->is_entered = false;
    arm(c);
    connection_settle(c);
}

static void readable(struct loop_op *op, int res)
{
    struct connection *c = (struct connection *)op;
    if (c->context && c->wants_read && res != -ECANCELED) {
        c->link->heard_ns = clock_monotonic_ns();
        enter(c, redisAsyncHandleRead);
    } else {
        connection_settle(c);
    }
}

static void writable(struct loop_op *op, int res)
{
    struct connection *c = (struct connection *)((char *)op - offsetof(struct connection, writes));
    if (c->context && c->wants_write && res != -ECANCELED) {
        enter(c, redisAsyncHandleWrite);
    } else {
        connection_settle(c);
    }
}

static void want_read(void *data)
{
    struct connection *c = data;
    c->wants_read = true;
    arm(c);
}

static void want_write(void *data)
{
    struct connection *c = data;
    c->wants_write = true;
    arm(c);
}

// A poll that is armed stays so: what it tells is not heard.
static void forget_read(void *data)
{
    struct connection *c = data;
    c->wants_read = false;
}

static void forget_write(void *data)
{
    struct connection *c = data;
    c->wants_write = false;
}

// ---- ends and beginnings -------------------------------------------------------------------------------------------

static void wait_and_retry(struct redis_link *link)
{
    if (!link->is_stopped && !link->retry.is_pending) {
        loop_timer(link->loop, &link->retry, link->backoff_ns);
        link->backoff_ns = link->backoff_ns < BACKOFF_MAX_NS / 2 ? 2 * link->backoff_ns : BACKOFF_MAX_NS;
    }
}

static void tell_down(struct redis_link *link, const char *why)
{
    if (!link->is_told && !link->is_stopped) {
        log_warn("Redis %s: %s; tried again every second", link->name, why);
        link->is_told = true;
    }
}

static void gone(void *data)
{
    struct connection *c = data;
    struct redis_link *link = c->link;
    bool was_up = link->is_up;
    tell_down(link, c->context->c.errstr[0] ? c->context->c.errstr : "the connection was closed");
    c->context = NULL;
    loop_cancel(link->loop, &c->reads);
    loop_cancel(link->loop, &c->writes);
    link->connection = NULL;
    link->is_up = false;
    if (was_up && !link->is_stopped) {
        link->owner.down(link->owner.ctx);
    }
    wait_and_retry(link);
    connection_settle(c);
}

static void greeted(void *ctx, const redisReply *reply)
{
    struct redis_link *link = ctx;
    if (reply && reply->type == REDIS_REPLY_ERROR && link->connection) {
        tell_down(link, reply->str);
        redisAsyncDisconnect(link->connection->context);
    }
}

static void greeted_last(void *ctx, const redisReply *reply)
{
    struct redis_link *link = ctx;
    greeted(ctx, reply);
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        log_info("Redis %s: connected", link->name);
        link->is_up = true;
        link->is_told = false;
        link->backoff_ns = BACKOFF_MIN_NS;
        link->owner.up(link->owner.ctx);
    }
}

static int send_command(struct redis_link *link, const struct str *args, size_t n_args, redis_answered *answered,
                        void *ctx);

static void greet(struct redis_link *link)
{
    const struct redis_url *url = &link->url;
    char db[12];
    int r = 0;
    if (url->password[0]) {
        struct str args[3] = { STR("AUTH"), str_from(url->user), str_from(url->password) };
        if (!url->user[0]) {
            args[1] = args[2];
        }
        r = send_command(link, args, url->user[0] ? 3 : 2, greeted, link);
    }
    if (r == 0 && url->db > 0) {
        snprintf(db, sizeof(db), "%u", url->db);
        r = send_command(link, (struct str[]){ STR("SELECT"), str_from(db) }, 2, greeted, link);
    }
    if (r == 0) {
        r = send_command(link, (struct str[]){ STR("PING") }, 1, greeted_last, link);
    }
    if (r < 0) {
        redisAsyncDisconnect(link->connection->context);
    }
}

static void connected(const redisAsyncContext *context, int status)
{
    struct connection *c = context->ev.data;
    if (status == REDIS_OK && !c->link->is_stopped) {
        if (c->link->url.host[0]) {
            redisEnableKeepAlive(&c->context->c);
        }
        greet(c->link);
    }
}

static void attach(struct redis_link *link, struct connection *c, redisAsyncContext *context)
{
    c->link = link;
    c->context = context;
    c->reads.done = readable;
    c->writes.done = writable;
    link->connection = c;
    link->heard_ns = clock_monotonic_ns();
    context->ev.data = c;
    context->ev.addRead = want_read;
    context->ev.delRead = forget_read;
    context->ev.addWrite = want_write;
    context->ev.delWrite = forget_write;
    context->ev.cleanup = gone;
    redisAsyncSetConnectCallback(context, connected);
}

static void connect_to(struct redis_link *link, const char *address)
{
    struct connection *c = calloc(1, sizeof(*c));
    redisAsyncContext *context = !c        ? NULL
                                 : address ? redisAsyncConnect(address, link->url.port)
                                           : redisAsyncConnectUnix(link->url.path);
    if (!context || context->err) {
        tell_down(link, context ? context->errstr : "out of memory");
        if (context) {
            redisAsyncFree(context);
        }
        free(c);
        wait_and_retry(link);
        return;
    }
    attach(link, c, context);
}

static void looked_up(void *ctx, const char *address, const char *why)
{
    struct redis_link *link = ctx;
    link->lookup = NULL;
    if (address) {
        connect_to(link, address);
    } else {
        tell_down(link, why);
        wait_and_retry(link);
    }
}

static void begin(struct redis_link *link)
{
    if (!link->url.host[0]) {
        connect_to(link, NULL);
    } else if (lookup_start(link->loop, link->url.host, looked_up, link, &link->lookup) < 0) {
        tell_down(link, "the name cannot be looked up now");
        wait_and_retry(link);
    }
}

static void retry_done(struct loop_op *op, int res)
{
    struct redis_link *link = (struct redis_link *)op;
    if (res == 0 && !link->is_stopped) {
        begin(link);
    }
}

// A host that has vanished does not say so.
static void tick_done(struct loop_op *op, int res)
{
    struct redis_link *link = (struct redis_link *)((char *)op - offsetof(struct redis_link, tick));
    if (res < 0 || link->is_stopped) {
        return;
    }
    uint64_t silence_ns = clock_monotonic_ns() - link->heard_ns;
    if (link->connection && (link->is_up ? link->n_waiting > 0 && silence_ns > SILENCE_NS : silence_ns > GREETING_NS)) {
        tell_down(link, "it does not answer");
        redisAsyncFree(link->connection->context);
    }
    loop_timer(link->loop, &link->tick, TICK_NS);
}

// ---- commands ------------------------------------------------------------------------------------------------------

static void warn(struct redis_link *link, const char *what)
{
    uint64_t now = clock_monotonic_ns();
    if (link->warned_ns == 0 || now - link->warned_ns > WARN_NS) {
        log_warn("Redis %s: %s", link->name, what);
        link->warned_ns = now;
    }
}

static void command_answered(redisAsyncContext *context, void *reply, void *data)
{
    struct command *command = data;
    struct redis_link *link = command->link;
    const redisReply *r = reply;
    (void)context;
    link->waiting_bytes -= command->n_bytes;
    link->n_waiting--;
    if (!link->is_stopped && r && r->type == REDIS_REPLY_ERROR && !command->answered) {
        warn(link, r->str);
    }
    if (!link->is_stopped && command->answered) {
        command->answered(command->ctx, r);
    }
    free(command);
}

#define FEW_ARGS 64

// The arguments in the library's form, in arrays with room for them. False: it takes no more commands.
static bool pass_command(struct redis_link *link, struct command *command, const struct str *args, size_t n_args,
                         const char **texts, size_t *lens)
{
    for (size_t i = 0; i < n_args; i++) {
        texts[i] = args[i].ptr ? args[i].ptr : "";
        lens[i] = args[i].len;
        command->n_bytes += args[i].len;
    }
    return redisAsyncCommandArgv(link->connection->context, command_answered, command, (int)n_args, texts, lens) ==
           REDIS_OK;
}

static int send_command(struct redis_link *link, const struct str *args, size_t n_args, redis_answered *answered,
                        void *ctx)
{
    const char *few_texts[FEW_ARGS];
    size_t few_lens[FEW_ARGS] = { 0 };
    bool are_few = n_args <= FEW_ARGS;
    const char **texts = are_few ? few_texts : calloc(n_args, sizeof(*texts));
    size_t *lens = are_few ? few_lens : calloc(n_args, sizeof(*lens));
    struct command *command = calloc(1, sizeof(*command));
    int r = texts && lens && command ? 0 : -ENOMEM;
    if (r == 0) {
        *command = (struct command){ .link = link, .answered = answered, .ctx = ctx, .n_bytes = COMMAND_BYTES };
        r = pass_command(link, command, args, n_args, texts, lens) ? 0 : -ENOTCONN;
    }
    if (!are_few) {
        free(texts);
        free(lens);
    }
    if (r < 0) {
        free(command);
        return r;
    }
    if (link->n_waiting++ == 0 && link->is_up) {
        link->heard_ns = clock_monotonic_ns(); // there was nothing to be said until now
    }
    link->waiting_bytes += command->n_bytes;
    return 0;
}

int redis_link_send(struct redis_link *link, const struct str *args, size_t n_args, redis_answered *answered, void *ctx)
{
    return link->is_up ? send_command(link, args, n_args, answered, ctx) : -ENOTCONN;
}

// ---- life ----------------------------------------------------------------------------------------------------------

int redis_link_new(struct loop *loop, const struct redis_url *url, const struct redis_link_owner *owner,
                   struct redis_link **ret)
{
    static_assert(offsetof(struct redis_link, retry) == 0 && offsetof(struct connection, reads) == 0, "callbacks");
    struct redis_link *link = calloc(1, sizeof(*link));
    if (!link) {
        return -ENOMEM;
    }
    link->loop = loop;
    link->url = *url;
    link->owner = *owner;
    link->backoff_ns = BACKOFF_MIN_NS;
    link->retry.done = retry_done;
    link->tick.done = tick_done;
    if (url->host[0]) {
        snprintf(link->name, sizeof(link->name), strchr(url->host, ':') ? "[%s]:%u" : "%s:%u", url->host, url->port);
    } else {
        snprintf(link->name, sizeof(link->name), "%s", url->path);
    }
    loop_timer(loop, &link->tick, TICK_NS);
    loop_timer(loop, &link->retry, 0);
    *ret = link;
    return 0;
}

void redis_link_stop(struct redis_link *link)
{
    if (!link || link->is_stopped) {
        return;
    }
    link->is_stopped = true;
    loop_cancel(link->loop, &link->retry);
    loop_cancel(link->loop, &link->tick);
    if (link->lookup) {
        lookup_cancel(link->lookup);
        link->lookup = NULL;
    }
    if (link->connection) {
        redisAsyncFree(link->connection->context);
    }
}

void redis_link_free(struct redis_link *link)
{
    assert(!link || (!link->connection && link->waiting_bytes == 0));
    free(link);
}

bool redis_link_is_up(const struct redis_link *link)
{
    return link->is_up;
}

size_t redis_link_waiting_bytes(const struct redis_link *link)
{
    return link->waiting_bytes;
}

const char *redis_link_name(const struct redis_link *link)
{
    return link->name;
}
