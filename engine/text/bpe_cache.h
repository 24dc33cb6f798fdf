// What short pieces of text were encoded to, shared by all threads that use a model.
#ifndef TOKFS_TEXT_BPE_CACHE_H
#define TOKFS_TEXT_BPE_CACHE_H

#include "engine/text/tokenizer.h"

#define BPE_CACHE_PIECE_MAX 24
#define BPE_CACHE_IDS_MAX   6

struct bpe_cache;

struct bpe_cache *bpe_cache_new(void); // NULL: no memory
void bpe_cache_free(struct bpe_cache *cache);

// A piece of at most BPE_CACHE_PIECE_MAX bytes as the cache looks for it.
struct bpe_cache_key {
    uint64_t words[3]; // its bytes, zeros behind
    size_t len;
};
struct bpe_cache_key bpe_cache_key(struct str piece);

// Appends the ids of a piece that was kept: 1, 0 when it was not, -ENOMEM.
int bpe_cache_find(const struct bpe_cache *cache, const struct bpe_cache_key *key, struct token_ids *out);
// Keeps the n ids of a piece when they are few enough, in the place of another.
void bpe_cache_keep(struct bpe_cache *cache, const struct bpe_cache_key *key, const int32_t *ids, size_t n);

#endif
