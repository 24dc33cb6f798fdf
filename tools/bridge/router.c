#include "tools/bridge/router.h"
#include "engine/base/log.h"
#include "tools/bridge/client.h"
#include "tools/bridge/merge.h"
#include "tools/bridge/scoring.h"
#include "tools/kv/route_policy.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS         2000000000u // at the peers that options name
#define LOOK_TIMEOUT_MS 5000
#define DOWN_NS         2000000000u // a peer that failed is not asked so long
#define TRIES_MAX       4
#define HELD_BYTES_MAX  (256u << 20) // of an answer that is not streamed
#define AHEAD_BYTES_MAX 65536        // of one that is
#define URL_MAX         512
#define N_HEADERS       4

struct peer {       // by its number in the scorer
    char name[256]; // whose figures these are: numbers are given again
    unsigned n_requests;
    uint64_t down_until_ns;
};

struct named_peer { // by an option
    struct router *router;
    const char *url;
    char name[256];
    struct client_call *call; // being asked for its models
    struct strbuf answer;
    bool is_up;
};

struct router_counts {
    uint64_t n_requests, n_retries, n_failed, n_unscored;
    uint64_t prompt_tokens, predicted_tokens, cached_tokens; // of answers that told what was cached
    uint64_t n_own;
};

struct router {
    struct loop_op timer;
    struct bridge *bridge;
    struct client *client;
    struct peer *peers;
    unsigned n_peers;
    struct named_peer *named;
    unsigned n_named;
    struct route_state state;
    struct router_counts counts;
    bool is_stopped;
};

struct routed {
    struct score_job job;
    struct router *router;
    struct request *request; // NULL: it has gone, and the crew has the job
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

// ---- peers ---------------------------------------------------------------------------------------------------------

static struct scorer *scorer_of(const struct router *router)
{
    return scoring_scorer(router->bridge->scoring);
}

// Its figures, begun anew when the number is another's now. NULL: out of memory.
static struct peer *peer_at(struct router *router, unsigned idx)
{
    const char *name = scorer_peer_name(scorer_of(router), idx);
    if (idx >= router->n_peers) {
        unsigned n = scorer_n_peers(scorer_of(router));
        struct peer *peers = reallocarray(router->peers, n, sizeof(*peers));
        if (!peers) {
            return NULL;
        }
        memset(peers + router->n_peers, 0, (n - router->n_peers) * sizeof(*peers));
        router->peers = peers;
        router->n_peers = n;
    }
    struct peer *peer = &router->peers[idx];
    if (name && strncmp(peer->name, name, sizeof(peer->name) - 1) != 0) {
        *peer = (struct peer){ 0 };
        snprintf(peer->name, sizeof(peer->name), "%s", name);
    }
    return peer;
}

static void url_of(const struct router *router, unsigned idx, const char *path, char ret[URL_MAX])
{
    const char *name = scorer_peer_name(scorer_of(router), idx);
    snprintf(ret, URL_MAX, "%s%s%s", strstr(name, "://") ? "" : "http://", name, path);
}

static void leave_peer(struct routed *routed)
{
    if (routed->peer >= 0 && (unsigned)routed->peer < routed->router->n_peers) {
        struct peer *peer = &routed->router->peers[routed->peer];
        peer->n_requests -= peer->n_requests > 0;
    }
    routed->peer = -1;
}

// ---- peers that options name ---------------------------------------------------------------------------------------

static void take_model(void *ctx, struct str id, struct str element)
{
    struct named_peer *named = ctx;
    struct scorer *scorer = scorer_of(named->router);
    struct score_source *source;
    int idx = scorer_find_peer(scorer, str_from(named->name));
    (void)element;
    if (idx >= 0 && !scorer_find_source(scorer, (unsigned)idx, id)) {
        scorer_add_source(scorer, (unsigned)idx, id, &source);
    }
}

static bool look_data(void *ctx, struct str bytes)
{
    struct named_peer *named = ctx;
    strbuf_append(&named->answer, bytes);
    return true;
}

static void look_ended(void *ctx, const char *why)
{
    struct named_peer *named = ctx;
    bool was_up = named->is_up;
    unsigned status = client_status(named->call);
    named->call = NULL;
    named->is_up = !why && status == 200 && models_each(strbuf_str(&named->answer), take_model, named) == 0;
    if (was_up != named->is_up) {
        log_info("peer %s %s", named->url, named->is_up ? "answers" : "does not answer");
    }
    int idx = scorer_find_peer(scorer_of(named->router), str_from(named->name));
    struct peer *peer = idx >= 0 ? peer_at(named->router, (unsigned)idx) : NULL;
    if (peer) { // until the next look, and a moment more
        peer->down_until_ns = named->is_up ? 0 : clock_monotonic_ns() + LOOK_NS + 1000000ull * LOOK_TIMEOUT_MS;
    }
}

static void look_at(struct named_peer *named)
{
    char url[URL_MAX];
    const struct client_request request = { .url = url, .timeout_ms = LOOK_TIMEOUT_MS };
    const struct client_sink sink = { .data = look_data, .ended = look_ended, .ctx = named };
    if (!named->call) {
        snprintf(url, sizeof(url), "%s/v1/models", named->url);
        strbuf_reset(&named->answer);
        named->call = client_start(named->router->client, &request, &sink);
    }
}

static void timer_done(struct loop_op *op, int res)
{
    struct router *router = (struct router *)op;
    if (res < 0 || router->is_stopped) {
        return;
    }
    for (unsigned i = 0; i < router->n_named; i++) {
        look_at(&router->named[i]);
    }
    loop_timer(router->bridge->loop, &router->timer, LOOK_NS);
}

// ---- answers -------------------------------------------------------------------------------------------------------

static void choose(struct routed *routed);

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
    struct peer *peer = peer_at(router, (unsigned)routed->peer);
    bool has_room = status != 503 && status != 502 && status != 429;
    if (why && peer) {
        log_info("peer %s: %s", peer->name, why);
        peer->down_until_ns = clock_monotonic_ns() + DOWN_NS;
    }
    leave_peer(routed);
    if (routed->is_streaming) {
        count_answer(routed);
        request_resume(routed->request);
    } else if (!why && has_room) {
        count_answer(routed);
        respond_whole(routed, status, type);
    } else if (routed->n_tried < TRIES_MAX && !routed->request->is_aborted) {
        router->counts.n_retries++;
        choose(routed); // which tells what the last one said when there is no other
    } else if (!why) {
        respond_whole(routed, status, type);
    } else {
        router->counts.n_failed++;
        respond_error(routed->request, 502, "peer_unavailable", "the peer did not answer: %s", why);
        request_resume(routed->request);
    }
}

// ---- asking --------------------------------------------------------------------------------------------------------

static bool ask(struct routed *routed, unsigned idx)
{
    struct request *request = routed->request;
    char url[URL_MAX], id[128], key[4200];
    const char *authorization = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Authorization");
    const char *headers[N_HEADERS] = { "Content-Type: application/json", id };
    const struct client_sink sink = { .data = data, .ended = ended, .ctx = routed };
    snprintf(id, sizeof(id), "X-Request-Id: %s", request->id);
    if (authorization && (size_t)snprintf(key, sizeof(key), "Authorization: %s", authorization) < sizeof(key)) {
        headers[2] = key;
    }
    url_of(routed->router, idx, request->route->path, url);
    strbuf_reset(&routed->bytes);
    routed->n_sent = 0;
    routed->is_over = false;
    routed->why = NULL;
    const struct client_request call = { .url = url, .headers = headers, .body = strbuf_str(&request->body) };
    routed->call = client_start(routed->router->client, &call, &sink);
    return routed->call != NULL;
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

static bool may_ask(struct routed *routed, unsigned idx, uint64_t now)
{
    const struct peer *peer = peer_at(routed->router, idx);
    bool is_own = (int)idx == scoring_own_peer(routed->router->bridge->scoring);
    return peer && !was_tried(routed, idx) && peer->down_until_ns <= now &&
           (!is_own || mounts_find(routed->router->bridge->mounts, routed->model[0] ? routed->model : NULL) >= 0);
}

// How many of the peers that have the model may be asked; their numbers and what the policy wants to know of them.
static size_t find_candidates(struct routed *routed, const struct score_row *rows, size_t n, unsigned *ret_rows,
                              struct route_candidate *ret)
{
    struct scorer *scorer = scorer_of(routed->router);
    uint64_t now = clock_monotonic_ns();
    size_t n_found = 0;
    for (unsigned i = 0; i < n; i++) {
        if (may_ask(routed, rows[i].peer, now)) {
            struct scorer_load told = scorer_get_load(scorer, rows[i].peer);
            double own = routed->router->peers[rows[i].peer].n_requests, others = told.n_running + told.n_waiting;
            ret_rows[n_found] = i;
            ret[n_found++] = (struct route_candidate){ rows[i].score, own > others ? own : others };
        }
    }
    return n_found;
}

// NULL: there is none.
static const struct score_row *choose_row(struct routed *routed, bool *ret_is_known)
{
    struct router *router = routed->router;
    const struct score_row *rows, *chosen = NULL;
    const struct score_options options = { 0 };
    const struct score_keys *keys = routed->job.keys.hashes ? &routed->job.keys : &routed->no_keys;
    size_t n = scorer_rank(scorer_of(router), str_from(routed->model), keys, &options, &rows);
    struct route_candidate *candidates = calloc(n + 1, sizeof(*candidates));
    unsigned *at = calloc(n + 1, sizeof(*at));
    *ret_is_known = n > 0;
    if (candidates && at) {
        size_t n_found = find_candidates(routed, rows, n, at, candidates);
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
static void choose(struct routed *routed)
{
    struct router *router = routed->router;
    bool is_known;
    const struct score_row *row = choose_row(routed, &is_known);
    if (!row) {
        respond_none(routed, is_known);
        return;
    }
    routed->peer = (int)row->peer;
    routed->predicted_tokens = row->n_cached_tokens;
    routed->tried[routed->n_tried++] = row->peer;
    router->peers[row->peer].n_requests++;
    if (routed->peer == scoring_own_peer(router->bridge->scoring)) {
        ask_own(routed);
    } else if (!ask(routed, row->peer)) {
        respond_error(routed->request, 503, "out_of_memory", "out of memory");
        request_resume(routed->request);
    }
}

// ---- requests ------------------------------------------------------------------------------------------------------

static void routed_free(struct routed *routed)
{
    score_job_deinit(&routed->job);
    strbuf_deinit(&routed->bytes);
    free(routed);
}

static void scored(struct crew_job *job)
{
    struct routed *routed = (struct routed *)job;
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
    score_job_init(&routed->job, scorer_of(routed->router), text, is_chat ? TOKFS_PROMPT_CHAT : TOKFS_PROMPT_COMPLETION,
                   strbuf_str(&request->body), scored);
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
    struct scorer *scorer = scorer_of(router);
    struct json_writer w;
    json_writer_init(&w, ret);
    json_write_object_begin(&w);
    json_write_member_cstr(&w, "object", "list");
    json_write_key(&w, "data");
    json_write_array_begin(&w);
    for (const struct score_source *s = scorer_next_source(scorer, NULL); s; s = scorer_next_source(scorer, s)) {
        json_write_object_begin(&w);
        json_write_member_cstr(&w, "id", score_source_model(s));
        json_write_member_cstr(&w, "object", "model");
        json_write_key(&w, "created");
        json_write_u64(&w, 0);
        json_write_member_cstr(&w, "owned_by", "tokfs");
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
}

// ---- its life ------------------------------------------------------------------------------------------------------

static int add_named(struct router *router, const char *url, struct err *err)
{
    struct named_peer *named = &router->named[router->n_named];
    struct str name = str_from(url);
    name = str_starts_with(name, STR("http://")) ? str_skip(name, 7) : name;
    while (str_ends_with(name, STR("/"))) {
        name.len--;
    }
    int n = snprintf(named->name, sizeof(named->name), "%.*s", STR_ARG(name));
    int idx =
        n > 0 && (size_t)n < sizeof(named->name) ? scorer_add_peer(scorer_of(router), str_from(named->name)) : -EINVAL;
    if (idx < 0) {
        return err_set(err, idx, "--peer %s: %s", url,
                       idx == -EINVAL ? "a URL like http://HOST:PORT is needed" : "no room");
    }
    scorer_keep_peer(scorer_of(router), (unsigned)idx);
    named->router = router;
    named->url = url;
    strbuf_init(&named->answer, 1u << 20);
    router->n_named++;
    return 0;
}

int router_new(struct bridge *bridge, struct router **ret, struct err *err)
{
    const struct options *o = bridge->options;
    struct router *router = calloc(1, sizeof(*router));
    if (!router || !(router->named = calloc(o->n_peers + 1, sizeof(*router->named)))) {
        free(router);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = router; // also on an error: it is to be stopped and freed
    router->bridge = bridge;
    router->timer.done = timer_done;
    router->state.seed = clock_monotonic_ns();
    int r = client_new(bridge->loop, &router->client, err);
    for (unsigned i = 0; i < o->n_peers && r == 0; i++) {
        r = add_named(router, o->peers[i], err);
    }
    if (r == 0) {
        loop_timer(bridge->loop, &router->timer, 0);
    }
    return r;
}

void router_stop(struct router *router)
{
    if (router && !router->is_stopped) {
        router->is_stopped = true;
        loop_cancel(router->bridge->loop, &router->timer);
        client_stop(router->client);
    }
}

void router_free(struct router *router)
{
    if (router) {
        client_free(router->client);
        for (unsigned i = 0; i < router->n_named; i++) {
            strbuf_deinit(&router->named[i].answer);
        }
        free(router->named);
        free(router->peers);
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
    strbuf_printf(out,
                  "# HELP tokfs_bridge_peer_requests Requests at the peer.\n# TYPE tokfs_bridge_peer_requests gauge\n");
    for (unsigned i = 0; i < router->n_peers; i++) {
        if (scorer_peer_name(scorer_of(router), i)) {
            strbuf_printf(out, "tokfs_bridge_peer_requests{peer=\"%s\"} %u\n", router->peers[i].name,
                          router->peers[i].n_requests);
        }
    }
}
