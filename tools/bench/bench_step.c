// Workload `step`: what the host does for a step of a device that draws its tokens, over a device that takes no time.
//
//   launch  from the moment when a step's tokens are there until the next step is issued, or what is drawn from it is
//           told: with steps ahead a device has a whole step to do meanwhile, without them it waits
//   host    all of it, from one step's tokens to the moment when the next ones are waited for: what must be less than
//   the
//           device needs for a step
//
// The runner alone, without its threads: the kernels' launches, and whoever reads the answers, are not in it. Tokens
// are those of a real tokenizer, drawn by Zipf's law, as the words of a text are.
#include "engine/base/loop.h"
#include "engine/serve/runner.h"
#include "tools/bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_TOKENS 16
#define RING_EVENTS 16  // per sequence
#define FIRST_ID    512 // those before are control tokens and single bytes in most vocabularies
#define START_STEPS 16  // of which nothing is kept
#define STEPS_MAX   4096

// The device: its tokens are there when they are asked for.
struct stand {
    struct runner runner;
    struct event_ring ring;
    const struct tokenizer *tok;
    struct backend backend;
    struct sample_result *results; // [n_sequences]
    uint64_t random;
    uint64_t arrived_ns; // when the last tokens were there; 0: none were yet
    uint64_t aside_ns;   // since then, spent on what is not measured
    bool is_launched;    // something was issued since
    size_t n_over, n_steps;
    double launch_us[STEPS_MAX], host_us[STEPS_MAX];
    size_t n_launches, n_hosts;
};

// ---- the device ---------------------------------------------------------------------------------------------------

static void add_time(const struct stand *s, double *times, size_t *n)
{
    uint64_t ns = clock_monotonic_ns() - s->arrived_ns - s->aside_ns;
    if (s->n_steps > START_STEPS && *n < STEPS_MAX) {
        times[(*n)++] = (double)ns / 1e3;
    }
}

static void note_launch(struct stand *s)
{
    if (s->arrived_ns > 0 && !s->is_launched) {
        add_time(s, s->launch_us, &s->n_launches);
    }
    s->is_launched = true;
}

static struct logits issue(void *ctx, const struct step *step)
{
    (void)step;
    note_launch(ctx);
    return (struct logits){ 0 };
}

static void issue_draws(void *ctx, const struct sample_row *rows, size_t n_rows, unsigned turn)
{
    (void)rows;
    (void)n_rows;
    (void)turn;
    note_launch(ctx);
}

static struct sample_results wait_for_drawn(void *ctx, unsigned turn)
{
    struct stand *s = ctx;
    double n_ids = (double)tokenizer_n_vocab(s->tok) - FIRST_ID;
    (void)turn;
    if (s->arrived_ns > 0) {
        add_time(s, s->host_us, &s->n_hosts);
    }
    for (size_t i = 0; i < s->runner.n_slots; i++) {
        s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double u = (double)(s->random >> 33) / 0x1p31; // below 1
        s->results[i] = (struct sample_result){ .id = FIRST_ID - 1 + (int32_t)pow(n_ids, u) };
    }
    s->n_steps++;
    s->is_launched = false;
    s->aside_ns = 0;
    s->arrived_ns = clock_monotonic_ns();
    return (struct sample_results){ .rows = s->results };
}

static uint64_t now_ns(void *ctx)
{
    (void)ctx;
    return clock_monotonic_ns();
}

static void *heap_alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return calloc(1, bytes);
}

static void heap_free(struct backend *b, void *mem)
{
    (void)b;
    free(mem);
}

static void copy_nothing(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    (void)dst;
    (void)src;
    (void)bytes;
}

static size_t one_worker(const struct backend *b)
{
    (void)b;
    return 1;
}

static const struct backend_ops ops = {
    .name = "none", .alloc = heap_alloc, .free = heap_free, .copy = copy_nothing, .n_workers = one_worker
};

// ---- requests -----------------------------------------------------------------------------------------------------

static void publish(void *ctx)
{
    struct stand *s = ctx;
    event_ring_publish(&s->ring);
}

// Who reads does so on another processor.
static void read_events(struct stand *s)
{
    uint64_t began_ns = clock_monotonic_ns();
    const struct event_slot *slot;
    while ((slot = event_ring_take(&s->ring, event_ring_published(&s->ring))) != NULL) {
        if (slot->kind == EVENT_SLOT_FINISHED || slot->kind == EVENT_SLOT_FAILED) {
            completion_free(slot->choice->completion);
            s->n_over++;
        }
    }
    s->aside_ns += clock_monotonic_ns() - began_ns;
}

static int add_request(struct stand *s, const struct bench_options *o, uint32_t i, bool has_penalties)
{
    struct tokfs_completion *c = calloc(1, sizeof(*c));
    struct sampling_params params;
    sampling_params_default(&params);
    params.temperature = 0.7;
    params.top_p = 0.9;
    params.ignore_eos = true;
    params.max_tokens = o->max_tokens;
    params.frequency_penalty = has_penalties ? 0.1 : 0;
    if (!c || !(c->prompt = malloc(o->prompt_tokens * sizeof(*c->prompt)))) {
        free(c);
        return -ENOMEM;
    }
    c->n_prompt = o->prompt_tokens;
    for (uint32_t t = 0; t < o->prompt_tokens; t++) {
        c->prompt[t] = FIRST_ID + (int32_t)((i * 31 + t * 7) % 200);
    }
    if (completion_keep_sampling(c, &params, STR("")) < 0 || completion_make_choices(c, 1, s->runner.env.n_ctx) < 0) {
        completion_free(c);
        return -ENOMEM;
    }
    c->submitted_ns = c->accepted_ns = clock_monotonic_ns();
    c->deadline_ns = UINT64_MAX;
    runner_add(&s->runner, c);
    return 0;
}

// ---- a run --------------------------------------------------------------------------------------------------------

static int stand_open(struct stand *s, const struct bench_options *o, bool no_ahead, struct err *err)
{
    uint32_t n_ctx = o->prompt_tokens + o->max_tokens + PAGE_TOKENS;
    s->backend.ops = &ops;
    s->results = calloc(o->n_sequences + DRAFT_ROWS_MAX, sizeof(*s->results));
    if (!s->results || event_ring_init(&s->ring, RING_EVENTS * o->n_sequences) < 0) {
        return err_set(err, -ENOMEM, "out of memory for %u sequences", o->n_sequences);
    }
    const struct runner_options options = {
        .backend = &s->backend,
        .drive = { .step = issue,
                   .drawn = wait_for_drawn,
                   .draw = issue_draws,
                   .now_ns = now_ns,
                   .ctx = s,
                   .n_vocab = tokenizer_n_vocab(s->tok),
                   .page_bytes = 1 },
        .tok = s->tok,
        .ring = &s->ring,
        .n_slots = o->n_sequences,
        .n_ctx = n_ctx,
        .n_pages = o->n_sequences * (n_ctx / PAGE_TOKENS + 2),
        .page_tokens = PAGE_TOKENS,
        .batch_tokens = o->batch_tokens ? o->batch_tokens : o->n_sequences + 512,
        .no_speculation = true,
        .no_ahead = no_ahead,
    };
    return runner_init(&s->runner, &options, err);
}

static int run(struct stand *s, const struct bench_options *o, bool has_penalties, struct err *err)
{
    int rc = 0;
    uint32_t n_added = 0;
    while (rc == 0 && n_added < o->n_sequences) {
        rc = add_request(s, o, n_added, has_penalties);
        n_added += rc == 0;
    }
    while (s->n_over < n_added) {
        runner_step(&s->runner, publish, s);
        publish(s);
        read_events(s);
    }
    while (runner_step(&s->runner, publish, s)) { // one that was issued for those that have ended
    }
    return rc < 0 ? err_set(err, rc, "out of memory for %u requests", o->n_sequences) : 0;
}

static int measure(const struct bench_options *o, const struct tokenizer *tok, bool no_ahead, bool has_penalties,
                   struct bench_report *report, struct err *err)
{
    struct stand *s = calloc(1, sizeof(*s));
    char key[40];
    if (!s) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    s->tok = tok;
    s->random = o->seed;
    int rc = stand_open(s, o, no_ahead, err);
    if (rc == 0) {
        rc = run(s, o, has_penalties, err);
        runner_deinit(&s->runner);
    }
    if (rc == 0) {
        const char *name = no_ahead ? "waiting" : "ahead", *of = has_penalties ? "_penalties" : "";
        snprintf(key, sizeof(key), "%s_launch_us%s", name, of);
        bench_report_add(report, key, bench_quantile(s->launch_us, s->n_launches, 0.5), "us");
        snprintf(key, sizeof(key), "%s_launch_us_p99%s", name, of);
        bench_report_add(report, key, bench_quantile(s->launch_us, s->n_launches, 0.99), "us");
        snprintf(key, sizeof(key), "%s_host_us%s", name, of);
        bench_report_add(report, key, bench_quantile(s->host_us, s->n_hosts, 0.5), "us");
    }
    event_ring_deinit(&s->ring);
    free(s->results);
    free(s);
    return rc;
}

int bench_step(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct bench_model model;
    struct tokenizer *tok = NULL;
    char path[300];
    if (options->max_tokens < 2 * START_STEPS) {
        return err_set(err, -EINVAL, "--tokens %u: at least %u", options->max_tokens, 2 * START_STEPS);
    }
    if ((uint64_t)options->n_sequences * options->max_tokens > DEVICE_EDITS_MAX) {
        return err_set(err, -EINVAL, "--sequences times --tokens: at most %d, or the host draws", DEVICE_EDITS_MAX);
    }
    int rc = bench_model_prepare(options, &model, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(path, sizeof(path), "%s/tokenizer.json", model.dir);
    rc = tokenizer_open(path, &tok, err);
    if (rc == 0 && tokenizer_n_vocab(tok) <= 2 * FIRST_ID) {
        rc = err_set(err, -EINVAL, "%s: %zu tokens are too few", path, tokenizer_n_vocab(tok));
    }
    snprintf(report->model, sizeof(report->model), "%s", options->model ? options->model : options->shape);
    for (int i = 0; rc == 0 && i < 4; i++) {
        rc = measure(options, tok, i % 2 == 0, i / 2, report, err);
    }
    tokenizer_free(tok);
    bench_model_remove(&model);
    if (rc == 0) {
        bench_report_add(report, "sequences", options->n_sequences, "together");
    }
    return rc;
}
