// Splits attention over the workers: an item is one K/V head of one sequence and up to ATTENTION_ROWS of its rows
// (a row being one new token under one query head); attention_body.h does the work.
//
// Items are numbered sequence by sequence, head by head. A worker finds the sequence of its first item by walking the
// batch, which costs nothing beside the item. Long prompts first would balance better; taking chunks of other workers
// does it too.
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>

struct attention_run {
    const struct cpu_backend *cpu;
    const struct op_attention *op;
};

static size_t seq_parts(const struct op_attention *op, const struct batch_seq *seq)
{
    size_t group = op->n_heads / op->kv->n_kv_heads;
    return (seq->n_rows * group + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
}

static void run_items(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct attention_run *run = ctx;
    const struct op_attention *op = run->op;
    size_t group = op->n_heads / op->kv->n_kv_heads;
    size_t seq_first = 0; // item number of the sequence's first
    const struct batch_seq *seq = op->map->seqs;
    for (size_t item = begin; item < end; item++) {
        while (item - seq_first >= seq_parts(op, seq) * op->kv->n_kv_heads) {
            seq_first += seq_parts(op, seq) * op->kv->n_kv_heads;
            seq++;
        }
        size_t parts = seq_parts(op, seq), first = (item - seq_first) % parts * ATTENTION_ROWS;
        size_t left = seq->n_rows * group - first;
        struct attention_part part = {
            .op = op,
            .seq = seq,
            .kv_head = (item - seq_first) / parts,
            .first = first,
            .n_rows = left < ATTENTION_ROWS ? left : ATTENTION_ROWS,
        };
        run->cpu->kernels->attention(&part, &run->cpu->attention_scratch[worker]);
    }
}

void cpu_attention(struct backend *b, const struct op_attention *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    const struct kv_layout *kv = op->kv;
    assert(kv->head_dim % 8 == 0 && kv->head_dim > 0 && kv->head_dim <= ATTENTION_HEAD_DIM_MAX);
    assert((kv->page_tokens & (kv->page_tokens - 1)) == 0 && op->layer < kv->n_layers);
    assert(op->n_heads % kv->n_kv_heads == 0);
    size_t n_items = 0;
    for (size_t i = 0; i < op->map->n_seqs; i++) {
        n_items += seq_parts(op, &op->map->seqs[i]) * kv->n_kv_heads;
    }
    struct attention_run run = { .cpu = cpu, .op = op };
    pool_run(cpu->pool, n_items, 1, run_items, &run);
}
