// Merging a long piece: always the adjacent pair of the lowest rank, the leftmost one first, until no pair has a merge.
//
//   queue   binary heap of the ranks that wait; each is there once
//   bucket  of one rank: the places (left symbols) where its pair stands, a list of chunks
//
// Most merges of a rank are done in one walk over the piece from left to right, with the next places already on their
// way into the cache: in a single heap of (rank, place) every step waits for memory. Lists grow at their end; only one
// that has come out of order is sorted, when its turn comes. A place whose pair has changed since is recognised when it
// is reached.
#include "engine/text/bpe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_PLACES 14

struct bpe_chunk { // one cache line
    uint32_t next; // index, BPE_NONE at the end
    uint32_t n;
    uint32_t left[CHUNK_PLACES]; // indices of the pairs' first symbols
};

struct bpe_bucket {
    struct bpe_merge merge;
    uint32_t head, tail; // chunks
    uint32_t n_done;     // places of the head chunk that have had their turn
    uint32_t last;       // left symbol of the last place
    uint32_t slot;       // in the map
    bool is_sorted, is_queued;
};

void bpe_queue_deinit(struct bpe_queue *q)
{
    free(q->chunks);
    free(q->buckets);
    free(q->ranks);
    free(q->map);
    free(q->sorting);
    *q = (struct bpe_queue){ 0 };
}

// Room for all that a piece of n symbols can come to need: a place per symbol at first and two per merge, and in each
// bucket one chunk that is not full.
static int reserve(struct bpe_queue *q, size_t n, size_t n_merges)
{
    size_t n_places = 3 * n, n_buckets = 1 + (n_places < n_merges ? n_places : n_merges), n_slots = 64;
    while (n_slots < 2 * n_buckets) {
        n_slots *= 2;
    }
    q->n_chunks = q->n_buckets = q->n_ranks = 0;
    q->free_chunks = BPE_NONE;
    if (n <= q->n_symbols_max) {
        return 0;
    }
    bpe_queue_deinit(q);
    q->chunks = malloc((n_places / CHUNK_PLACES + 2 * n_buckets + 1) * sizeof *q->chunks);
    q->buckets = malloc(n_buckets * sizeof *q->buckets);
    q->ranks = malloc(n_buckets * sizeof *q->ranks);
    q->map = calloc(n_slots, sizeof *q->map);
    q->sorting = malloc(2 * n_places * sizeof *q->sorting);
    if (!q->chunks || !q->buckets || !q->ranks || !q->map || !q->sorting) {
        bpe_queue_deinit(q);
        return -ENOMEM;
    }
    q->free_chunks = BPE_NONE;
    q->n_symbols_max = n;
    q->map_mask = (uint32_t)n_slots - 1;
    return 0;
}

// Leaves the map empty for the next piece.
static void clear(struct bpe_queue *q)
{
    for (size_t i = 0; i < q->n_buckets; i++) {
        q->map[q->buckets[i].slot] = 0;
    }
}

// ---- the queue of ranks -------------------------------------------------------------------------------------------

// A rank in the upper half, the index of its bucket in the lower.
static void queue_push(struct bpe_queue *q, uint64_t item)
{
    size_t i = q->n_ranks++;
    for (; i > 0 && item < q->ranks[(i - 1) / 2]; i = (i - 1) / 2) {
        q->ranks[i] = q->ranks[(i - 1) / 2];
    }
    q->ranks[i] = item;
}

static void queue_pop(struct bpe_queue *q)
{
    uint64_t item = q->ranks[--q->n_ranks];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < q->n_ranks; i = child) {
        if (child + 1 < q->n_ranks && q->ranks[child + 1] < q->ranks[child]) {
            child++;
        }
        if (item <= q->ranks[child]) {
            break;
        }
        q->ranks[i] = q->ranks[child];
    }
    q->ranks[i] = item;
}

// ---- buckets ------------------------------------------------------------------------------------------------------

static struct bpe_bucket *bucket_of(struct bpe_queue *q, const struct bpe_merge *merge)
{
    uint32_t at = merge->rank * 0x9e3779b1u >> 7 & q->map_mask;
    for (; q->map[at] != 0; at = (at + 1) & q->map_mask) {
        struct bpe_bucket *bucket = &q->buckets[q->map[at] - 1];
        if (bucket->merge.rank == merge->rank) {
            return bucket;
        }
    }
    struct bpe_bucket *bucket = &q->buckets[q->n_buckets++];
    *bucket = (struct bpe_bucket){ .merge = *merge, .head = BPE_NONE, .slot = at };
    q->map[at] = (uint32_t)q->n_buckets;
    return bucket;
}

static uint32_t take_chunk(struct bpe_queue *q)
{
    uint32_t chunk = q->free_chunks;
    if (chunk == BPE_NONE) {
        chunk = (uint32_t)q->n_chunks++;
    } else {
        q->free_chunks = q->chunks[chunk].next;
    }
    q->chunks[chunk].next = BPE_NONE;
    q->chunks[chunk].n = 0;
    return chunk;
}

static void append_place(struct bpe_queue *q, struct bpe_bucket *bucket, uint32_t left)
{
    if (bucket->head == BPE_NONE) {
        bucket->head = bucket->tail = take_chunk(q);
        bucket->n_done = 0;
        bucket->is_sorted = true;
    } else {
        bucket->is_sorted = bucket->is_sorted && bucket->last <= left;
        if (q->chunks[bucket->tail].n == CHUNK_PLACES) {
            uint32_t chunk = take_chunk(q);
            q->chunks[bucket->tail].next = chunk;
            bucket->tail = chunk;
        }
    }
    struct bpe_chunk *tail = &q->chunks[bucket->tail];
    tail->left[tail->n++] = left;
    bucket->last = left;
}

static void add_place(struct bpe_queue *q, const struct bpe_merge *merge, uint32_t left)
{
    struct bpe_bucket *bucket = bucket_of(q, merge);
    append_place(q, bucket, left);
    if (!bucket->is_queued) {
        bucket->is_queued = true;
        queue_push(q, (uint64_t)merge->rank << 32 | (uint64_t)(bucket - q->buckets));
    }
}

static void drop_head(struct bpe_queue *q, struct bpe_bucket *bucket)
{
    uint32_t chunk = bucket->head;
    bucket->head = q->chunks[chunk].next;
    bucket->n_done = 0;
    q->chunks[chunk].next = q->free_chunks;
    q->free_chunks = chunk;
}

// The next place of a bucket that is not empty.
static uint32_t take_place(struct bpe_queue *q, struct bpe_bucket *bucket)
{
    const struct bpe_chunk *head = &q->chunks[bucket->head];
    uint32_t left = head->left[bucket->n_done++];
    if (bucket->n_done == head->n) {
        drop_head(q, bucket);
    }
    return left;
}

static void merge_runs(const uint32_t *from, size_t n_a, size_t n, uint32_t *to)
{
    for (size_t a = 0, b = n_a, out = 0; out < n; out++) {
        to[out] = a < n_a && (b == n || from[a] <= from[b]) ? from[a++] : from[b++];
    }
}

static size_t run_len(const uint32_t *items, size_t n)
{
    size_t len = n > 0;
    while (len < n && items[len] >= items[len - 1]) {
        len++;
    }
    return len;
}

// Neighbouring ascending runs become one, until there is only one. Returns where the result lies: in items or in spare.
static uint32_t *sort_runs(uint32_t *items, uint32_t *spare, size_t n)
{
    while (run_len(items, n) < n) {
        for (size_t at = 0, len; at < n; at += len) {
            size_t first = run_len(items + at, n - at);
            len = first + run_len(items + at + first, n - at - first);
            merge_runs(items + at, first, len, spare + at);
        }
        uint32_t *sorted = spare;
        spare = items;
        items = sorted;
    }
    return items;
}

static void sort_bucket(struct bpe_queue *q, struct bpe_bucket *bucket)
{
    size_t n = 0;
    while (bucket->head != BPE_NONE) {
        q->sorting[n++] = take_place(q, bucket);
    }
    const uint32_t *sorted = sort_runs(q->sorting, q->sorting + n, n);
    for (size_t i = 0; i < n; i++) {
        append_place(q, bucket, sorted[i]);
    }
}

// ---- merging ------------------------------------------------------------------------------------------------------

static void link_symbols(struct bpe_symbol *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        symbols[i].prev = i ? (uint32_t)i - 1 : BPE_NONE;
        symbols[i].next = i + 1 < n ? (uint32_t)i + 1 : BPE_NONE;
    }
}

static void add_pair(const struct bpe *bpe, struct bpe_queue *q, const struct bpe_symbol *symbols, uint32_t left)
{
    uint32_t right = symbols[left].next;
    const struct bpe_merge *m = right == BPE_NONE ? NULL : bpe_find_merge(bpe, symbols[left].id, symbols[right].id);
    if (m) {
        add_place(q, m, left);
    }
}

// Does the place still hold a pair that becomes the token of `merge`?
static bool still_stands(const struct bpe *bpe, const struct bpe_symbol *symbols, uint32_t left,
                         const struct bpe_merge *merge)
{
    uint32_t right = symbols[left].next;
    if (symbols[left].id == BPE_NONE || right == BPE_NONE) {
        return false;
    }
    if (symbols[left].id == merge->left && symbols[right].id == merge->right) {
        return true;
    }
    const struct bpe_merge *m = bpe_find_merge(bpe, symbols[left].id, symbols[right].id);
    return m && m->new_id == merge->new_id;
}

// The symbol that is merged into its left neighbour gets the id BPE_NONE.
static void merge_at(const struct bpe *bpe, struct bpe_queue *q, struct bpe_symbol *symbols, uint32_t left,
                     uint32_t new_id)
{
    uint32_t right = symbols[left].next, next = symbols[right].next;
    symbols[left].id = new_id;
    symbols[left].next = next;
    symbols[right].id = BPE_NONE;
    if (next != BPE_NONE) {
        symbols[next].prev = left;
    }
    if (symbols[left].prev != BPE_NONE) {
        add_pair(bpe, q, symbols, symbols[left].prev);
    }
    add_pair(bpe, q, symbols, left);
}

static void prefetch_places(const struct bpe_queue *q, const struct bpe_bucket *bucket,
                            const struct bpe_symbol *symbols)
{
    const struct bpe_chunk *head = &q->chunks[bucket->head];
    for (uint32_t i = 0; i < head->n; i++) {
        __builtin_prefetch(&symbols[head->left[i]]);
    }
    if (head->next != BPE_NONE) {
        __builtin_prefetch(&q->chunks[head->next]);
    }
}

// The places of the lowest rank, until there are none left or a merge has brought up a lower rank still.
static void merge_bucket(const struct bpe *bpe, struct bpe_queue *q, struct bpe_symbol *symbols)
{
    uint64_t rank = q->ranks[0];
    struct bpe_bucket *bucket = &q->buckets[(uint32_t)rank];
    struct bpe_merge merge = bucket->merge;
    while (q->ranks[0] == rank && bucket->head != BPE_NONE) {
        if (!bucket->is_sorted) {
            sort_bucket(q, bucket);
        }
        if (bucket->n_done == 0) {
            prefetch_places(q, bucket, symbols);
        }
        uint32_t left = take_place(q, bucket);
        if (still_stands(bpe, symbols, left, &merge)) {
            merge_at(bpe, q, symbols, left, merge.new_id);
        }
    }
    if (q->ranks[0] == rank) {
        bucket->is_queued = false;
        queue_pop(q);
    }
}

int bpe_merge_long(const struct bpe *bpe, struct bpe_scratch *s)
{
    struct bpe_queue *q = &s->queue;
    int r = reserve(q, s->n_symbols, bpe->n_merges);
    if (r < 0) {
        return r;
    }
    link_symbols(s->symbols, s->n_symbols);
    for (size_t i = 0; i + 1 < s->n_symbols; i++) {
        add_pair(bpe, q, s->symbols, (uint32_t)i);
    }
    while (q->n_ranks > 0) {
        merge_bucket(bpe, q, s->symbols);
    }
    clear(q);
    return 0;
}
