// Which peer holds how much of a prompt: the index, with names for what is in it.
//
//   model    a name, and the text library of it where requests for it are to be scored
//   peer     a machine that answers requests, by the name that scores have
//   source   what one peer tells of one model: a node of the index, made when its first block tells the block size
//
// Scoring has two halves, so that the long one may be a thread's of its own: score_keys_make (template, tokens,
// hashes) needs the model's text only, which is constant; scorer_rank looks the keys up.
//
// Engines that hash blocks in another way than tokfs tell their tokens: their blocks get our names here.
//
// One thread at a time, but for score_keys_*.
#ifndef TOKFS_KV_SCORE_H
#define TOKFS_KV_SCORE_H

#include "tools/kv/index.h"
#include "tools/kv/kv_message.h"
#include <tokfs/text.h>

#define SCORE_BLOCK_SIZES_MAX 16 // different ones of one model, of peers that hold something: others are refused
#define SCORE_BLOCK_TOKENS    16 // scores count blocks of so many tokens
#define SCORE_SCOPES_MAX      16

struct scorer;

int scorer_new(uint64_t index_bytes_max, struct scorer **ret); // as kv_index_new
void scorer_free(struct scorer *scorer);                       // NULL is accepted
struct kv_index *scorer_index(const struct scorer *scorer);

// ---- models --------------------------------------------------------------------------------------------------------

// Takes the text over, also on an error; it replaces none. -EEXIST, -ENOMEM.
int scorer_add_text(struct scorer *scorer, struct tokfs_text *text);
// NULL name: the only one there is. -ENOENT with the models that there are.
int scorer_find_text(const struct scorer *scorer, struct str model, const struct tokfs_text **ret, struct err *err);

// ---- peers and what they tell --------------------------------------------------------------------------------------

struct scorer_load {
    double n_running, n_waiting; // requests
};

// Numbers from 0, lowest first. -EEXIST is not told: the same name gives the same peer. -ENFILE, -ENOMEM.
int scorer_add_peer(struct scorer *scorer, struct str name);
void scorer_remove_peer(struct scorer *scorer, unsigned peer);      // with its sources
int scorer_find_peer(const struct scorer *scorer, struct str name); // -ENOENT
void scorer_keep_peer(struct scorer *scorer, unsigned peer);        // it stays without sources
void scorer_release_peer(struct scorer *scorer, unsigned peer); // removed, if it is not kept and nothing tells of it
unsigned scorer_n_peers(const struct scorer *scorer);           // free numbers among them
// NULL: the number is free.
const char *scorer_peer_name(const struct scorer *scorer, unsigned peer);
struct scorer_load scorer_get_load(const struct scorer *scorer, unsigned peer);
void scorer_set_load(struct scorer *scorer, unsigned peer, struct scorer_load load);
// The cache scope (tokfs_tenant.cache_scope) of who asks it without being somebody else, where users have caches of
// their own there; 0: not known.
uint64_t scorer_get_scope(const struct scorer *scorer, unsigned peer);
void scorer_set_scope(struct scorer *scorer, unsigned peer, uint64_t scope);

struct score_source;
struct score_source *scorer_find_source(const struct scorer *scorer, unsigned peer, struct str model); // or NULL
// The same peer and model give the same source, to be removed as often as it was added. -ENFILE, -ENOMEM.
int scorer_add_source(struct scorer *scorer, unsigned peer, struct str model, struct score_source **ret);
void scorer_remove_source(struct scorer *scorer, struct score_source *source);
// -EINVAL: it makes no sense for this source, which is cleared; -ENOMEM likewise.
int score_source_apply(struct score_source *source, const struct kv_message *message, struct err *err);
void score_source_clear(struct score_source *source); // it holds nothing
// Its peer is there, whatever it holds: told as often as it is taken back. It need not be before it is removed.
void score_source_arrive(struct score_source *source);
void score_source_leave(struct score_source *source);
bool score_source_is_present(const struct score_source *source);
struct score_source_stats {
    uint64_t n_blocks;
    uint64_t n_orphans;  // blocks whose parent was not known, so that nobody can ask for them
    uint32_t block_size; // 0: not known
};
void score_source_get_stats(const struct score_source *source, struct score_source_stats *ret);
unsigned score_source_peer(const struct score_source *source);
const char *score_source_model(const struct score_source *source);
const struct score_source *scorer_source_of(const struct scorer *scorer, uint32_t node); // of the index; or NULL
struct score_source *scorer_next_source(const struct scorer *scorer, const struct score_source *before); // NULL: first

// ---- who keeps it elsewhere too -------------------------------------------------------------------------------------

// One block of a source, after it was stored or removed.
struct score_change {
    uint64_t theirs, ours; // its names: the engine's and the index's
    bool has_parent;
    uint64_t parent;        // ours
    unsigned tiers;         // where it is now, 1 << tier; 0: it has gone
    const uint32_t *tokens; // [block size] of one that was stored; NULL: not told
    bool is_plain;          // nothing but its tokens and its adapter has made it: no salt, no image
    struct str lora_name;   // empty: no adapter
};
struct scorer_listener {
    void (*changed)(void *ctx, struct score_source *source, const struct score_change *change);
    void (*applied)(void *ctx, struct score_source *source); // after the last change of a message
    void (*cleared)(void *ctx, struct score_source *source); // it holds nothing
    void (*removed)(void *ctx, struct score_source *source); // it is about to be freed
    void (*present)(void *ctx, struct score_source *source); // score_source_is_present has changed
    void *ctx;
};
void scorer_listen(struct scorer *scorer, const struct scorer_listener *listener); // one
// What the listener keeps with a source; NULL at first.
void *score_source_data(const struct score_source *source);
void score_source_set_data(struct score_source *source, void *data);

// ---- scores --------------------------------------------------------------------------------------------------------

// What requests for a model are to be hashed for: the sizes of its blocks, and the cache scopes that its prompts may be
// known under, the first of which is 0. Where they are not the request's, nothing is found.
struct score_sizes {
    uint32_t sizes[SCORE_BLOCK_SIZES_MAX + 1];
    unsigned n;
    uint64_t scopes[SCORE_SCOPES_MAX];
    unsigned n_scopes;
    // llm-d's request keys (foreign_hash.h, fnv) are wanted in place of our names: they follow the model's root, and
    // there are none of prompts with a salt, which its index does not know.
    bool has_root;
    uint64_t root;
};
void scorer_sizes(const struct scorer *scorer, struct str model, struct score_sizes *ret);
bool score_sizes_has(const struct score_sizes *sizes, uint32_t size);
void score_sizes_add(struct score_sizes *sizes, uint32_t size);        // there is room for one that peers have not told
void score_sizes_add_scope(struct score_sizes *sizes, uint64_t scope); // left out where there are too many

// The blocks of a request's prompts, for each of the sizes and scopes.
struct score_keys {
    struct score_sizes sizes;
    uint64_t *hashes; // [n_prompts][sizes.n][sizes.n_scopes][n_hashes of prompt and size]
    size_t *n_hashes; // [n_prompts][sizes.n]
    size_t n_prompts, n_tokens;
};
int score_keys_make(const struct tokfs_prompts *prompts, const struct score_sizes *sizes, struct score_keys *ret);
void score_keys_deinit(struct score_keys *keys);
// The blocks of the first prompt, in this size and scope 0: how many. 0: it was not hashed for that size.
size_t score_keys_find(const struct score_keys *keys, uint32_t size, const uint64_t **ret_hashes);

struct score_row {
    unsigned peer;
    double score;           // cached blocks of SCORE_BLOCK_TOKENS, weighted by their tier, minus the load's cost
    double n_cached_tokens; // not weighted
};
// Of the ways in which a prompt may be known to a peer (sizes of blocks, scopes) the best counts; of several prompts
// the sum. All zeroes at first; prompts come in their order.
struct score_tally {
    double score, n_cached_tokens;
    // Of the prompt in hand:
    size_t prompt;
    double best_score, best_tokens;
};
void score_tally_add(struct score_tally *tally, size_t prompt, double score, double n_tokens);

struct score_found { // what another index says; where this one says more, that counts
    unsigned peer;
    struct score_tally tally;
};
struct score_options {
    const double *weights;           // of the tiers; NULL: kv_tier_weights
    double load_cost;                // blocks that a request, running or waiting, is counted for
    const struct score_found *found; // [n_found]
    size_t n_found;
};
// All peers that have the model, best first (of equal ones in the order of their numbers): how many. *ret [] is the
// scorer's, until the next call.
size_t scorer_rank(struct scorer *scorer, struct str model, const struct score_keys *keys,
                   const struct score_options *options, const struct score_row **ret);

#endif
