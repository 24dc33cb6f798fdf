// One step: flush, plan, batch, forward pass, sample (runner_sample.c), flush. Called by the engine thread alone (tests
// call it directly).
#include "engine/serve/runner.h"

#include "engine/serve/deadline.h"
#include "engine/serve/histogram.h"
#include "engine/serve/runner_ahead.h"
#include "engine/serve/runner_plan.h"
#include "engine/serve/runner_sample.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Pages that are kept free where others can go to the host, so that their copies are over when they are taken: of the
// pool, and at most.
#define ROOM_SHARE 32
#define ROOM_MAX   128

static int allocate(struct runner *r)
{
    r->slots = calloc(r->n_slots, sizeof(*r->slots));
    r->active = calloc(r->n_slots, sizeof(*r->active));
    r->idle = calloc(r->n_slots, sizeof(*r->idle));
    r->sched_active = calloc(r->n_slots, sizeof(*r->sched_active));
    r->sched_waiting = calloc(r->n_slots, sizeof(*r->sched_waiting));
    r->plan.items = calloc(r->n_slots, sizeof(*r->plan.items));
    r->plan.preempted = calloc(r->n_slots, sizeof(*r->plan.preempted));
    r->batch = calloc(r->n_slots, sizeof(*r->batch));
    r->token_ids = calloc(r->batch_tokens, sizeof(*r->token_ids));
    r->score_rows = calloc(r->batch_tokens, sizeof(*r->score_rows));
    r->tenants = calloc(r->n_slots, sizeof(*r->tenants));
    r->match_pages = calloc(r->env.n_ctx / r->env.page_tokens + 1, sizeof(*r->match_pages));
    r->logit_rows = calloc(r->n_slots + DRAFT_ROWS_MAX, sizeof(*r->logit_rows));
    r->step.items = calloc(r->n_slots, sizeof(*r->step.items));
    r->ahead.items = calloc(r->n_slots, sizeof(*r->ahead.items));
    bool is_done = r->slots && r->active && r->idle && r->sched_active && r->sched_waiting && r->plan.items &&
                   r->plan.preempted && r->batch && r->token_ids && r->logit_rows && r->match_pages && r->score_rows &&
                   r->tenants && r->step.items && r->ahead.items;
    for (uint32_t i = 0; i < r->n_slots && is_done; i++) {
        is_done = sequence_init(&r->slots[i], &r->env) == 0;
        r->n_slots_ready += is_done;
        r->idle[r->n_slots - 1 - i] = &r->slots[i];
    }
    r->n_idle = r->n_slots;
    return is_done ? 0 : -ENOMEM;
}

int runner_init(struct runner *runner, const struct runner_options *options, struct err *err)
{
    assert(options->batch_tokens >= options->n_slots && options->n_slots > 0);
    assert((uint64_t)options->n_pages * options->page_tokens >= options->n_ctx);
    *runner = (struct runner){
        .env = { options->tok, options->end_ids, options->n_end_ids, &runner->radix, options->page_tokens,
                 options->n_ctx },
        .drive = options->drive,
        .backend = options->backend,
        .ring = options->ring,
        .batch_tokens = options->batch_tokens,
        .n_slots = options->n_slots,
        .has_prefix_cache = !options->no_prefix_cache,
        .has_speculation = !options->no_speculation,
        .has_jump_forward = !options->no_jump_forward,
        .has_ahead = !options->no_ahead,
    };
    runner->waiting_last = &runner->waiting_first;
    runner->next_deadline_ns = DEADLINE_NEVER;
    int rc = page_pool_init(&runner->pool, options->backend, options->drive.page_bytes, options->n_pages, err);
    if (rc == 0 && options->n_host_pages > 0) {
        rc = page_pool_init_on_host(&runner->host_pool, options->backend, options->drive.page_bytes,
                                    options->n_host_pages, err);
    }
    struct page_pool *host = options->n_host_pages > 0 ? &runner->host_pool : NULL;
    rc = rc == 0 ? radix_init(&runner->radix, &runner->pool, host, options->page_tokens, err) : rc;
    if (rc < 0) {
        runner_deinit(runner);
        return rc;
    }
    if (runner_sample_init(runner) < 0 || allocate(runner) < 0) {
        runner_deinit(runner);
        return err_set(err, -ENOMEM, "out of memory for %u sequences of %u tokens", options->n_slots, options->n_ctx);
    }
    return 0;
}

void runner_deinit(struct runner *runner)
{
    assert(runner_is_idle(runner) && !runner->waiting_first && runner->admission.n == 0);
    assert(runner->n_idle == runner->n_slots || runner->n_slots_ready < runner->n_slots);
    for (uint32_t i = 0; i < runner->n_slots_ready; i++) {
        sequence_deinit(&runner->slots[i]);
    }
    free(runner->slots);
    free(runner->active);
    free(runner->idle);
    free(runner->sched_active);
    free(runner->sched_waiting);
    free(runner->plan.items);
    free(runner->plan.preempted);
    free(runner->batch);
    free(runner->token_ids);
    free(runner->logit_rows);
    free(runner->step.items);
    free(runner->ahead.items);
    free(runner->score_rows);
    free(runner->match_pages);
    free(runner->tenants);
    runner_sample_deinit(runner);
    radix_deinit(&runner->radix);
    page_pool_deinit(&runner->host_pool);
    page_pool_deinit(&runner->pool);
}

bool runner_is_idle(const struct runner *runner)
{
    return runner->n_active == 0 && runner->n_waiting == 0;
}

// ---- waiting ------------------------------------------------------------------------------------------------------

static void lower(uint64_t *least, uint64_t value)
{
    *least = value < *least ? value : *least;
}

void runner_add(struct runner *runner, struct tokfs_completion *completion)
{
    completion->cache_root = runner->has_prefix_cache ? radix_root_get(&runner->radix, completion->cache_salt) : 0;
    for (uint32_t i = 0; i < completion->n_choices; i++) {
        struct choice *choice = &completion->choices[i];
        choice->link = runner->waiting_last;
        *runner->waiting_last = choice;
        runner->waiting_last = &choice->next;
        runner->n_waiting++;
    }
    lower(&runner->next_deadline_ns, completion->deadline_ns);
}

static void remove_waiting(struct runner *r, struct choice *choice)
{
    *choice->link = choice->next;
    if (choice->next) {
        choice->next->link = choice->link;
    } else {
        r->waiting_last = choice->link;
    }
    r->n_waiting--;
    admission_remove(&r->admission, choice);
}

void runner_admit(struct runner *r, struct choice *choice, uint64_t now_ns)
{
    struct sequence *seq = r->idle[--r->n_idle];
    remove_waiting(r, choice);
    sequence_begin(seq, choice, now_ns);
    r->stats.prompt_tokens += choice->n_prompt;
    r->active[r->n_active++] = seq;
    sequence_flush(seq, r->ring); // STARTED; when there is no room, a later flush does it
}

static bool was_cancelled(const struct tokfs_completion *completion)
{
    for (uint32_t i = 0; i < completion->n_choices; i++) {
        const char *reason = completion->choices[i].finish_reason;
        if (reason && reason[0] == 'c') {
            return true;
        }
    }
    return false;
}

// The request ends with the last of its choices.
static void count_end(struct runner *r, struct tokfs_completion *completion)
{
    struct tokfs_engine_stats *stats = &r->stats;
    if (--completion->n_unended > 0) {
        return;
    }
    if (completion->cache_root != 0) {
        radix_root_put(&r->radix, completion->cache_root);
    }
    if (completion->failure.code != 0) {
        stats->n_failed++;
    } else if (was_cancelled(completion)) {
        stats->n_cancelled++;
    } else {
        stats->n_finished++;
    }
}

bool runner_end_waiting(struct runner *r, struct choice *choice, const char *reason)
{
    struct event_slot *slot = event_ring_add(r->ring);
    if (!slot) {
        return false;
    }
    remove_waiting(r, choice);
    choice->finish_reason = reason;
    choice->usage.prompt_tokens = choice->n_prompt;
    uint64_t now_ns = runner_clock(r);
    choice->usage.queue_ns = now_ns - choice->completion->accepted_ns;
    choice->usage.total_ns = now_ns - choice->completion->submitted_ns;
    *slot = (struct event_slot){ .choice = choice,
                                 .kind = reason ? EVENT_SLOT_FINISHED : EVENT_SLOT_FAILED,
                                 .token_id = -1 };
    histogram_add_end(&r->stats, &choice->usage, reason);
    count_end(r, choice->completion);
    return true;
}

bool runner_cancel_flagged(struct runner *runner)
{
    for (uint32_t i = 0; i < runner->n_active; i++) {
        if (atomic_load(&runner->active[i]->completion->cancel)) {
            sequence_cancel(runner->active[i]);
        }
    }
    for (struct choice *choice = runner->waiting_first, *next; choice; choice = next) {
        next = choice->next;
        if (atomic_load(&choice->completion->cancel) && !runner_end_waiting(runner, choice, "cancel")) {
            return false;
        }
    }
    return true;
}

// ---- deadlines ----------------------------------------------------------------------------------------------------

static void expire_active(struct runner *r, struct sequence *seq, uint64_t now_ns)
{
    const struct tokfs_completion *c = seq->completion;
    if (deadline_is_over(c->deadline_ns, now_ns)) {
        struct err err;
        deadline_error(&err, c->submitted_ns, c->deadline_ns, "running");
        sequence_expire(seq, &err);
    } else {
        lower(&r->next_deadline_ns, c->deadline_ns);
    }
}

static void expire_waiting(struct runner *r, struct choice *choice, uint64_t now_ns)
{
    struct tokfs_completion *c = choice->completion;
    bool is_over = deadline_is_over(c->deadline_ns, now_ns);
    if (is_over && c->failure.code == 0) {
        deadline_error(&c->failure, c->submitted_ns, c->deadline_ns, "in the queue");
    }
    if (!is_over || !runner_end_waiting(r, choice, NULL)) { // when the ring is full, later
        lower(&r->next_deadline_ns, c->deadline_ns);
    }
}

// Everybody is looked at when somebody's time is up, and not before.
static void expire(struct runner *r, uint64_t now_ns)
{
    if (!deadline_is_over(r->next_deadline_ns, now_ns)) {
        return;
    }
    r->next_deadline_ns = DEADLINE_NEVER;
    for (uint32_t i = 0; i < r->n_active; i++) {
        expire_active(r, r->active[i], now_ns);
    }
    for (struct choice *choice = r->waiting_first, *next; choice; choice = next) {
        next = choice->next;
        expire_waiting(r, choice, now_ns);
    }
}

// ---- output -------------------------------------------------------------------------------------------------------

void runner_flush(struct runner *r)
{
    uint32_t n_kept = 0;
    bool has_room = true;
    for (uint32_t i = 0; i < r->n_active; i++) {
        struct sequence *seq = r->active[i];
        has_room = has_room && sequence_tell_known(seq, r->ring);
        struct tokfs_completion *ending = seq->state == SEQUENCE_ENDING ? seq->completion : NULL;
        if (ending && seq->choice->usage.total_ns == 0) {
            seq->choice->usage.total_ns = runner_clock(r) - ending->submitted_ns;
            histogram_add_end(&r->stats, &seq->choice->usage, seq->choice->finish_reason);
        }
        has_room = has_room && sequence_flush(seq, r->ring);
        if (seq->state == SEQUENCE_EMPTY) {
            count_end(r, ending);
            r->idle[r->n_idle++] = seq;
        } else {
            r->active[n_kept++] = seq;
        }
    }
    r->n_active = n_kept;
}

// ---- the step -----------------------------------------------------------------------------------------------------

// The rows of an item, from batch row first_row on, that say how probable the next tokens of its prompt are.
static void want_scores(struct runner *r, const struct step_item *item, size_t first_row)
{
    const struct sequence *seq = item->seq;
    if (!sequence_is_scored(seq)) {
        return;
    }
    const struct scores *scores = seq->choice->scores;
    uint32_t end = seq->n_computed + item->n_tokens;
    end = end < scores->n_prompt - 1 ? end : scores->n_prompt - 1;
    assert(seq->n_computed <= scores_skippable(scores));
    for (uint32_t pos = scores_skippable(scores); pos < end; pos++) {
        r->score_rows[r->n_score_rows++] = (uint32_t)first_row + pos - seq->n_computed;
    }
}

// The sequence's list of pages is the slot's.
uint32_t runner_table_of(const struct runner *runner, const struct sequence *seq)
{
    return (uint32_t)(seq - runner->slots) + 1;
}

// A token that is known, or the one that the step that runs draws.
static int32_t token_at(const struct sequence *seq, uint32_t pos)
{
    return pos < seq->n_tokens ? seq->tokens[pos] : -1 - (int32_t)seq->drawn_at;
}

struct step runner_build_step(struct runner *r, struct issued_step *issued)
{
    size_t n_rows = 0, n_logits = 0;
    issued->n_items = r->plan.n_items;
    r->n_score_rows = 0;
    for (size_t i = 0; i < issued->n_items; i++) {
        const struct sched_item *planned = &r->plan.items[i];
        struct sequence *seq = r->active[planned->idx];
        struct step_item *item = &issued->items[i];
        uint32_t pos = seq->n_computed + seq->n_issued;
        sequence_await_pages(seq);
        *item = (struct step_item){ seq, planned->n_tokens, planned->n_draft, DRAWN_BY_HOST };
        r->batch[i] = (struct batch_seq){ n_rows, item->n_tokens, pos, seq->pages, runner_table_of(r, seq) };
        want_scores(r, item, n_rows);
        for (uint32_t t = 0; t < item->n_tokens - item->n_draft; t++) {
            r->token_ids[n_rows++] = token_at(seq, pos + t);
        }
        memcpy(&r->token_ids[n_rows], seq->draft, item->n_draft * sizeof(*seq->draft));
        n_rows += item->n_draft;
        for (uint32_t k = item->n_draft + 1; k > 0 && runner_is_completing(item); k--) {
            r->logit_rows[n_logits++] = (uint32_t)n_rows - k;
        }
    }
    issued->n_logit_rows = n_logits;
    issued->is_drawn_later = false;
    return (struct step){
        .token_ids = r->token_ids,
        .map = { .seqs = r->batch, .n_seqs = issued->n_items, .n_rows = n_rows },
        .kv_pool = r->pool.mem,
        .logit_rows = r->logit_rows,
        .n_logit_rows = n_logits,
    };
}

// Those of the step are under suspicion: see runner_recover.c.
static bool has_failed(struct runner *r)
{
    if (r->drive.failure && r->failure.code == 0 && r->drive.failure(r->drive.ctx, &r->failure) < 0) {
        for (size_t i = 0; i < r->step.n_items; i++) {
            r->step.items[i].seq->n_faults++;
        }
    }
    return r->failure.code != 0;
}

// Takes the logits of the wanted rows, as many at a time as there is memory for, from the items in their order.
static void take_scores(struct runner *r)
{
    size_t n_at_once = r->n_slots, n_taken = 0, n_had = 0, item = 0;
    struct logits logits = { 0 };
    while (n_taken < r->n_score_rows) {
        if (n_taken == n_had) {
            size_t n = r->n_score_rows - n_taken < n_at_once ? r->n_score_rows - n_taken : n_at_once;
            logits = r->drive.logits(r->drive.ctx, &r->score_rows[n_taken], n);
            n_had += n;
            if (has_failed(r)) {
                return;
            }
        }
        while (r->score_rows[n_taken] >= r->batch[item].row + r->batch[item].n_rows) {
            item++;
        }
        struct sequence *seq = r->step.items[item].seq;
        struct scores *scores = seq->choice->scores;
        uint32_t pos = scores->next;
        sequence_remember(seq, pos, scores_take(scores, &r->samplers[0], logits, seq->tokens[pos]), false);
        logits = runner_skip_rows(r, logits, 1);
        n_taken++;
    }
}

// Tokens of the step, which was issued, and the logits of the rows that the host draws from. While the device is busy
// with it the next one is issued, if it can be.
static struct logits wait_for_tokens(struct runner *r, size_t n_host, void (*publish)(void *ctx), void *ctx)
{
    if (n_host == 0) {
        runner_ahead_issue(r, publish, ctx);
    }
    radix_make_room(&r->radix, r->pool.n_pages / ROOM_SHARE < ROOM_MAX ? r->pool.n_pages / ROOM_SHARE : ROOM_MAX);
    if (r->step.n_logit_rows > 0) {
        r->drawn = r->drive.drawn(r->drive.ctx, r->step.turn);
        r->drawn_ns = runner_clock(r);
    }
    return n_host > 0 ? r->drive.logits(r->drive.ctx, r->host_rows, n_host) : (struct logits){ 0 };
}

// A step whose tokens the device draws, as far as it can.
static struct logits step_and_draw(struct runner *r, struct step *step, void (*publish)(void *ctx), void *ctx)
{
    size_t n_host = runner_sample_prepare(r, step);
    r->step.n_logit_rows = step->n_logit_rows;
    if (step->n_logit_rows == 0) {
        step->draws = NULL;
    }
    step->turn = r->step.turn = r->turn = !r->turn;
    r->drive.step(r->drive.ctx, step);
    return wait_for_tokens(r, n_host, publish, ctx);
}

// One forward pass: scores of prompts first, since what is sampled after them may be read with them.
static struct logits run_step(struct runner *r, void (*publish)(void *ctx), void *ctx)
{
    struct step step = runner_build_step(r, &r->step);
    histogram_add(&r->stats, TOKFS_HISTOGRAM_STEP_TOKENS, step.map.n_rows);
    r->drawn = (struct sample_results){ 0 };
    if (r->n_score_rows == 0) {
        return r->drive.drawn && step.n_logit_rows > 0 ? step_and_draw(r, &step, publish, ctx)
                                                       : r->drive.step(r->drive.ctx, &step);
    }
    size_t n_logits = step.n_logit_rows;
    step.n_logit_rows = 0;
    r->drive.step(r->drive.ctx, &step);
    take_scores(r);
    return n_logits > 0 ? r->drive.logits(r->drive.ctx, r->logit_rows, n_logits) : (struct logits){ 0 };
}

// One that was issued before. From one without draws nothing is waited for: what is issued next finds K and V.
static struct logits run_ahead(struct runner *r, void (*publish)(void *ctx), void *ctx)
{
    r->drawn = (struct sample_results){ 0 };
    return wait_for_tokens(r, runner_ahead_adopt(r), publish, ctx);
}

static void charge_tenants(struct runner *r, uint64_t now_ns)
{
    for (size_t i = 0; i < r->step.n_items; i++) {
        const struct step_item *item = &r->step.items[i];
        admission_charge(&r->served, item->seq->completion->tenant, item->n_tokens, now_ns);
    }
}

// False: there is nothing to run now; *ret_has_run is what runner_step is to say.
static bool plan_step(struct runner *r, uint64_t now_ns, void (*publish)(void *ctx), void *ctx, bool *ret_has_run)
{
    runner_plan(r, now_ns, false);
    *ret_has_run = r->plan.n_items > 0 || r->plan.n_preempted > 0;
    if (*ret_has_run) {
        runner_apply_plan(r, now_ns);
    }
    if (r->plan.n_items == 0) { // pages that the preempted shared are free in the next step
        return false;
    }
    if (r->plan.n_admitted > 0) {
        publish(ctx);
    }
    return true;
}

bool runner_step(struct runner *runner, void (*publish)(void *ctx), void *ctx)
{
    uint64_t begin_ns = runner_clock(runner);
    expire(runner, begin_ns);
    runner_flush(runner);
    bool is_ahead = runner->is_ahead, has_run;
    if (!is_ahead && !plan_step(runner, begin_ns, publish, ctx, &has_run)) {
        return has_run;
    }
    uint64_t model_begin_ns = runner_clock(runner);
    struct logits logits = is_ahead ? run_ahead(runner, publish, ctx) : run_step(runner, publish, ctx);
    uint64_t model_end_ns = runner_clock(runner);
    charge_tenants(runner, model_end_ns);
    if (has_failed(runner)) {
        return true;
    }
    runner_sample(runner, logits, publish, ctx);
    runner_flush(runner);
    runner->stats.n_steps++;
    runner->stats.model_ns += model_end_ns - model_begin_ns;
    runner->stats.step_ns += runner_clock(runner) - begin_ns;
    return true;
}
