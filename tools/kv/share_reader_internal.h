// A match between the reader's files: who may be asked (share_reader.c), which blocks (share_walk.c), and how they lie
// in Redis (share_bits.c, share_pods.c). Nobody else includes this.
#ifndef TOKFS_KV_SHARE_READER_INTERNAL_H
#define TOKFS_KV_SHARE_READER_INTERNAL_H

#include "tools/kv/share_reader.h"
#include "tools/kv/share_registry.h"

#define SHARE_WAVE_MAX 256u // blocks asked for together

struct share_candidate {
    unsigned peer, slot;
    uint32_t n_blocks;
    double score, step; // step: of the block in hand, llm-d
};

struct share_walk {
    struct share_reader *reader;
    struct share_match *match; // NULL: it is over
    struct share_walk *next;   // of all that are in use, or free
    size_t idx, at, n;         // which of prompts * sizes * scopes; the next block of so many
    const uint64_t *hashes;    // [n]
    uint32_t block_size;
    unsigned wave, n_asked, n_answered;
    bool is_broken;              // nobody holds the block in hand
    int groups[KV_N_TIERS];      // tokfs; -1: none
    struct share_candidate *all; // [n_all]; the first n_left hold all blocks until here
    size_t n_all, n_left, n_allocated;
};

struct share_reader {
    struct loop_op tick;
    struct loop_op deadline;
    struct loop *loop;
    struct share_reader_options options;
    const struct share_schema *schema;
    struct redis_link *link;
    struct share_registry registry;
    struct share_match *first, **last; // under way, in the order of their deadlines
    struct share_walk *free_walks, *used_walks;
    bool is_looking, is_failing, is_stopped;
    struct share_reader_counts counts;
};

// Tells the match's caller. Its walk is given back by who holds it.
void share_match_finish(struct share_reader *reader, struct share_match *match, int result);

struct share_walk *share_walk_take(struct share_reader *reader); // NULL: out of memory
void share_walk_give(struct share_walk *walk);                   // nothing that it asked for is to come
void share_walks_free(struct share_reader *reader);
void share_walk_start(struct share_walk *walk, struct share_match *match);
void share_walk_go_on(struct share_walk *walk); // when all that it asked for has come
struct share_candidate *share_walk_add(struct share_walk *walk, unsigned peer, unsigned slot); // NULL: out of memory

// Ask for the next n_asked blocks. False: only n_asked of them, which it sets, will be answered.
bool share_bits_ask(struct share_walk *walk);
bool share_pods_ask(struct share_walk *walk);
void share_bits_begin(struct share_walk *walk); // candidates: those of the registry

#endif
