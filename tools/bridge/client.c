// libcurl tells which sockets it wants to hear of and when it wants to be called at the latest. Each socket has a
// one-shot poll of the loop, armed again as long as it is wanted; its memory stays until the poll has ended.
#include "tools/bridge/client.h"
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_TIMEOUT_MS 2000L
#define CONNECTIONS_KEPT   512L
#define SILENCE_S          10 // of a peer's machine, whose system answers also while the peer thinks

struct watch { // of a socket
    struct loop_op op;
    struct client *client;
    curl_socket_t fd;
    short events;
    bool is_dropped;
    bool is_busy; // its events are being told: it is freed after that
};

struct client {
    struct loop_op timer;
    struct loop *loop;
    CURLM *multi;
    struct client_call *calls;
    uint64_t due_ns; // when the library wants to be called; 0: not
    unsigned n_watches;
    bool is_stopped;
};

struct client_call {
    struct client *client;
    struct client_call *next, *prev;
    CURL *easy;
    struct curl_slist *headers;
    struct client_sink sink;
    bool is_paused;
};

// ---- the library's wants -------------------------------------------------------------------------------------------

static void take_ended(struct client *client);

static void act(struct client *client, curl_socket_t fd, int events)
{
    int n_running;
    curl_multi_socket_action(client->multi, fd, events, &n_running);
    take_ended(client);
}

static void arm(struct watch *watch)
{
    if (!watch->is_dropped && !watch->op.is_pending && watch->events && !watch->client->is_stopped) {
        loop_poll(watch->client->loop, &watch->op, watch->fd, watch->events);
    }
}

static void watch_done(struct loop_op *op, int res)
{
    struct watch *watch = (struct watch *)op;
    struct client *client = watch->client;
    if (watch->is_dropped) {
        client->n_watches--;
        free(watch);
        return;
    }
    if (client->is_stopped) {
        return;
    }
    curl_socket_t fd = watch->fd;
    int events = (res > 0 && res & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                 (res > 0 && res & POLLOUT ? CURL_CSELECT_OUT : 0) | (res > 0 && res & POLLERR ? CURL_CSELECT_ERR : 0);
    watch->is_busy = true;
    if (events) {
        act(client, fd, events);
    }
    watch->is_busy = false;
    if (watch->is_dropped && !op->is_pending) {
        client->n_watches--;
        free(watch);
    } else {
        arm(watch);
    }
}

static void drop(struct watch *watch)
{
    watch->is_dropped = true;
    if (watch->op.is_pending) {
        loop_cancel(watch->client->loop, &watch->op);
    } else if (!watch->is_busy) {
        watch->client->n_watches--;
        free(watch);
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct client *client = ctx;
    struct watch *watch = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            drop(watch);
        }
        return 0;
    }
    if (!watch) {
        watch = calloc(1, sizeof(*watch));
        if (!watch) {
            return -1;
        }
        watch->client = client;
        watch->fd = fd;
        watch->op.done = watch_done;
        client->n_watches++;
        curl_multi_assign(client->multi, fd, watch);
    }
    short events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    if (watch->op.is_pending && watch->events != events) {
        loop_cancel(client->loop, &watch->op); // and armed with the new ones when that is over
    }
    watch->events = events;
    arm(watch);
    return 0;
}

static void arm_timer(struct client *client)
{
    if (client->due_ns == 0 || client->is_stopped) {
        return;
    }
    if (client->timer.is_pending) {
        loop_cancel(client->loop, &client->timer);
        return;
    }
    uint64_t now = clock_monotonic_ns();
    loop_timer(client->loop, &client->timer, client->due_ns > now ? client->due_ns - now : 0);
}

static void timer_done(struct loop_op *op, int res)
{
    struct client *client = (struct client *)op;
    if (client->is_stopped || client->due_ns == 0) {
        return;
    }
    if (res == 0 && clock_monotonic_ns() >= client->due_ns) {
        client->due_ns = 0;
        act(client, CURL_SOCKET_TIMEOUT, 0);
    } else {
        arm_timer(client);
    }
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct client *client = ctx;
    (void)multi;
    client->due_ns = timeout_ms < 0 ? 0 : clock_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    arm_timer(client);
    return 0;
}

// ---- calls ---------------------------------------------------------------------------------------------------------

static void call_free(struct client_call *call)
{
    *(call->prev ? &call->prev->next : &call->client->calls) = call->next;
    if (call->next) {
        call->next->prev = call->prev;
    }
    curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    free(call);
}

static void take_ended(struct client *client)
{
    CURLMsg *msg;
    int n_left;
    while (!client->is_stopped && (msg = curl_multi_info_read(client->multi, &n_left))) {
        if (msg->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = msg->data.result;
        struct client_call *call = NULL;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
        struct client_sink sink = call->sink;
        sink.ended(sink.ctx, code == CURLE_OK ? NULL : curl_easy_strerror(code));
        call_free(call);
    }
}

static size_t on_data(char *bytes, size_t size, size_t n, void *ctx)
{
    struct client_call *call = ctx;
    if (!call->sink.data(call->sink.ctx, (struct str){ bytes, size * n })) {
        call->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return size * n;
}

static bool add_header(struct client_call *call, const char *header)
{
    struct curl_slist *list = curl_slist_append(call->headers, header);
    call->headers = list ? list : call->headers;
    return list != NULL;
}

// A machine that is gone says nothing: an answer that is waited for would be waited for until somebody gives up.
static int watch_silence(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    const int is_on = 1, idle_s = SILENCE_S / 2, every_s = 1, n_probes = SILENCE_S / 2,
              unanswered_ms = 1000 * SILENCE_S;
    (void)ctx;
    (void)purpose;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof(is_on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n_probes, sizeof(n_probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
    return CURL_SOCKOPT_OK;
}

static bool set_up(struct client_call *call, const struct client_request *request)
{
    CURL *easy = call->easy;
    bool is_ok = add_header(call, "Expect:"); // bodies are not announced
    for (const char *const *header = request->headers; is_ok && header && *header; header++) {
        is_ok = add_header(call, *header);
    }
    is_ok = is_ok && curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK;
    if (request->body.ptr) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.ptr);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, watch_silence);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    return is_ok;
}

struct client_call *client_start(struct client *client, const struct client_request *request,
                                 const struct client_sink *sink)
{
    struct client_call *call = client->is_stopped ? NULL : calloc(1, sizeof(*call));
    if (!call) {
        return NULL;
    }
    call->client = client;
    call->sink = *sink;
    call->easy = curl_easy_init();
    if (!call->easy || !set_up(call, request) || curl_multi_add_handle(client->multi, call->easy) != CURLM_OK) {
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->headers);
        free(call);
        return NULL;
    }
    call->next = client->calls;
    if (call->next) {
        call->next->prev = call;
    }
    client->calls = call;
    return call;
}

// The library calls back from within; what it has held back comes with the next turn.
void client_go_on(struct client_call *call)
{
    if (call->is_paused) {
        call->is_paused = false;
        curl_easy_pause(call->easy, CURLPAUSE_CONT);
    }
}

void client_cancel(struct client_call *call)
{
    call_free(call);
}

unsigned client_status(const struct client_call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned)status;
}

const char *client_content_type(const struct client_call *call)
{
    char *type = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    return type ? type : "";
}

// ---- its life ------------------------------------------------------------------------------------------------------

int client_new(struct loop *loop, struct client **ret, struct err *err)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client->multi = curl_multi_init())) {
        free(client);
        return err_set(err, -ENOMEM, "out of memory for an HTTP client");
    }
    client->loop = loop;
    client->timer.done = timer_done;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    *ret = client;
    return 0;
}

void client_stop(struct client *client)
{
    if (!client || client->is_stopped) {
        return;
    }
    client->is_stopped = true;
    while (client->calls) {
        call_free(client->calls);
    }
    curl_multi_cleanup(client->multi); // closes what it kept, and drops its sockets
    client->multi = NULL;
    loop_cancel(client->loop, &client->timer);
}

void client_free(struct client *client)
{
    if (client) {
        assert(client->is_stopped && client->n_watches == 0);
        curl_global_cleanup();
        free(client);
    }
}
