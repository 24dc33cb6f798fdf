// A runner without threads, with a clock that stands still but for steps, and a model that proves what it is given.
//
// The model writes each token into its place in the pages, as K and V are, and what it says next depends on all that it
// then finds there through the sequence's page table: a page that is not this timeline's, or was written by another
// sequence, changes the answer. Half of the time it says what it said some tokens before, so that guesses are right now
// and then. The same calls in the same order give the same run: a failure can be repeated.
//
// One that draws is a device that runs behind the host: what it is given waits in a queue, and is done when its tokens
// are waited for, or at some moment before. Copies between the tiers wait in a queue of their own, and go at their own
// pace: only what was awaited is in order.
#ifndef TOKFS_TESTS_SERVE_RUNNER_TEST_H
#define TOKFS_TESTS_SERVE_RUNNER_TEST_H

#include "engine/serve/deadline.h"
#include "engine/serve/runner.h"
#include "tests/byte_tokenizer.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

#define RUNNER_TEST_VOCAB       256
#define RUNNER_TEST_PAGE_TOKENS 4
#define RUNNER_TEST_CTX_MAX     256
#define RUNNER_TEST_START_NS    1000000000 // the engine takes 0 for never
#define RUNNER_TEST_WORKS_MAX   64
#define RUNNER_TEST_STEPS_MAX   3 // that are issued and not done

struct runner_test_options {
    uint32_t n_slots, n_ctx, n_pages; // n_ctx 0: RUNNER_TEST_CTX_MAX
    uint32_t n_host_pages;            // of a host tier; 0: none
    size_t batch_tokens;
    uint32_t n_events; // of the ring; 0: plenty
    bool no_prefix_cache, no_speculation;
    bool draws;    // the model draws, and says so when it is asked: as a device that runs behind the host
    uint64_t seed; // of when such a device does what
};

// What a step drew, until it is asked for, and what is computed of the step.
#define RUNNER_TEST_ROWS_MAX (64 + DRAFT_ROWS_MAX)

// What was issued. The arrays of a step are copies.
struct runner_test_work {
    enum { RUNNER_TEST_STEP, RUNNER_TEST_DRAW, RUNNER_TEST_COPY } kind;
    struct step step; // of RUNNER_TEST_DRAW: its draws
    void *dst, *src;
    size_t bytes;
    uint64_t after; // how many of the other queue are done before it
};

// Of works, in order: those from n_done on wait.
struct runner_test_queue {
    struct runner_test_work works[RUNNER_TEST_WORKS_MAX]; // number n at n % RUNNER_TEST_WORKS_MAX
    uint64_t n_issued, n_done;
};

enum { RUNNER_TEST_OPERATIONS, RUNNER_TEST_COPIES, RUNNER_TEST_N_QUEUES };

struct runner_test {
    struct runner runner;
    struct event_ring ring;
    struct tokenizer *tok;
    struct backend backend;
    float *logits; // [n_slots + DRAFT_ROWS_MAX][RUNNER_TEST_VOCAB]
    uint64_t now_ns, step_ns;
    uint64_t n_computed; // rows of all steps
    struct sample_result drawn[2][RUNNER_TEST_ROWS_MAX], told[RUNNER_TEST_ROWS_MAX];
    int32_t last_drawn[RUNNER_TEST_ROWS_MAX]; // of the last draws, by the rows that they drew from
    size_t n_drawn[2];                        // 0: nothing that was not asked for
    uint64_t drawn_by[2];                     // the operation that draws; until it is done nothing is there
    struct step last;                         // for `logits`, and draws that come later
    // The device that is late.
    bool is_late;
    uint64_t rnd;
    struct runner_test_queue queues[RUNNER_TEST_N_QUEUES];
    uint64_t n_waits;   // how often its tokens were waited for
    uint64_t n_awaited; // copies that operations issued from now on find done
};

// What a choice said, and whether it is right.
struct runner_test_answer {
    const struct choice *choice;
    int32_t ids[RUNNER_TEST_CTX_MAX];
    uint32_t n_ids;
    bool is_started, is_over, is_failed;
    const char *reason; // NULL: failed
    uint64_t over_ns;
};

struct runner_test_request {
    const int32_t *prompt; // [n_prompt], copied
    uint32_t n_prompt;
    int64_t max_tokens; // -1: up to the context
    uint32_t n;         // choices; 0: 1
    int64_t priority;
    uint32_t tenant;
    const char *salt;                   // NULL: none
    double timeout_s;                   // 0: none
    bool is_typical;                    // the device cannot draw it
    bool is_penalized;                  // what is drawn depends on what was drawn before (and comes out the same)
    struct runner_test_answer *answers; // [n]
};

// ---- the model ----------------------------------------------------------------------------------------------------

static inline uint32_t runner_test_mix(uint32_t hash, int32_t token)
{
    hash = (hash ^ (uint32_t)token) * 16777619u;
    return hash ^ hash >> 15;
}

// What comes after tokens[0 .. n).
static inline int32_t runner_test_next(const int32_t *tokens, uint32_t n)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < n; i++) {
        hash = runner_test_mix(hash, tokens[i]);
    }
    return hash % 2 == 0 && n >= 6 ? tokens[n - 6] : (int32_t)(hash / 2 % RUNNER_TEST_VOCAB);
}

static inline int32_t *runner_test_place(const struct step *step, const struct batch_seq *seq, size_t pos)
{
    return (int32_t *)step->kv_pool + (size_t)seq->pages[pos / RUNNER_TEST_PAGE_TOKENS] * RUNNER_TEST_PAGE_TOKENS +
           pos % RUNNER_TEST_PAGE_TOKENS;
}

static inline int32_t runner_test_read_next(const struct step *step, uint32_t row)
{
    int32_t tokens[RUNNER_TEST_CTX_MAX];
    size_t s = 0;
    while (row >= step->map.seqs[s].row + step->map.seqs[s].n_rows) {
        s++;
    }
    const struct batch_seq *seq = &step->map.seqs[s];
    uint32_t n = (uint32_t)(seq->pos + row - seq->row + 1);
    for (uint32_t pos = 0; pos < n; pos++) {
        tokens[pos] = *runner_test_place(step, seq, pos);
    }
    return runner_test_next(tokens, n);
}

// ---- the device that is late --------------------------------------------------------------------------------------

static inline void *runner_test_dup(const void *src, size_t bytes)
{
    void *copy = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(copy);
    return bytes > 0 ? memcpy(copy, src, bytes) : copy;
}

static inline void runner_test_free_draws(struct step *step)
{
    for (size_t i = 0; i < step->n_logit_rows && step->draws; i++) {
        free((void *)step->draws[i].edits);
    }
    free((void *)step->draws);
    step->draws = NULL;
}

static inline const struct sample_row *runner_test_keep_draws(const struct sample_row *draws, size_t n_rows)
{
    struct sample_row *kept = draws ? runner_test_dup(draws, n_rows * sizeof(*draws)) : NULL;
    for (size_t i = 0; i < n_rows && kept; i++) {
        kept[i].edits = runner_test_dup(draws[i].edits, draws[i].n_edits * sizeof(*draws[i].edits));
    }
    return kept;
}

static inline void runner_test_free_step(struct step *step)
{
    runner_test_free_draws(step);
    for (size_t s = 0; s < step->map.n_seqs; s++) {
        free((void *)step->map.seqs[s].pages);
    }
    free((void *)step->map.seqs);
    free((void *)step->token_ids);
    free((void *)step->logit_rows);
    *step = (struct step){ 0 };
}

// With all that it points to, as a device has it.
static inline struct step runner_test_keep_step(const struct step *step)
{
    struct step kept = *step;
    struct batch_seq *seqs = runner_test_dup(step->map.seqs, step->map.n_seqs * sizeof(*seqs));
    for (size_t s = 0; s < step->map.n_seqs; s++) {
        size_t n = (seqs[s].pos + seqs[s].n_rows + RUNNER_TEST_PAGE_TOKENS - 1) / RUNNER_TEST_PAGE_TOKENS;
        seqs[s].pages = runner_test_dup(seqs[s].pages, n * sizeof(*seqs[s].pages));
    }
    kept.map.seqs = seqs;
    kept.token_ids = runner_test_dup(step->token_ids, step->map.n_rows * sizeof(*step->token_ids));
    kept.logit_rows = runner_test_dup(step->logit_rows, step->n_logit_rows * sizeof(*step->logit_rows));
    kept.draws = runner_test_keep_draws(step->draws, step->n_logit_rows);
    return kept;
}

// What the row is drawn by is right for the tokens that are there: its place, and what it says of them.
static inline void runner_test_check_draw(const struct step *step, uint32_t row, const struct sample_row *draw)
{
    size_t s = 0;
    while (row >= step->map.seqs[s].row + step->map.seqs[s].n_rows) {
        s++;
    }
    const struct batch_seq *seq = &step->map.seqs[s];
    size_t n = seq->pos + row - seq->row + 1;
    if (draw->pos == 0) {
        return; // nobody looks at it
    }
    assert_int_equal(draw->pos, n);
    bool has_last = draw->n_edits == 0; // none was sampled yet
    for (uint32_t i = 0; i < draw->n_edits; i++) {
        has_last |= draw->edits[i].id == *runner_test_place(step, seq, n - 1);
    }
    assert_true(draw->presence_penalty == 0 || has_last);
}

// Greedy: what a row says is drawn from it. Edits say nothing here but what they have to.
static inline void runner_test_do_draw(struct runner_test *t, const struct step *draws)
{
    assert_int_equal(draws->n_logit_rows, t->last.n_logit_rows);
    for (size_t i = 0; i < draws->n_logit_rows; i++) {
        runner_test_check_draw(&t->last, t->last.logit_rows[i], &draws->draws[i]);
        t->last_drawn[i] = runner_test_read_next(&t->last, t->last.logit_rows[i]);
        t->drawn[draws->turn][i] = (struct sample_result){ .id = t->last_drawn[i] };
    }
}

static inline void runner_test_do_step(struct runner_test *t, struct step *step)
{
    for (size_t s = 0; s < step->map.n_seqs; s++) {
        const struct batch_seq *seq = &step->map.seqs[s];
        for (size_t i = 0; i < seq->n_rows; i++) {
            int32_t id = step->token_ids[seq->row + i];
            *runner_test_place(step, seq, seq->pos + i) = id < 0 ? t->last_drawn[-1 - id] : id;
        }
    }
    runner_test_free_step(&t->last);
    t->last = *step;
    if (step->draws) {
        runner_test_do_draw(t, step);
    }
}

static inline void runner_test_do(struct runner_test *t, unsigned queue)
{
    struct runner_test_queue *q = &t->queues[queue];
    struct runner_test_work *work = &q->works[q->n_done % RUNNER_TEST_WORKS_MAX];
    assert_true(q->n_done < q->n_issued);
    while (t->queues[!queue].n_done < work->after) {
        runner_test_do(t, !queue);
    }
    if (work->kind == RUNNER_TEST_COPY) {
        memcpy(work->dst, work->src, work->bytes);
    } else if (work->kind == RUNNER_TEST_DRAW) {
        runner_test_do_draw(t, &work->step);
        runner_test_free_draws(&work->step);
    } else {
        runner_test_do_step(t, &work->step);
    }
    q->n_done++;
}

static inline void runner_test_do_all(struct runner_test *t)
{
    for (unsigned queue = 0; queue < RUNNER_TEST_N_QUEUES; queue++) {
        while (t->queues[queue].n_done < t->queues[queue].n_issued) {
            runner_test_do(t, queue);
        }
    }
}

static inline uint32_t runner_test_below(struct runner_test *t, uint32_t n)
{
    t->rnd = t->rnd * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((t->rnd >> 33) % n);
}

// It goes on, as far as it likes.
static inline void runner_test_go_on(struct runner_test *t)
{
    while (runner_test_below(t, 3) == 0) {
        unsigned queue = runner_test_below(t, RUNNER_TEST_N_QUEUES);
        if (t->queues[queue].n_done < t->queues[queue].n_issued) {
            runner_test_do(t, queue);
        }
    }
}

// Returns its number in the queue, from 1.
static inline uint64_t runner_test_issue(struct runner_test *t, unsigned queue, const struct runner_test_work *work)
{
    struct runner_test_queue *q = &t->queues[queue];
    if (q->n_issued - q->n_done == RUNNER_TEST_WORKS_MAX) {
        runner_test_do(t, queue);
    }
    q->works[q->n_issued++ % RUNNER_TEST_WORKS_MAX] = *work;
    if (t->is_late) {
        runner_test_go_on(t);
    } else {
        runner_test_do_all(t);
    }
    return q->n_issued;
}

static inline void runner_test_issue_operation(struct runner_test *t, struct runner_test_work work)
{
    work.after = t->n_awaited;
    runner_test_issue(t, RUNNER_TEST_OPERATIONS, &work);
}

// What waits is never done.
static inline void runner_test_forget(struct runner_test *t)
{
    for (unsigned queue = 0; queue < RUNNER_TEST_N_QUEUES; queue++) {
        struct runner_test_queue *q = &t->queues[queue];
        for (; q->n_done < q->n_issued; q->n_done++) {
            struct runner_test_work *work = &q->works[q->n_done % RUNNER_TEST_WORKS_MAX];
            if (work->kind == RUNNER_TEST_STEP) {
                runner_test_free_step(&work->step);
            } else if (work->kind == RUNNER_TEST_DRAW) {
                runner_test_free_draws(&work->step);
            }
        }
    }
    memset(t->n_drawn, 0, sizeof(t->n_drawn));
}

static inline struct logits runner_test_logits(void *ctx, const uint32_t *rows, size_t n_rows)
{
    struct runner_test *t = ctx;
    runner_test_do_all(t);
    for (size_t i = 0; i < n_rows; i++) {
        float *logits = t->logits + i * RUNNER_TEST_VOCAB;
        memset(logits, 0, RUNNER_TEST_VOCAB * sizeof(*logits));
        logits[runner_test_read_next(&t->last, rows[i])] = 1;
    }
    return (struct logits){ .rows = t->logits };
}

// The operation that draws was issued.
static inline void runner_test_note_draws(struct runner_test *t, unsigned turn, size_t n_rows)
{
    t->n_drawn[turn] = n_rows;
    t->drawn_by[turn] = t->queues[RUNNER_TEST_OPERATIONS].n_issued;
}

static inline void runner_test_draw(void *ctx, const struct sample_row *rows, size_t n_rows, unsigned turn)
{
    struct runner_test *t = ctx;
    assert_int_equal(t->n_drawn[turn], 0);
    runner_test_issue_operation(
        t, (struct runner_test_work){
               RUNNER_TEST_DRAW,
               .step = { .draws = runner_test_keep_draws(rows, n_rows), .n_logit_rows = n_rows, .turn = turn } });
    runner_test_note_draws(t, turn, n_rows);
}

static inline struct sample_results runner_test_drawn(void *ctx, unsigned turn)
{
    struct runner_test *t = ctx;
    assert_true(t->n_drawn[turn] > 0);
    t->n_waits++;
    while (t->queues[RUNNER_TEST_OPERATIONS].n_done < t->drawn_by[turn]) {
        runner_test_do(t, RUNNER_TEST_OPERATIONS);
    }
    memcpy(t->told, t->drawn[turn], sizeof(t->told));
    t->n_drawn[turn] = 0;
    return (struct sample_results){ .rows = t->told };
}

static inline struct logits runner_test_compute(void *ctx, const struct step *step)
{
    struct runner_test *t = ctx;
    bool is_drawn = step->draws && step->n_logit_rows > 0;
    assert_true(!is_drawn || t->n_drawn[step->turn] == 0); // or it would be lost
    runner_test_issue_operation(t, (struct runner_test_work){ RUNNER_TEST_STEP, .step = runner_test_keep_step(step) });
    if (is_drawn) {
        runner_test_note_draws(t, step->turn, step->n_logit_rows);
    } else if (step->n_logit_rows > 0 && !step->is_drawn_later) {
        runner_test_logits(t, step->logit_rows, step->n_logit_rows);
    }
    for (struct runner_test_queue *q = &t->queues[RUNNER_TEST_OPERATIONS];
         q->n_issued - q->n_done > RUNNER_TEST_STEPS_MAX;) {
        runner_test_do(t, RUNNER_TEST_OPERATIONS);
    }
    t->now_ns += t->step_ns;
    t->n_computed += step->map.n_rows;
    return (struct logits){ .rows = t->logits };
}

static inline uint64_t runner_test_now(void *ctx)
{
    return ((const struct runner_test *)ctx)->now_ns;
}

// ---- the pages' memory, and three workers that are one ------------------------------------------------------------

static inline void *runner_test_alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return calloc(1, bytes);
}

static inline struct runner_test *runner_test_of(struct backend *b)
{
    return (struct runner_test *)((char *)b - offsetof(struct runner_test, backend));
}

static inline void runner_test_free(struct backend *b, void *mem)
{
    runner_test_do_all(runner_test_of(b));
    free(mem);
}

static inline void runner_test_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    runner_test_issue_operation(
        runner_test_of(b),
        (struct runner_test_work){ RUNNER_TEST_COPY, .dst = dst, .src = (void *)(uintptr_t)src, .bytes = bytes });
}

// Between the tiers, beside the operations: after those that were issued before.
static inline uint64_t runner_test_move(struct backend *b, void *dst, const void *src, size_t bytes)
{
    struct runner_test *t = runner_test_of(b);
    const struct runner_test_work work = { RUNNER_TEST_COPY, .dst = dst, .src = (void *)(uintptr_t)src, .bytes = bytes,
                                           .after = t->queues[RUNNER_TEST_OPERATIONS].n_issued };
    return runner_test_issue(t, RUNNER_TEST_COPIES, &work);
}

static inline void runner_test_await(struct backend *b, uint64_t copy)
{
    struct runner_test *t = runner_test_of(b);
    assert_true(copy > 0 && copy <= t->queues[RUNNER_TEST_COPIES].n_issued);
    t->n_awaited = copy > t->n_awaited ? copy : t->n_awaited;
}

static inline size_t runner_test_n_workers(const struct backend *b)
{
    (void)b;
    return 3;
}

// From the last item to the first: nothing may depend on their order, or on who does which.
static inline void runner_test_spread(struct backend *b, size_t n_items, host_fn *fn, void *ctx)
{
    (void)b;
    for (size_t i = n_items; i > 0; i--) {
        fn(ctx, i - 1, i, i % 3);
    }
}

static const struct backend_ops runner_test_ops = {
    .name = "test",
    .alloc = runner_test_alloc,
    .free = runner_test_free,
    .copy = runner_test_copy,
    .host_alloc = runner_test_alloc,
    .host_free = runner_test_free,
    .copy_in = runner_test_move,
    .copy_out = runner_test_move,
    .await_copy = runner_test_await,
    .n_workers = runner_test_n_workers,
    .spread = runner_test_spread,
};

// ---- open and close -----------------------------------------------------------------------------------------------

static inline void runner_test_open(struct runner_test *t, const struct runner_test_options *options)
{
    static const char *const no_specials[] = { NULL };
    struct err err;
    *t = (struct runner_test){ .now_ns = RUNNER_TEST_START_NS, .step_ns = 1000000 };
    t->backend.ops = &runner_test_ops;
    t->is_late = options->draws;
    t->rnd = options->seed;
    t->tok = byte_tokenizer_new_with(no_specials);
    t->logits = calloc((size_t)(options->n_slots + DRAFT_ROWS_MAX) * RUNNER_TEST_VOCAB, sizeof(*t->logits));
    assert_non_null(t->logits);
    assert_int_equal(event_ring_init(&t->ring, options->n_events ? options->n_events : 1024), 0);
    const struct runner_options runner_options = {
        .backend = &t->backend,
        .drive = { .step = runner_test_compute,
                   .logits = runner_test_logits,
                   .drawn = options->draws ? runner_test_drawn : NULL,
                   .draw = options->draws ? runner_test_draw : NULL,
                   .now_ns = runner_test_now,
                   .ctx = t,
                   .n_vocab = RUNNER_TEST_VOCAB,
                   .page_bytes = RUNNER_TEST_PAGE_TOKENS * sizeof(int32_t) },
        .tok = t->tok,
        .ring = &t->ring,
        .n_slots = options->n_slots,
        .n_ctx = options->n_ctx ? options->n_ctx : RUNNER_TEST_CTX_MAX,
        .n_pages = options->n_pages,
        .n_host_pages = options->n_host_pages,
        .page_tokens = RUNNER_TEST_PAGE_TOKENS,
        .batch_tokens = options->batch_tokens,
        .no_prefix_cache = options->no_prefix_cache,
        .no_speculation = options->no_speculation,
    };
    if (runner_init(&t->runner, &runner_options, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static inline void runner_test_close(struct runner_test *t)
{
    assert_int_equal(t->runner.pool.n_free + t->runner.pool.n_cached, t->runner.pool.n_pages);
    assert_int_equal(t->runner.host_pool.n_free + t->runner.host_pool.n_cached, t->runner.host_pool.n_pages);
    runner_deinit(&t->runner);
    runner_test_free_step(&t->last);
    event_ring_deinit(&t->ring);
    tokenizer_free(t->tok);
    free(t->logits);
}

// ---- requests -----------------------------------------------------------------------------------------------------

static inline struct tokfs_completion *runner_test_add(struct runner_test *t, const struct runner_test_request *request)
{
    struct tokfs_completion *c = calloc(1, sizeof(*c));
    struct sampling_params params;
    uint32_t n = request->n > 0 ? request->n : 1;
    sampling_params_default(&params);
    params.temperature = 0;
    params.ignore_eos = true;
    params.max_tokens = request->max_tokens;
    params.typical_p = request->is_typical ? 0.5 : params.typical_p;
    params.presence_penalty = request->is_penalized ? 1e-6 : 0;
    assert_non_null(c);
    c->prompt = malloc(request->n_prompt * sizeof(*c->prompt));
    assert_non_null(c->prompt);
    memcpy(c->prompt, request->prompt, request->n_prompt * sizeof(*c->prompt));
    c->n_prompt = request->n_prompt;
    assert_int_equal(completion_keep_sampling(c, &params, str_from(request->salt)), 0);
    assert_int_equal(completion_make_choices(c, n, t->runner.env.n_ctx), 0);
    c->user = request->answers;
    c->priority = request->priority;
    c->submitted_ns = c->accepted_ns = t->now_ns;
    c->deadline_ns = deadline_from(t->now_ns, request->timeout_s, 0);
    atomic_store(&c->tenant, request->tenant);
    for (uint32_t i = 0; i < n; i++) {
        request->answers[i] = (struct runner_test_answer){ .choice = &c->choices[i] };
    }
    runner_add(&t->runner, c);
    return c;
}

static inline void runner_test_cancel(struct runner_test *t, struct tokfs_completion *c)
{
    atomic_store(&c->cancel, true);
    runner_cancel_flagged(&t->runner);
}

// Of the right length, and as the model has it.
static inline void runner_test_expect(const struct runner_test_answer *a)
{
    int32_t tokens[RUNNER_TEST_CTX_MAX + 1];
    uint32_t n = a->choice->n_prompt, n_most = a->choice->n_tokens_max - n;
    memcpy(tokens, a->choice->prompt, n * sizeof(*tokens));
    assert_true(a->n_ids <= n_most);
    assert_true(!a->reason || strcmp(a->reason, "length") != 0 || a->n_ids == n_most);
    for (uint32_t i = 0; i < a->n_ids; i++, n++) {
        tokens[n] = runner_test_next(tokens, n);
        assert_int_equal(a->ids[i], tokens[n]);
    }
}

// True: that was the last of its completion's events, and the completion is freed.
static inline bool runner_test_end(struct runner_test *t, struct choice *choice, struct runner_test_answer *a)
{
    struct tokfs_completion *c = choice->completion;
    assert_false(a->is_over);
    a->is_over = true;
    a->reason = choice->finish_reason;
    a->is_failed = !a->reason;
    a->over_ns = t->now_ns;
    runner_test_expect(a);
    if (--c->n_untold > 0) {
        return false;
    }
    completion_free(c);
    return true;
}

// Takes up to n_events of what the runner said. Returns how many completions are over by it.
static inline uint32_t runner_test_take(struct runner_test *t, uint32_t n_events)
{
    const struct event_slot *slot;
    uint32_t n_over = 0;
    event_ring_publish(&t->ring);
    while (n_events-- > 0 && (slot = event_ring_take(&t->ring, event_ring_published(&t->ring))) != NULL) {
        struct runner_test_answer *a =
            (struct runner_test_answer *)slot->choice->completion->user + slot->choice->index;
        switch ((enum event_slot_kind)slot->kind) {
        case EVENT_SLOT_STARTED:
            assert_false(a->is_started || a->is_over);
            a->is_started = true;
            break;
        case EVENT_SLOT_TOKEN:
            assert_true(a->is_started && !a->is_over);
            if (slot->token_id >= 0) {
                a->ids[a->n_ids++] = slot->token_id;
            }
            break;
        case EVENT_SLOT_FINISHED:
        case EVENT_SLOT_FAILED: n_over += runner_test_end(t, slot->choice, a); break;
        default: fail_msg("event %d", slot->kind);
        }
    }
    return n_over;
}

static inline void runner_test_publish(void *ctx)
{
    (void)ctx; // the test takes events when it likes
}

// One step, and all it said. False: there was nothing to do.
static inline bool runner_test_step(struct runner_test *t)
{
    bool has_run = runner_step(&t->runner, runner_test_publish, t);
    runner_test_take(t, UINT32_MAX);
    return has_run;
}

static inline void runner_test_finish(struct runner_test *t)
{
    while (runner_test_step(t) || !runner_is_idle(&t->runner)) {
    }
}

#endif
