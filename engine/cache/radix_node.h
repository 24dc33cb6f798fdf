// The nodes of the radix tree in their arrays: runs of tokens, edges from parents to children, order of use.
//
// Shared by radix*.c only. A node's number is its index; 0 is no node (and closes the LRU lists).
#ifndef TOKFS_CACHE_RADIX_NODE_H
#define TOKFS_CACHE_RADIX_NODE_H

#include "engine/cache/kv_log.h"
#include "engine/cache/radix.h"

#define RADIX_BLOCK_TOKENS_MAX 256

struct radix_node {
    uint32_t begin, n_tokens;
    uint32_t n_on_device;   // of its pages, the first ones; the others are in the host tier
    uint32_t family;        // of its children
    uint32_t parent_family; // 0: a root
    uint32_t first_child, next_sibling;
    uint32_t prev_sibling; // the first one's is the last one
    struct radix_order {
        uint32_t older, newer;
    } lru[PAGE_N_TIERS];      // a list for each tier, of the nodes that have pages in it; roots have none
    bool is_in[PAGE_N_TIERS]; // these lists
    bool has_logprobs;        // those of its tokens are initialised; before that none is known
    int32_t last_token;       // what an answer ended with after the node's end, without K and V,
    float last_logprob;       // and how probable it was; 0: nothing is known
};

struct radix_edge {
    uint32_t family;
    int32_t token;
    uint32_t node; // 0: empty
};

struct radix_root {
    char *salt;
    size_t salt_len;
    uint32_t node;
    uint32_t n_users;
};

static inline uint32_t run_tokens(const struct radix *r)
{
    return r->run_pages * r->page_tokens;
}

static inline int32_t *tokens_of(const struct radix *r, uint32_t node)
{
    return r->tokens + (size_t)node * run_tokens(r);
}

static inline float *logprobs_of(const struct radix *r, uint32_t node)
{
    return r->logprobs + (size_t)node * run_tokens(r);
}

static inline uint32_t *pages_of(const struct radix *r, uint32_t node)
{
    return r->pages + (size_t)node * r->run_pages;
}

static inline uint64_t *hashes_of(const struct radix *r, uint32_t node)
{
    return r->hashes + (size_t)node * r->run_pages;
}

static inline uint32_t end_of(const struct radix *r, uint32_t node)
{
    return r->nodes[node].begin + r->nodes[node].n_tokens;
}

static inline uint32_t first_block(const struct radix *r, uint32_t node)
{
    return r->nodes[node].begin / r->page_tokens;
}

// Blocks that [begin, end) touches.
static inline uint32_t n_pages_of(const struct radix *r, uint32_t node)
{
    return (end_of(r, node) + r->page_tokens - 1) / r->page_tokens - first_block(r, node);
}

static inline uint32_t n_pages_in(const struct radix *r, uint32_t node, enum page_tier tier)
{
    uint32_t n = r->nodes[node].n_on_device;
    return tier == PAGE_ON_DEVICE ? n : n_pages_of(r, node) - n;
}

// Blocks of which the node has the last token.
static inline uint32_t n_completed(const struct radix *r, uint32_t node)
{
    return end_of(r, node) / r->page_tokens - first_block(r, node);
}

static inline bool is_root(const struct radix *r, uint32_t node)
{
    return r->nodes[node].parent_family == 0;
}

static inline uint32_t parent_of(const struct radix *r, uint32_t node)
{
    return r->owners[r->nodes[node].parent_family];
}

int radix_nodes_init(struct radix *radix); // the arrays, from n_nodes_max, run_pages and page_tokens: 0 or -ENOMEM;
                                           // either way to be deinited
void radix_nodes_deinit(struct radix *radix);

uint32_t radix_node_new(struct radix *radix, uint32_t begin); // not linked, without tokens; 0: none is left
void radix_node_free(struct radix *radix, uint32_t node);
uint32_t radix_child(const struct radix *radix, uint32_t node, int32_t token); // 0: none
// Memory on its way while a node is compared, since a tree of any size lies outside the processor's caches: first what
// the search for its child `next_token` reads, and the node's pages; later what a match of that child does.
void radix_prefetch_edge(const struct radix *radix, uint32_t node, int32_t next_token);
void radix_prefetch_child(const struct radix *radix, uint32_t node, int32_t next_token);
// The child's first token must be there. It becomes the first of its siblings.
void radix_link(struct radix *radix, uint32_t parent, uint32_t child);
void radix_unlink(struct radix *radix, uint32_t parent, uint32_t child);

// Where its pages are has changed: puts it into the lists of their tiers, as the newest or, with `newer`, next to that
// one on the older side; and among its siblings, where those that have pages on the device come before the others.
void radix_relist(struct radix *radix, uint32_t node, uint32_t newer);
void radix_make_newest(struct radix *radix, uint32_t node, enum page_tier tier);
// The whole path becomes the most recently used, each parent after its child.
void radix_touch(struct radix *radix, uint32_t node);

// ---- pages of nodes (radix_pages.c): what is kept, and where

static inline struct page_pool *radix_pool_of(const struct radix *r, uint32_t page)
{
    return radix_is_on_host(page) ? r->host : r->pool;
}

// Page i of a node is this one from now on, of either tier, in the place of the one that it had.
void radix_set_page(struct radix *radix, uint32_t node, uint32_t i, uint32_t page);
// Restores invariant 3 for a node that lost a child, or whose child has got another first page; and for those above it,
// as far as the same block reaches.
void radix_share_last_page(struct radix *radix, uint32_t node);
// A page that somebody has computed takes the place of the one in the host tier.
void radix_renew_page(struct radix *radix, uint32_t node, uint32_t i, uint32_t page);
// Makes room for n nodes, as far as there are leaves that nobody uses.
void radix_make_nodes(struct radix *radix, uint32_t n);

// ---- what is told (radix_log.c)

// Of the last block that is complete before the first one of `node`.
uint64_t radix_hash_before(const struct radix *radix, uint32_t node);
// Block i of a node, if the node completes it and somebody listens.
void radix_log_block(const struct radix *radix, uint32_t node, uint32_t i, enum kv_kind kind, enum page_tier tier);
void radix_log_node(const struct radix *radix, uint32_t node); // for a snapshot

// ---- walking

struct radix_place {
    uint32_t node;
    uint32_t pos; // begin <= pos <= end of the node
};

// One node down the path of `tokens`: false at its end. `at` is a node that has been compared whole.
bool radix_descend(const struct radix *radix, const int32_t *tokens, uint32_t n_tokens, struct radix_place *at);

#endif
