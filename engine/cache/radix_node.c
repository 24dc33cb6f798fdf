// Arrays of fixed size, an open-addressed table of edges, and a ring of nodes from the oldest to the newest.
//
// Children are found by (family, first token) in one hash table. A family is the set of children of a node, and has a
// number of its own, so that splitting a node hands thousands of children to the lower part by exchanging two numbers.
#include "engine/cache/radix_node.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

// ---- arrays -------------------------------------------------------------------------------------------------------

// Zeroed memory that is there when it is touched, and no earlier: most nodes of a large pool are never used, and the
// kernel need not promise memory for all of them. Large pages, because a match reads in places far from each other.
static void *reserve(size_t n, size_t item_size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, item_size, &bytes)) {
        return NULL;
    }
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED) {
        return NULL;
    }
    madvise(mem, bytes, MADV_HUGEPAGE); // where the kernel has none, it works without
    return mem;
}

static void release(void *mem, size_t n, size_t item_size)
{
    if (mem) {
        munmap(mem, n * item_size);
    }
}

int radix_nodes_init(struct radix *radix)
{
    size_t n = (size_t)radix->n_nodes_max + 1;
    size_t n_edges = 4;
    while (n_edges < 2 * n) {
        n_edges *= 2;
    }
    radix->edge_mask = (uint32_t)(n_edges - 1);
    radix->nodes = reserve(n, sizeof(*radix->nodes));
    radix->tokens = reserve(n * run_tokens(radix), sizeof(*radix->tokens));
    radix->logprobs = reserve(n * run_tokens(radix), sizeof(*radix->logprobs));
    radix->pages = reserve(n * radix->run_pages, sizeof(*radix->pages));
    radix->hashes = reserve(n * radix->run_pages, sizeof(*radix->hashes));
    radix->free_nodes = reserve(n, sizeof(*radix->free_nodes));
    radix->owners = reserve(n, sizeof(*radix->owners));
    radix->edges = reserve(n_edges, sizeof(*radix->edges));
    if (!radix->nodes || !radix->tokens || !radix->logprobs || !radix->pages || !radix->hashes || !radix->free_nodes ||
        !radix->owners || !radix->edges) {
        return -ENOMEM;
    }
    for (uint32_t node = radix->n_nodes_max; node > 0; node--) {
        radix->nodes[node].family = node;
        radix_node_free(radix, node);
    }
    return 0;
}

void radix_nodes_deinit(struct radix *radix)
{
    size_t n = (size_t)radix->n_nodes_max + 1;
    release(radix->nodes, n, sizeof(*radix->nodes));
    release(radix->tokens, n * run_tokens(radix), sizeof(*radix->tokens));
    release(radix->logprobs, n * run_tokens(radix), sizeof(*radix->logprobs));
    release(radix->pages, n * radix->run_pages, sizeof(*radix->pages));
    release(radix->hashes, n * radix->run_pages, sizeof(*radix->hashes));
    release(radix->free_nodes, n, sizeof(*radix->free_nodes));
    release(radix->owners, n, sizeof(*radix->owners));
    release(radix->edges, (size_t)radix->edge_mask + 1, sizeof(*radix->edges));
}

// ---- edges --------------------------------------------------------------------------------------------------------

static uint32_t edge_home(const struct radix *r, uint32_t family, int32_t token)
{
    uint64_t key = (uint64_t)family << 32 | (uint32_t)token;
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & r->edge_mask;
}

// The slot of an edge, or the empty one where it would be.
static uint32_t edge_slot(const struct radix *r, uint32_t family, int32_t token)
{
    uint32_t i = edge_home(r, family, token);
    while (r->edges[i].node != 0 && (r->edges[i].family != family || r->edges[i].token != token)) {
        i = (i + 1) & r->edge_mask;
    }
    return i;
}

uint32_t radix_child(const struct radix *r, uint32_t node, int32_t token)
{
    return r->edges[edge_slot(r, r->nodes[node].family, token)].node;
}

void radix_prefetch_edge(const struct radix *r, uint32_t node, int32_t next_token)
{
    __builtin_prefetch(&r->edges[edge_home(r, r->nodes[node].family, next_token)]);
    __builtin_prefetch(pages_of(r, node));
    __builtin_prefetch(pages_of(r, node) + 16); // a line's worth on
}

void radix_prefetch_child(const struct radix *r, uint32_t node, int32_t next_token)
{
    uint32_t child = radix_child(r, node, next_token);
    __builtin_prefetch(&r->nodes[child]);
    for (uint32_t line = 0; line < 4; line++) { // the processor sees by then that more is coming
        __builtin_prefetch(tokens_of(r, child) + line * 16);
    }
}

// Linear probing without tombstones: whoever stands behind the hole and could stand in it moves there.
static void remove_edge(struct radix *r, uint32_t family, int32_t token)
{
    uint32_t hole = edge_slot(r, family, token);
    assert(r->edges[hole].node != 0);
    for (uint32_t i = (hole + 1) & r->edge_mask; r->edges[i].node != 0; i = (i + 1) & r->edge_mask) {
        uint32_t home = edge_home(r, r->edges[i].family, r->edges[i].token);
        if (((i - home) & r->edge_mask) >= ((i - hole) & r->edge_mask)) {
            r->edges[hole] = r->edges[i];
            hole = i;
        }
    }
    r->edges[hole] = (struct radix_edge){ 0 };
}

// ---- links --------------------------------------------------------------------------------------------------------

static void lru_remove(struct radix *r, uint32_t node, enum page_tier tier)
{
    struct radix_order *n = &r->nodes[node].lru[tier];
    r->nodes[n->older].lru[tier].newer = n->newer;
    r->nodes[n->newer].lru[tier].older = n->older;
}

// Node 0 closes the ring: its newer one is the oldest of all.
static void lru_add(struct radix *r, uint32_t node, enum page_tier tier, uint32_t newer)
{
    struct radix_order *n = &r->nodes[node].lru[tier], *next = &r->nodes[newer].lru[tier];
    *n = (struct radix_order){ .older = next->older, .newer = newer };
    r->nodes[n->older].lru[tier].newer = node;
    next->older = node;
}

void radix_make_newest(struct radix *r, uint32_t node, enum page_tier tier)
{
    lru_remove(r, node, tier);
    lru_add(r, node, tier, 0);
}

void radix_touch(struct radix *r, uint32_t node)
{
    for (; !is_root(r, node); node = parent_of(r, node)) {
        for (enum page_tier tier = 0; tier < PAGE_N_TIERS; tier++) {
            if (r->nodes[node].is_in[tier]) {
                radix_make_newest(r, node, tier);
            }
        }
    }
}

static void join_siblings(struct radix *r, uint32_t parent, uint32_t child, bool as_first)
{
    struct radix_node *p = &r->nodes[parent], *c = &r->nodes[child];
    uint32_t first = p->first_child, last = first != 0 ? r->nodes[first].prev_sibling : child;
    c->prev_sibling = last;
    c->next_sibling = as_first ? first : 0;
    if (first != 0) {
        r->nodes[first].prev_sibling = child;
    }
    if (first != 0 && !as_first) {
        r->nodes[last].next_sibling = child;
    } else {
        p->first_child = child;
    }
}

static void leave_siblings(struct radix *r, uint32_t parent, uint32_t child)
{
    struct radix_node *p = &r->nodes[parent], *c = &r->nodes[child];
    if (p->first_child == child) {
        p->first_child = c->next_sibling;
    } else {
        r->nodes[c->prev_sibling].next_sibling = c->next_sibling;
    }
    uint32_t behind = c->next_sibling != 0 ? c->next_sibling : p->first_child;
    if (behind != 0) {
        r->nodes[behind].prev_sibling = c->prev_sibling;
    }
}

void radix_link(struct radix *r, uint32_t parent, uint32_t child)
{
    struct radix_node *p = &r->nodes[parent];
    r->nodes[child].parent_family = p->family;
    join_siblings(r, parent, child, true);
    int32_t token = tokens_of(r, child)[0];
    r->edges[edge_slot(r, p->family, token)] = (struct radix_edge){ p->family, token, child };
}

void radix_unlink(struct radix *r, uint32_t parent, uint32_t child)
{
    remove_edge(r, r->nodes[child].parent_family, tokens_of(r, child)[0]);
    leave_siblings(r, parent, child);
}

void radix_relist(struct radix *r, uint32_t node, uint32_t newer)
{
    struct radix_node *n = &r->nodes[node];
    bool was_on_device = n->is_in[PAGE_ON_DEVICE];
    for (enum page_tier tier = 0; tier < PAGE_N_TIERS; tier++) {
        bool is_in = n_pages_in(r, node, tier) > 0;
        if (is_in && !n->is_in[tier]) {
            lru_add(r, node, tier, r->nodes[newer].is_in[tier] ? newer : 0);
        } else if (!is_in && n->is_in[tier]) {
            lru_remove(r, node, tier);
        }
        n->is_in[tier] = is_in;
    }
    if (n->is_in[PAGE_ON_DEVICE] != was_on_device) {
        uint32_t parent = parent_of(r, node);
        leave_siblings(r, parent, node);
        join_siblings(r, parent, node, n->is_in[PAGE_ON_DEVICE]);
    }
}

// A node's family number is free when the node is: it keeps one while it lives, and may exchange it with another.
uint32_t radix_node_new(struct radix *r, uint32_t begin)
{
    if (r->n_free_nodes == 0) {
        return 0;
    }
    uint32_t node = r->free_nodes[--r->n_free_nodes];
    uint32_t family = r->nodes[node].family;
    r->nodes[node] = (struct radix_node){ .begin = begin, .family = family };
    r->owners[family] = node;
    return node;
}

void radix_node_free(struct radix *r, uint32_t node)
{
    struct radix_node *n = &r->nodes[node];
    for (enum page_tier tier = 0; tier < PAGE_N_TIERS; tier++) {
        if (n->is_in[tier]) {
            lru_remove(r, node, tier);
            n->is_in[tier] = false;
        }
    }
    n->n_tokens = 0;
    r->free_nodes[r->n_free_nodes++] = node;
}
