#include "tools/bridge/router.h"
#include "engine/base/log.h"
#include "tools/bridge/client.h"
#include "tools/bridge/merge.h"
#include "tools/bridge/peers.h"
#include "tools/bridge/scoring.h"
#include "tools/bridge/via.h"
#include "tools/kv/placements.h"
#include "tools/kv/route_policy.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX       4
#define HELD_BYTES_MAX  (256u << 20) // of an answer that is not streamed
#define AHEAD_BYTES_MAX 65536        // of one that is
#define KEY_BYTES_MAX   4200
#define PLACEMENTS_MAX  (256u << 10) // blocks that were sent a moment ago: 4 MiB

struct router_counts {
    uint64_t n_requests, n_retries, n_failed, n_unscored;
    uint64_t prompt_tokens, predicted_tokens, cached_tokens; // of answers that told what was cached
    uint64_t n_own, n_placed;
};

struct router {
    struct bridge *bridge;
    struct client *client;
    struct peers *peers;
    struct placements *placements; // NULL: the policy does not look at prefixes
    struct route_state state;
    struct router_counts counts;
    char via[VIA_NAME_MAX]; // its name, in the mark of what it sends on
};

struct routed {
    struct score_job job;
    struct share_match match; // in the shared index, where there is one
    struct router *router;
    struct request *request; // NULL: it has gone, and the crew has the job, or the shared index the keys
    bool is_scoring;
    char model[MODEL_NAME_MAX];
    struct score_keys no_keys; // where nothing was scored
    int peer;                  // that answers; -1: none
    unsigned tried[TRIES_MAX], n_tried;
    double predicted_tokens;
    struct client_call *call;
    struct strbuf bytes; // that came and were not sent
    size_t n_sent;
    uint64_t cached_tokens;
    bool has_cached_tokens, is_streaming, is_held, is_over;
    const char *why; // it broke off
};

static struct scorer *scorer_of(const struct router *router)
{
    return scoring_scorer(router->bridge->scoring);
}

static void leave_peer(struct routed *routed)
{
    struct peer *peer = routed->peer >= 0 ? peers_at(routed->router->peers, (unsigned)routed->peer) : NULL;
    if (peer) {
        peer->n_requests -= peer->n_requests > 0;
    }
    routed->peer = -1;
}

// ---- answers -------------------------------------------------------------------------------------------------------

static bool send_elsewhere(struct routed *routed, bool is_answered);

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
    routed->why = why;
    if (why) {
        log_info("peer %s: %s", scorer_peer_name(scorer_of(router), (unsigned)routed->peer), why);
        peers_failed(router->peers, (unsigned)routed->peer);
    }
    leave_peer(routed);
    if (routed->is_streaming) {
        count_answer(routed);
        request_resume(routed->request);
    } else if ((why || is_refusal(status)) && send_elsewhere(routed, !why)) {
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

static bool ask(struct routed *routed, unsigned idx)
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
    routed->n_sent = 0;
    routed->is_over = routed->has_cached_tokens = false;
    routed->why = NULL;
    const struct client_request call = { .url = url, .headers = headers, .body = strbuf_str(&request->body) };
    routed->call = via.error ? NULL : client_start(router->client, &call, &sink);
    strbuf_deinit(&via);
    return routed->call != NULL;
}

// Of the prompt's blocks those that follow what the peer is known to hold. (Requests with several prompts are not
// looked at.)
static size_t blocks_beyond(const struct routed *routed, const struct score_row *row, const uint64_t **ret_hashes)
{
    const struct score_keys *keys = &routed->job.keys;
    size_t n = keys->n_prompts == 1 ? score_keys_find(keys, SCORE_BLOCK_TOKENS, ret_hashes) : 0;
    size_t n_known = (size_t)row->n_cached_tokens / SCORE_BLOCK_TOKENS;
    if (n_known >= n) {
        return 0;
    }
    *ret_hashes += n_known;
    return n - n_known;
}

// And how many of them it was sent a moment ago.
static size_t blocks_placed(const struct routed *routed, const struct score_row *row)
{
    struct router *router = routed->router;
    const uint64_t *hashes;
    size_t n = router->placements ? blocks_beyond(routed, row, &hashes) : 0;
    return n > 0 ? placements_match(router->placements, peers_at(router->peers, row->peer)->life, hashes, n,
                                    clock_monotonic_ns())
                 : 0;
}

static void place(struct routed *routed, const struct score_row *row)
{
    struct router *router = routed->router;
    const uint64_t *hashes;
    size_t n = router->placements ? blocks_beyond(routed, row, &hashes) : 0;
    if (n > 0) {
        router->counts.n_placed += blocks_placed(routed, row) > 0;
        placements_add(router->placements, peers_at(router->peers, row->peer)->life, hashes, n, clock_monotonic_ns());
    }
}

static bool was_tried(const struct routed *routed, unsigned peer)
{
    for (unsigned i = 0; i < routed->n_tried; i++) {
        if (routed->tried[i] == peer) {
            return true;
        }
    }
    return false;
}

static bool is_own_up(const struct routed *routed)
{
    const struct mounts *mounts = routed->router->bridge->mounts;
    int idx = mounts_find(mounts, routed->model[0] ? routed->model : NULL);
    return idx >= 0 && mounts_is_up(mounts, (unsigned)idx);
}

// Those that failed a moment ago when there is nobody else (`takes_any`).
static bool may_ask(struct routed *routed, unsigned idx, bool takes_any)
{
    const struct peer *peer = peers_at(routed->router->peers, idx);
    bool is_own = (int)idx == scoring_own_peer(routed->router->bridge->scoring);
    return peer && !was_tried(routed, idx) &&
           (takes_any || (peer->down_until_ns <= clock_monotonic_ns() && (!is_own || is_own_up(routed))));
}

// How many of the peers that have the model may be asked; their numbers and what the policy wants to know of them.
static size_t find_candidates(struct routed *routed, const struct score_row *rows, size_t n, bool takes_any,
                              unsigned *ret_rows, struct route_candidate *ret)
{
    struct scorer *scorer = scorer_of(routed->router);
    size_t n_found = 0;
    for (unsigned i = 0; i < n; i++) {
        if (may_ask(routed, rows[i].peer, takes_any)) {
            struct scorer_load told = scorer_get_load(scorer, rows[i].peer);
            double own = peers_at(routed->router->peers, rows[i].peer)->n_requests,
                   others = told.n_running + told.n_waiting;
            ret_rows[n_found] = i;
            ret[n_found++] = (struct route_candidate){ rows[i].score + (double)blocks_placed(routed, &rows[i]),
                                                       own > others ? own : others };
        }
    }
    return n_found;
}

// NULL: there is none.
static const struct score_row *choose_row(struct routed *routed, bool takes_any, bool *ret_is_known)
{
    struct router *router = routed->router;
    const struct score_row *rows, *chosen = NULL;
    const struct score_options options = { .found = routed->match.found, .n_found = routed->match.n_found };
    const struct score_keys *keys = routed->job.keys.hashes ? &routed->job.keys : &routed->no_keys;
    size_t n = scorer_rank(scorer_of(router), str_from(routed->model), keys, &options, &rows);
    struct route_candidate *candidates = calloc(n + 1, sizeof(*candidates));
    unsigned *at = calloc(n + 1, sizeof(*at));
    *ret_is_known = n > 0;
    if (candidates && at) {
        size_t n_found = find_candidates(routed, rows, n, false, at, candidates);
        if (n_found == 0 && takes_any) {
            n_found = find_candidates(routed, rows, n, true, at, candidates);
        }
        chosen = n_found > 0
                     ? &rows[at[route_choose(router->bridge->options->route, &router->state, candidates, n_found)]]
                     : NULL;
    }
    free(candidates);
    free(at);
    return chosen;
}

static void respond_none(struct routed *routed, bool is_known)
{
    struct request *request = routed->request;
    routed->router->counts.n_failed++;
    if (is_known) {
        respond_error(request, 503, "peer_unavailable", "none of the peers that have the model '%s' answers",
                      routed->model);
    } else if (!routed->model[0]) {
        respond_error(request, 404, "model_not_found", "no peer has any model");
    } else {
        respond_error_of(request, 404, "model_not_found", "model", "no peer has the model '%s'", routed->model);
    }
    request_resume(request);
}

static void ask_own(struct routed *routed)
{
    struct request *request = routed->request;
    routed->router->counts.n_own++;
    relay_ask_own(request);
    if (request->n_running == 0) {
        request_resume(request); // it was answered already
    }
}

// The request is suspended, or about to be.
static void send_to(struct routed *routed, const struct score_row *row)
{
    struct router *router = routed->router;
    struct peer *peer = peers_at(router->peers, row->peer);
    routed->peer = (int)row->peer;
    routed->predicted_tokens = row->n_cached_tokens;
    routed->tried[routed->n_tried++] = row->peer;
    peer->n_requests++;
    place(routed, row);
    if (routed->peer == scoring_own_peer(router->bridge->scoring)) {
        ask_own(routed);
    } else if (!ask(routed, row->peer)) {
        respond_error(routed->request, 503, "out_of_memory", "out of memory");
        request_resume(routed->request);
    }
}

static void choose(struct routed *routed)
{
    bool is_known;
    const struct score_row *row = choose_row(routed, true, &is_known);
    if (row) {
        send_to(routed, row);
    } else {
        respond_none(routed, is_known);
    }
}

// False: there is no other peer, and the request is as it was. `is_answered`: the last one had something to say, which
// is better than asking one that failed a moment ago.
static bool send_elsewhere(struct routed *routed, bool is_answered)
{
    bool is_known, may_try = routed->n_tried < TRIES_MAX && !routed->request->is_aborted;
    const struct score_row *row = may_try ? choose_row(routed, !is_answered, &is_known) : NULL;
    if (row) {
        routed->router->counts.n_retries++;
        relay_forget_parts(routed->request);
        send_to(routed, row);
    }
    return row != NULL;
}

bool router_own_failed(struct routed *routed, bool is_gone)
{
    if (is_gone && routed->peer >= 0) {
        peers_failed(routed->router->peers, (unsigned)routed->peer);
    }
    leave_peer(routed);
    return send_elsewhere(routed, !is_gone);
}

// ---- requests ------------------------------------------------------------------------------------------------------

static void routed_free(struct routed *routed)
{
    share_match_deinit(&routed->match);
    score_job_deinit(&routed->job);
    strbuf_deinit(&routed->bytes);
    free(routed);
}

static void end_scoring(struct routed *routed)
{
    routed->is_scoring = false;
    if (!routed->request) {
        free((char *)(uintptr_t)routed->job.body.ptr); // it was left to the job
        routed_free(routed);
        return;
    }
    if (routed->job.result < 0) {
        routed->router->counts.n_unscored++; // the peer says what is wrong with it
    }
    if (!routed->request->is_aborted) {
        choose(routed);
    }
}

static void matched(struct share_match *match)
{
    end_scoring((struct routed *)((char *)match - offsetof(struct routed, match)));
}

static void scored(struct crew_job *job)
{
    struct routed *routed = (struct routed *)job;
    struct scoring *scoring = routed->router->bridge->scoring;
    if (!routed->request || routed->job.result < 0 || !scoring_match(scoring, &routed->job, &routed->match, matched)) {
        end_scoring(routed);
    }
}

// True: the crew has it.
static bool begin_scoring(struct routed *routed)
{
    struct request *request = routed->request;
    const char *path = request->route->path;
    bool is_chat = strcmp(path, "/v1/chat/completions") == 0, is_text = strcmp(path, "/v1/completions") == 0;
    const struct bridge *bridge = request->bridge;
    const struct tokfs_text *text;
    struct err err;
    if (bridge->options->route != ROUTE_POLICY_PREFIX || (!is_chat && !is_text) ||
        scorer_find_text(scorer_of(routed->router), routed->model[0] ? str_from(routed->model) : (struct str){ 0 },
                         &text, &err) < 0) {
        return false;
    }
    snprintf(routed->model, sizeof(routed->model), "%s", tokfs_text_model(text));
    scoring_job_init(bridge->scoring, &routed->job, text, is_chat ? TOKFS_PROMPT_CHAT : TOKFS_PROMPT_COMPLETION,
                     strbuf_str(&request->body), scored);
    score_sizes_add(&routed->job.sizes, SCORE_BLOCK_TOKENS); // the placements'
    scoring_add_user(&routed->job, bridge->access, &request->user);
    routed->is_scoring = crew_submit(scoring_crew(bridge->scoring), &routed->job.job) == 0;
    return routed->is_scoring;
}

// Of a request that names none: the only one that there is, or any.
static void name_model(struct routed *routed)
{
    const struct score_source *source = scorer_next_source(scorer_of(routed->router), NULL);
    if (!routed->model[0] && source) {
        snprintf(routed->model, sizeof(routed->model), "%s", score_source_model(source));
    }
}

enum MHD_Result router_start(struct request *request)
{
    struct router *router = request->bridge->router;
    struct routed *routed = calloc(1, sizeof(*routed));
    if (!routed) {
        return respond_error(request, 503, "out_of_memory", "out of memory");
    }
    routed->router = router;
    routed->request = request;
    routed->peer = -1;
    strbuf_init(&routed->bytes, HELD_BYTES_MAX);
    request->routed = routed;
    router->counts.n_requests++;
    if (!body_find_model(strbuf_str(&request->body), routed->model, sizeof(routed->model))) {
        routed->model[0] = '\0';
    }
    request_suspend(request);
    if (!begin_scoring(routed)) {
        name_model(routed);
        choose(routed);
    }
    return MHD_YES;
}

void router_cancel(struct routed *routed)
{
    if (routed && routed->call) {
        client_cancel(routed->call);
        routed->call = NULL;
    }
    if (routed) {
        leave_peer(routed);
    }
}

void router_forget(struct routed *routed)
{
    if (!routed) {
        return;
    }
    router_cancel(routed);
    if (routed->is_scoring) { // its body is read by the crew
        strbuf_steal(&routed->request->body);
        routed->request = NULL;
    } else {
        routed_free(routed);
    }
}

bool router_takes(const struct router *router, const struct route *route)
{
    return router && route->kind == ROUTE_TRANSACTION && strncmp(route->path, "/v1/", 4) == 0;
}

void router_write_models(const struct router *router, struct strbuf *ret)
{
    peers_write_models(router->peers, scoring_own_peer(router->bridge->scoring), ret);
}

unsigned router_write_health(struct router *router, struct strbuf *ret)
{
    return peers_write_health(router->peers, scoring_own_peer(router->bridge->scoring), ret);
}

// ---- its life ------------------------------------------------------------------------------------------------------

int router_new(struct bridge *bridge, struct router **ret, struct err *err)
{
    struct router *router = calloc(1, sizeof(*router));
    if (!router) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = router; // also on an error: it is to be stopped and freed
    router->bridge = bridge;
    router->state.seed = clock_monotonic_ns();
    via_make_name(router->via);
    if (bridge->options->route == ROUTE_POLICY_PREFIX && !(router->placements = placements_new(PLACEMENTS_MAX))) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    int r = client_new(bridge->loop, &router->client, err);
    return r < 0 ? r
                 : peers_new(bridge->loop, router->client, scorer_of(router), bridge->options, router->via,
                             &router->peers, err);
}

void router_stop(struct router *router)
{
    if (router) {
        peers_stop(router->peers);
        client_stop(router->client);
    }
}

void router_free(struct router *router)
{
    if (router) {
        client_free(router->client);
        peers_free(router->peers);
        placements_free(router->placements);
        free(router);
    }
}

// ---- figures -------------------------------------------------------------------------------------------------------

void router_write_metrics(const struct router *router, struct strbuf *out)
{
    const struct router_counts *c = &router->counts;
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        { "routed_requests_total", "Requests that a peer was chosen for.", c->n_requests },
        { "routed_own_total", "Of them, to the bridge's own mounts.", c->n_own },
        { "routed_placed_total", "Of them, to where their beginning had been sent just before.", c->n_placed },
        { "routed_retries_total", "Times that another peer was asked.", c->n_retries },
        { "routed_failed_total", "Requests that no peer answered.", c->n_failed },
        { "routed_unscored_total", "Requests whose tokens could not be found.", c->n_unscored },
        { "routed_prompt_tokens_total", "Prompt tokens of answers that told what was cached.", c->prompt_tokens },
        { "routed_predicted_tokens_total", "Of them, expected to be cached.", c->predicted_tokens },
        { "routed_cached_tokens_total", "Of them, that were cached.", c->cached_tokens },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        strbuf_printf(out, "# HELP tokfs_bridge_%s %s\n# TYPE tokfs_bridge_%s counter\ntokfs_bridge_%s %" PRIu64 "\n",
                      rows[i].name, rows[i].help, rows[i].name, rows[i].name, rows[i].value);
    }
    peers_write_metrics(router->peers, out);
}
