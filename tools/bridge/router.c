// Requests from their scoring to their end, and the router's own life and figures.
#include "tools/bridge/merge.h"
#include "tools/bridge/router_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELD_BYTES_MAX (256u << 20) // of an answer that is not streamed
#define PLACEMENTS_MAX (256u << 10) // blocks that were sent a moment ago: 4 MiB

struct scorer *router_scorer(const struct router *router)
{
    return scoring_scorer(router->bridge->scoring);
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
        router_choose(routed);
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
        scorer_find_text(router_scorer(routed->router), routed->model[0] ? str_from(routed->model) : (struct str){ 0 },
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
    const struct score_source *source = scorer_next_source(router_scorer(routed->router), NULL);
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
        router_choose(routed);
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
        router_leave_peer(routed);
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
                 : peers_new(bridge->loop, router->client, router_scorer(router), bridge->options, router->via,
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
