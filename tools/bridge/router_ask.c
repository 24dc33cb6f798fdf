// One peer is asked, and what it answers goes to the client: at once where it streams, otherwise as a whole.
#include "engine/base/log.h"
#include "tools/bridge/router_internal.h"
#include <stdio.h>
#include <string.h>

#define AHEAD_BYTES_MAX 65536 // of an answer that is streamed
#define KEY_BYTES_MAX   4200

// ---- its answer ----------------------------------------------------------------------------------------------------

// "cached_tokens":N, of the usage: within a text the quotes would be escaped.
static void find_cached_tokens(struct routed *routed, struct str bytes)
{
    static const struct str name = STR("\"cached_tokens\":");
    ptrdiff_t at = str_find(bytes, name);
    if (at >= 0) {
        uint64_t value = 0;
        struct str rest = str_trim(str_skip(bytes, (size_t)at + name.len));
        for (size_t i = 0; i < rest.len && i < 15 && rest.ptr[i] >= '0' && rest.ptr[i] <= '9'; i++) {
            value = 10 * value + (uint64_t)(rest.ptr[i] - '0');
        }
        routed->cached_tokens = value;
        routed->has_cached_tokens = true;
    }
}

static const struct str DONE = STR("data: [DONE]\n\n"); // the last event; its first letter comes once

static void find_done(struct routed *routed, struct str bytes)
{
    if (bytes.len > DONE.len) {
        bytes = str_skip(bytes, bytes.len - DONE.len);
        routed->n_done = 0;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        bool goes_on = routed->n_done < DONE.len && bytes.ptr[i] == DONE.ptr[routed->n_done];
        routed->n_done = goes_on ? routed->n_done + 1 : bytes.ptr[i] == DONE.ptr[0];
    }
}

static ssize_t read_stream(void *cls, uint64_t at, char *out, size_t size)
{
    struct request *request = cls;
    struct routed *routed = request->routed;
    (void)at;
    if (request->is_aborted) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (routed->n_sent == routed->bytes.len && routed->is_over) {
        if (!routed->why) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        routed->why = NULL; // said once
        strbuf_append(&routed->bytes, STR("data: {\"error\":{\"message\":\"the peer went away\",\"type\":"
                                          "\"server_error\",\"param\":null,\"code\":\"peer_unavailable\"}}\n\n"));
    }
    struct str rest = str_take(str_skip(strbuf_str(&routed->bytes), routed->n_sent), size);
    if (rest.len > 0) {
        memcpy(out, rest.ptr, rest.len);
        routed->n_sent += rest.len;
        request->n_response_bytes += rest.len;
        request->is_between_events = str_ends_with(rest, STR("\n\n"));
    }
    if (routed->n_sent == routed->bytes.len) {
        strbuf_reset(&routed->bytes);
        routed->n_sent = 0;
        if (routed->is_held && routed->call) {
            routed->is_held = false;
            client_go_on(routed->call);
        }
    }
    if (rest.len == 0) {
        request_suspend(request);
    }
    return (ssize_t)rest.len;
}

static bool data(void *ctx, struct str bytes)
{
    struct routed *routed = ctx;
    struct request *request = routed->request;
    bool is_first = routed->bytes.len == 0 && !routed->is_streaming;
    if (routed->is_streaming && routed->bytes.len - routed->n_sent > AHEAD_BYTES_MAX) {
        routed->is_held = true;
        return false;
    }
    find_cached_tokens(routed, bytes);
    find_done(routed, bytes);
    strbuf_append(&routed->bytes, bytes);
    if (is_first && client_status(routed->call) == 200 &&
        strncmp(client_content_type(routed->call), "text/event-stream", 17) == 0) {
        routed->is_streaming = true;
        request->is_streaming = true;
        respond_reader(request, 200, "text/event-stream; charset=utf-8", read_stream);
    }
    if (routed->is_streaming) {
        request_resume(request);
    }
    return true;
}

static void respond_whole(struct routed *routed, unsigned status, const char *type)
{
    struct request *request = routed->request;
    size_t len = routed->bytes.len;
    char *bytes = strbuf_steal(&routed->bytes);
    if (bytes || len == 0) {
        respond(request, status, type[0] ? type : "application/json", bytes, len);
    } else {
        respond_error(request, 503, "out_of_memory", "the answer of the peer is too long");
    }
    request_resume(request);
}

static void count_answer(struct routed *routed)
{
    struct router_counts *counts = &routed->router->counts;
    if (routed->has_cached_tokens && routed->job.keys.n_tokens > 0) {
        counts->prompt_tokens += routed->job.keys.n_tokens;
        counts->predicted_tokens += (uint64_t)routed->predicted_tokens;
        counts->cached_tokens += routed->cached_tokens;
    }
}

// Of a peer that has no room, or of a router that has no mount, another one is asked.
static bool is_refusal(unsigned status)
{
    return status == 429 || status == 502 || status == 503 || status == 508;
}

static void ended(void *ctx, const char *why)
{
    struct routed *routed = ctx;
    struct router *router = routed->router;
    unsigned status = client_status(routed->call);
    char type[128];
    snprintf(type, sizeof(type), "%s", client_content_type(routed->call));
    routed->call = NULL;
    routed->is_over = true;
    routed->why =
        routed->is_streaming && routed->n_done == DONE.len ? NULL : why; // all of it came before the peer went
    if (why) {
        log_info("peer %s: %s", scorer_peer_name(router_scorer(router), (unsigned)routed->peer), why);
        peers_failed(router->peers, (unsigned)routed->peer);
    }
    router_leave_peer(routed);
    if (routed->is_streaming) {
        count_answer(routed);
        request_resume(routed->request);
    } else if ((why || is_refusal(status)) && router_send_elsewhere(routed, !why)) {
        return;
    } else if (!why) {
        count_answer(routed);
        respond_whole(routed, status, type);
    } else {
        router->counts.n_failed++;
        respond_error(routed->request, 502, "peer_unavailable", "the peer did not answer: %s", why);
        request_resume(routed->request);
    }
}

// ---- asking --------------------------------------------------------------------------------------------------------

// The client's header `name` for the peer; false: it has none.
static bool pass_on(struct request *request, const char *name, char ret[KEY_BYTES_MAX])
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
    return value && (size_t)snprintf(ret, KEY_BYTES_MAX, "%s: %s", name, value) < KEY_BYTES_MAX;
}

bool router_ask(struct routed *routed, unsigned idx)
{
    struct request *request = routed->request;
    struct router *router = routed->router;
    char url[PEER_URL_MAX], id[128], keys[2][KEY_BYTES_MAX];
    const char *headers[6] = { "Content-Type: application/json", id };
    struct strbuf via;
    static const char *const passed[] = { "Authorization", "x-api-key" };
    size_t n = 2;
    const struct client_sink sink = { .data = data, .ended = ended, .ctx = routed };
    snprintf(id, sizeof(id), "X-Request-Id: %s", request->id);
    strbuf_init(&via, 0);
    via_write(request->connection, request->version, router->via, &via);
    headers[n++] = via.ptr;
    for (size_t i = 0; i < 2; i++) {
        if (pass_on(request, passed[i], keys[i])) {
            headers[n++] = keys[i];
        }
    }
    peers_url(router->peers, idx, request->route->path, url);
    strbuf_reset(&routed->bytes);
    routed->n_sent = routed->n_done = 0;
    routed->is_over = routed->has_cached_tokens = false;
    routed->why = NULL;
    const struct client_request call = { .url = url, .headers = headers, .body = strbuf_str(&request->body) };
    routed->call = via.error ? NULL : client_start(router->client, &call, &sink);
    strbuf_deinit(&via);
    return routed->call != NULL;
}
