// The nodes of the radix tree in their arrays: runs of tokens, edges from parents to children, order of use.
//
// Shared by radix.c and radix_node.c only. A node's number is its index; 0 is no node (and closes the LRU list).
#ifndef TOKFS_CACHE_RADIX_NODE_H
#define TOKFS_CACHE_RADIX_NODE_H

#include "engine/cache/radix.h"

struct radix_node {
    uint32_t begin, n_tokens;
    uint32_t family;        // of its children
    uint32_t parent_family; // 0: a root
    uint32_t first_child, next_sibling, prev_sibling;
    uint32_t older, newer; // LRU list; roots are not in it
    bool has_logprobs;     // those of its tokens are initialised; before that none is known
    int32_t last_token;    // what an answer ended with after the node's end, without K and V,
    float last_logprob;    // and how probable it was; 0: nothing is known
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
// The child's first token must be there.
void radix_link(struct radix *radix, uint32_t parent, uint32_t child);
void radix_unlink(struct radix *radix, uint32_t parent, uint32_t child);

void radix_lru_add(struct radix *radix, uint32_t node, uint32_t newer); // newer 0: as the newest
void radix_lru_remove(struct radix *radix, uint32_t node);
void radix_make_newest(struct radix *radix, uint32_t node);
// The whole path becomes the most recently used, each parent after its child.
void radix_touch(struct radix *radix, uint32_t node);

#endif
