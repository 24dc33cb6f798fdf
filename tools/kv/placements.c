#include "tools/kv/placements.h"
#include <stdlib.h>

#define WAYS     4 // of a set: a cache line
#define SETS_MIN 16u

struct placement {
    uint64_t key;      // of block and peer
    uint64_t until_ns; // 0: free
};

struct placements {
    size_t n_sets;          // a power of two
    struct placement *each; // [n_sets][WAYS]
};

struct placements *placements_new(size_t n_max)
{
    struct placements *p = calloc(1, sizeof(*p));
    if (!p) {
        return NULL;
    }
    p->n_sets = SETS_MIN;
    while (p->n_sets * WAYS < n_max) {
        p->n_sets *= 2;
    }
    p->each = aligned_alloc(64, p->n_sets * WAYS * sizeof(*p->each));
    if (!p->each) {
        free(p);
        return NULL;
    }
    for (size_t i = 0; i < p->n_sets * WAYS; i++) {
        p->each[i] = (struct placement){ 0 };
    }
    return p;
}

void placements_free(struct placements *p)
{
    if (p) {
        free(p->each);
        free(p);
    }
}

static uint64_t key_of(uint64_t peer, uint64_t hash)
{
    return hash ^ (peer + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct placement *set_of(const struct placements *p, uint64_t key)
{
    uint64_t mixed = key * UINT64_C(0xbf58476d1ce4e5b9);
    return p->each + ((mixed ^ mixed >> 32) & (p->n_sets - 1)) * WAYS;
}

// The one of this key, or else the one that is forgotten first.
static struct placement *find(const struct placements *p, uint64_t key)
{
    struct placement *set = set_of(p, key), *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        oldest = set[i].until_ns < oldest->until_ns ? &set[i] : oldest;
    }
    return oldest;
}

void placements_add(struct placements *p, uint64_t peer, const uint64_t *hashes, size_t n, uint64_t now_ns)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t key = key_of(peer, hashes[i]);
        *find(p, key) = (struct placement){ key, now_ns + PLACEMENT_NS };
    }
}

size_t placements_match(const struct placements *p, uint64_t peer, const uint64_t *hashes, size_t n, uint64_t now_ns)
{
    size_t n_found = 0;
    while (n_found < n) {
        uint64_t key = key_of(peer, hashes[n_found]);
        const struct placement *placement = find(p, key);
        if (placement->key != key || placement->until_ns <= now_ns) {
            break;
        }
        n_found++;
    }
    return n_found;
}
