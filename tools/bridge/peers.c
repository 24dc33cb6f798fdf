#include "tools/bridge/peers.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "tools/bridge/merge.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS         2000000000u // at the peers that options name
#define LOOK_TIMEOUT_MS 5000
#define DOWN_NS         2000000000u // a peer that failed is not asked so long
#define LIST_BYTES_MAX  (1u << 20)
#define MODELS_MAX      256 // of a named peer

struct named_model {
    struct score_source *source;
    bool is_listed; // in the answer at hand
};

struct named_peer { // by an option
    struct peers *peers;
    const char *url;
    char name[256];
    struct client_call *call; // being asked for its models
    struct strbuf answer;
    struct named_model *models;
    size_t n_models;
    bool is_up;
};

struct peers {
    struct loop_op timer;
    struct loop *loop;
    struct client *client;
    struct scorer *scorer;
    struct peer *each;
    unsigned n;
    uint64_t n_lives;
    struct named_peer *named;
    unsigned n_named;
    char via[64]; // a header
    bool is_stopped;
};

struct peer *peers_at(struct peers *peers, unsigned idx)
{
    const char *name = scorer_peer_name(peers->scorer, idx);
    if (idx >= peers->n) {
        unsigned n = scorer_n_peers(peers->scorer);
        struct peer *each = reallocarray(peers->each, n, sizeof(*each));
        if (!each) {
            return NULL;
        }
        memset(each + peers->n, 0, (n - peers->n) * sizeof(*each));
        peers->each = each;
        peers->n = n;
    }
    struct peer *peer = &peers->each[idx];
    if (name && strncmp(peer->name, name, sizeof(peer->name) - 1) != 0) {
        *peer = (struct peer){ .life = ++peers->n_lives };
        snprintf(peer->name, sizeof(peer->name), "%s", name);
    }
    return peer;
}

void peers_url(const struct peers *peers, unsigned idx, const char *path, char ret[PEER_URL_MAX])
{
    const char *name = scorer_peer_name(peers->scorer, idx);
    snprintf(ret, PEER_URL_MAX, "%s%s%s", strstr(name, "://") ? "" : "http://", name, path);
}

void peers_failed(struct peers *peers, unsigned idx)
{
    struct peer *peer = peers_at(peers, idx);
    if (peer) {
        peer->down_until_ns = clock_monotonic_ns() + DOWN_NS;
        peer->life = ++peers->n_lives;
    }
}

// ---- those that options name ---------------------------------------------------------------------------------------

static void take_model(void *ctx, struct str id, struct str element)
{
    struct named_peer *named = ctx;
    struct scorer *scorer = named->peers->scorer;
    int idx = scorer_find_peer(scorer, str_from(named->name));
    (void)element;
    for (size_t i = 0; i < named->n_models; i++) {
        if (str_eq(str_from(score_source_model(named->models[i].source)), id)) {
            named->models[i].is_listed = true;
            return;
        }
    }
    struct named_model *models =
        named->n_models < MODELS_MAX ? reallocarray(named->models, named->n_models + 1, sizeof(*models)) : NULL;
    named->models = models ? models : named->models;
    if (idx >= 0 && models && scorer_add_source(scorer, (unsigned)idx, id, &models[named->n_models].source) == 0) {
        models[named->n_models++].is_listed = true;
    }
}

static int take_models(struct named_peer *named)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < named->n_models; i++) {
        named->models[i].is_listed = false;
    }
    int r = models_each(strbuf_str(&named->answer), take_model, named);
    for (size_t i = 0; i < named->n_models && r == 0; i++) {
        if (named->models[i].is_listed) {
            named->models[n_kept++] = named->models[i];
        } else {
            scorer_remove_source(named->peers->scorer, named->models[i].source);
        }
    }
    named->n_models = r == 0 ? n_kept : named->n_models;
    return r;
}

static bool look_data(void *ctx, struct str bytes)
{
    struct named_peer *named = ctx;
    strbuf_append(&named->answer, bytes);
    return true;
}

// One that is down is asked for nothing until the next look has ended, and a moment more.
static void look_ended(void *ctx, const char *why)
{
    struct named_peer *named = ctx;
    struct peers *peers = named->peers;
    bool was_up = named->is_up;
    unsigned status = client_status(named->call);
    int idx = scorer_find_peer(peers->scorer, str_from(named->name));
    named->call = NULL;
    named->is_up = !why && status == 200 && take_models(named) == 0;
    if (was_up != named->is_up) {
        log_info("peer %s %s", named->url, named->is_up ? "answers" : "does not answer");
    }
    struct peer *peer = idx >= 0 ? peers_at(peers, (unsigned)idx) : NULL;
    if (peer) {
        peer->down_until_ns = named->is_up ? 0 : clock_monotonic_ns() + LOOK_NS + 1000000ull * LOOK_TIMEOUT_MS;
    }
}

static void look_at(struct named_peer *named)
{
    char url[PEER_URL_MAX];
    const char *const headers[] = { named->peers->via, NULL };
    const struct client_request request = { .url = url, .headers = headers, .timeout_ms = LOOK_TIMEOUT_MS };
    const struct client_sink sink = { .data = look_data, .ended = look_ended, .ctx = named };
    if (!named->call) {
        snprintf(url, sizeof(url), "%s/v1/models", named->url);
        strbuf_reset(&named->answer);
        named->call = client_start(named->peers->client, &request, &sink);
    }
}

static void timer_done(struct loop_op *op, int res)
{
    struct peers *peers = (struct peers *)op;
    if (res < 0 || peers->is_stopped) {
        return;
    }
    for (unsigned i = 0; i < peers->n_named; i++) {
        look_at(&peers->named[i]);
    }
    loop_timer(peers->loop, &peers->timer, LOOK_NS);
}

static bool is_silent(const struct peers *peers, unsigned idx)
{
    for (unsigned i = 0; i < peers->n_named; i++) {
        const struct named_peer *named = &peers->named[i];
        if (!named->is_up && strcmp(named->name, scorer_peer_name(peers->scorer, idx)) == 0) {
            return true;
        }
    }
    return false;
}

void peers_write_models(const struct peers *peers, int but, struct strbuf *ret)
{
    struct json_writer w;
    json_writer_init(&w, ret);
    json_write_object_begin(&w);
    json_write_member_cstr(&w, "object", "list");
    json_write_key(&w, "data");
    json_write_array_begin(&w);
    for (const struct score_source *s = NULL; (s = scorer_next_source(peers->scorer, s));) {
        if ((int)score_source_peer(s) == but || is_silent(peers, score_source_peer(s))) {
            continue;
        }
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

// A router without mounts, which takes no request that was sent on, has none.
static bool has_model(const struct peers *peers, unsigned idx)
{
    const struct score_source *s = NULL;
    while ((s = scorer_next_source(peers->scorer, s)) && score_source_peer(s) != idx) {
    }
    return s != NULL;
}

unsigned peers_write_health(struct peers *peers, int but, struct strbuf *ret)
{
    uint64_t now = clock_monotonic_ns();
    unsigned n_well = 0;
    for (unsigned i = 0; i < scorer_n_peers(peers->scorer); i++) {
        const char *name = scorer_peer_name(peers->scorer, i);
        const struct peer *peer = name && (int)i != but ? peers_at(peers, i) : NULL;
        if (!peer) {
            continue;
        }
        bool answers = peer->down_until_ns <= now && !is_silent(peers, i), is_well = answers && has_model(peers, i);
        n_well += is_well;
        if (!is_well) {
            strbuf_printf(ret, "peer %s: %s\n", name, answers ? "has no model" : "does not answer");
        }
    }
    return n_well;
}

// ---- its life ------------------------------------------------------------------------------------------------------

static int add_named(struct peers *peers, const char *url, struct err *err)
{
    struct named_peer *named = &peers->named[peers->n_named];
    struct str name = str_from(url);
    name = str_starts_with(name, STR("http://")) ? str_skip(name, 7) : name;
    while (str_ends_with(name, STR("/"))) {
        name.len--;
    }
    int n = snprintf(named->name, sizeof(named->name), "%.*s", STR_ARG(name));
    int idx =
        n > 0 && (size_t)n < sizeof(named->name) ? scorer_add_peer(peers->scorer, str_from(named->name)) : -EINVAL;
    if (idx < 0) {
        return err_set(err, idx, "--peer %s: %s", url,
                       idx == -EINVAL ? "a URL like http://HOST:PORT is needed" : "no room");
    }
    scorer_keep_peer(peers->scorer, (unsigned)idx);
    named->peers = peers;
    named->url = url;
    strbuf_init(&named->answer, LIST_BYTES_MAX);
    peers->n_named++;
    return 0;
}

int peers_new(struct loop *loop, struct client *client, struct scorer *scorer, const struct options *options,
              const char *via, struct peers **ret, struct err *err)
{
    struct peers *peers = calloc(1, sizeof(*peers));
    int r = 0;
    if (!peers || !(peers->named = calloc(options->n_peers + 1, sizeof(*peers->named)))) {
        free(peers);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *ret = peers; // also on an error: it is to be stopped and freed
    peers->loop = loop;
    peers->client = client;
    peers->scorer = scorer;
    peers->timer.done = timer_done;
    snprintf(peers->via, sizeof(peers->via), "Via: 1.1 %s", via);
    for (unsigned i = 0; i < options->n_peers && r == 0; i++) {
        r = add_named(peers, options->peers[i], err);
    }
    if (r == 0) {
        loop_timer(loop, &peers->timer, 0);
    }
    return r;
}

void peers_stop(struct peers *peers)
{
    if (peers && !peers->is_stopped) {
        peers->is_stopped = true;
        loop_cancel(peers->loop, &peers->timer);
    }
}

void peers_free(struct peers *peers)
{
    if (peers) {
        for (unsigned i = 0; i < peers->n_named; i++) {
            strbuf_deinit(&peers->named[i].answer);
            free(peers->named[i].models);
        }
        free(peers->named);
        free(peers->each);
        free(peers);
    }
}

void peers_write_metrics(const struct peers *peers, struct strbuf *out)
{
    strbuf_printf(out,
                  "# HELP tokfs_bridge_peer_requests Requests at the peer.\n# TYPE tokfs_bridge_peer_requests gauge\n");
    for (unsigned i = 0; i < peers->n; i++) {
        if (scorer_peer_name(peers->scorer, i)) {
            strbuf_printf(out, "tokfs_bridge_peer_requests{peer=\"%s\"} %u\n", peers->each[i].name,
                          peers->each[i].n_requests);
        }
    }
}
