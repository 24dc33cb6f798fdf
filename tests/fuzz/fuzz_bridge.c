// Any bytes from a client, and any bytes from a mount, through the bridge: the library that reads HTTP, routes, checks
// of heads, keys, bodies, preflights, whole answers and streams. In place of exchange.c stands a mount that says what
// the input tells it to, in pieces, and fails as it tells it to.
//
//   options byte, piece byte, error byte, what the client sends, "\n====\n", what the mount says
//
// Whatever comes, the client hears HTTP or nothing, nothing of it is left, and a stream is relayed byte for byte.
#include "tests/fuzz/fuzz.h"
#include "tools/bridge/http.h"
#include "tools/bridge/listing.h"
#include "tools/bridge/publisher.h"
#include "tools/bridge/router.h"
#include "tools/bridge/score.h"
#include "tools/bridge/scoring.h"
#include "tools/bridge/tree.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <tokfs/openai.h>
#include <unistd.h>

#define SEPARATOR STR("\n====\n")
#define KEY       "Authorization: Bearer secret\r\n"
#define POST(path, body_len, body)                                                                                     \
    STR("POST " path " HTTP/1.1\r\nHost: x\r\n" KEY "Content-Length: " body_len "\r\n\r\n" body)
#define CHAT "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" KEY
#define SSE  "\n====\ndata: {\"choices\":[]}\n\ndata: {\"a\":1}\n\ndata: [DONE]\n\n"

const struct str fuzz_seeds[] = {
    STR("\x00\x00\x00" CHAT "Content-Length: 2\r\n\r\n{}\n====\n{\"id\":\"x\",\"choices\":[]}\n"),
    STR("\x01\x05\x00" CHAT "Content-Length: 15\r\n\r\n{\"stream\":true}" SSE),
    STR("\x02\x01\x03" CHAT "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" SSE),
    STR("\x00\x03\x40GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n\n====\nok\n"),
    STR("\x06\x00\x00OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nAccess-Control-Request-Headers: "
        "x-a, b\r\n\r\n"),
    STR("\x01\x00\x00GET /v1/models/a%20b?x=y HTTP/1.1\r\nHost: x\r\nx-api-key: "
        "secret\r\n\r\n\n====\n{\"data\":[{\"id\":\"a b\"}]}"),
    STR("\x00\x00\x07GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n\n====\n# TYPE a counter\na{b=\"c\"} 1\n"),
    STR("\x00\x10\x20HEAD /kv/stats HTTP/1.0\r\n\r\n\n====\n{\"error\":{}}"),
    STR("\x00\x00\x00" CHAT "X: y\n z\r\nContent-Length: x\r\n\r\n"),
    STR("\x00\x00\x00GET http://a/health HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n"),
    STR("\x08\x02\x00\n====\ndata: {\"x\":\"y\"}\n\ndata: [DONE]\n\n"),
    STR("\x08\x00\x09\n====\ndata: \xff\x00 not an event"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\r\n"),
    STR("\r\n\r\n"),
    STR(" HTTP/1.1\r\n"),
    STR("Host: x\r\n"),
    STR(KEY),
    STR("Content-Length: 5\r\n"),
    STR("Transfer-Encoding: chunked\r\n"),
    STR("Expect: 100-continue\r\n"),
    STR("Connection: close\r\n"),
    STR("Content-Encoding: gzip\r\n"),
    STR("http://"),
    STR("\n "),
    STR("0\r\n\r\n"),
    STR("\n====\n"),
    STR("data: "),
    STR("data: [DONE]\n\n"),
    STR("{\"error\":"),
    STR("{\"model\":\"a\",\"stream\":true}"),
    STR("/v1/completions"),
    STR("/tokenize"),
    STR("/score"),
    STR("OPTIONS "),
    { NULL, 0 },
};

// What the client sends where the options say that only the mount is strange.
static const struct str plain_request = { CHAT "Content-Length: 15\r\nConnection: close\r\n\r\n{\"stream\":true}",
                                          sizeof(CHAT "Content-Length: 15\r\nConnection: close\r\n\r\n"
                                                      "{\"stream\":true}") -
                                              1 };

enum { WITH_KEYS = 1, WITH_CORS = 2, CORS_OF_ONE = 4, PLAIN_CLIENT = 8, NO_PAGE = 16 };

struct client {
    struct loop_op op;
    int fd;
    struct str rest; // to be sent
    size_t piece;
    struct strbuf got;
    unsigned n_idle; // turns in which nothing happened
};

static struct bench {
    struct loop *loop;
    struct bridge bridge;
    struct options options;
    struct access *access;
    struct sockaddr_un name;
    socklen_t name_len;
    struct client client;
    struct str said; // by the mount
    size_t piece;
    unsigned error;
    bool is_ready;
} bench;

// ---- the mount -----------------------------------------------------------------------------------------------------

struct exchange {
    struct loop_op op;
    struct exchange_sink sink;
    struct str rest;
    bool (*pass)(void *ctx, struct str bytes); // NULL: none
    void *pass_ctx;
    bool is_paused, is_complete, is_cancelled, is_in_data;
    struct exchange_ends ends;
};

struct exchange_pool {
    int unused;
};

static const int errors[] = { 0, -ENOENT, -EACCES, -EINVAL, -EAGAIN, -EIO, -ENOTCONN, -ECANCELED, -E2BIG, -EDQUOT };
#define N_ERRORS (sizeof(errors) / sizeof(errors[0]))

static void end(struct exchange *ex)
{
    if (!ex->is_cancelled) {
        ex->sink.ended(ex->sink.ctx, &ex->ends);
    }
    free(ex);
}

static void go(struct loop_op *op, int res)
{
    struct exchange *ex = (struct exchange *)op;
    (void)res;
    if (ex->is_cancelled || ex->ends.open < 0 || ex->rest.len == 0) {
        end(ex);
        return;
    }
    struct str piece = str_take(ex->rest, bench.piece);
    ex->rest = str_skip(ex->rest, piece.len);
    if (ex->pass && ex->pass(ex->pass_ctx, piece)) {
        loop_timer(bench.loop, &ex->op, 0);
        return;
    }
    ex->pass = NULL;
    ex->is_paused = ex->is_in_data = true;
    ex->sink.data(ex->sink.ctx, piece);
    ex->is_in_data = false;
    if (ex->is_complete) {
        end(ex);
    } else if (!ex->is_paused) {
        loop_timer(bench.loop, &ex->op, 0);
    }
}

struct exchange *exchange_start(struct exchange_pool *pool, const char *path, char *body, size_t body_len,
                                unsigned personality, const struct exchange_sink *sink)
{
    struct exchange *ex = calloc(1, sizeof(*ex));
    (void)pool;
    (void)path;
    (void)body_len;
    (void)personality;
    assert(ex);
    ex->op.done = go;
    ex->sink = *sink;
    ex->rest = bench.said;
    unsigned error = bench.error;
    ex->ends.open = error % 64 == 1 ? errors[error / 64 % N_ERRORS] : 0;
    ex->ends.write = body && error % 64 == 2 ? -EINVAL : 0;
    ex->ends.read = error % 64 > 2 ? errors[error % 64 % N_ERRORS] : 0;
    free(body);
    loop_timer(bench.loop, &ex->op, 0);
    return ex;
}

void exchange_go_on(struct exchange *ex)
{
    assert(ex->is_paused && !ex->is_cancelled);
    ex->is_paused = false;
    if (!ex->is_in_data) {
        loop_timer(bench.loop, &ex->op, 0);
    }
}

void exchange_pass(struct exchange *ex, bool (*pass)(void *ctx, struct str bytes), void *ctx)
{
    bool may_pass = !ex->is_paused && !ex->is_cancelled && ex->rest.len > 0;
    ex->pass = may_pass ? pass : NULL;
    ex->pass_ctx = ctx;
}

void exchange_hold(struct exchange *ex)
{
    ex->pass = NULL;
}

void exchange_complete(struct exchange *ex)
{
    assert(ex->is_in_data);
    ex->is_complete = true;
    ex->ends.read = 0;
}

void exchange_cancel(struct exchange *ex)
{
    ex->is_cancelled = true;
    ex->pass = NULL;
    if (!ex->op.is_pending && !ex->is_in_data) {
        loop_timer(bench.loop, &ex->op, 0);
    }
}

int exchange_pool_new(struct loop *loop, struct exchange_pool **ret, struct err *err)
{
    (void)loop;
    (void)err;
    *ret = calloc(1, sizeof(**ret));
    return 0;
}

void exchange_pool_flush(struct exchange_pool *pool, const char *prefix)
{
    (void)pool;
    (void)prefix;
}

void exchange_pool_stop(struct exchange_pool *pool)
{
    (void)pool;
}

void exchange_pool_free(struct exchange_pool *pool)
{
    free(pool);
}

// ---- what stands beside the path of a request ----------------------------------------------------------------------

int tokfs_error_http_status(int code)
{
    return code == -EINVAL ? 400 : 503;
}

enum MHD_Result score_start(struct request *request)
{
    return respond_error(request, 404, "unknown_url", "nothing is scored");
}

void score_cancel(struct score_asked *asked)
{
    assert(!asked);
}

void scoring_write_metrics(const struct scoring *scoring, struct strbuf *out)
{
    (void)scoring;
    (void)out;
}

bool router_takes(const struct router *router, const struct route *route)
{
    (void)route;
    assert(!router);
    return false;
}

enum MHD_Result router_start(struct request *request)
{
    (void)request;
    abort();
}

bool router_own_failed(struct routed *routed, bool is_gone)
{
    (void)routed;
    (void)is_gone;
    abort();
}

void router_write_models(const struct router *router, struct strbuf *ret)
{
    (void)router;
    (void)ret;
    abort();
}

unsigned router_write_health(struct router *router, struct strbuf *ret)
{
    (void)router;
    (void)ret;
    abort();
}

void router_cancel(struct routed *routed)
{
    assert(!routed);
}

void router_forget(struct routed *routed)
{
    assert(!routed);
}

void router_write_metrics(const struct router *router, struct strbuf *out)
{
    (void)router;
    (void)out;
}

enum MHD_Result listing_start(struct request *request)
{
    return respond_error(request, 404, "unknown_url", "nothing is listed");
}

void listing_free(struct listing *listing)
{
    assert(!listing);
}

int tree_write(struct str snapshot, struct strbuf *out, struct err *err)
{
    (void)snapshot;
    (void)out;
    return err_set(err, -EINVAL, "no tree");
}

void publisher_write_metrics(const struct publisher *publisher, struct strbuf *out)
{
    (void)publisher;
    (void)out;
}

// ---- the client ----------------------------------------------------------------------------------------------------

static bool is_over(void)
{
    return bench.bridge.counts.n_connections == 0 && !bench.bridge.first;
}

static void hang_up(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
}

// A turn: a piece is sent, all that came is read; who has said all and hears nothing for a while hangs up.
static void client_turn(struct loop_op *op, int res)
{
    struct client *client = (struct client *)op;
    char bytes[4096];
    (void)res;
    struct str piece = str_take(client->rest, client->piece);
    ssize_t n =
        client->fd >= 0 && piece.len > 0 ? send(client->fd, piece.ptr, piece.len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    client->rest = n >= 0 ? str_skip(client->rest, (size_t)n) : errno == EAGAIN ? client->rest : STR("");
    client->n_idle = n > 0 ? 0 : client->n_idle + 1;
    while (client->fd >= 0 && (n = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) != 0) {
        if (n < 0) {
            break;
        }
        strbuf_append(&client->got, (struct str){ bytes, (size_t)n });
        client->n_idle = 0;
    }
    if ((n == 0 && client->n_idle > 0 && client->rest.len == 0 && client->fd >= 0 &&
         recv(client->fd, bytes, 1, MSG_DONTWAIT | MSG_PEEK) == 0) ||
        client->n_idle > 200) {
        hang_up(client);
    }
    if (client->fd < 0 && is_over()) {
        loop_stop(bench.loop);
    } else {
        loop_timer(bench.loop, &client->op, client->n_idle < 20 ? 0 : 20000);
    }
}

// ---- the bridge ----------------------------------------------------------------------------------------------------

static void mounts_ready(void *ctx)
{
    (void)ctx;
    bench.is_ready = true;
    loop_stop(bench.loop);
}

static void load_keys(struct err *err)
{
    char path[] = "/tmp/tokfs-fuzz-keys.XXXXXX", hash[65], line[80];
    int fd = mkstemp(path);
    access_hash(STR("secret"), hash);
    int len = snprintf(line, sizeof(line), "%s -\n", hash);
    bool is_written = fd >= 0 && write(fd, line, (size_t)len) == len;
    assert(is_written && access_new(bench.loop, &bench.access) == 0);
    int r = access_load(bench.access, path, err);
    assert(r == 0);
    close(fd);
    unlink(path);
}

static void set_up(void)
{
    static const char *const mounts[] = { "/m" };
    struct err err = { 0 };
    bench.options =
        (struct options){ .body_bytes_max = 4096, .max_connections = 16, .n_mounts = 1, .mounts = { "/m" } };
    bench.bridge.options = &bench.options;
    int r = loop_new(64, &bench.loop, &err);
    assert(r == 0);
    bench.bridge.loop = bench.loop;
    load_keys(&err);
    bench.said = STR("{\"data\":[{\"id\":\"a\"}]}");
    bench.piece = 4096;
    r = exchange_pool_new(bench.loop, &bench.bridge.files, &err);
    r = r < 0 ? r : mounts_new(bench.loop, bench.bridge.files, mounts, 1, mounts_ready, NULL, &bench.bridge.mounts);
    assert(r == 0);
    r = loop_run(bench.loop);
    assert(r == 0 && bench.is_ready);
    mounts_stop(bench.bridge.mounts); // they stay as they are: an input depends on nothing else
    bench.name = (struct sockaddr_un){ .sun_family = AF_UNIX };
    bench.name_len = sizeof(sa_family_t); // the kernel gives it an abstract name
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = bind(fd, (struct sockaddr *)&bench.name, bench.name_len);
    assert(r == 0 && listen(fd, 16) == 0);
    bench.name_len = sizeof(bench.name);
    getsockname(fd, (struct sockaddr *)&bench.name, &bench.name_len);
    r = http_start(&bench.bridge, fd, NULL, NULL, &bench.bridge.http, &err);
    assert(r == 0);
    bench.client.op.done = client_turn;
    strbuf_init(&bench.client.got, 0);
}

static void take_options(unsigned flags)
{
    bench.bridge.access = flags & WITH_KEYS ? bench.access : NULL;
    bench.options.cors = flags & CORS_OF_ONE ? "https://a.example" : flags & WITH_CORS ? "*" : NULL;
    bench.options.no_page = flags & NO_PAGE;
}

static void talk(struct str request, size_t piece)
{
    struct client *client = &bench.client;
    strbuf_reset(&client->got);
    client->rest = request;
    client->piece = piece;
    client->n_idle = 0;
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(client->fd, (struct sockaddr *)&bench.name, bench.name_len);
    assert(r == 0);
    loop_timer(bench.loop, &client->op, 0);
    r = loop_run(bench.loop);
    assert(r == 0);
}

// ---- what must hold ------------------------------------------------------------------------------------------------

// The body of a chunked answer, appended to `out`; what is not well formed is our fault.
static void take_chunks(struct str rest, struct strbuf *out)
{
    for (;;) {
        char *stop;
        ptrdiff_t line = str_find(rest, STR("\r\n"));
        assert(line > 0);
        size_t len = strtoul(rest.ptr, &stop, 16);
        assert(stop == rest.ptr + line && rest.len >= (size_t)line + 2 + len + 2);
        strbuf_append(out, str_take(str_skip(rest, (size_t)line + 2), len));
        rest = str_skip(rest, (size_t)line + 2 + len + 2);
        if (len == 0) {
            return;
        }
    }
}

// What the mount said is what the client hears, and perhaps a last event that tells that it went away.
static void check_stream(struct str got, struct str said)
{
    struct strbuf body;
    ptrdiff_t head = str_find(got, STR("\r\n\r\n"));
    struct str done = STR("\ndata: [DONE]\n\n");
    assert(head > 0);
    strbuf_init(&body, 0);
    take_chunks(str_skip(got, (size_t)head + 4), &body);
    struct str heard = strbuf_str(&body);
    if (!str_starts_with(heard, said)) { // all of a piece that ends so is taken for the end
        assert(str_starts_with(said, heard) && str_ends_with(heard, done));
    } else {
        struct str more = str_skip(heard, said.len);
        assert(more.len == 0 || str_starts_with(more, STR("data: {\"error\":")));
    }
    strbuf_deinit(&body);
}

static void check(unsigned flags)
{
    const struct str library_page = STR("\r\n\r\n<html><head><title>");
    struct bridge_counts *counts = &bench.bridge.counts;
    struct str got = strbuf_str(&bench.client.got);
    assert(counts->n_answering == 0 && counts->body_bytes == 0 && counts->n_connections == 0);
    assert(got.len == 0 || str_starts_with(got, STR("HTTP/1.")));
    assert(str_find(got, library_page) < 0 || str_find(bench.said, STR("<html>")) >= 0); // refusals are error objects
    if (flags & PLAIN_CLIENT && str_starts_with(bench.said, STR("data: ")) &&
        str_starts_with(got, STR("HTTP/1.1 200"))) {
        check_stream(got, bench.said);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = { (const char *)data, size };
    if (size < 3) {
        return 0;
    }
    if (!bench.loop) {
        set_up();
    }
    struct str rest = str_skip(input, 3);
    ptrdiff_t at = str_find(rest, SEPARATOR);
    struct str request = at < 0 ? rest : str_take(rest, (size_t)at);
    bench.said = at < 0 ? STR("{\"id\":\"x\"}\n") : str_skip(rest, (size_t)at + SEPARATOR.len);
    bench.piece = data[1] % 16 ? data[1] % 16 * 7u : 4096;
    bench.error = data[2];
    take_options(data[0]);
    bool is_plain = data[0] & PLAIN_CLIENT;
    talk(is_plain ? plain_request : request, data[1] / 16 ? data[1] / 16 * 11u : 65536);
    check(data[0]);
    return 0;
}
