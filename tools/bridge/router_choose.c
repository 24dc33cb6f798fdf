// Who is to answer a request: the policy chooses among the peers that have its model, by what they hold of its prompt,
// what they were sent a moment ago, and how much they have to do.
#include "tools/bridge/router_internal.h"
#include <stdlib.h>

void router_leave_peer(struct routed *routed)
{
    struct peer *peer = routed->peer >= 0 ? peers_at(routed->router->peers, (unsigned)routed->peer) : NULL;
    if (peer) {
        peer->n_requests -= peer->n_requests > 0;
    }
    routed->peer = -1;
}

// ---- what the policy wants to know ---------------------------------------------------------------------------------

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
    struct scorer *scorer = router_scorer(routed->router);
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
    size_t n = scorer_rank(router_scorer(router), str_from(routed->model), keys, &options, &rows);
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

// ---- sending -------------------------------------------------------------------------------------------------------

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
    } else if (!router_ask(routed, row->peer)) {
        respond_error(routed->request, 503, "out_of_memory", "out of memory");
        request_resume(routed->request);
    }
}

void router_choose(struct routed *routed)
{
    bool is_known;
    const struct score_row *row = choose_row(routed, true, &is_known);
    if (row) {
        send_to(routed, row);
    } else {
        respond_none(routed, is_known);
    }
}

bool router_send_elsewhere(struct routed *routed, bool is_answered)
{
    bool is_known, may_try = routed->n_tried < ROUTER_TRIES_MAX && !routed->request->is_aborted;
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
    router_leave_peer(routed);
    return router_send_elsewhere(routed, !is_gone);
}
