// Asking mounts. A transaction goes to the mount that has the model; lists and metrics are asked of all that are up.
//
// While a mount is asked, the connection is suspended. A streamed answer is resumed by each arrival and suspended by
// the reader that finds nothing: what arrives while the client is slow waits in the mount, since no more than one piece
// is read ahead. While it is suspended, and all that was read has been sent, its socket is lent to the thread that
// reads.
#include "tools/bridge/listing.h"
#include "tools/bridge/merge.h"
#include "tools/bridge/metrics.h"
#include "tools/bridge/request_internal.h"
#include "tools/bridge/router.h"
#include "tools/bridge/score.h"
#include "tools/bridge/tree.h"
#include "tools/bridge/via.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/openai.h>

#define ANSWER_BYTES_MAX (256u << 20)
#define ALL_TIMEOUT_NS   1500000000u // for what all mounts are asked for

static struct str part_text(const struct part *part)
{
    return strbuf_str(&part->bytes);
}

static const char *file_of(const struct route *route)
{
    switch (route->kind) {
    case ROUTE_MODELS:
    case ROUTE_MODEL: return "/v1/models";
    case ROUTE_TREE: return "/kv/snapshot";
    default: return route->path;
    }
}

// ---- answers that are whole ----------------------------------------------------------------------------------------

// In the middle of an answer, too.
static bool is_cut_off(int code)
{
    return code == -ENOTCONN || code == -ENODEV || code == -ECONNABORTED;
}

static bool is_mount_gone(int code)
{
    return is_cut_off(code) || code == -ENOENT || code == -ENOTDIR;
}

static enum MHD_Result respond_gone(struct request *request, const char *path, int code)
{
    bool is_owners = request->route->kind == ROUTE_FILE || request->route->kind == ROUTE_TREE; // its owner's alone
    if (code == -EACCES || code == -EPERM) {
        return is_owners ? respond_error(request, 403, "permission_denied", "user %s may not read %s%s",
                                         request->user_name, path, file_of(request->route))
                         : respond_error(request, 403, "permission_denied", "user %s may not use the mount %s",
                                         request->user_name, path);
    }
    return respond_error(request, 503, "mount_unavailable", "the mount %s does not answer: %s", path,
                         is_mount_gone(code) ? "nothing is mounted there" : strerror(-code));
}

static enum MHD_Result respond_bytes(struct request *request, unsigned status, const char *type, struct strbuf *bytes)
{
    size_t len = bytes->len;
    char *text = strbuf_steal(bytes);
    return text || len == 0 ? respond(request, status, type, text, len)
                            : respond_error(request, 503, "out_of_memory", "out of memory");
}

static int code_of(const struct part *part)
{
    return part->ends.open < 0 ? part->ends.open : part->ends.write < 0 ? part->ends.write : part->ends.read;
}

// Whether the mount could not answer for reasons of its own: nobody is there, or has room.
static bool is_mount_to_blame(const struct part *part, bool *ret_is_gone)
{
    int code = code_of(part);
    unsigned status = code < 0 ? (unsigned)tokfs_error_http_status(code) : 200;
    bool has_words = part->ends.open == 0 && part->bytes.len > 0;
    *ret_is_gone = is_cut_off(code) || (!has_words && (is_mount_gone(code) || code == -EIO));
    return *ret_is_gone || status == 429 || status == 503;
}

// The mount's words stand, with the status of its error number.
static enum MHD_Result finish_file(struct request *request)
{
    struct part *part = &request->parts[0];
    const char *path = mounts_path(request->bridge->mounts, part->mount_idx);
    int code = part->ends.write < 0 ? part->ends.write : part->ends.read;
    if (part->ends.open < 0) {
        return respond_gone(request, path, part->ends.open);
    }
    if (part->bytes.error) {
        return respond_error(request, 503, "out_of_memory", "the answer is longer than %u bytes", ANSWER_BYTES_MAX);
    }
    if (code < 0 && (part->bytes.len == 0 || is_cut_off(code))) {
        return is_mount_gone(code) || code == -EIO
                   ? respond_gone(request, path, code)
                   : respond_error(request, (unsigned)tokfs_error_http_status(code), "failed", "%s", strerror(-code));
    }
    unsigned status = code < 0 ? (unsigned)tokfs_error_http_status(code) : 200;
    if (code == 0 && str_starts_with(part_text(part), STR("{\"error\":"))) {
        status = 400; // a body that was never complete: no write could fail
    }
    return respond_bytes(request, status, "application/json", &part->bytes);
}

static enum MHD_Result finish_tree(struct request *request)
{
    struct part *part = &request->parts[0];
    struct strbuf out;
    struct err err;
    if (part->ends.open < 0 || part->ends.read < 0 || part->bytes.error) {
        return finish_file(request);
    }
    strbuf_init(&out, 0);
    if (tree_write(part_text(part), &out, &err) < 0) {
        strbuf_deinit(&out);
        return respond_error(request, 503, "mount_unavailable", "kv/snapshot: %s", err.msg);
    }
    return respond_bytes(request, 200, "application/json", &out);
}

static bool has_answered(const struct part *part)
{
    return part->ends.open == 0 && part->ends.read == 0 && !part->bytes.error && part->bytes.len > 0;
}

static unsigned gather(struct request *request, struct str *texts, const char **labels)
{
    unsigned n = 0;
    for (unsigned i = 0; i < request->n_parts; i++) {
        if (has_answered(&request->parts[i])) {
            labels[n] = mounts_path(request->bridge->mounts, request->parts[i].mount_idx);
            texts[n++] = part_text(&request->parts[i]);
        }
    }
    return n;
}

struct search {
    const char *id;
    struct strbuf *out;
};

static void take_if_named(void *ctx, struct str id, struct str element)
{
    struct search *search = ctx;
    if (str_eq(id, str_from(search->id)) && search->out->len == 0) {
        strbuf_printf(search->out, "%.*s\n", STR_ARG(element));
    }
}

// Lists of models: as one, or the element that the path names.
static enum MHD_Result respond_models(struct request *request, const struct str *texts, unsigned n)
{
    struct strbuf out;
    strbuf_init(&out, 0);
    if (request->route->kind == ROUTE_MODELS) {
        models_merge(texts, n, &out);
        return respond_bytes(request, 200, "application/json", &out);
    }
    struct search search = { .id = request->path + strlen(request->route->path), .out = &out };
    for (unsigned i = 0; i < n; i++) {
        models_each(texts[i], take_if_named, &search);
    }
    if (out.len == 0) {
        strbuf_deinit(&out);
        return respond_error_of(request, 404, "model_not_found", "model", "The model '%.200s' does not exist",
                                search.id);
    }
    return respond_bytes(request, 200, "application/json", &out);
}

// Of the own mounts, and of a router's peers, unless a router asks.
static enum MHD_Result finish_models(struct request *request)
{
    struct str texts[MOUNTS_MAX + 1];
    const char *labels[MOUNTS_MAX];
    unsigned n = gather(request, texts, labels);
    bool has_peers = request->bridge->router && !request->is_sent_on;
    struct strbuf peers;
    if (n == 0 && request->n_parts > 0 && !has_peers) {
        struct part *part = &request->parts[0];
        return respond_gone(request, mounts_path(request->bridge->mounts, part->mount_idx),
                            code_of(part) < 0 ? code_of(part) : -ENOTCONN);
    }
    strbuf_init(&peers, 0);
    if (has_peers) {
        router_write_models(request->bridge->router, &peers);
        texts[n++] = strbuf_str(&peers);
    }
    enum MHD_Result ret =
        peers.error ? respond_error(request, 503, "out_of_memory", "out of memory") : respond_models(request, texts, n);
    strbuf_deinit(&peers);
    return ret;
}

static enum MHD_Result finish_metrics(struct request *request)
{
    struct str texts[MOUNTS_MAX];
    const char *labels[MOUNTS_MAX];
    struct strbuf out;
    unsigned n = gather(request, texts, labels);
    if (request->n_parts == 1) {
        labels[0] = NULL; // one mount's samples need no telling apart
    }
    strbuf_init(&out, 0);
    metrics_merge(texts, labels, n, &out);
    bridge_metrics_write(request->bridge, &out);
    return respond_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

static bool is_well(const struct part *part)
{
    return has_answered(part) && str_eq(str_trim(part_text(part)), STR("ok"));
}

// For who decides whether to send requests here: well as long as somebody can answer them, and what is missing.
static enum MHD_Result finish_health(struct request *request)
{
    struct router *router = request->bridge->router;
    struct strbuf missing, out;
    unsigned n_well = 0;
    strbuf_init(&missing, 0);
    strbuf_init(&out, 0);
    for (unsigned i = 0; i < request->n_parts; i++) {
        const struct part *part = &request->parts[i];
        n_well += is_well(part);
        if (!is_well(part)) {
            struct str text = has_answered(part) ? str_trim(part_text(part)) : STR("does not answer");
            strbuf_printf(&missing, "%s: %.*s\n", mounts_path(request->bridge->mounts, part->mount_idx), STR_ARG(text));
        }
    }
    n_well += router ? router_write_health(router, &missing) : 0;
    bool can_serve = n_well > 0 || (request->n_parts == 0 && !router); // scores need no other
    strbuf_append(&out, can_serve ? STR("ok\n") : missing.len == 0 ? STR("no peer is known\n") : STR(""));
    strbuf_append(&out, strbuf_str(&missing));
    strbuf_deinit(&missing);
    return respond_bytes(request, can_serve ? 200 : 503, "text/plain; charset=utf-8", &out);
}

static enum MHD_Result respond_parts(struct request *request)
{
    switch (request->route->kind) {
    case ROUTE_TRANSACTION:
    case ROUTE_FILE: return finish_file(request);
    case ROUTE_TREE: return finish_tree(request);
    case ROUTE_MODELS:
    case ROUTE_MODEL: return finish_models(request);
    case ROUTE_METRICS: return finish_metrics(request);
    case ROUTE_HEALTH: return finish_health(request);
    case ROUTE_PAGE:
    case ROUTE_INDEX:
    case ROUTE_SCORE: break;
    }
    return MHD_NO;
}

static void finish(struct request *request)
{
    respond_parts(request);
    request_resume(request);
}

// ---- arrivals ------------------------------------------------------------------------------------------------------

// The end of an answer is seen in it, which saves asking the mount for the end of the file. What went wrong is told by
// the error number that comes after the words.
static bool is_complete(struct part *part, struct str bytes)
{
    const struct request *request = part->request;
    struct err err;
    if (request->route->kind != ROUTE_TRANSACTION) {
        return false;
    }
    if (request->is_streaming) {
        return str_ends_with(bytes, STR("\ndata: [DONE]\n\n"));
    }
    return json_scan_feed(&part->scan, bytes, &err) == JSON_SCAN_COMPLETE && str_ends_with(bytes, STR("}\n")) &&
           !str_starts_with(part_text(part), STR("{\"error\":"));
}

// More of a stream that has begun, which its thread could not send itself.
static void relay_piece(struct request *request, struct part *part, struct str bytes)
{
    bool is_all = is_complete(part, bytes);
    strbuf_append(&part->bytes, bytes);
    part->is_paused = !is_all;
    if (is_all) {
        exchange_complete(part->exchange);
    }
    request_resume(request);
}

static void arrived(void *ctx, struct str bytes)
{
    struct part *part = ctx;
    struct request *request = part->request;
    if (request->is_streaming) {
        relay_piece(request, part, bytes);
        return;
    }
    bool is_first = part->bytes.len == 0;
    strbuf_append(&part->bytes, bytes);
    if (is_first && request->route->kind == ROUTE_TRANSACTION && str_starts_with(bytes, STR("data: "))) {
        request->is_streaming = true;
        respond_stream(request);
    }
    bool is_all = is_complete(part, bytes);
    part->is_paused = request->is_streaming && !is_all;
    if (is_all) {
        exchange_complete(part->exchange);
    } else if (!request->is_streaming) {
        exchange_go_on(part->exchange);
    }
    if (request->is_streaming) {
        request_resume(request);
    }
}

static int find_mount(const struct request *request, int after)
{
    const struct mounts *mounts = request->bridge->mounts;
    char name[MODEL_NAME_MAX];
    bool has_model = mounts_count(mounts) > 1 && body_find_model(strbuf_str(&request->body), name, sizeof(name));
    const char *model = has_model ? name : NULL;
    return after < 0 ? mounts_find(mounts, model) : mounts_find_next(mounts, (unsigned)after, model);
}

static bool ask_own(struct request *request, unsigned mount_idx);

// By the next mount with the model, since this one has gone and has taken nothing.
static bool is_asked_of_next(struct request *request, const struct part *part)
{
    const struct exchange_ends *ends = &part->ends;
    bool is_gone = ends->open < 0 ? is_mount_gone(ends->open) : is_cut_off(ends->write);
    bool may_ask = is_gone && request->route->kind == ROUTE_TRANSACTION && request->body.len > 0;
    int next = may_ask && !request->is_aborted ? find_mount(request, (int)part->mount_idx) : -1;
    if (next < 0) {
        return false;
    }
    relay_forget_parts(request);
    if (!ask_own(request, (unsigned)next)) {
        request_resume(request);
    }
    return true;
}

// By the router, since the own mount failed.
static bool is_sent_elsewhere(struct request *request, const struct part *part)
{
    bool is_gone;
    return request->routed && is_mount_to_blame(part, &is_gone) && router_own_failed(request->routed, is_gone);
}

static void ended(void *ctx, const struct exchange_ends *ends)
{
    struct part *part = ctx;
    struct request *request = part->request;
    part->exchange = NULL;
    part->ends = *ends;
    request->n_running--;
    if (request->is_streaming) {
        request_resume(request);
    } else if (request->n_running == 0 && !is_asked_of_next(request, part) && !is_sent_elsewhere(request, part)) {
        finish(request);
    }
}

// ---- beginning -----------------------------------------------------------------------------------------------------

static bool ask(struct request *request, struct part *part, unsigned mount_idx, char *body, size_t body_len)
{
    char path[PATH_MAX];
    bool is_of_all = request->route->kind != ROUTE_TRANSACTION && request->route->kind != ROUTE_FILE &&
                     request->route->kind != ROUTE_TREE;
    struct exchange_sink sink = {
        .data = arrived, .ended = ended, .ctx = part, .timeout_ns = is_of_all ? ALL_TIMEOUT_NS : 0
    };
    part->request = request;
    part->mount_idx = mount_idx;
    strbuf_init(&part->bytes, ANSWER_BYTES_MAX);
    json_scan_init(&part->scan);
    snprintf(path, sizeof(path), "%s%s", mounts_path(request->bridge->mounts, mount_idx), file_of(request->route));
    part->exchange = exchange_start(request->bridge->files, path, body, body_len, request->user.personality, &sink);
    request->n_running += part->exchange != NULL;
    return part->exchange != NULL;
}

static enum MHD_Result start_parts(struct request *request, unsigned n)
{
    request->parts = calloc(n, sizeof(*request->parts));
    request->n_parts = request->parts ? n : 0;
    return request->parts ? MHD_YES : respond_error(request, 503, "out_of_memory", "out of memory");
}

// What others may have to be asked for as well is kept.
static char *take_body(struct request *request, unsigned mount_idx)
{
    if (request->routed || find_mount(request, (int)mount_idx) >= 0) {
        return str_dup(strbuf_str(&request->body));
    }
    request->bridge->counts.body_bytes -= request->body.len; // it is the exchange's from here on
    return strbuf_steal(&request->body);
}

// False: it was answered already.
static bool ask_own(struct request *request, unsigned mount_idx)
{
    size_t len = request->body.len;
    if (start_parts(request, 1) != MHD_YES || !request->parts) {
        return false;
    }
    char *text = len > 0 ? take_body(request, mount_idx) : NULL;
    if ((len > 0 && !text) || !ask(request, &request->parts[0], mount_idx, text, len)) {
        respond_error(request, 503, "out_of_memory", "out of memory");
        return false;
    }
    return true;
}

enum MHD_Result relay_ask_own(struct request *request)
{
    int mount_idx = find_mount(request, -1);
    if (mount_idx < 0) {
        return respond_error(request, 503, "mount_unavailable", "none of the mounts answers");
    }
    if (ask_own(request, (unsigned)mount_idx)) {
        request_suspend(request);
    }
    return MHD_YES;
}

static enum MHD_Result ask_all(struct request *request)
{
    unsigned n = mounts_count(request->bridge->mounts);
    if (start_parts(request, n) != MHD_YES || !request->parts) {
        return MHD_YES;
    }
    for (unsigned i = 0; i < n; i++) {
        struct part *part = &request->parts[i];
        part->mount_idx = i;
        if (mounts_is_silent(request->bridge->mounts, i)) { // each that is asked keeps a thread until it answers
            part->ends.open = -ETIMEDOUT;
        } else if (!ask(request, part, i, NULL, 0)) {
            part->ends.open = -ENOMEM;
        }
    }
    if (request->n_running == 0) {
        return respond_parts(request);
    }
    request_suspend(request);
    return MHD_YES;
}

// A bridge that has no mounts, but knows those of others.
static enum MHD_Result answer_alone(struct request *request)
{
    switch (request->route->kind) {
    case ROUTE_METRICS: return finish_metrics(request);
    case ROUTE_HEALTH: return finish_health(request);
    case ROUTE_MODELS:
    case ROUTE_MODEL:
        if (request->bridge->router) {
            return finish_models(request);
        }
        // fall through
    default: return respond_error(request, 503, "mount_unavailable", "this bridge has no mount");
    }
}

// A router that is another's peer answers from its own mounts.
static enum MHD_Result start_transaction(struct request *request)
{
    struct bridge *bridge = request->bridge;
    if (!router_takes(bridge->router, request->route)) {
        return relay_ask_own(request);
    }
    if (!request->is_sent_on) {
        return router_start(request);
    }
    return mounts_count(bridge->mounts) > 0
               ? relay_ask_own(request)
               : respond_error(request, 508, "loop_detected",
                               "a router sent this request here, where there is another router and no mount");
}

enum MHD_Result relay_start(struct request *request)
{
    request->is_sent_on = request->bridge->router && via_has_router(request->connection);
    switch (request->route->kind) {
    case ROUTE_PAGE: return respond_page(request);
    case ROUTE_SCORE: return score_start(request);
    case ROUTE_INDEX: return listing_start(request);
    case ROUTE_TRANSACTION: return start_transaction(request);
    case ROUTE_FILE:
    case ROUTE_TREE: return relay_ask_own(request);
    default: return mounts_count(request->bridge->mounts) > 0 ? ask_all(request) : answer_alone(request);
    }
}

void relay_take_back(struct request *request)
{
    if (request->n_parts > 0 && request->parts[0].exchange) {
        exchange_hold(request->parts[0].exchange);
    }
    if (request->outlet.n_sent > 0) {
        request->n_response_bytes += request->outlet.n_sent;
        request->is_between_events = request->outlet.is_between_events;
        request->outlet.n_sent = 0;
    }
}

void relay_lend(struct request *request)
{
    struct part *part = request->n_parts > 0 ? &request->parts[0] : NULL;
    bool is_streamed = part && part->exchange && request->is_streaming && request->is_chunked;
    relay_take_back(request);
    if (is_streamed && request->is_suspended && part->bytes.len == 0) {
        outlet_init(&request->outlet, request_socket(request));
        exchange_pass(part->exchange, outlet_send, &request->outlet);
    }
}

void relay_cancel(struct request *request)
{
    score_cancel(request->scored);
    request->scored = NULL;
    router_cancel(request->routed);
    for (unsigned i = 0; i < request->n_parts; i++) {
        if (request->parts[i].exchange) {
            exchange_cancel(request->parts[i].exchange);
            request->parts[i].exchange = NULL;
            request->n_running--;
        }
    }
}

void relay_forget_parts(struct request *request)
{
    for (unsigned i = 0; i < request->n_parts; i++) {
        strbuf_deinit(&request->parts[i].bytes);
    }
    free(request->parts);
    request->parts = NULL;
    request->n_parts = 0;
}

void relay_deinit(struct request *request)
{
    relay_forget_parts(request);
    router_forget(request->routed);
    listing_free(request->listing);
}
