// A compressed radix tree in fixed arrays.
//
// Invariants:
//   1. A node that is not a root has at least one token; its first token is its key among its siblings.
//   2. Node pages[0 .. n) are kept once each, for blocks begin / page_tokens .. (end - 1) / page_tokens. A page whose
//      block the node only begins or ends in is complete from the block's first position up to the node's end.
//   3. Where a node with children ends within a block, its last page is also the first page of one of its children:
//      it costs nothing. So every page without holders can be had by evicting leaves.
//   4. In the LRU list a node stands on the older side of its parent, unless a sequence holds its pages; hence the
//      oldest node is a leaf, or is in use and moves to the other end.
//   5. A node keeps its identity and its begin while it lives; splitting makes a new node of the lower part. A
//      sequence that holds its pages can therefore go on from the node where it inserted last.
//   6. A node's pages on the device come before those on the host, and nodes below one that has pages on the host have
//      none on the device. Where a node with children ends within a block, its last page is on the device if one of
//      its children's first pages is. So every page of the device that has no holder can be had: from the end of a
//      path's part on the device, to the host, or for good where nothing below it is held.
#include "engine/cache/block_hash.h"
#include "engine/cache/radix_node.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RUN_PAGES    32 // blocks per node: long enough to compare quickly, short enough to waste little
#define ROOTS_MAX    4096
#define NODES_SPARE  64
#define DEFAULT_ROOT 1

// ---- init ---------------------------------------------------------------------------------------------------------

int radix_init(struct radix *radix, struct page_pool *pool, struct page_pool *host, uint32_t page_tokens,
               struct err *err)
{
    uint64_t n_pages = (uint64_t)pool->n_pages + (host ? host->n_pages : 0);
    assert(page_tokens <= RADIX_BLOCK_TOKENS_MAX && pool->n_pages <= RADIX_PAGES_MAX);
    assert(!host || (host->n_pages <= RADIX_PAGES_MAX && host->page_bytes == pool->page_bytes));
    // A leaf keeps a page that no other leaf keeps, and branching nodes are fewer than leaves.
    *radix = (struct radix){ .pool = pool, .host = host, .page_tokens = page_tokens, .run_pages = RUN_PAGES };
    radix->n_nodes_max = (n_pages < UINT32_MAX / 8 ? 2 * (uint32_t)n_pages : UINT32_MAX / 4) + NODES_SPARE;
    radix->roots = calloc(ROOTS_MAX, sizeof(*radix->roots));
    if (!radix->roots || radix_nodes_init(radix) < 0) {
        radix_deinit(radix);
        return err_set(err, -ENOMEM, "out of memory for a prefix cache of %" PRIu64 " pages", n_pages);
    }
    uint32_t root = radix_root_get(radix, STR(""));
    assert(root == DEFAULT_ROOT);
    return 0;
}

void radix_deinit(struct radix *radix)
{
    if (radix->roots) {
        if (radix->n_roots > 0) {
            radix_root_put(radix, DEFAULT_ROOT);
            radix_clear(radix);
        }
        for (size_t i = 0; i < radix->n_roots; i++) {
            assert(radix->roots[i].n_users == 0 && radix->nodes[radix->roots[i].node].first_child == 0);
            free(radix->roots[i].salt);
        }
    }
    radix_nodes_deinit(radix);
    free(radix->roots);
    *radix = (struct radix){ 0 };
}

// ---- matching -----------------------------------------------------------------------------------------------------

static uint32_t common_prefix(const int32_t *a, const int32_t *b, uint32_t n)
{
    uint32_t i = 0;
    if (memcmp(a, b, n * sizeof(*a)) == 0) { // nearly always, and at the speed of the memory
        return n;
    }
    while (n - i >= 64 && memcmp(a + i, b + i, 64 * sizeof(*a)) == 0) {
        i += 64;
    }
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

// A whole node with its part of a path that is longer: the next node's memory is on its way meanwhile.
static uint32_t compare_and_go_on(const struct radix *r, uint32_t node, const int32_t *path)
{
    uint32_t n = r->nodes[node].n_tokens, half = n / 2;
    radix_prefetch_edge(r, node, path[n]);
    uint32_t n_same = common_prefix(tokens_of(r, node), path, half);
    if (n_same < half) {
        return n_same;
    }
    radix_prefetch_child(r, node, path[n]);
    return half + common_prefix(tokens_of(r, node) + half, path + half, n - half);
}

bool radix_descend(const struct radix *r, const int32_t *tokens, uint32_t n_tokens, struct radix_place *at)
{
    if (at->pos < end_of(r, at->node) || at->pos == n_tokens) {
        return false;
    }
    uint32_t child = radix_child(r, at->node, tokens[at->pos]);
    if (child == 0) {
        return false;
    }
    const struct radix_node *c = &r->nodes[child];
    uint32_t n = n_tokens - c->begin < c->n_tokens ? n_tokens - c->begin : c->n_tokens;
    uint32_t n_same = n_tokens - c->begin > n ? compare_and_go_on(r, child, tokens + c->begin)
                                              : common_prefix(tokens_of(r, child), tokens + c->begin, n);
    *at = (struct radix_place){ child, c->begin + n_same };
    return true;
}

uint32_t radix_match(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens,
                     uint32_t *ret_pages)
{
    struct radix_place at = { root, 0 };
    while (radix_descend(radix, tokens, n_tokens, &at)) {
        if (ret_pages) {
            uint32_t first = first_block(radix, at.node);
            uint32_t n = (at.pos + radix->page_tokens - 1) / radix->page_tokens - first;
            memcpy(ret_pages + first, pages_of(radix, at.node), n * sizeof(*ret_pages));
        }
    }
    return at.pos;
}

// ---- hashes -------------------------------------------------------------------------------------------------------

// Hashes the blocks that the node has completed since it had n_done.
static void hash_blocks(struct radix *r, uint32_t node, uint32_t n_done, const int32_t *tokens)
{
    uint64_t *hashes = hashes_of(r, node);
    uint64_t hash = n_done > 0 ? hashes[n_done - 1] : radix_hash_before(r, node);
    for (uint32_t i = n_done; i < n_completed(r, node); i++) {
        const int32_t *block = tokens + (size_t)(first_block(r, node) + i) * r->page_tokens;
        hashes[i] = hash = block_hash(hash, block, r->page_tokens);
        radix_log_block(r, node, i, KV_STORED, PAGE_ON_DEVICE);
    }
}

uint64_t radix_block_hash(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t block_idx)
{
    struct radix_place at = { root, 0 };
    uint32_t end = (block_idx + 1) * radix->page_tokens;
    while (radix_descend(radix, tokens, end, &at)) {
    }
    return at.pos == end ? hashes_of(radix, at.node)[block_idx - first_block(radix, at.node)] : 0;
}

// ---- roots --------------------------------------------------------------------------------------------------------

static struct radix_root *find_root(const struct radix *r, struct str salt)
{
    for (size_t i = 0; i < r->n_roots; i++) {
        if (str_eq(salt, (struct str){ r->roots[i].salt, r->roots[i].salt_len })) {
            return &r->roots[i];
        }
    }
    return NULL;
}

// Roots without users and timelines make room.
static void sweep_roots(struct radix *r)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < r->n_roots; i++) {
        struct radix_root *root = &r->roots[i];
        if (root->n_users > 0 || r->nodes[root->node].first_child != 0) {
            r->roots[n_kept++] = *root;
        } else {
            radix_node_free(r, root->node);
            free(root->salt);
        }
    }
    r->n_roots = n_kept;
}

uint32_t radix_root_get(struct radix *radix, struct str salt)
{
    struct radix_root *root = find_root(radix, salt);
    if (root) {
        root->n_users++;
        return root->node;
    }
    if (radix->n_roots == ROOTS_MAX) {
        sweep_roots(radix);
    }
    radix_make_nodes(radix, 1);
    char *copy = radix->n_roots < ROOTS_MAX ? str_dup(salt) : NULL;
    uint32_t node = copy ? radix_node_new(radix, 0) : 0;
    if (node == 0) {
        free(copy);
        return 0;
    }
    hashes_of(radix, node)[0] = block_hash_of_salt(salt);
    radix->roots[radix->n_roots++] = (struct radix_root){ copy, salt.len, node, 1 };
    return node;
}

uint32_t radix_root_find(const struct radix *radix, struct str salt)
{
    const struct radix_root *root = find_root(radix, salt);
    return root ? root->node : 0;
}

void radix_root_put(struct radix *radix, uint32_t root)
{
    for (size_t i = 0; i < radix->n_roots; i++) {
        if (radix->roots[i].node == root) {
            assert(radix->roots[i].n_users > 0);
            radix->roots[i].n_users--;
            return;
        }
    }
    assert(false);
}

// ---- insertion ----------------------------------------------------------------------------------------------------

// Whole blocks that were there already: one of the two pages is enough, and the tree's may have more holders. In the
// place of one in the host tier the caller's is taken.
static void adopt(struct radix *r, struct radix_place at, uint32_t *pages)
{
    uint32_t first = first_block(r, at.node);
    for (uint32_t block = first; block < at.pos / r->page_tokens; block++) {
        uint32_t page = pages_of(r, at.node)[block - first];
        if (radix_is_on_host(page)) {
            radix_renew_page(r, at.node, block - first, pages[block]);
        } else if (pages[block] != page) {
            page_pool_hold(r->pool, page);
            page_pool_give(r->pool, pages[block]);
            pages[block] = page;
        }
    }
}

// Cuts a node in two at `pos`; the lower part is new. False: no node is left.
static bool split(struct radix *r, uint32_t upper, uint32_t pos)
{
    uint32_t lower = radix_node_new(r, pos);
    if (lower == 0) {
        return false;
    }
    struct radix_node *u = &r->nodes[upper], *l = &r->nodes[lower];
    uint32_t n_upper = pos - u->begin, n_pages = n_pages_of(r, upper);
    uint32_t block = pos / r->page_tokens - first_block(r, upper); // the lower part's first, within the upper's pages
    l->n_tokens = u->n_tokens - n_upper;
    memcpy(tokens_of(r, lower), tokens_of(r, upper) + n_upper, l->n_tokens * sizeof(int32_t));
    memcpy(pages_of(r, lower), pages_of(r, upper) + block, (n_pages - block) * sizeof(uint32_t));
    memcpy(hashes_of(r, lower), hashes_of(r, upper) + block, (n_pages - block) * sizeof(uint64_t));
    if (u->has_logprobs) {
        memcpy(logprobs_of(r, lower), logprobs_of(r, upper) + n_upper, l->n_tokens * sizeof(float));
    }
    l->has_logprobs = u->has_logprobs;
    l->last_token = u->last_token;
    l->last_logprob = u->last_logprob;
    u->last_logprob = 0;
    if (pos % r->page_tokens != 0) {
        uint32_t page = pages_of(r, lower)[0];
        page_pool_keep(radix_pool_of(r, page), page & ~RADIX_ON_HOST);
    }
    u->n_tokens = n_upper;
    l->n_on_device = u->n_on_device > block ? u->n_on_device - block : 0;
    u->n_on_device = u->n_on_device < n_pages_of(r, upper) ? u->n_on_device : n_pages_of(r, upper);
    uint32_t family = l->family;
    l->family = u->family;
    u->family = family;
    r->owners[l->family] = lower;
    r->owners[u->family] = upper;
    l->first_child = u->first_child;
    u->first_child = 0;
    radix_link(r, upper, lower);
    radix_relist(r, lower, upper);
    radix_relist(r, upper, 0);
    if (r->log && upper >= r->log->walk_at && lower < r->log->walk_at) {
        radix_log_node(r, lower);
    }
    return true;
}

// ---- log probabilities --------------------------------------------------------------------------------------------

static void note(struct radix *r, uint32_t node, uint32_t i, float held)
{
    struct radix_node *n = &r->nodes[node];
    float *place = &logprobs_of(r, node)[i];
    if (!n->has_logprobs) {
        memset(logprobs_of(r, node), 0, n->n_tokens * sizeof(float));
        n->has_logprobs = true;
    }
    if (!radix_held_is_known(*place) || (signbit(held) && !signbit(*place))) {
        *place = held;
    }
}

void radix_note_logprobs(struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens, uint32_t n_known,
                         const float *held)
{
    struct radix_place at = { root, 0 };
    while (radix_descend(radix, tokens, n_tokens, &at)) {
        for (uint32_t pos = radix->nodes[at.node].begin; pos < at.pos; pos++) {
            if (radix_held_is_known(held[pos])) {
                note(radix, at.node, pos - radix->nodes[at.node].begin, held[pos]);
            }
        }
    }
    struct radix_node *last = &radix->nodes[at.node];
    if (n_known > n_tokens && at.pos == n_tokens && at.pos == end_of(radix, at.node) &&
        radix_held_is_known(held[n_tokens]) && !is_root(radix, at.node)) {
        last->last_token = tokens[n_tokens];
        last->last_logprob = held[n_tokens];
    }
}

uint32_t radix_find_logprobs(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens,
                             float *ret_held)
{
    struct radix_place at = { root, 0 };
    memset(ret_held, 0, n_tokens * sizeof(*ret_held));
    while (radix_descend(radix, tokens, n_tokens, &at)) {
        const struct radix_node *node = &radix->nodes[at.node];
        if (node->has_logprobs) {
            memcpy(ret_held + node->begin, logprobs_of(radix, at.node), (at.pos - node->begin) * sizeof(*ret_held));
        }
    }
    const struct radix_node *last = &radix->nodes[at.node];
    if (at.pos < n_tokens && at.pos == end_of(radix, at.node) && last->last_token == tokens[at.pos]) {
        ret_held[at.pos] = last->last_logprob;
    }
    return at.pos;
}

// ---- growth -------------------------------------------------------------------------------------------------------

// Appends tokens from the end of a linked leaf on, as far as it has room.
static uint32_t extend(struct radix *r, uint32_t node, const int32_t *tokens, uint32_t n_tokens, const uint32_t *pages)
{
    struct radix_node *n = &r->nodes[node];
    uint32_t first = first_block(r, node), pos = end_of(r, node), n_done = n_completed(r, node);
    uint32_t end = first * r->page_tokens + run_tokens(r);
    end = n_tokens < end ? n_tokens : end;
    uint32_t block = pos / r->page_tokens;
    if (n->n_tokens > 0 && pos % r->page_tokens != 0) { // its last block grows: the caller's page has more of it
        radix_set_page(r, node, block - first, pages[block]);
        block++;
    }
    for (; block * r->page_tokens < end; block++) {
        page_pool_keep(r->pool, pages[block]);
        pages_of(r, node)[block - first] = pages[block];
    }
    memcpy(tokens_of(r, node) + n->n_tokens, tokens + pos, (end - pos) * sizeof(*tokens));
    if (n->has_logprobs) {
        memset(logprobs_of(r, node) + n->n_tokens, 0, (end - pos) * sizeof(float));
    }
    float last = n->last_token == tokens[pos] ? n->last_logprob : 0;
    n->last_logprob = 0;
    n->n_tokens = end - n->begin;
    n->n_on_device = n_pages_of(r, node);
    radix_relist(r, node, 0);
    if (radix_held_is_known(last)) { // what an answer ended with has been read since
        note(r, node, pos - n->begin, last);
    }
    hash_blocks(r, node, n_done, tokens);
    return end;
}

static bool has_room(const struct radix *r, uint32_t node)
{
    return !is_root(r, node) && r->nodes[node].first_child == 0 &&
           end_of(r, node) < first_block(r, node) * r->page_tokens + run_tokens(r);
}

// Adds tokens below `at`, where the path of `tokens` left the tree. False: no node is left.
static bool grow(struct radix *r, struct radix_place *at, const int32_t *tokens, uint32_t n_tokens,
                 const uint32_t *pages)
{
    bool is_at_end = at->pos == end_of(r, at->node);
    if (!is_at_end && !split(r, at->node, at->pos)) {
        return false;
    }
    if (!is_at_end || !has_room(r, at->node)) {
        uint32_t child = radix_node_new(r, at->pos);
        if (child == 0) {
            return false;
        }
        tokens_of(r, child)[0] = tokens[at->pos];
        const struct radix_node *parent = &r->nodes[at->node];
        float last = is_at_end && parent->last_token == tokens[at->pos] ? parent->last_logprob : 0;
        radix_link(r, at->node, child);
        at->node = child;
        r->nodes[child].last_token = tokens[at->pos];
        r->nodes[child].last_logprob = last;
    }
    at->pos = extend(r, at->node, tokens, n_tokens, pages);
    radix_share_last_page(r, parent_of(r, at->node));
    return true;
}

void radix_insert(struct radix *radix, uint32_t *cursor, const int32_t *tokens, uint32_t n_tokens, uint32_t *pages)
{
    radix_make_nodes(radix, n_tokens / run_tokens(radix) + 3);
    const struct radix_node *start = &radix->nodes[*cursor];
    assert(n_tokens >= start->begin);
    uint32_t n = n_tokens - start->begin < start->n_tokens ? n_tokens - start->begin : start->n_tokens;
    struct radix_place at = { *cursor,
                              start->begin + common_prefix(tokens_of(radix, *cursor), tokens + start->begin, n) };
    do {
        adopt(radix, at, pages);
    } while (radix_descend(radix, tokens, n_tokens, &at));
    while (at.pos < n_tokens && grow(radix, &at, tokens, n_tokens, pages)) {
    }
    if (at.pos == n_tokens) {
        *cursor = at.node;
    }
    radix_touch(radix, at.node);
}

uint32_t radix_n_nodes(const struct radix *radix)
{
    return radix->n_nodes_max - radix->n_free_nodes;
}
