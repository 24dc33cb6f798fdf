// A connection is waiting for a request, receiving one, or being answered. Waiting and receiving have deadlines of our
// own, since the library's timeout starts anew with every byte: a client that sends one each second would hold its
// connection for ever.
//
//   open --> WAITING --head--> RECEIVING --body complete--> ANSWERING --sent--> WAITING
#include "tools/bridge/http.h"
#include "engine/base/log.h"
#include "tools/bridge/refusal.h"
#include "tools/bridge/request.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define POOL_BYTES       10240 // a connection's memory: its head, and what is being sent
#define TICK_NS          1000000000u
#define WAIT_NS          75000000000u // for the whole head of the next request
#define BODY_NS          30000000000u // for a body, and longer by what it brings:
#define BODY_BYTES_PER_S 16384u
#define SILENCE_S        75u // neither sends nor takes a byte

enum phase { WAITING, RECEIVING, ANSWERING };

struct connection {
    struct connection *next, *prev;
    struct http *http;
    int fd;
    enum phase phase;
    uint64_t since_ns;
    uint64_t n_bytes; // of the body
    bool is_first;    // to be looked at
    bool is_given_up; // the library closes it
    bool has_ended;   // was seen to: the client sends no more, and all that it sent was read
};

struct http {
    struct loop_op poll, tick, again;
    struct bridge *bridge;
    struct MHD_Daemon *daemon;
    refusal_queue queue;
    struct connection *first;
    int epoll_fd;
    int listen_fd; // once it is ours again; -1 before
    bool must_run; // after this turn
    bool is_stopped;
};

static struct connection *connection_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void enter(struct connection *c, enum phase phase)
{
    if (c) {
        c->phase = phase;
        c->since_ns = clock_monotonic_ns();
        c->n_bytes = 0;
    }
}

void http_receiving(struct MHD_Connection *mhd, size_t n_bytes)
{
    struct connection *c = connection_of(mhd);
    if (c && c->phase != RECEIVING) {
        enter(c, RECEIVING);
    }
    if (c) {
        c->n_bytes += n_bytes;
    }
}

void http_received(struct MHD_Connection *mhd)
{
    enter(connection_of(mhd), ANSWERING);
}

// In each of its turns the library looks at connections that have a time limit of their own before it reads from any.
// That is how one that it has closed is given up at once; and an answer is begun before the connection is read from,
// since reading the end of what the client sends would be the end of the connection, answer or not.
void http_look_first(struct MHD_Connection *mhd, bool is_first)
{
    struct connection *c = connection_of(mhd);
    if (c && c->is_first != is_first && !c->is_given_up) {
        c->is_first = is_first;
        c->http->must_run |= is_first;
        MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, is_first ? SILENCE_S + 1 : SILENCE_S);
    }
}

void http_give_up(struct MHD_Connection *mhd)
{
    struct connection *c = connection_of(mhd);
    http_look_first(mhd, true);
    if (c) {
        c->is_given_up = true;
    }
}

void http_answered(struct MHD_Connection *mhd)
{
    enter(connection_of(mhd), WAITING);
    http_look_first(mhd, false);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *c = calloc(1, sizeof(*c));
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        http->bridge->counts.n_connections++;
        *socket_context = c;
        if (c) {
            c->http = http;
            c->fd = info ? info->connect_fd : -1;
            c->next = http->first;
            if (http->first) {
                http->first->prev = c;
            }
            http->first = c;
            enter(c, WAITING);
        }
        return;
    }
    struct connection *c = *socket_context;
    http->bridge->counts.n_connections--;
    if (c) {
        *(c->prev ? &c->prev->next : &http->first) = c->next;
        if (c->next) {
            c->next->prev = c->prev;
        }
        free(c);
    }
}

static bool is_too_slow(const struct connection *c, uint64_t now)
{
    uint64_t taken = now - c->since_ns;
    switch (c->phase) {
    case WAITING: return taken > WAIT_NS;
    case RECEIVING: return taken > BODY_NS + c->n_bytes * (1000000000u / BODY_BYTES_PER_S);
    case ANSWERING: return false;
    }
    return false;
}

// The library is told of an end once, together with the last bytes, and forgets it when a read brings less than it has
// room for. What can come no more is given up here, when it was so at two ticks: what was read is worked on by then.
static bool waits_in_vain(struct connection *c)
{
    char byte;
    bool has_ended = c->phase != ANSWERING && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    bool is_vain = has_ended && c->has_ended;
    c->has_ended = has_ended;
    return is_vain;
}

static void run_daemon(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms = 1;
    for (int i = 0; i < 16; i++) {
        http->must_run = false;
        MHD_run(http->daemon);
        bool has_more = http->must_run; // what a handler has resumed, of which the timeout does not tell
        if (!has_more && (MHD_get_timeout(http->daemon, &timeout_ms) != MHD_YES || timeout_ms > 0)) {
            return;
        }
    }
    http->must_run = true; // others come first
    if (!http->again.is_pending) {
        loop_timer(http->bridge->loop, &http->again, 0);
    }
}

static void again_done(struct loop_op *op, int res)
{
    (void)op;
    (void)res; // the turn has an end, which is what was wanted
}

static void poll_done(struct loop_op *op, int res)
{
    struct http *http = (struct http *)op;
    if (http->is_stopped || res == -ECANCELED) {
        return;
    }
    http->must_run = true;
    loop_poll(http->bridge->loop, &http->poll, http->epoll_fd, POLLIN);
}

static void tick_done(struct loop_op *op, int res)
{
    struct http *http = (struct http *)((char *)op - offsetof(struct http, tick));
    if (http->is_stopped || res == -ECANCELED) {
        return;
    }
    uint64_t now = clock_monotonic_ns();
    for (struct connection *c = http->first; c; c = c->next) {
        if (is_too_slow(c, now) || waits_in_vain(c)) {
            shutdown(c->fd, SHUT_RDWR);
        }
    }
    http->must_run = true;
    loop_timer(http->bridge->loop, &http->tick, TICK_NS);
}

static void turn_end(void *ctx)
{
    struct http *http = ctx;
    if (http->must_run && !http->is_stopped) {
        run_daemon(http);
    }
}

void http_resume(struct http *http, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    http->must_run = true;
}

enum MHD_Result http_queue(struct http *http, struct MHD_Connection *connection, unsigned status,
                           struct MHD_Response *response)
{
    return http->queue(connection, status, response);
}

struct bridge *http_bridge_of(struct MHD_Connection *connection)
{
    struct connection *c = connection_of(connection);
    return c ? c->http->bridge : NULL;
}

static void on_message(void *cls, const char *fmt, va_list args)
{
    char line[256];
    (void)cls;
    vsnprintf(line, sizeof(line), fmt, args);
    log_debug("%s", line);
}

static struct MHD_Daemon *start_daemon(struct http *http, int listen_fd, const char *cert, const char *key)
{
    const struct options *options = http->bridge->options;
    unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_TURBO | (cert ? MHD_USE_TLS : 0u);
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key },
        { MHD_OPTION_END, 0, NULL },
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, request_handle, http->bridge,                                //
                            MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd, //
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,                            //
                            MHD_OPTION_CONNECTION_LIMIT, options->max_connections,                             //
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->max_per_address,                      //
                            MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,                                          //
                            MHD_OPTION_NOTIFY_COMPLETED, request_completed, http->bridge,                      //
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_URI_LOG_CALLBACK,
                            request_begin, //
                            http->bridge, MHD_OPTION_ARRAY, cert ? tls : &tls[2], MHD_OPTION_END);
}

int http_start(struct bridge *bridge, int listen_fd, const char *cert, const char *key, struct http **ret,
               struct err *err)
{
    struct http *http = calloc(1, sizeof(*http));
    if (!http) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    http->bridge = bridge;
    http->listen_fd = -1;
    http->poll.done = poll_done;
    http->tick.done = tick_done;
    http->again.done = again_done;
    http->queue = refusal_library_queue();
    http->daemon = http->queue ? start_daemon(http, listen_fd, cert, key) : NULL;
    if (!http->daemon) {
        free(http);
        return err_set(err, -EINVAL,
                       cert ? "the HTTP daemon does not start: are --tls-cert and --tls-key a pair?"
                            : "the HTTP daemon does not start");
    }
    http->epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    loop_poll(bridge->loop, &http->poll, http->epoll_fd, POLLIN);
    loop_timer(bridge->loop, &http->tick, TICK_NS);
    loop_set_turn_end(bridge->loop, turn_end, http);
    *ret = http;
    return 0;
}

void http_stop_listening(struct http *http)
{
    if (http->listen_fd < 0) {
        http->listen_fd = MHD_quiesce_daemon(http->daemon);
    }
}

void http_stop(struct http *http)
{
    loop_set_turn_end(http->bridge->loop, NULL, NULL);
    request_abort_all(http->bridge);
    run_daemon(http); // the library forbids to stop while a connection is suspended
    http->is_stopped = true;
    MHD_stop_daemon(http->daemon);
    loop_cancel(http->bridge->loop, &http->poll);
    loop_cancel(http->bridge->loop, &http->tick);
    loop_cancel(http->bridge->loop, &http->again);
}

void http_free(struct http *http)
{
    free(http);
}
