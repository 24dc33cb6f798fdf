// While a step runs whose tokens the device draws, the next one is issued: its rows name those tokens by the rows that
// they are drawn from, so that the device goes on without the host. Then the first step's tokens are taken.
//
//   device  |  step 1          |  step 2          |  step 3
//   host    |  issues 2        |  takes 1's tokens, (draws of 2), issues 3    |  takes 2's tokens ...
//
// It is planned as any other, from where each sequence will stand (n_issued, is_drawing): chunks of prompts go on, the
// row that ends a prompt is drawn from and the next one names its token, and who waits is admitted. Who has to see a
// token first is served as follows.
//
//   draws (grammars, penalties, biases that count tokens, min_tokens): the forward pass needs no more than the token,
//     which the device has. So the pass is issued, and its draws when the tokens before them were taken: the device has
//     the whole pass to do meanwhile. Nobody sits out a step, and nobody waits for them.
//   guesses (speculation, small batches), what the host draws, scores of prompts, pages that somebody has to give up:
//     nothing is issued ahead.
//   tokens that a grammar forces: computed together once they are known, which a step that is ahead has missed. Where
//     many rows may be of this kind nothing is issued ahead.
//
// Invariants:
//   1. Two steps at most are issued and not taken; the second one only here.
//   2. n_issued and is_drawing of a sequence are 0 and false, but while runner_ahead_issue runs.
//   3. is_ahead of a sequence: it is in runner->ahead, and what is computed of it there means something. It ends with
//      the pages: who was cancelled, failed, or stopped at a token nobody knew of has no item when the step is adopted.
//   4. Nobody loses pages to a step ahead: those that run are written by two steps.
//
// Rows of who left are not looked at. They wrote K and V of positions that are in no timeline, into pages that were the
// sequence's; whoever has a page next writes what he reads, after it in the queue. The same of a sequence whose last
// output nobody has taken: its rows are computed again.
#include "engine/serve/runner_ahead.h"

#include "engine/serve/histogram.h"
#include "engine/serve/runner_plan.h"
#include "engine/serve/runner_sample.h"

// Of this many rows one may be given a run of tokens by its grammar, which then takes two steps instead of one: more of
// them lose more than what the host's share of a step costs all.
#define FORCED_SHARE 8

// ---- may it be ------------------------------------------------------------------------------------------------------

// What followed earlier may follow again: such guesses save steps, and are made with all tokens known.
static bool has_guess(struct sequence *seq)
{
    int32_t guess;
    return draft_length(&seq->draft_state) > 0 && draft_find(seq->tokens, seq->n_tokens, 1, &guess) > 0;
}

static bool may_be_forced(const struct runner *r, const struct sequence *seq)
{
    return r->has_jump_forward && seq->guide.plan && !seq->completion->has_logprobs;
}

static bool is_certain(const struct runner *r)
{
    size_t n_forced = 0;
    bool may_guess = r->has_speculation && r->n_waiting == 0 && r->step.n_items <= DRAFT_ROWS_MAX / 2;
    for (size_t i = 0; i < r->step.n_items; i++) {
        const struct step_item *item = &r->step.items[i];
        n_forced += may_be_forced(r, item->seq);
        if (item->n_draft > 0 || (may_guess && has_guess(item->seq))) {
            return false;
        }
    }
    return r->has_ahead && r->step.n_logit_rows > 0 && n_forced * FORCED_SHARE <= r->step.n_items;
}

static bool is_scored(const struct runner *r, const struct sched_item *item)
{
    if (item->idx < r->n_active) {
        return sequence_is_scored(r->active[item->idx]);
    }
    const struct choice *choice = r->admission.candidates[item->idx - r->n_active].ref;
    return choice->is_scorer && !scores_are_complete(choice->scores);
}

static bool is_plan_good(const struct runner *r)
{
    for (size_t i = 0; i < r->plan.n_items; i++) {
        if (is_scored(r, &r->plan.items[i])) {
            return false;
        }
    }
    return r->plan.n_items > 0 && r->plan.n_preempted == 0;
}

// ---- issue ----------------------------------------------------------------------------------------------------------

static void mark(struct runner *r)
{
    for (size_t i = 0; i < r->step.n_items; i++) {
        const struct step_item *item = &r->step.items[i];
        struct sequence *seq = item->seq;
        bool is_drawing = runner_is_completing(item);
        seq->n_issued = item->n_tokens;
        seq->is_drawing = is_drawing;
        seq->drawn_at = item->drawn_at;
    }
}

static void unmark(struct runner *r)
{
    for (size_t i = 0; i < r->step.n_items; i++) {
        struct sequence *seq = r->step.items[i].seq;
        seq->n_issued = 0;
        seq->is_drawing = false;
    }
}

// How to draw the token after all that are known, and after the one that is being drawn. False: that depends on it.
static bool describe(struct runner *r, const struct sequence *seq)
{
    const struct tokfs_completion *c = seq->completion;
    const struct sampler_input input = sequence_sampler_input(seq, (struct logits){ 0 });
    return seq->n_untold == 0 &&
           device_draws_add(&r->device_draws, &input, seq->is_drawing, c->has_logprobs, c->n_top_logprobs);
}

static void describe_draws(struct runner *r, struct issued_step *ahead)
{
    uint32_t n = 0;
    device_draws_reset(&r->device_draws);
    for (size_t i = 0; i < ahead->n_items; i++) {
        struct step_item *item = &ahead->items[i];
        item->seq->is_ahead = true;
        if (runner_is_completing(item)) {
            item->drawn_at = n++;
            ahead->is_drawn_later |= !describe(r, item->seq);
        }
    }
}

// Places of the step that runs are free: the backend has read them.
static void issue(struct runner *r)
{
    struct issued_step *ahead = &r->ahead;
    struct step step = runner_build_step(r, ahead);
    describe_draws(r, ahead);
    if (ahead->n_logit_rows > 0) {
        r->turn = !r->turn;
        step.draws = ahead->is_drawn_later ? NULL : r->device_draws.rows;
        step.is_drawn_later = ahead->is_drawn_later;
        step.turn = ahead->turn = r->turn;
    }
    r->drive.step(r->drive.ctx, &step);
    histogram_add(&r->stats, TOKFS_HISTOGRAM_STEP_TOKENS, step.map.n_rows);
    r->is_ahead = true;
    r->stats.n_ahead++;
}

void runner_ahead_issue(struct runner *r, void (*publish)(void *ctx), void *ctx)
{
    if (!is_certain(r)) {
        return;
    }
    uint64_t now_ns = runner_clock(r);
    mark(r);
    runner_plan(r, now_ns, true);
    if (is_plan_good(r)) {
        runner_apply_plan(r, now_ns);
        issue(r);
        if (r->plan.n_admitted > 0) {
            publish(ctx);
        }
    }
    unmark(r);
}

// ---- adopt ----------------------------------------------------------------------------------------------------------

static bool is_wanted(const struct sequence *seq)
{
    bool is_running = seq->state == SEQUENCE_PREFILL || seq->state == SEQUENCE_DECODE;
    return seq->is_ahead && is_running && !sequence_is_blocked(seq);
}

size_t runner_ahead_adopt(struct runner *r)
{
    struct issued_step adopted = r->ahead;
    size_t n_kept = 0;
    for (size_t i = 0; i < adopted.n_items; i++) {
        struct sequence *seq = adopted.items[i].seq;
        if (is_wanted(seq)) {
            adopted.items[n_kept++] = adopted.items[i];
        }
        seq->is_ahead = false;
    }
    adopted.n_items = n_kept;
    r->ahead.items = r->step.items;
    r->step = adopted;
    r->n_score_rows = 0;
    r->is_ahead = false;
    return adopted.is_drawn_later ? runner_sample_later(r) : 0;
}

void runner_ahead_drop(struct runner *r)
{
    for (size_t i = 0; i < r->ahead.n_items && r->is_ahead; i++) {
        r->ahead.items[i].seq->is_ahead = false;
    }
    r->is_ahead = false;
}
