// The prefix cache: a radix tree over token timelines whose nodes keep the pages with their K and V.
//
// Owner: the engine thread. A node is a run of tokens at absolute positions [begin, begin + n_tokens); what its path
// spells is a prefix that was computed. Branches may lie within a block, so that a match is exact to the token.
//
//            root (one per salt)
//              |
//        [0, 40) "system prompt"        pages: A B C          C is full up to position 40 only
//          /            \               (blocks of 16 tokens)
//     [40, 70)        [40, 48)          pages: C D E   |   C'  each child has a page of its own for the block in
//      "chat 1"        "chat 2"                                which it branches off: a copy of the first 8 positions
//
// A page table for a path takes each block's page from the deepest node that touches the block. Sequences hold the
// pages they run on; a match of a sequence that ends within a block is copied into a page of its own before anything is
// written there (copy on write), so pages in the tree never change.
//
// With a host tier, a page that has to leave the device goes to the host's memory, and its node keeps it there, as long
// as nothing used longer ago has to go. What a path has on the host lies below what it has on the device. A sequence
// that matches it has it brought back before it runs.
//
// Bounded: the number of nodes is fixed at init, and a timeline that finds none is not cached.
#ifndef TOKFS_CACHE_RADIX_H
#define TOKFS_CACHE_RADIX_H

#include "engine/base/str.h"
#include "engine/cache/page_pool.h"
#include <float.h>
#include <math.h>

struct radix_node;
struct radix_edge;
struct radix_root;
struct kv_log;

struct radix {
    struct page_pool *pool; // of the device, outlives the tree
    struct page_pool *host; // likewise, the host tier; NULL: there is none
    uint32_t page_tokens;
    uint32_t run_pages; // most blocks that a node touches
    uint32_t n_nodes_max;

    struct radix_node *nodes; // [n_nodes_max + 1]; node 0 is nobody's: the ends of the LRU list
    int32_t *tokens;          // [n_nodes_max + 1][run_pages * page_tokens]
    float *logprobs;          // [n_nodes_max + 1][run_pages * page_tokens] held, where a node has any
    uint32_t *pages;          // [n_nodes_max + 1][run_pages]
    uint64_t *hashes;         // [n_nodes_max + 1][run_pages], of the blocks that a node completes
    uint32_t *free_nodes;     // [n_nodes_max], a stack
    uint32_t n_free_nodes;
    uint32_t *owners; // [n_nodes_max + 1] node of a family of children

    struct radix_edge *edges; // open addressing, [edge_mask + 1]
    uint32_t edge_mask;

    struct radix_root *roots;
    size_t n_roots;

    // Pages, since init: that had to leave the device; of them, those that went to the host tier; that came back from
    // there; that had to leave it.
    uint64_t n_evicted, n_to_host, n_from_host, n_host_evicted;
    struct kv_log *log; // hears of every block that comes and goes; NULL: nobody does
};

// page_tokens as in kv_layout; `host` NULL: no tier. 0 or -ENOMEM.
int radix_init(struct radix *radix, struct page_pool *pool, struct page_pool *host, uint32_t page_tokens,
               struct err *err);
// Drops everything cached. Roots must have been given back. No-op on a zeroed tree.
void radix_deinit(struct radix *radix);

// Timelines of different salts never share anything. 0: no memory, or too many salts in use. To be put back.
uint32_t radix_root_get(struct radix *radix, struct str salt);
void radix_root_put(struct radix *radix, uint32_t root);
uint32_t radix_root_find(const struct radix *radix, struct str salt); // 0: no timeline has this salt

// Of a page in the host tier; the rest of the number says which.
#define RADIX_ON_HOST   (UINT32_C(1) << 31)
#define RADIX_PAGES_MAX (RADIX_ON_HOST - 1) // of each tier
static inline bool radix_is_on_host(uint32_t page)
{
    return (page & RADIX_ON_HOST) != 0;
}

// How many tokens of [0, n_tokens) are cached below `root`. ret_pages (NULL: not wanted) gets the page of each block
// that the match touches, [ceil(result / page_tokens)]; the last one is to be copied when the match ends within it.
// They are not held for the caller, and may be evicted by the next radix_take_page.
uint32_t radix_match(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens,
                     uint32_t *ret_pages);
// Holds a page of either tier for the caller, or gives it back.
void radix_hold_page(struct radix *radix, uint32_t page);
void radix_give_page(struct radix *radix, uint32_t page);
// The first n_pages pages of `tokens`, which the caller holds as radix_match has shown them: those in the host tier are
// brought back, and the caller holds them on the device. It has seen that there are so many free pages: asserted.
void radix_fetch_pages(struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_pages, uint32_t *pages);
// Copies one of either tier into one of the device.
void radix_copy_page(const struct radix *radix, uint32_t to, uint32_t from);

// Makes [0, n_tokens), computed in `pages`, a path of the tree and the most recently used one. The caller holds the
// pages. Where the tree had a whole block already, the caller's page is exchanged for the tree's. *cursor is the root
// at first, and after that where the last insertion of this timeline ended; it stays valid as long as the caller holds
// its pages.
void radix_insert(struct radix *radix, uint32_t *cursor, const int32_t *tokens, uint32_t n_tokens, uint32_t *pages);

// Beside its tokens the tree can hold how probable the model found each of them. Held as a number: 0 not known, below 0
// (-0.0 included) the logarithm for a token that was sampled, above 0 its absolute value for one that was read.
static inline float radix_held(float logprob, bool is_sampled)
{
    float size = logprob < 0 ? -logprob : 0;
    return is_sampled ? -size : size > 0 ? size : FLT_TRUE_MIN;
}
static inline bool radix_held_is_known(float held)
{
    return held != 0 || signbit(held);
}
// Notes those of [0, n_tokens), as far as they are cached below `root`, and of the token after, which the tree does not
// have, if n_tokens < n_known and the path ends there. What is known already stays, but for a token that was read and
// is sampled now. `held` [n_known].
void radix_note_logprobs(struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens, uint32_t n_known,
                         const float *held);
// As radix_match, without pages; ret_held [n_tokens] gets what is held, also of the token after the match.
uint32_t radix_find_logprobs(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t n_tokens,
                             float *ret_held);

// A text that may have been said in any tokens: the first n_first are `first`, the bytes of the others are the text.
struct radix_text {
    struct str text;
    const int32_t *first;
    uint32_t n_first;
    struct str (*bytes)(void *ctx, int32_t token); // what a token stands for
    void *ctx;
    uint32_t *looks_left; // tokens to look at, of all texts together; each takes some nanoseconds
};
// The cached path below `root` that spells all of it, of several the one of whose tokens most is held; its last token
// may be one that an answer ended with. Returns how many tokens it has, in ret_tokens; 0: there is none, or it was not
// found before looks_left was used up. `scratch`, ret_tokens and `held` have n_first + text.len places.
uint32_t radix_find_text(const struct radix *radix, uint32_t root, const struct radix_text *text, int32_t *scratch,
                         int32_t *ret_tokens, float *held);

// A page with one holder: a free one, or the one that was not used for the longest time. False: all are held.
bool radix_take_page(struct radix *radix, uint32_t *ret_page);
// Where there is a host tier: moves pages that nobody holds there until so many are free, as far as that goes. Who
// takes them later need not wait for their copies.
void radix_make_room(struct radix *radix, uint32_t n_pages);
// Drops all that no sequence holds.
void radix_clear(struct radix *radix);

// Goes on with the snapshot that the log's reader asked for, by some blocks (see kv_log.h). To be called between steps.
void radix_log_snapshot(struct radix *radix);

uint32_t radix_n_nodes(const struct radix *radix); // in use, roots included
// Hash of block `block_idx` of a timeline, chained over all before it: XXH3 of the tokens, seeded with the hash of the
// block before (of the salt for block 0). 0: the path does not reach so far.
uint64_t radix_block_hash(const struct radix *radix, uint32_t root, const int32_t *tokens, uint32_t block_idx);

#endif
