// One entry per slot, a cache line each; a piece has one slot, and who comes last has it.
//
// Words recur, so most pieces are found here, in two megabytes that stay close, instead of in a vocabulary and a
// table of merges of many megabytes. Threads share it without waiting: an entry carries a sequence number that is odd
// while it is written. A reader that sees it odd, or changed, has found nothing (its loads
// acquire and the writer's stores release, so that what was read of a new entry shows the new number, too); a writer
// that sees it odd goes away.
#include "engine/text/bpe_cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define N_SLOTS 32768

struct slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t piece[3];
    _Atomic uint64_t lens; // of the piece, 0 in an empty slot; from bit 8 on the number of ids
    _Atomic uint64_t ids[BPE_CACHE_IDS_MAX / 2];
};
_Static_assert(sizeof(struct slot) == 64, "a slot is a cache line");

struct bpe_cache {
    struct slot slots[N_SLOTS];
};

struct bpe_cache *bpe_cache_new(void)
{
    struct bpe_cache *cache = aligned_alloc(64, sizeof *cache);
    if (cache) {
        memset(cache, 0, sizeof *cache);
    }
    return cache;
}

void bpe_cache_free(struct bpe_cache *cache)
{
    free(cache);
}

struct bpe_cache_key bpe_cache_key(struct str piece)
{
    struct bpe_cache_key key = { .len = piece.len };
    memcpy(key.words, piece.ptr, piece.len);
    return key;
}

static size_t slot_of(const struct bpe_cache_key *key)
{
    uint64_t h = (key->words[0] ^ key->len) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 32 ^ key->words[1]) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 32 ^ key->words[2]) * 0xc4ceb9fe1a85ec53u;
    return h >> 32 & (N_SLOTS - 1);
}

int bpe_cache_find(const struct bpe_cache *cache, const struct bpe_cache_key *key, struct token_ids *out)
{
    const struct slot *slot = &cache->slots[slot_of(key)];
    uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire), words[BPE_CACHE_IDS_MAX / 2];
    uint64_t lens = atomic_load_explicit(&slot->lens, memory_order_acquire), differs = sequence & 1;
    int32_t ids[BPE_CACHE_IDS_MAX];
    differs |= (lens & 0xff) ^ key->len;
    for (size_t i = 0; i < 3; i++) {
        differs |= atomic_load_explicit(&slot->piece[i], memory_order_acquire) ^ key->words[i];
        words[i] = atomic_load_explicit(&slot->ids[i], memory_order_acquire);
    }
    if (differs || atomic_load_explicit(&slot->sequence, memory_order_relaxed) != sequence) {
        return 0;
    }
    memcpy(ids, words, sizeof ids);
    for (size_t i = 0; i < lens >> 8; i++) {
        int r = token_ids_append(out, ids[i]);
        if (r < 0) {
            return r;
        }
    }
    return 1;
}

void bpe_cache_keep(struct bpe_cache *cache, const struct bpe_cache_key *key, const int32_t *ids, size_t n)
{
    struct slot *slot = &cache->slots[slot_of(key)];
    uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed),
             words[BPE_CACHE_IDS_MAX / 2] = { 0 };
    if (n > BPE_CACHE_IDS_MAX || sequence & 1 ||
        !atomic_compare_exchange_strong_explicit(&slot->sequence, &sequence, sequence + 1, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return;
    }
    if (n > 0) {
        memcpy(words, ids, n * sizeof *ids);
    }
    for (size_t i = 0; i < 3; i++) {
        atomic_store_explicit(&slot->piece[i], key->words[i], memory_order_release);
        atomic_store_explicit(&slot->ids[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&slot->lens, key->len | n << 8, memory_order_release);
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}
