// The BPE model: a vocabulary and ranked merges; turns one piece of text into ids.
#ifndef TOKFS_TEXT_BPE_H
#define TOKFS_TEXT_BPE_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/text/bpe_cache.h"
#include "engine/text/tokenizer.h"
#include "engine/text/vocab.h"

struct bpe {
    struct vocab_table written; // tokens as tokenizer.json writes them, by id
    struct vocab_map by_written;
    // With is_byte_level, pieces arrive as raw bytes, each standing for a character of the byte-level alphabet. Tokens
    // that are written in that alphabet are then also kept as the bytes that they stand for.
    bool is_byte_level;
    struct vocab_table bytes;
    struct vocab_map by_bytes;
    const struct vocab_map *by_piece; // the map whose keys are pieces: by_bytes or by_written

    struct bpe_merge {
        uint32_t left, right; // left BPE_NONE: an empty slot
        uint32_t rank, new_id;
    } * merges; // open addressing by (left, right), at most two thirds full
    uint32_t merge_mask;
    uint32_t *new_id_of_rank;
    size_t n_merges;

    int32_t char_ids[256];     // first symbols of one byte (byte level) or one ASCII character; -1: none
    int32_t fallback_ids[256]; // <0xNN>; -1: none
    struct str prefix, suffix; // continuing_subword_prefix and end_of_word_suffix; owned
    int32_t unk_id;            // -1: none
    char *unk_missing;         // unk_token when it is not in the vocabulary: an error once it is needed
    bool fuse_unk, byte_fallback, ignore_merges;
    struct bpe_cache *cache;   // of short pieces
    _Atomic uint8_t *is_whole; // by id: does merging its own text give the token? 0 not known yet, 1 yes, 2 no
};

#define BPE_NONE UINT32_MAX

static inline uint32_t bpe_pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) ^ (uint32_t)(h >> 17);
}

// Is it a BPE model? 0, -EOPNOTSUPP naming what it is instead, -EINVAL.
int bpe_check_type(const struct json *model, struct err *err);
// From the "model" object of that type. is_byte_level tells in which form pieces will arrive. Errors as
// tokenizer_from_json.
int bpe_init(struct bpe *bpe, const struct json *model, bool is_byte_level, struct err *err);
void bpe_deinit(struct bpe *bpe);

static inline const struct bpe_merge *bpe_find_merge(const struct bpe *bpe, uint32_t left, uint32_t right)
{
    for (uint32_t at = bpe_pair_hash(left, right) & bpe->merge_mask;; at = (at + 1) & bpe->merge_mask) {
        const struct bpe_merge *m = &bpe->merges[at];
        if (m->left == left && m->right == right) {
            return m;
        }
        if (m->left == BPE_NONE) {
            return NULL;
        }
    }
}

// What waits to be merged in a long piece (bpe_long.c).
struct bpe_queue {
    struct bpe_chunk *chunks;
    uint32_t free_chunks; // the first of a list
    struct bpe_bucket *buckets;
    uint64_t *ranks;
    uint32_t *map; // by rank: number of a bucket + 1, or 0
    uint32_t map_mask;
    uint32_t *sorting;
    size_t n_symbols_max, n_chunks, n_buckets, n_ranks;
};
void bpe_queue_deinit(struct bpe_queue *queue);

// Working memory of bpe_encode; zero-initialised, kept between calls, one per thread of execution.
struct bpe_scratch {
    struct bpe_symbol {
        uint32_t id;
        uint32_t prev, next; // neighbours' indices, BPE_NONE at the ends
    } * symbols;
    size_t n_symbols, symbols_cap;
    struct bpe_queue queue;
    struct strbuf form;
};
void bpe_scratch_deinit(struct bpe_scratch *scratch);

// Merges scratch->symbols, of any number. Symbol 0 always survives and heads the list of the result.
int bpe_merge_long(const struct bpe *bpe, struct bpe_scratch *scratch);

// Appends the ids of one piece. -ENOMEM, -EINVAL (a character needs an unk_token that the vocabulary lacks).
int bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch, struct str piece, struct token_ids *out,
               struct err *err);

#endif
