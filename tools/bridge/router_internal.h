// The router between its files: requests (router.c), who is to answer them (router_choose.c), and the asking of one
// peer (router_ask.c). Nobody else includes this.
#ifndef TOKFS_BRIDGE_ROUTER_INTERNAL_H
#define TOKFS_BRIDGE_ROUTER_INTERNAL_H

#include "tools/bridge/client.h"
#include "tools/bridge/peers.h"
#include "tools/bridge/router.h"
#include "tools/bridge/scoring.h"
#include "tools/bridge/via.h"
#include "tools/kv/placements.h"
#include "tools/kv/route_policy.h"

#define ROUTER_TRIES_MAX 4

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
    unsigned tried[ROUTER_TRIES_MAX], n_tried;
    double predicted_tokens;
    struct client_call *call;
    struct strbuf bytes; // that came and were not sent
    size_t n_sent;
    size_t n_done; // bytes of the last event of a stream that what came ends with
    uint64_t cached_tokens;
    bool has_cached_tokens, is_streaming, is_held, is_over;
    const char *why; // it broke off
};

struct scorer *router_scorer(const struct router *router);
void router_leave_peer(struct routed *routed); // it asks nobody any more
// Asks the best peer, or says that there is none.
void router_choose(struct routed *routed);
// False: there is no other peer, and the request is as it was. `is_answered`: the last one had something to say, which
// is better than asking one that failed a moment ago.
bool router_send_elsewhere(struct routed *routed, bool is_answered);
bool router_ask(struct routed *routed, unsigned peer); // false: out of memory

#endif
