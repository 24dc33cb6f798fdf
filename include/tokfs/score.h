// Which engine holds how much of a prompt: an index of what many engines tell of their prefix caches, and scores.
//
// Prompts are made of requests by the engine's own text library (text.h), so that what is looked up is what will run.
// In libtokfs-score. One thread at a time for each scorer.
#ifndef TOKFS_SCORE_H
#define TOKFS_SCORE_H

#include <tokfs/kvevent.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tokfs_scorer;

// index_bytes_max: at least 4 MiB; 0: no limit. -EINVAL, -ENOMEM.
TOKFS_API int tokfs_scorer_open(uint64_t index_bytes_max, struct tokfs_scorer **ret, struct tokfs_error *err);
TOKFS_API void tokfs_scorer_close(struct tokfs_scorer *scorer); // NULL is accepted
// A model that requests are scored for: as tokfs_text_open, and -EEXIST.
TOKFS_API int tokfs_scorer_add_model(struct tokfs_scorer *scorer, const char *dir, const char *served_name,
                                     struct tokfs_error *err);

// ---- what engines hold ---------------------------------------------------------------------------------------------

enum tokfs_tier { TOKFS_TIER_GPU, TOKFS_TIER_CPU, TOKFS_TIER_DISK };

// An event of tokfs_kv_poll of the engine that `peer` is. An EPOCH clears it, as does the beginning of a snapshot.
TOKFS_API int tokfs_scorer_apply_event(struct tokfs_scorer *scorer, const char *peer, const char *model,
                                       enum tokfs_tier tier, const struct tokfs_kv_event *event,
                                       struct tokfs_error *err);
// A batch of vLLM's, as it is published (msgpack): from vLLM, or from tokfs. Its token ids are needed.
TOKFS_API int tokfs_scorer_apply_batch(struct tokfs_scorer *scorer, const char *peer, const char *model,
                                       const void *payload, size_t len, struct tokfs_error *err);
TOKFS_API void tokfs_scorer_clear_peer(struct tokfs_scorer *scorer, const char *peer);  // it holds nothing
TOKFS_API void tokfs_scorer_remove_peer(struct tokfs_scorer *scorer, const char *peer); // it is gone
// Requests that run and wait there. -ENOENT: no such peer.
TOKFS_API int tokfs_scorer_set_load(struct tokfs_scorer *scorer, const char *peer, double n_running, double n_waiting);

// ---- scores --------------------------------------------------------------------------------------------------------

enum tokfs_score_kind {
    TOKFS_SCORE_PROMPT,     // text: a plain prompt
    TOKFS_SCORE_TOKENS,     // ids
    TOKFS_SCORE_CHAT,       // text: a body of v1/chat/completions
    TOKFS_SCORE_TEMPLATE,   // text: a ChatTemplateRequest, {"conversations": [...], "tools", "documents" ...}
    TOKFS_SCORE_COMPLETION, // text: a body of v1/completions
};

struct tokfs_score_request {
    enum tokfs_score_kind kind;
    const char *model; // NULL: the one that the body names, or the only one
    const char *text;
    size_t len;
    const int32_t *ids; // [n_ids]
    size_t n_ids;
    const char *const *peers; // [n_peers]: of these only; NULL: of all
    size_t n_peers;
    const double *weights; // [3] of the tiers; NULL: 1.0, 0.8, 0.25
    double load_cost;      // blocks that a request at a peer counts for; 0: load does not matter
    // [n_scopes] beside 0: cache scopes (tokfs_tenant.cache_scope) that the request may run in where users have caches
    // of their own, at most 15; a peer's best one counts. Of a mount: 1 + the number of the user who asks.
    const uint64_t *cache_scopes;
    size_t n_cache_scopes;
};

struct tokfs_score {
    const char *peer;
    double score; // blocks of 16 tokens from the first on, without a gap, by the weight of their best tiers; minus load
    double cached_tokens;
};
struct tokfs_scores {
    struct tokfs_score *items; // [n] best first: all peers that have the model, also those that hold nothing
    size_t n;
    size_t n_tokens; // of the prompt
    char *rendered;  // CHAT, TEMPLATE: what the template made of it; NULL otherwise
};

// Dispatches on the kind. -ENOENT: an unknown model; others as tokfs_text_prompts. Never an empty answer for a model
// that nobody knows.
TOKFS_API int tokfs_score(struct tokfs_scorer *scorer, const struct tokfs_score_request *request,
                          struct tokfs_scores *ret, struct tokfs_error *err);
TOKFS_API void tokfs_scores_deinit(struct tokfs_scores *scores);

// The same for one kind each.
TOKFS_API int tokfs_score_prompt(struct tokfs_scorer *scorer, const char *model, const char *text, size_t len,
                                 struct tokfs_scores *ret, struct tokfs_error *err);
TOKFS_API int tokfs_score_tokens(struct tokfs_scorer *scorer, const char *model, const int32_t *ids, size_t n_ids,
                                 struct tokfs_scores *ret, struct tokfs_error *err);
TOKFS_API int tokfs_score_chat(struct tokfs_scorer *scorer, const char *json, size_t len, struct tokfs_scores *ret,
                               struct tokfs_error *err);

#ifdef __cplusplus
}
#endif

#endif
