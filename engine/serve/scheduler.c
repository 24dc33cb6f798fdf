// The policy: running answers first, then the prompts of admitted sequences, then admission in order of arrival.
//
//   1. Decodes. Each sequence with one token to run gets its row. When it needs a page and none is free, the youngest
//      sequence that holds pages gives all of its own back (preemption) and is computed again later: invariant 1 of the
//      design makes the second computation bit-identical, and what was sampled stays, so that no reader notices.
//   2. Prefill chunks of admitted sequences, oldest first, in what the decodes left of batch_tokens.
//   3. Preempted sequences return, oldest first, when pages for all their known tokens are free.
//   4. Waiting sequences are admitted in order of arrival, never past one that does not fit.
//
// Why there is no deadlock: the engine accepts no request whose longest possible timeline exceeds the pool, and the
// oldest active sequence can take the pages of all others; hence it always ends. Why pages are not reserved for the
// longest possible answer: most requests do not bound it, and would then run one at a time.
//
// A prompt's pages are taken whole at admission, so that a prefill never stops half-way. Admission leaves one page per
// resident sequence free and does not happen in a step that preempts, so that it does not cause the next preemption.
#include "engine/serve/scheduler.h"

#include <assert.h>

struct planning {
    const struct sched_input *in;
    struct sched_plan *plan;
    uint32_t n_pages_free;
    size_t n_rows_left;
    size_t n_resident; // active[0 .. n_resident) still hold their pages, apart from those that had none at the start
};

static uint32_t pages_for(const struct planning *p, uint32_t n_tokens)
{
    return (n_tokens + p->in->page_tokens - 1) / p->in->page_tokens;
}

static uint32_t n_todo(const struct sched_seq *seq)
{
    assert(seq->n_tokens > seq->n_computed);
    return seq->n_tokens - seq->n_computed;
}

static void add_item(struct planning *p, size_t idx, const struct sched_seq *seq, uint32_t n_tokens, uint32_t n_pages)
{
    assert(n_tokens > 0 && n_tokens <= p->n_rows_left);
    assert(n_pages >= seq->n_pages && n_pages - seq->n_pages <= p->n_pages_free);
    p->plan->items[p->plan->n_items++] = (struct sched_item){ (uint32_t)idx, n_tokens, n_pages };
    p->n_rows_left -= n_tokens;
    p->n_pages_free -= n_pages - seq->n_pages;
}

// Frees the pages of the youngest resident sequence, but of none before `keep`. False: there is none.
static bool preempt_youngest(struct planning *p, size_t keep)
{
    while (p->n_resident > keep) {
        size_t idx = --p->n_resident;
        const struct sched_seq *seq = &p->in->active[idx];
        if (seq->n_pages > 0) {
            p->n_pages_free += seq->n_pages;
            p->plan->preempted[p->plan->n_preempted++] = (uint32_t)idx;
            return true;
        }
    }
    return false;
}

static void plan_decodes(struct planning *p)
{
    for (size_t i = 0; i < p->n_resident && p->n_rows_left > 0; i++) {
        const struct sched_seq *seq = &p->in->active[i];
        if (seq->n_pages == 0 || seq->is_blocked || n_todo(seq) != 1) {
            continue;
        }
        uint32_t n_pages = pages_for(p, seq->n_tokens);
        n_pages = n_pages > seq->n_pages ? n_pages : seq->n_pages;
        while (n_pages - seq->n_pages > p->n_pages_free && preempt_youngest(p, i)) {
        }
        if (i < p->n_resident) { // else it was itself the youngest
            add_item(p, i, seq, 1, n_pages);
        }
    }
}

static uint32_t chunk(const struct planning *p, const struct sched_seq *seq)
{
    uint32_t n = n_todo(seq);
    return n < p->n_rows_left ? n : (uint32_t)p->n_rows_left;
}

static void plan_prefills(struct planning *p)
{
    for (size_t i = 0; i < p->n_resident && p->n_rows_left > 0; i++) {
        const struct sched_seq *seq = &p->in->active[i];
        if (seq->n_pages > 0 && !seq->is_blocked && n_todo(seq) > 1) {
            assert(seq->n_pages >= pages_for(p, seq->n_tokens));
            add_item(p, i, seq, chunk(p, seq), seq->n_pages);
        }
    }
}

// Pages that a sequence without any must find free to begin: those of its known tokens, and one for each resident
// sequence and itself to grow by. A lone sequence needs no such room, so that the longest timeline of the pool can run.
static uint32_t pages_to_begin(const struct planning *p, const struct sched_seq *seq, size_t n_holding)
{
    return pages_for(p, seq->n_tokens) + (n_holding > 0 ? (uint32_t)n_holding + 1 : 0);
}

static size_t count_holding(const struct planning *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_resident; i++) {
        n += p->in->active[i].n_pages > 0;
    }
    return n;
}

static bool begin(struct planning *p, size_t idx, const struct sched_seq *seq, size_t *n_holding)
{
    if (pages_to_begin(p, seq, *n_holding) > p->n_pages_free) {
        return false;
    }
    add_item(p, idx, seq, chunk(p, seq), pages_for(p, seq->n_tokens));
    *n_holding += 1;
    return true;
}

static void plan_beginnings(struct planning *p)
{
    size_t n_holding = count_holding(p);
    for (size_t i = 0; i < p->in->n_active && p->n_rows_left > 0; i++) {
        const struct sched_seq *seq = &p->in->active[i];
        if (seq->n_pages == 0 && !seq->is_blocked && !begin(p, i, seq, &n_holding)) {
            return; // nobody overtakes it
        }
    }
    for (size_t i = 0; i < p->in->n_waiting && i < p->in->n_slots_free && p->n_rows_left > 0; i++) {
        if (!begin(p, p->in->n_active + i, &p->in->waiting[i], &n_holding)) {
            return;
        }
        p->plan->n_admitted++;
    }
}

void scheduler_plan(const struct sched_input *input, struct sched_plan *plan)
{
    plan->n_items = plan->n_preempted = plan->n_admitted = 0;
    struct planning p = {
        .in = input,
        .plan = plan,
        .n_pages_free = input->n_pages_free,
        .n_rows_left = input->batch_tokens,
        .n_resident = input->n_active,
    };
    plan_decodes(&p);
    plan_prefills(&p);
    if (plan->n_preempted == 0) {
        plan_beginnings(&p);
    }
}
