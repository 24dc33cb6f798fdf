// Reading a request. What the client's bytes must look like is checked here; what its body says is the mount's to
// check.
//
// A request lives from its first line (request_begin) until the library says that it is over (request_completed) and
// the watch of its connection has ended.
#include "engine/base/log.h"
#include "tools/bridge/access_log.h"
#include "tools/bridge/head.h"
#include "tools/bridge/http.h"
#include "tools/bridge/request_internal.h"
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define HEAD_BYTES_MAX   8192u   // what the library could still read of the rest of its 10 KiB, it needs for the answer
#define LOOK_NS_MIN      500000u // at a client that may only listen
#define LOOK_NS_MAX      100000000u
#define SKIP_BYTES_MAX   (64u << 20)  // of a body that is too long, so that the client gets to hear of it
#define BODIES_BYTES_MAX (512u << 20) // of all requests together
#define SMALL_BYTES      (64u << 10)  // requests of so much have room
#define SMALL_ROOM_BYTES (64u << 20)  // that longer ones leave to them

static void make_id(char ret[REQUEST_ID_LEN + 1])
{
    unsigned char bytes[16] = { 0 };
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        log_warn("no random bytes: request ids repeat");
    }
    memcpy(ret, "req-", 4);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(ret + 4 + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void watch_done(struct loop_op *op, int res);

void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct bridge *bridge = cls;
    struct request *request = calloc(1, sizeof(*request));
    static_assert(offsetof(struct request, watch) == 0, "watch_done");
    if (!request) {
        return NULL;
    }
    request->bridge = bridge;
    request->connection = connection;
    request->watch.done = watch_done;
    request->begin_ns = clock_monotonic_ns();
    request->uri = strdup(uri);
    strbuf_init(&request->body, bridge->options->body_bytes_max);
    make_id(request->id);
    request->next = bridge->first;
    if (bridge->first) {
        bridge->first->prev = request;
    }
    bridge->first = request;
    bridge->counts.n_answering++;
    return request;
}

static void request_free(struct request *request)
{
    relay_deinit(request);
    strbuf_deinit(&request->body);
    free(request->uri);
    free(request->path);
    free(request->method);
    free(request->version);
    free(request);
}

// ---- waiting for a mount -------------------------------------------------------------------------------------------

// The library does not look at a suspended connection, so the client's leaving is watched for here. What TCP tells of a
// client that closed (and will answer the next bytes with a reset) is what it tells of one that only sends no more, and
// still listens. So something is sent that HTTP lets clients ignore: an interim answer, or a comment between two
// events.
static bool asks_whether_it_listens(struct request *request, int fd)
{
    struct str probe = request->is_streaming ? STR("3\r\n:\n\n\r\n") : STR("HTTP/1.1 102 Processing\r\n\r\n");
    int domain = 0;
    socklen_t size = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain == AF_UNIX) {
        return domain == AF_UNIX; // where closing is POLLHUP
    }
    if (request->bridge->options->tls_cert || strcmp(request->version, "HTTP/1.1") != 0) {
        return false;
    }
    relay_take_back(request);
    bool has_asked = !request->is_suspended || (request->is_streaming && !request->is_between_events);
    bool listens = has_asked || // by what it is being sent
                   send(fd, probe.ptr, probe.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)probe.len;
    relay_lend(request);
    return listens;
}

int request_socket(const struct request *request)
{
    return MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

// Of a half-closed one the ring would tell again and again that it is half closed. It is looked at now and then: a
// reset comes at once, or when the answer to the probe has come from afar.
static void watch(struct request *request)
{
    if (request->is_half_closed) {
        request->look_after_ns = request->look_after_ns < LOOK_NS_MAX ? 2 * request->look_after_ns : LOOK_NS_MAX;
        loop_timer(request->bridge->loop, &request->watch, request->look_after_ns);
    } else {
        loop_poll(request->bridge->loop, &request->watch, request_socket(request), POLLRDHUP);
    }
}

static bool has_left(struct request *request, int res)
{
    struct pollfd end = { .fd = request_socket(request) };
    if (!request->is_half_closed && res == POLLRDHUP && asks_whether_it_listens(request, end.fd)) {
        request->is_half_closed = true;
        request->look_after_ns = LOOK_NS_MIN;
        return false;
    }
    return !request->is_half_closed || poll(&end, 1, 0) > 0;
}

static void watch_done(struct loop_op *op, int res)
{
    struct request *request = (struct request *)op;
    if (!request->connection) {
        request_free(request);
    } else if (res < 0) {
        return; // the ring ends
    } else if (has_left(request, res)) {
        request->bridge->counts.n_cancelled++;
        request->is_aborted = true;
        relay_cancel(request);
        request_resume(request);
    } else {
        watch(request);
    }
}

void request_suspend(struct request *request)
{
    if (!request->is_suspended) {
        request->is_suspended = true;
        http_look_first(request->connection, false);
        MHD_suspend_connection(request->connection);
        relay_lend(request);
    }
    if (!request->watch.is_pending) {
        watch(request);
    }
}

void request_resume(struct request *request)
{
    if (request->is_suspended && request->connection) {
        relay_take_back(request);
        request->is_suspended = false;
        http_look_first(request->connection, !request->is_resumed);
        request->is_resumed = true;
        http_resume(request->bridge->http, request->connection);
    }
}

void request_abort_all(struct bridge *bridge)
{
    for (struct request *request = bridge->first; request; request = request->next) {
        request->is_aborted = true;
        relay_cancel(request);
        request_resume(request);
    }
}

void request_completed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_RequestTerminationCode code)
{
    struct bridge *bridge = cls;
    struct request *request = *context;
    (void)code;
    if (!request) {
        return;
    }
    http_answered(connection);
    relay_cancel(request);
    bridge->counts.n_requests++;
    bridge->counts.n_by_class[request->status / 100 < 6 ? request->status / 100 : 5]++;
    bridge->counts.n_answering--;
    bridge->counts.body_bytes -= request->body.len;
    bridge->counts.response_bytes += request->n_response_bytes;
    access_log_request(bridge->log, request, connection);
    *(request->prev ? &request->prev->next : &bridge->first) = request->next;
    if (request->next) {
        request->next->prev = request->prev;
    }
    request->connection = NULL;
    *context = NULL;
    if (request->watch.is_pending) {
        loop_cancel(bridge->loop, &request->watch);
    } else {
        request_free(request);
    }
    if (!bridge->first && bridge->idle) {
        bridge->idle(bridge);
    }
}

// ---- the head ------------------------------------------------------------------------------------------------------

struct lengths {
    unsigned n_content_length, n_transfer_encoding, n_host;
    uint64_t content_length;
    bool is_bad;
    bool is_encoded; // the body, in a way that nobody here reads
};

// The library takes a name as it finds it. "Content-Length :" would be a field that nobody asked for, and the body the
// next request.
static bool is_token(struct str name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        if (!isalnum((unsigned char)name.ptr[i]) && !memchr(others, name.ptr[i], sizeof(others) - 1)) {
            return false;
        }
    }
    return name.len > 0;
}

static bool has_control(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (iscntrl((unsigned char)value.ptr[i]) && value.ptr[i] != '\t') {
            return true;
        }
    }
    return false;
}

static enum MHD_Result count_lengths(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_len,
                                     const char *value, size_t value_len)
{
    struct lengths *lengths = cls;
    struct str text = { value, value ? value_len : 0 };
    int64_t n;
    (void)kind;
    lengths->is_bad |= !is_token((struct str){ key, key_len }) || has_control(text);
    if (strcasecmp(key, "content-length") == 0) {
        lengths->n_content_length++;
        bool is_number = str_parse_i64(text, &n) == 0 && n >= 0 && value[0] != '-';
        lengths->is_bad |= !is_number;
        lengths->content_length = is_number ? (uint64_t)n : 0;
    } else if (strcasecmp(key, "transfer-encoding") == 0) {
        lengths->n_transfer_encoding++;
        lengths->is_bad |= !value || strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(key, "host") == 0) {
        lengths->n_host++;
    } else if (strcasecmp(key, "content-encoding") == 0) {
        lengths->is_encoded |= text.len > 0 && strcasecmp(value, "identity") != 0;
    }
    return MHD_YES;
}

// Where two readers of one message could disagree on its end, nobody may guess (RFC 9112, 6.3).
static enum MHD_Result check_lengths(struct request *request, bool *ret_is_answered)
{
    struct lengths lengths = { 0 };
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    *ret_is_answered = true;
    if (info && info->header_size > HEAD_BYTES_MAX) {
        return respond_error(request, 431, "request_head_too_large",
                             "the head of the request has %zu bytes; at most %u are taken", info->header_size,
                             HEAD_BYTES_MAX);
    }
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, count_lengths, &lengths);
    lengths.is_bad |= lengths.n_transfer_encoding > 0 && strcmp(request->version, "HTTP/1.1") != 0;
    bool lacks_host = lengths.n_host == 0 && strcmp(request->version, "HTTP/1.0") != 0;
    if (lengths.is_bad || lacks_host || lengths.n_content_length > 1 || lengths.n_transfer_encoding > 1 ||
        lengths.n_host > 1 || (lengths.n_content_length > 0 && lengths.n_transfer_encoding > 0)) {
        return respond_error(request, 400, "bad_request",
                             "Content-Length, Transfer-Encoding, Host or another header is ill formed, or given "
                             "more than once, or Host is missing");
    }
    if (strcmp(request->method, "POST") == 0 && lengths.n_content_length + lengths.n_transfer_encoding == 0) {
        return respond_error(request, 400, "empty_body", // and closes: what follows could have been meant as the body
                             "the request has no body (neither Content-Length nor Transfer-Encoding); a JSON object is "
                             "expected");
    }
    if (lengths.content_length > request->body.len_max) {
        return respond_error(request, 413, "request_too_large", "the body has %llu bytes; at most %zu are taken",
                             (unsigned long long)lengths.content_length, request->body.len_max);
    }
    if (lengths.is_encoded) {
        return respond_error(request, 415, "unsupported_content_encoding",
                             "Content-Encoding: only identity is taken, a body as it is");
    }
    *ret_is_answered = false;
    return MHD_YES;
}

static struct str key_of(struct request *request)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Authorization");
    if (value && strncasecmp(value, "Bearer ", 7) == 0) {
        return str_trim(str_from(value + 7));
    }
    value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "x-api-key");
    return str_from(value);
}

static bool is_let_in(struct request *request)
{
    struct bridge *bridge = request->bridge;
    snprintf(request->user_name, sizeof(request->user_name), "-");
    if (!bridge->access || (request->route && request->route->is_open)) {
        return true;
    }
    const struct access_user *user = access_find(bridge->access, key_of(request));
    if (!user) {
        bridge->counts.n_refused_keys++;
        return false;
    }
    request->user = *user;
    snprintf(request->user_name, sizeof(request->user_name), "%s", user->name);
    return true;
}

// What follows scheme and host where both are given, as proxies are asked (RFC 9112, 3.2.2). NULL: there is no host, or
// a user before it.
static const char *path_of(const char *url)
{
    size_t n = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
    size_t len = n > 0 ? strcspn(url + n, "/") : 0;
    if (n > 0 && (len == 0 || memchr(url + n, '@', len))) {
        return NULL;
    }
    return n > 0 && !url[n + len] ? "/" : url + n + len;
}

// The head is complete. An answer at once stands in place of reading the body.
static enum MHD_Result begin(struct request *request, const char *url, const char *method, const char *version)
{
    bool is_answered;
    const char *path = path_of(url);
    request->is_begun = true;
    request->route = path ? route_find(path) : NULL;
    request->path = strdup(path ? path : url);
    request->method = strdup(method);
    request->version = strdup(version);
    if (!request->uri || !request->path || !request->method || !request->version) {
        return MHD_NO;
    }
    http_receiving(request->connection, 0);
    if (!head_is_strict(request->connection, request->uri, url, method, version)) {
        return respond_error(request, 400, "bad_request",
                             "a line of the head does not end with CR LF, is folded, or has a NUL or a space too many");
    }
    if (strstr(request->uri, "%00")) { // decoded, what follows would be lost
        return respond_error(request, 400, "bad_request", "the URL has a NUL (%%00)");
    }
    enum MHD_Result r = check_lengths(request, &is_answered);
    if (is_answered) {
        return r;
    }
    if (request->route && request->route->kind == ROUTE_PAGE && request->bridge->options->no_page) {
        request->route = NULL;
    }
    if (strcmp(method, "OPTIONS") == 0 && request->route) {
        return respond_preflight(request); // carries no key
    }
    if (!is_let_in(request)) {
        return respond_error(request, 401, "invalid_api_key",
                             key_of(request).len > 0 ? "Incorrect API key provided."
                                                     : "You didn't provide an API key: Authorization: Bearer KEY.");
    }
    if (!request->route) {
        return respond_error(request, 404, "unknown_url", "Invalid URL (%s %.200s)", method, url);
    }
    if (!route_takes(request->route, method)) {
        return respond_error(request, 405, "method_not_allowed", "Not allowed to %s on %.200s (only %s)", method, url,
                             route_methods(request->route));
    }
    return MHD_YES;
}

// ---- the body ------------------------------------------------------------------------------------------------------

static enum MHD_Result take_body(struct request *request, const char *upload, size_t *upload_len)
{
    struct bridge *bridge = request->bridge;
    size_t n = *upload_len;
    *upload_len = 0;
    http_receiving(request->connection, n);
    uint64_t max = BODIES_BYTES_MAX - (request->body.len + n > SMALL_BYTES ? SMALL_ROOM_BYTES : 0);
    request->is_crowded_out |= bridge->counts.body_bytes + n > max;
    if (request->n_skipped > 0 || request->is_crowded_out ||
        strbuf_append(&request->body, (struct str){ upload, n }) < 0) {
        request->n_skipped += n;
        bridge->counts.body_bytes -= request->body.len;
        strbuf_deinit(&request->body);
        strbuf_init(&request->body, bridge->options->body_bytes_max);
        return request->n_skipped > SKIP_BYTES_MAX ? MHD_NO : MHD_YES;
    }
    bridge->counts.body_bytes += n;
    return MHD_YES;
}

static enum MHD_Result body_complete(struct request *request)
{
    http_received(request->connection);
    request->is_asked = true;
    if (request->is_crowded_out) {
        return respond_error(request, 503, "overloaded", "the bodies of all requests together are too long; try again");
    }
    if (request->n_skipped > 0) {
        return respond_error(request, 413, "request_too_large", "the body is longer than %zu bytes",
                             request->body.len_max);
    }
    if (route_has_body(request->route) && str_trim(strbuf_str(&request->body)).len == 0) {
        return respond_error(request, 400, "empty_body", "the request has no body; a JSON object is expected");
    }
    return relay_start(request);
}

enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                               const char *version, const char *upload, size_t *upload_len, void **context)
{
    struct request *request = *context;
    (void)cls;
    (void)connection;
    if (!request || request->is_aborted) {
        return MHD_NO;
    }
    if (!request->is_begun) {
        return begin(request, url, method, version);
    }
    if (*upload_len > 0) {
        return take_body(request, upload, upload_len);
    }
    return request->is_asked ? MHD_YES : body_complete(request);
}
