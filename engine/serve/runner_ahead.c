// While a step runs whose tokens the device draws, the next one is issued: its rows name those tokens by the rows that
// they are drawn from, so that the device goes on without the host. Then the first step's tokens are taken.
//
// Only where the next step is certain but for its tokens: all sequences are in the step that runs, each gets one token
// from it, nobody waits who could begin, no pages are short, nobody has a guess to make, and no draw depends on the
// token before (masks of grammars, penalties, min_tokens, what the host draws). Else the step's tokens are taken first.
//
// What a token may bring is met when it is taken: a sequence that has ended meanwhile (end token, stop string, cancel,
// deadline), or whose last output nobody has taken, leaves its row in the step that was issued, and that row is not
// looked at. It wrote K and V of a position that is in no timeline, into a page that was the sequence's; whoever has
// the page next writes what he reads, after it in the queue.
#include "engine/serve/runner_ahead.h"

#include "engine/serve/histogram.h"
#include "engine/serve/runner_plan.h"
#include "engine/serve/runner_sample.h"

// ---- may it be ------------------------------------------------------------------------------------------------------

// Its last token is being drawn.
static bool is_last(const struct sequence *seq)
{
    return seq->n_tokens + 1 >= seq->choice->n_tokens_max;
}

static uint32_t n_pages_wanted(const struct runner *r, const struct sequence *seq)
{
    uint32_t n = (seq->n_tokens + r->env.page_tokens) / r->env.page_tokens; // of n_tokens + 1 positions
    return n > seq->n_pages ? n : seq->n_pages;
}

// What followed earlier may follow again: such guesses save steps, and are made with all tokens known.
static bool has_guess(const struct runner *r, struct sequence *seq)
{
    int32_t guess;
    bool may_guess = r->has_speculation && r->plan.n_items <= DRAFT_ROWS_MAX / 2;
    return may_guess && draft_length(&seq->draft_state) > 0 && draft_find(seq->tokens, seq->n_tokens, 1, &guess) > 0;
}

// The device is told how to draw the token after the one that is being drawn.
static bool describe(struct runner *r, const struct sequence *seq)
{
    const struct tokfs_completion *c = seq->completion;
    const struct sampler_input input = sequence_sampler_input(seq, (struct logits){ 0 });
    return device_draws_add(&r->device_draws, &input, 1, c->has_logprobs, c->n_top_logprobs);
}

static bool is_certain(struct runner *r)
{
    uint32_t n_pages = 0;
    if (r->plan.n_items != r->n_active || (r->n_waiting > 0 && r->n_idle > 0)) {
        return false;
    }
    device_draws_reset(&r->device_draws);
    for (size_t i = 0; i < r->plan.n_items; i++) {
        const struct sched_item *item = &r->plan.items[i];
        struct sequence *seq = r->active[item->idx];
        if (!runner_is_completing(item, seq) || item->n_draft > 0 || sequence_is_blocked(seq)) {
            return false;
        }
        if (!is_last(seq) && (!describe(r, seq) || has_guess(r, seq))) {
            return false;
        }
        n_pages += is_last(seq) ? 0 : n_pages_wanted(r, seq) - seq->n_pages;
    }
    return n_pages <= r->pool.n_free + r->pool.n_cached;
}

// ---- issue, adopt ---------------------------------------------------------------------------------------------------

// Places of the step that runs are free: the backend has read them.
static void issue(struct runner *r)
{
    uint32_t n = 0;
    for (size_t i = 0; i < r->plan.n_items; i++) {
        struct sequence *seq = r->active[r->plan.items[i].idx];
        if (is_last(seq)) {
            continue;
        }
        sequence_take_pages(seq, n_pages_wanted(r, seq));
        r->batch[n] = (struct batch_seq){ n, 1, seq->n_tokens, seq->pages, runner_table_of(r, seq) };
        r->token_ids[n] = -1 - (int32_t)r->drawn_at[i];
        r->logit_rows[n] = n;
        seq->ahead_row = n++;
    }
    if (n == 0) {
        return;
    }
    r->turn = !r->turn;
    const struct step step = { .token_ids = r->token_ids,
                               .map = { .seqs = r->batch, .n_seqs = n, .n_rows = n },
                               .kv_pool = r->pool.mem,
                               .logit_rows = r->logit_rows,
                               .n_logit_rows = n,
                               .draws = r->device_draws.rows,
                               .turn = r->turn };
    r->drive.step(r->drive.ctx, &step);
    histogram_add(&r->stats, TOKFS_HISTOGRAM_STEP_TOKENS, n);
    r->is_ahead = true;
    r->stats.n_ahead++;
}

void runner_ahead_issue(struct runner *r)
{
    if (is_certain(r)) {
        issue(r);
    }
}

void runner_ahead_adopt(struct runner *r)
{
    r->plan.n_items = r->plan.n_preempted = r->plan.n_admitted = r->n_score_rows = 0;
    for (uint32_t i = 0; i < r->n_active; i++) {
        struct sequence *seq = r->active[i];
        uint32_t row = seq->ahead_row;
        seq->ahead_row = NO_AHEAD_ROW;
        if (row != NO_AHEAD_ROW && seq->state == SEQUENCE_DECODE && !sequence_is_blocked(seq)) {
            r->drawn_at[r->plan.n_items] = row;
            r->plan.items[r->plan.n_items++] = (struct sched_item){ .idx = i, .n_tokens = 1, .n_pages = seq->n_pages };
        }
    }
    r->is_ahead = false;
}

void runner_ahead_drop(struct runner *r)
{
    for (uint32_t i = 0; i < r->n_active; i++) {
        r->active[i]->ahead_row = NO_AHEAD_ROW;
    }
    r->is_ahead = false;
}
