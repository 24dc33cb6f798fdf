// Splits attention over the workers; attention_body.h does the work.
//
// A row is one new token under one query head. An item is up to ATTENTION_ROWS rows of one sequence under one K/V head;
// or, when the sequence has so few rows that several heads fit (decoding), all its rows under as many heads as leave
// every worker an item. Items are numbered sequence by sequence, head by head. A worker finds the sequence of its first
// item by walking the batch, which costs nothing beside the item. A long context is not split between workers: fewer
// heads than workers leaves some idle.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>

// Fewer multiply-adds of scores than this are not worth waking anyone for.
#define INLINE_WORK ((size_t)64 << 10)

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

// Item `item` of the sequence.
static struct attention_part seq_part(const struct attention_run *run, const struct batch_seq *seq, size_t item)
{
    size_t n_parts = seq_parts(run, seq), n_heads = seq_heads(run, seq);
    size_t kv_head = item / n_parts * n_heads, first = item % n_parts * ATTENTION_ROWS;
    size_t heads_left = run->op->kv->n_kv_heads - kv_head, rows_left = seq_rows(run, seq) - first;
    return (struct attention_part){
        .op = run->op,
        .seq = seq,
        .kv_head = kv_head,
        .n_heads = n_heads < heads_left ? n_heads : heads_left,
        .first = first,
        .n_rows = rows_left < ATTENTION_ROWS ? rows_left : ATTENTION_ROWS,
    };
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

void cpu_attention(struct backend *b, const struct op_attention *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    const struct kv_layout *kv = op->kv;
    assert(kv->head_dim % 8 == 0 && kv->head_dim > 0 && kv->head_dim <= ATTENTION_HEAD_DIM_MAX);
    assert((kv->page_tokens & (kv->page_tokens - 1)) == 0 && op->layer < kv->n_layers);
    assert(op->n_heads % kv->n_kv_heads == 0 && op->softcap >= 0);
    struct attention_run run = { .cpu = cpu, .op = op };
    run.n_heads_max = kv->n_kv_heads * op->map->n_seqs / cpu->n_threads;
    size_t n_items = 0, work = 0;
    for (size_t i = 0; i < op->map->n_seqs; i++) {
        const struct batch_seq *seq = &op->map->seqs[i];
        n_items += seq_items(&run, seq);
        size_t n_seen = seq->pos + seq->n_rows;
        n_seen = op->window > 0 && op->window < n_seen ? op->window : n_seen;
        work += seq->n_rows * n_seen * op->n_heads * kv->head_dim;
    }
    pool_run(cpu->pool, n_items, work < INLINE_WORK ? n_items + 1 : 1, run_items, &run);
}
