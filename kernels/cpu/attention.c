// Splits attention over the workers; attention_body.h does the work.
//
// A row is one new token under one query head. An item is up to ATTENTION_ROWS rows of one sequence under one K/V head;
// or, when the sequence has so few rows that several heads fit (decoding), all its rows under as many heads as leave
// every worker an item. Items are numbered sequence by sequence, head by head. A worker finds the sequence of its first
// item by walking the batch, which costs nothing beside the item. Where items are few and contexts long, an item is
// divided further into segments of its positions, whose sums are kept and joined afterwards in the same order as one
// worker alone joins them.
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/kv_page.h"

#include <assert.h>

// Fewer multiply-adds of scores than this are not worth waking anyone for.
#define INLINE_WORK ((size_t)64 << 10)
// With so many items nobody waits long for the last.
#define ITEMS_PER_WORKER 4

struct attention_run {
    const struct cpu_backend *cpu;
    const struct op_attention *op;
    size_t n_heads_max; // K/V heads of an item, at most
};

static size_t seq_rows(const struct attention_run *run, const struct batch_seq *seq)
{
    return seq->n_rows * (run->op->n_heads / run->op->kv->n_kv_heads);
}

// Parts of the rows of one head.
static size_t seq_parts(const struct attention_run *run, const struct batch_seq *seq)
{
    return (seq_rows(run, seq) + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
}

// Heads of one item.
static size_t seq_heads(const struct attention_run *run, const struct batch_seq *seq)
{
    size_t n_fit = ATTENTION_ROWS / seq_rows(run, seq);
    size_t n = n_fit < run->n_heads_max ? n_fit : run->n_heads_max;
    return n > 0 ? n : 1;
}

static size_t seq_items(const struct attention_run *run, const struct batch_seq *seq)
{
    if (seq->n_rows == 0) {
        return 0;
    }
    size_t n_heads = seq_heads(run, seq);
    return seq_parts(run, seq) * ((run->op->kv->n_kv_heads + n_heads - 1) / n_heads);
}

// Item `item` of the sequence, all of its segments.
static struct attention_part seq_part(const struct attention_run *run, const struct batch_seq *seq, size_t item)
{
    const struct op_attention *op = run->op;
    size_t n_parts = seq_parts(run, seq), n_heads = seq_heads(run, seq), group = op->n_heads / op->kv->n_kv_heads;
    size_t kv_head = item / n_parts * n_heads, first = item % n_parts * ATTENTION_ROWS;
    size_t heads_left = op->kv->n_kv_heads - kv_head, rows_left = seq_rows(run, seq) - first;
    struct attention_part part = {
        .op = op,
        .seq = seq,
        .kv_head = kv_head,
        .n_heads = n_heads < heads_left ? n_heads : heads_left,
        .first = first,
        .n_rows = rows_left < ATTENTION_ROWS ? rows_left : ATTENTION_ROWS,
    };
    size_t from = seq->pos + first / group, last = seq->pos + (first + part.n_rows - 1) / group;
    from = op->window > 0 && from + 1 > op->window ? from + 1 - op->window : 0;
    part.segment_begin = from / ATTENTION_SEGMENT;
    part.segment_end = last / ATTENTION_SEGMENT + 1;
    return part;
}

static void run_items(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct attention_run *run = ctx;
    const struct batch_seq *seq = run->op->map->seqs;
    size_t seq_first = 0; // item number of the sequence's first
    for (size_t item = begin; item < end; item++) {
        while (item - seq_first >= seq_items(run, seq)) {
            seq_first += seq_items(run, seq);
            seq++;
        }
        struct attention_part part = seq_part(run, seq, item - seq_first);
        run->cpu->kernels->attention(&part, &run->cpu->attention_scratch[worker]);
    }
}

// ---- divided by segments -------------------------------------------------------------------------------------------

static size_t part_partials(const struct attention_part *part)
{
    return (part->segment_end - part->segment_begin) * part->n_heads * part->n_rows *
           ATTENTION_PARTIAL(part->op->kv->head_dim);
}

// Calls `visit` with every part in order, with its place in the partial sums, until it says false. Returns the floats
// that the parts before that one take.
static size_t each_part(const struct attention_run *run, bool (*visit)(void *ctx, struct attention_part *part),
                        void *ctx)
{
    size_t at = 0;
    for (size_t i = 0; i < run->op->map->n_seqs; i++) {
        const struct batch_seq *seq = &run->op->map->seqs[i];
        for (size_t item = 0; item < seq_items(run, seq); item++) {
            struct attention_part part = seq_part(run, seq, item);
            part.partials = run->cpu->attention_partials + at;
            if (!visit(ctx, &part)) {
                return at;
            }
            at += part_partials(&part);
        }
    }
    return at;
}

// Finds a segment by its number among those of all parts, or a part by its own.
struct search {
    size_t n_before;
    bool is_for_segment;
    struct attention_part part;
};

static bool search_visit(void *ctx, struct attention_part *part)
{
    struct search *search = ctx;
    size_t n = search->is_for_segment ? part->segment_end - part->segment_begin : 1;
    if (search->n_before >= n) {
        search->n_before -= n;
        return true;
    }
    search->part = *part;
    return false;
}

static bool count_visit(void *ctx, struct attention_part *part)
{
    *(size_t *)ctx += part->segment_end - part->segment_begin;
    return true;
}

static void run_segments(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct attention_run *run = ctx;
    for (size_t i = begin; i < end; i++) {
        struct search search = { .n_before = i, .is_for_segment = true };
        each_part(run, search_visit, &search);
        struct attention_part *part = &search.part;
        size_t row_floats = ATTENTION_PARTIAL(part->op->kv->head_dim);
        part->partials += search.n_before * part->n_heads * part->n_rows * row_floats;
        part->segment_begin += search.n_before;
        part->segment_end = part->segment_begin + 1;
        run->cpu->kernels->attention(part, &run->cpu->attention_scratch[worker]);
    }
}

static void run_joins(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct attention_run *run = ctx;
    for (size_t i = begin; i < end; i++) {
        struct search search = { .n_before = i };
        each_part(run, search_visit, &search);
        run->cpu->kernels->attention_join(&search.part, &run->cpu->attention_scratch[worker]);
    }
}

// Whether there are too few items for the workers, more segments, and room for their sums.
static bool is_divided(const struct attention_run *run, size_t n_items, size_t *ret_n_segments)
{
    *ret_n_segments = 0;
    if (run->cpu->n_threads == 1 || n_items >= ITEMS_PER_WORKER * run->cpu->n_threads) {
        return false;
    }
    size_t floats = each_part(run, count_visit, ret_n_segments);
    return *ret_n_segments > n_items && floats * sizeof(float) <= ATTENTION_PARTIALS_BYTES;
}

void cpu_attention(struct backend *b, const struct op_attention *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    const struct kv_layout *kv = op->kv;
    assert(kv->head_dim % 8 == 0 && kv->head_dim > 0 && kv->head_dim <= ATTENTION_HEAD_DIM_MAX);
    assert(kv->page_tokens >= KV_RUN && (kv->page_tokens & (kv->page_tokens - 1)) == 0 && op->layer < kv->n_layers);
    assert(op->n_heads % kv->n_kv_heads == 0 && op->softcap >= 0);
    struct attention_run run = { .cpu = cpu, .op = op };
    run.n_heads_max = kv->n_kv_heads * op->map->n_seqs / cpu->n_threads;
    size_t n_items = 0, work = 0, n_segments;
    for (size_t i = 0; i < op->map->n_seqs; i++) {
        const struct batch_seq *seq = &op->map->seqs[i];
        n_items += seq_items(&run, seq);
        size_t n_seen = seq->pos + seq->n_rows;
        n_seen = op->window > 0 && op->window < n_seen ? op->window : n_seen;
        work += seq->n_rows * n_seen * op->n_heads * kv->head_dim;
    }
    if (work >= INLINE_WORK && is_divided(&run, n_items, &n_segments)) {
        pool_run(cpu->pool, n_segments, 1, run_segments, &run);
        pool_run(cpu->pool, n_items, n_items, run_joins, &run);
        return;
    }
    pool_run(cpu->pool, n_items, work < INLINE_WORK ? n_items + 1 : 1, run_items, &run);
}
