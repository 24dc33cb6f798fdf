// The policy: running answers first, then the prompts of admitted sequences, then admission in order of arrival.
//
//   1. Decodes. Each sequence gets its row, and where its grammar forced tokens, those that leave the others theirs.
//      When it needs a page and none is free, the youngest
//      sequence that holds pages gives all of its own back (preemption) and is computed again later: invariant 1 of the
//      design makes the second computation bit-identical, and what was sampled stays, so that no reader notices.
//   2. Prefill chunks of admitted sequences, oldest first, in what the decodes left of batch_tokens; beside decodes, of
//      prefill_tokens: a long prompt makes the next token of every answer wait for its chunk, and for no more.
//   3. Preempted sequences return, oldest first, when pages for all their known tokens are free.
//   4. Waiting sequences are admitted in their order, never past one that does not fit; but one whose next block
//      is being computed by a running prefill stands back until it can be taken from the cache.
//   5. Nobody waits for the less urgent: those come last in 2 and 3, and a block that one of them computes is not
//   waited
//      for in 4. Only decodes are not put off, and slots and pages that are taken not taken away.
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

// Pages taken from the cache are not `n_pages_free` any more when they were before.
static void add_item(struct planning *p, const struct sched_item *item, const struct sched_seq *seq, uint32_t n_unheld)
{
    uint32_t n_taken = item->n_pages - item->n_cached / p->in->page_tokens - seq->n_pages + n_unheld;
    assert(item->n_tokens > 0 && item->n_tokens <= p->n_rows_left);
    assert(item->n_pages >= seq->n_pages && n_taken <= p->n_pages_free);
    p->plan->items[p->plan->n_items++] = *item;
    p->n_rows_left -= item->n_tokens;
    p->n_pages_free -= n_taken;
}

// Frees the pages of the youngest resident sequence, but of none before `keep`. False: there is none.
static bool preempt_youngest(struct planning *p, size_t keep)
{
    while (p->n_resident > keep) {
        size_t idx = --p->n_resident;
        const struct sched_seq *seq = &p->in->active[idx];
        if (seq->n_pages > 0) {
            p->n_pages_free += seq->n_own;
            p->plan->preempted[p->plan->n_preempted++] = (uint32_t)idx;
            return true;
        }
    }
    return false;
}

// One row, and more for forced tokens where those behind it in the list keep theirs.
static uint32_t decode_rows(const struct planning *p, size_t idx, const struct sched_seq *seq)
{
    size_t n_others = p->n_resident - idx - 1;
    size_t n_free = p->n_rows_left > n_others ? p->n_rows_left - n_others : 1;
    return n_todo(seq) < n_free ? n_todo(seq) : (uint32_t)n_free;
}

// Guesses take rows and pages that nobody else could want in this step.
static uint32_t draft_that_fits(const struct planning *p, size_t idx, const struct sched_seq *seq, uint32_t n_rows)
{
    size_t n_others = p->n_resident - idx - 1;
    bool has_rows = n_rows == n_todo(seq) && p->n_rows_left >= n_others + n_rows + seq->n_draft;
    bool has_pages = p->n_pages_free > p->n_resident + seq->n_draft / p->in->page_tokens + 1;
    return has_rows && has_pages && p->in->n_waiting == 0 ? seq->n_draft : 0;
}

static bool is_decode(const struct sched_seq *seq)
{
    return seq->n_pages > 0 && !seq->is_blocked && (seq->is_decoding || n_todo(seq) == 1);
}

static void plan_decodes(struct planning *p)
{
    for (size_t i = 0; i < p->n_resident && p->n_rows_left > 0; i++) {
        const struct sched_seq *seq = &p->in->active[i];
        if (!is_decode(seq)) {
            continue;
        }
        uint32_t n_rows = decode_rows(p, i, seq), n_pages = pages_for(p, seq->n_computed + n_rows);
        n_pages = n_pages > seq->n_pages ? n_pages : seq->n_pages;
        while (n_pages - seq->n_pages > p->n_pages_free && preempt_youngest(p, i + 1)) {
        }
        if (n_pages - seq->n_pages <= p->n_pages_free) {
            uint32_t n_draft = draft_that_fits(p, i, seq, n_rows);
            uint32_t n_draft_pages = pages_for(p, seq->n_computed + n_rows + n_draft);
            add_item(p,
                     &(struct sched_item){ .idx = (uint32_t)i,
                                           .n_tokens = n_rows + n_draft,
                                           .n_draft = n_draft,
                                           .n_pages = n_draft_pages > n_pages ? n_draft_pages : n_pages },
                     seq, 0);
        } else if (p->plan->n_preempted == 0) {
            preempt_youngest(p, i); // itself
        } // else those preempted shared their pages with each other, and these are free in the next step
    }
}

static uint32_t chunk(const struct planning *p, uint32_t n)
{
    return n < p->n_rows_left ? n : (uint32_t)p->n_rows_left;
}

static void plan_prefill(struct planning *p, size_t idx, const struct sched_seq *seq)
{
    const struct sched_item item = { .idx = (uint32_t)idx, .n_tokens = chunk(p, n_todo(seq)), .n_pages = seq->n_pages };
    assert(seq->n_pages >= pages_for(p, seq->n_tokens));
    add_item(p, &item, seq, 0);
}

// Those of priorities first .. last.
static void plan_prefills(struct planning *p, int64_t first, int64_t last)
{
    for (size_t i = 0; i < p->n_resident && p->n_rows_left > 0; i++) {
        const struct sched_seq *seq = &p->in->active[i];
        bool is_prefill = seq->n_pages > 0 && !seq->is_blocked && !is_decode(seq);
        if (is_prefill && seq->priority >= first && seq->priority <= last) {
            plan_prefill(p, i, seq);
        }
    }
}

static size_t count_holding(const struct planning *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_resident; i++) {
        n += p->in->active[i].n_pages > 0;
    }
    return n;
}

// A sequence without pages begins when it finds the pages of its known tokens, and one for each resident sequence and
// itself to grow by. A lone sequence needs no such room, so that the longest timeline of the pool can run; nor does
// it insist on the cached part of a page, whose copy is one page more than it will have.
static bool begin(struct planning *p, size_t idx, const struct sched_seq *seq, size_t *n_holding)
{
    uint32_t page_tokens = p->in->page_tokens, n_cached = seq->cached.n_tokens;
    uint32_t n_unheld = seq->cached.n_unheld + (n_cached % page_tokens != 0 && seq->cached.is_tail_unheld);
    uint32_t n_pages = pages_for(p, seq->n_tokens);
    uint32_t n_new = n_pages - n_cached / page_tokens + (*n_holding > 0 ? (uint32_t)*n_holding + 1 : 0);
    if (n_new + n_unheld > p->n_pages_free) {
        n_cached -= n_cached % page_tokens;
        n_unheld = seq->cached.n_unheld;
    }
    if (n_new + n_unheld > p->n_pages_free) {
        return false;
    }
    const struct sched_item item = {
        .idx = (uint32_t)idx,
        .n_tokens = chunk(p, seq->n_tokens - n_cached),
        .n_cached = n_cached,
        .n_pages = n_pages,
    };
    add_item(p, &item, seq, n_unheld);
    *n_holding += 1;
    return true;
}

static const struct sched_seq *seq_of(const struct planning *p, size_t idx)
{
    return idx < p->in->n_active ? &p->in->active[idx] : &p->in->waiting[idx - p->in->n_active];
}

static bool computes_for(const struct sched_seq *other, const struct sched_seq *seq)
{
    return other->next_block == seq->next_block && other->priority <= seq->priority;
}

// A running prefill, or one that begins in this step, computes what this sequence would compute first.
static bool is_in_flight(const struct planning *p, const struct sched_seq *seq)
{
    if (seq->next_block == 0) {
        return false;
    }
    for (size_t i = 0; i < p->in->n_active; i++) {
        if (p->in->active[i].n_pages > 0 && computes_for(&p->in->active[i], seq)) {
            return true;
        }
    }
    for (size_t i = 0; i < p->plan->n_items; i++) {
        if (computes_for(seq_of(p, p->plan->items[i].idx), seq)) {
            return true;
        }
    }
    return false;
}

static bool is_preempted(const struct sched_seq *seq)
{
    return seq->n_pages == 0 && !seq->is_blocked;
}

// Preempted ones, and between them those that wait and are more urgent. Nobody overtakes one that does not fit.
static void plan_beginnings(struct planning *p)
{
    const struct sched_input *in = p->in;
    size_t n_holding = count_holding(p), a = 0, w = 0;
    while (p->n_rows_left > 0) {
        while (a < in->n_active && !is_preempted(&in->active[a])) {
            a++;
        }
        bool is_any_waiting = w < in->n_waiting && p->plan->n_admitted < in->n_slots_free;
        if (a == in->n_active && !is_any_waiting) {
            return;
        }
        bool is_new = is_any_waiting && (a == in->n_active || in->waiting[w].priority < in->active[a].priority);
        size_t idx = is_new ? in->n_active + w++ : a++;
        if (is_in_flight(p, seq_of(p, idx))) {
            continue;
        }
        if (!begin(p, idx, seq_of(p, idx), &n_holding)) {
            return;
        }
        p->plan->n_admitted += is_new;
    }
}

// Of those that are to begin; INT64_MAX: there is none.
static int64_t most_urgent(const struct sched_input *in)
{
    int64_t priority = in->n_waiting > 0 ? in->waiting[0].priority : INT64_MAX;
    for (size_t i = 0; i < in->n_active; i++) {
        const struct sched_seq *seq = &in->active[i];
        priority = is_preempted(seq) && seq->priority < priority ? seq->priority : priority;
    }
    return priority;
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
    if (plan->n_items > 0 && p.n_rows_left > input->prefill_tokens) {
        p.n_rows_left = input->prefill_tokens;
    }
    int64_t urgent = most_urgent(input);
    plan_prefills(&p, INT64_MIN, urgent);
    if (plan->n_preempted == 0) {
        plan_beginnings(&p);
    }
    if (urgent < INT64_MAX) {
        plan_prefills(&p, urgent + 1, INT64_MAX);
    }
}
