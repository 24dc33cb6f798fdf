// Sampling, in three passes over a group of rows, group after group:
//
//   collect  engine thread  who gets a token, and what is known of it: all that its draw depends on
//   draw     all workers    row by row, each worker with scratch of its own; no row sees another, so a token is the
//   same
//                           for any number of workers and any grouping
//   take     engine thread  in batch order: text, stop strings, ends, events
//
// Where the device draws (struct runner_drive, `drawn`) it is told before the step what a draw depends on, and `draw`
// only takes what it says. Rows that it cannot draw from are the host's, in the same groups.
//
// Each group is published, so that readers on other processors are served while the next one is sampled. Guesses after
// a row are drawn in `take`, one after the other: each depends on the one before.
#include "engine/serve/runner_sample.h"

#include "engine/serve/histogram.h"
#include <errno.h>
#include <stdlib.h>

// Rows that are drawn together: enough for each worker to have some.
#define GROUP_ROWS_MIN    8
#define GROUP_WORKER_ROWS 4

struct draw {
    struct sequence *seq;
    uint32_t drawn_at;    // by the device: its row of what was drawn; or DRAWN_BY_HOST
    struct logits logits; // of 1 + n_draft rows
    uint32_t n_draft;
    struct sampler_input input; // of the first, where the host draws
    int32_t token_id;
    int rc; // of sampler_draw
    uint64_t sampled_ns;
};

int runner_sample_init(struct runner *runner)
{
    size_t n = runner->backend->ops->n_workers(runner->backend);
    runner->n_draws_max = GROUP_WORKER_ROWS * n < GROUP_ROWS_MIN ? GROUP_ROWS_MIN : GROUP_WORKER_ROWS * n;
    runner->draws = calloc(runner->n_draws_max, sizeof(*runner->draws));
    runner->samplers = calloc(n, sizeof(*runner->samplers));
    int rc = runner->draws && runner->samplers ? 0 : -ENOMEM;
    if (rc == 0 && runner->drive.drawn) {
        size_t n_rows = runner->n_slots + DRAFT_ROWS_MAX;
        runner->host_rows = calloc(n_rows, sizeof(*runner->host_rows));
        rc = runner->host_rows ? 0 : -ENOMEM;
        rc = rc == 0 ? device_draws_init(&runner->device_draws, runner->drive.n_vocab, n_rows) : rc;
    }
    while (rc == 0 && runner->n_samplers < n) {
        rc = sampler_init(&runner->samplers[runner->n_samplers], runner->drive.n_vocab);
        runner->n_samplers += rc == 0;
    }
    return rc;
}

void runner_sample_deinit(struct runner *runner)
{
    for (size_t i = 0; i < runner->n_samplers; i++) {
        sampler_deinit(&runner->samplers[i]);
    }
    free(runner->samplers);
    free(runner->draws);
    free(runner->host_rows);
    device_draws_deinit(&runner->device_draws);
}

// ---- by the device -------------------------------------------------------------------------------------------------

// All rows of an item, or none.
static bool describe(struct runner *r, const struct sequence *seq, uint32_t n_draft)
{
    const struct tokfs_completion *c = seq->completion;
    struct sampler_input input = sequence_sampler_input(seq, (struct logits){ 0 });
    size_t n_before = r->device_draws.n_rows;
    for (uint32_t ahead = 0; ahead <= n_draft; ahead++) {
        if (!device_draws_add(&r->device_draws, &input, ahead, c->has_logprobs, c->n_top_logprobs)) {
            r->device_draws.n_rows = n_before;
            return false;
        }
    }
    return true;
}

size_t runner_sample_prepare(struct runner *r, struct step *step)
{
    size_t n_host = 0, n_device = 0, next = 0;
    device_draws_reset(&r->device_draws);
    for (size_t i = 0; i < r->step.n_items; i++) {
        struct step_item *item = &r->step.items[i];
        if (!runner_is_completing(item)) {
            continue;
        }
        bool is_device = describe(r, item->seq, item->n_draft);
        item->drawn_at = is_device ? (uint32_t)n_device : DRAWN_BY_HOST;
        for (uint32_t k = 0; k <= item->n_draft; k++) { // logit_rows shrinks in place
            uint32_t row = r->logit_rows[next++];
            r->logit_rows[n_device] = is_device ? row : r->logit_rows[n_device];
            r->host_rows[n_host] = row;
            n_device += is_device;
            n_host += !is_device;
        }
    }
    step->n_logit_rows = n_device;
    step->draws = r->device_draws.rows;
    return n_host;
}

// Rows of those that left since, and of those whose next token is known by now, are drawn from, and not looked at.
size_t runner_sample_later(struct runner *r)
{
    struct device_draws *draws = &r->device_draws;
    size_t n_host = 0;
    device_draws_reset(draws);
    for (size_t i = 0; i < r->step.n_items; i++) {
        struct step_item *item = &r->step.items[i];
        if (!runner_is_completing(item)) {
            continue;
        }
        while (draws->n_rows < item->drawn_at) {
            device_draws_add_nothing(draws);
        }
        if (!describe(r, item->seq, 0)) {
            r->host_rows[n_host++] = r->logit_rows[item->drawn_at];
            item->drawn_at = DRAWN_BY_HOST;
        }
    }
    if (draws->n_rows > 0) {
        while (draws->n_rows < r->step.n_logit_rows) {
            device_draws_add_nothing(draws);
        }
        r->drive.draw(r->drive.ctx, draws->rows, draws->n_rows, r->step.turn);
    }
    r->step.n_logit_rows = draws->n_rows;
    return n_host;
}

static void take_drawn(const struct runner *r, struct draw *d)
{
    const struct sample_result *result = &r->drawn.rows[d->drawn_at];
    struct sequence *seq = d->seq;
    d->token_id = result->id;
    d->rc = result->id < 0 ? -EDOM : 0;
    if (d->rc == 0 && seq->completion->has_logprobs) {
        const struct sample_top *top = r->drawn.tops ? &r->drawn.tops[d->drawn_at] : NULL;
        size_t n_top = top && seq->completion->n_top_logprobs > 0 ? top->n : 0;
        seq->probs[0] = (struct token_prob){ result->id, result->logprob };
        for (size_t i = 0; i < n_top; i++) {
            seq->probs[1 + i] = (struct token_prob){ top->ids[i], top->logprobs[i] };
        }
        seq->n_probs = 1 + n_top;
    }
    d->sampled_ns = r->drawn_ns;
}

// ---- by the host ---------------------------------------------------------------------------------------------------

struct logits runner_skip_rows(const struct runner *runner, struct logits logits, size_t n)
{
    logits.rows += n * runner->drive.n_vocab;
    logits.maxima += logits.maxima ? n * sampler_n_maxima(runner->drive.n_vocab) : 0;
    return logits;
}

// Who gets a token of the items from `begin` on, until the group is full; `logits` are theirs, and become those of the
// items after them. Returns the end of the items that were looked at.
static size_t collect(struct runner *r, size_t begin, struct logits *logits)
{
    size_t i = begin;
    for (r->n_draws = 0; i < r->step.n_items && r->n_draws < r->n_draws_max; i++) {
        const struct step_item *item = &r->step.items[i];
        struct sequence *seq = item->seq;
        size_t n_logits = runner_is_completing(item) ? 1 + item->n_draft : 0;
        uint32_t at = r->drawn.rows && n_logits > 0 ? item->drawn_at : DRAWN_BY_HOST;
        if (sequence_advance(seq, item->n_tokens - item->n_draft)) {
            struct draw *d = &r->draws[r->n_draws++];
            d->seq = seq;
            d->drawn_at = at;
            d->logits = *logits;
            d->n_draft = item->n_draft;
            if (at == DRAWN_BY_HOST) {
                d->input = sequence_sampler_input(seq, d->logits);
            }
        }
        *logits = at == DRAWN_BY_HOST ? runner_skip_rows(r, *logits, n_logits) : *logits;
    }
    return i;
}

static void draw(const struct runner *r, struct draw *d, struct sampler *sampler)
{
    struct sequence *seq = d->seq;
    if (d->drawn_at != DRAWN_BY_HOST) {
        take_drawn(r, d);
        return;
    }
    d->rc = sampler_draw(sampler, &d->input, &d->token_id);
    if (d->rc == 0 && seq->completion->has_logprobs) {
        seq->n_probs = sampler_logprobs(sampler, &d->input, d->token_id, seq->completion->n_top_logprobs, seq->probs);
    }
    d->sampled_ns = runner_clock(r);
}

static void draw_some(void *ctx, size_t begin, size_t end, size_t worker)
{
    struct runner *r = ctx;
    for (size_t i = begin; i < end; i++) {
        draw(r, &r->draws[i], &r->samplers[worker]);
    }
}

// Waits for nobody where the rows are quick: a worker may have lost its processor to those who read the last group.
static void draw_all(struct runner *r)
{
    size_t n_slow = 0;
    for (size_t i = 0; i < r->n_draws; i++) {
        const struct draw *d = &r->draws[i];
        bool is_quick =
            d->drawn_at != DRAWN_BY_HOST || (!d->seq->completion->has_logprobs && sampler_is_quick(&d->input));
        n_slow += !is_quick;
    }
    if (n_slow > 1) {
        r->backend->ops->spread(r->backend, r->n_draws, draw_some, r);
    } else {
        draw_some(r, 0, r->n_draws, 0);
    }
}

static void append_token(struct runner *r, struct sequence *seq, int32_t id, uint64_t now_ns)
{
    if (seq->first_token_ns == 0) {
        histogram_add(&r->stats, TOKFS_HISTOGRAM_FIRST_TOKEN_NS, now_ns - seq->completion->submitted_ns);
    } else {
        histogram_add(&r->stats, TOKFS_HISTOGRAM_BETWEEN_TOKENS_NS, now_ns - seq->last_token_ns);
    }
    sequence_append(seq, id, now_ns);
    r->stats.completion_tokens++;
}

static void append(struct runner *r, const struct draw *d)
{
    if (d->rc < 0) {
        struct err err;
        const char *why = guide_restricts(&d->seq->guide)
                              ? "the form of the answer and the request leave no token that may come"
                              : "the model gave no finite logit";
        err_set(&err, -EIO, "%s at position %u", why, d->seq->n_tokens);
        sequence_fail(d->seq, &err);
        return;
    }
    if (d->seq->completion->has_logprobs) {
        sequence_remember(d->seq, d->seq->n_tokens, d->seq->probs[0].logprob, true);
    }
    append_token(r, d->seq, d->token_id, d->sampled_ns);
}

// Each guess that is the token sampled has its K and V already, and its row gives the next one.
static void take_draft(struct runner *r, struct draw *d)
{
    struct sequence *seq = d->seq;
    uint32_t n_right = 0;
    while (n_right < d->n_draft && seq->state == SEQUENCE_DECODE && seq->token_id == seq->draft[n_right]) {
        sequence_flush(seq, r->ring);
        if (sequence_is_blocked(seq) || !sequence_advance(seq, 1)) {
            break;
        }
        n_right++;
        if (d->drawn_at != DRAWN_BY_HOST) {
            d->drawn_at++;
        } else {
            d->logits = runner_skip_rows(r, d->logits, 1);
            d->input = sequence_sampler_input(seq, d->logits);
        }
        draw(r, d, &r->samplers[0]);
        append(r, d);
    }
    draft_adapt(&seq->draft_state, d->n_draft, n_right);
    r->stats.n_guessed += d->n_draft;
    r->stats.n_guessed_right += n_right;
}

// What the grammar leaves no choice for needs no logits: such tokens join the timeline at once, and the next step
// computes them together. Sampling them one by one would give the same, since nothing else could be drawn.
static void take_forced(struct runner *r, struct sequence *seq)
{
    while (r->has_jump_forward && seq->state == SEQUENCE_DECODE && sequence_flush(seq, r->ring)) {
        int32_t id = sequence_forced_token(seq);
        if (id < 0) {
            return;
        }
        append_token(r, seq, id, runner_clock(r));
        r->stats.n_forced++;
    }
}

static void take(struct runner *r, size_t begin, size_t end)
{
    struct draw *d = r->draws, *draws_end = d + r->n_draws;
    for (size_t i = begin; i < end; i++) {
        struct sequence *seq = r->step.items[i].seq;
        if (d < draws_end && d->seq == seq) {
            append(r, d);
            if (d->n_draft > 0) {
                take_draft(r, d);
            }
            take_forced(r, seq);
            d++;
        }
        if (seq->state != SEQUENCE_ENDING) {
            sequence_cache_blocks(seq);
            sequence_flush(seq, r->ring); // the end of a sequence is runner_flush's
        }
    }
}

void runner_sample(struct runner *runner, struct logits logits, void (*publish)(void *ctx), void *ctx)
{
    for (size_t begin = 0, end; begin < runner->step.n_items; begin = end) {
        end = collect(runner, begin, &logits);
        draw_all(runner);
        take(runner, begin, end);
        if (end < runner->step.n_items) {
            publish(ctx);
        }
    }
}
