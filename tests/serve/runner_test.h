// A runner without threads, with a clock that stands still but for steps, and a model that proves what it is given.
//
// The model writes each token into its place in the pages, as K and V are, and what it says next depends on all that it
// then finds there through the sequence's page table: a page that is not this timeline's, or was written by another
// sequence, changes the answer. Half of the time it says what it said some tokens before, so that guesses are right now
// and then. The same calls in the same order give the same run: a failure can be repeated.
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

struct runner_test_options {
    uint32_t n_slots, n_ctx, n_pages; // n_ctx 0: RUNNER_TEST_CTX_MAX
    uint32_t n_host_pages;            // of a host tier; 0: none
    size_t batch_tokens;
    uint32_t n_events; // of the ring; 0: plenty
    bool no_prefix_cache, no_speculation;
    bool draws; // the model draws, and says so when it is asked: as a device that runs behind the host
};

// What a step drew, until it is asked for, and what is computed of the step.
#define RUNNER_TEST_ROWS_MAX (64 + DRAFT_ROWS_MAX)

struct runner_test {
    struct runner runner;
    struct event_ring ring;
    struct tokenizer *tok;
    struct backend backend;
    float *logits; // [n_slots + DRAFT_ROWS_MAX][RUNNER_TEST_VOCAB]
    uint64_t now_ns, step_ns;
    uint64_t n_computed; // rows of all steps
    struct sample_result drawn[2][RUNNER_TEST_ROWS_MAX], told[RUNNER_TEST_ROWS_MAX];
    int32_t last_drawn[RUNNER_TEST_ROWS_MAX]; // of the last step, by the rows that it drew from
    size_t n_drawn[2];                        // 0: nothing that was not asked for
    struct step last;                         // for `logits`
    struct batch_seq last_seqs[64];
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

static inline struct logits runner_test_logits(void *ctx, const uint32_t *rows, size_t n_rows)
{
    struct runner_test *t = ctx;
    for (size_t i = 0; i < n_rows; i++) {
        float *logits = t->logits + i * RUNNER_TEST_VOCAB;
        memset(logits, 0, RUNNER_TEST_VOCAB * sizeof(*logits));
        logits[runner_test_read_next(&t->last, rows[i])] = 1;
    }
    return (struct logits){ .rows = t->logits };
}

// Greedy: what a row says is drawn from it.
static inline void runner_test_draw(struct runner_test *t, const struct step *step)
{
    assert_int_equal(t->n_drawn[step->turn], 0); // or it would be lost
    for (size_t i = 0; i < step->n_logit_rows; i++) {
        t->last_drawn[i] = runner_test_read_next(step, step->logit_rows[i]);
        t->drawn[step->turn][i] = (struct sample_result){ .id = t->last_drawn[i] };
    }
    t->n_drawn[step->turn] = step->n_logit_rows;
}

static inline struct sample_results runner_test_drawn(void *ctx, unsigned turn)
{
    struct runner_test *t = ctx;
    assert_true(t->n_drawn[turn] > 0);
    memcpy(t->told, t->drawn[turn], sizeof(t->told));
    t->n_drawn[turn] = 0;
    return (struct sample_results){ .rows = t->told };
}

static inline struct logits runner_test_compute(void *ctx, const struct step *step)
{
    struct runner_test *t = ctx;
    for (size_t s = 0; s < step->map.n_seqs; s++) {
        const struct batch_seq *seq = &step->map.seqs[s];
        for (size_t i = 0; i < seq->n_rows; i++) {
            int32_t id = step->token_ids[seq->row + i];
            *runner_test_place(step, seq, seq->pos + i) = id < 0 ? t->last_drawn[-1 - id] : id;
        }
        t->last_seqs[s] = *seq;
    }
    t->last = *step;
    t->last.map.seqs = t->last_seqs;
    if (step->draws) {
        runner_test_draw(t, step);
    } else {
        runner_test_logits(t, step->logit_rows, step->n_logit_rows);
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

static inline void runner_test_free(struct backend *b, void *mem)
{
    (void)b;
    free(mem);
}

static inline void runner_test_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    memcpy(dst, src, bytes);
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
    .copy_in = runner_test_copy,
    .copy_out = runner_test_copy,
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
    t->tok = byte_tokenizer_new_with(no_specials);
    t->logits = calloc((size_t)(options->n_slots + DRAFT_ROWS_MAX) * RUNNER_TEST_VOCAB, sizeof(*t->logits));
    assert_non_null(t->logits);
    assert_int_equal(event_ring_init(&t->ring, options->n_events ? options->n_events : 1024), 0);
    const struct runner_options runner_options = {
        .backend = &t->backend,
        .drive = { .step = runner_test_compute,
                   .logits = runner_test_logits,
                   .drawn = options->draws ? runner_test_drawn : NULL,
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
