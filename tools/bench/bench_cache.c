// Workload `cache`: what the prefix cache costs. The tree alone, full of timelines that share nothing; then whole
// engines, one with the cache and one without, on prompts where it can never help.
//
// Timelines follow from their number, so that none has to be kept: a prompt that is looked up has just been tokenized,
// hence is in the processor's caches, and the tree's copy of it is not.
#include "engine/base/loop.h"
#include "engine/cache/radix.h"
#include "tools/bench/bench.h"
#include "tools/bench/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_TOKENS 16
#define N_MATCHES   2000
#define ROUNDS_MAX  64
#define CTX_SPARE   64

// ---- the tree -----------------------------------------------------------------------------------------------------

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

static const struct backend_ops heap_ops = { .name = "none", .alloc = heap_alloc, .free = heap_free };

struct tree {
    struct backend backend;
    struct page_pool pool;
    struct radix radix;
    uint32_t root;
    uint32_t n_tokens, n_pages; // of a timeline
    uint32_t n_timelines;
    int32_t *tokens; // [n_tokens]
    uint32_t *pages; // [n_pages]
    uint64_t random;
};

static void make_timeline(struct tree *t, uint32_t idx)
{
    uint64_t state = (uint64_t)(idx + 1) * 0x9e3779b97f4a7c15u;

    for (uint32_t i = 0; i < t->n_tokens; i++) {
        t->tokens[i] = (int32_t)(bench_random(&state) >> 34);
    }
}

static int tree_open(struct tree *t, const struct bench_options *options, struct err *err)
{
    *t = (struct tree){ .backend.ops = &heap_ops,
                        .n_tokens = options->n_ctx,
                        .n_pages = (options->n_ctx + PAGE_TOKENS - 1) / PAGE_TOKENS,
                        .n_timelines = options->n_sequences,
                        .random = 0x9e3779b97f4a7c15u };
    t->tokens = calloc(t->n_tokens, sizeof(*t->tokens));
    t->pages = calloc(t->n_pages, sizeof(*t->pages));
    if (!t->tokens || !t->pages || (uint64_t)t->n_pages * t->n_timelines > UINT32_MAX) {
        return err_set(err, -ENOMEM, "no memory for %u timelines of %u tokens", t->n_timelines, t->n_tokens);
    }
    int rc = page_pool_init(&t->pool, &t->backend, 1, t->n_pages * t->n_timelines, err);
    rc = rc == 0 ? radix_init(&t->radix, &t->pool, NULL, PAGE_TOKENS, err) : rc;
    t->root = rc == 0 ? radix_root_get(&t->radix, STR("")) : 0;
    return rc;
}

static void tree_close(struct tree *t)
{
    if (t->root != 0) {
        radix_root_put(&t->radix, t->root);
    }
    radix_deinit(&t->radix);
    page_pool_deinit(&t->pool);
    free(t->tokens);
    free(t->pages);
}

// The time that taking the pages took, and inserting.
static void insert(struct tree *t, uint32_t idx, uint64_t *ret_take_ns, uint64_t *ret_insert_ns)
{
    uint32_t cursor = t->root;

    make_timeline(t, idx);
    uint64_t begin_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < t->n_pages; i++) {
        radix_take_page(&t->radix, &t->pages[i]); // as many as the tree can hold
    }
    uint64_t taken_ns = clock_monotonic_ns();
    radix_insert(&t->radix, &cursor, t->tokens, t->n_tokens, t->pages);
    *ret_insert_ns = clock_monotonic_ns() - taken_ns;
    *ret_take_ns = taken_ns - begin_ns;
    for (uint32_t i = 0; i < t->n_pages; i++) {
        page_pool_give(&t->pool, t->pages[i]);
    }
}

static int match(struct tree *t, uint64_t *ret_ns, struct err *err)
{
    uint32_t idx = (uint32_t)(bench_random(&t->random) % t->n_timelines);

    make_timeline(t, idx);
    uint64_t begin_ns = clock_monotonic_ns();
    uint32_t n = radix_match(&t->radix, t->root, t->tokens, t->n_tokens, t->pages);
    *ret_ns = clock_monotonic_ns() - begin_ns;
    return n == t->n_tokens ? 0 : err_set(err, -EIO, "timeline %u: %u of %u tokens are cached", idx, n, t->n_tokens);
}

static int measure_tree(struct tree *t, struct bench_report *report, struct err *err)
{
    double insert_ns[N_MATCHES], match_ns[N_MATCHES], take_ns[N_MATCHES];
    double per_1000 = 1000.0 / t->n_tokens;
    uint64_t take, inserted, matched;
    uint32_t n = t->n_timelines < N_MATCHES ? t->n_timelines : N_MATCHES;

    for (uint32_t i = 0; i < t->n_timelines; i++) {
        insert(t, i, &take, &inserted);
        insert_ns[i % n] = (double)inserted * per_1000;
    }
    for (uint32_t i = 0; i < n; i++) {
        int rc = match(t, &matched, err);
        if (rc < 0) {
            return rc;
        }
        match_ns[i] = (double)matched * per_1000;
    }
    for (uint32_t i = 0; i < n; i++) { // each evicts what was not used for the longest time
        insert(t, t->n_timelines + i, &take, &inserted);
        take_ns[i] = (double)take / t->n_pages;
    }
    bench_report_add(report, "match_ns_per_1000_tokens", bench_quantile(match_ns, n, 0.5), "ns, median");
    bench_report_add(report, "match_ns_per_1000_tokens_p99", bench_quantile(match_ns, n, 0.99), "ns");
    bench_report_add(report, "insert_ns_per_1000_tokens", bench_quantile(insert_ns, n, 0.5), "ns, hashing included");
    bench_report_add(report, "evict_ns_per_page", bench_quantile(take_ns, n, 0.5), "ns");
    bench_report_add(report, "cached_sequences", t->n_timelines, "");
    bench_report_add(report, "cached_sequence_tokens", t->n_tokens, "each");
    return 0;
}

// ---- engines ------------------------------------------------------------------------------------------------------

enum { OFF, ON, N_ENGINES };

struct load {
    const struct bench_options *options;
    struct bench_model model;
    struct tokfs_engine *engines[N_ENGINES];
    struct tokfs_engine_info info;
    struct bench_request *requests; // [n_clients]
    int32_t *ids;                   // [prompt_tokens]
    uint64_t random;
    double step_ns[N_ENGINES][ROUNDS_MAX], outside_share[N_ENGINES][ROUNDS_MAX], ratio[ROUNDS_MAX];
};

static int load_open(struct load *l, const struct bench_options *options, struct err *err)
{
    *l = (struct load){ .options = options, .random = 0x9e3779b97f4a7c15u };
    l->requests = calloc(options->n_clients, sizeof(*l->requests));
    l->ids = calloc(options->prompt_tokens, sizeof(*l->ids));
    int rc = l->requests && l->ids ? bench_model_prepare(options, &l->model, err)
                                   : err_set(err, -ENOMEM, "out of memory for %u requests", options->n_clients);
    for (unsigned i = 0; rc == 0 && i < options->n_clients; i++) {
        rc = bench_request_init(&l->requests[i], options->max_tokens, err);
    }
    for (int e = 0; rc == 0 && e < N_ENGINES; e++) {
        struct tokfs_engine_options engine_options = {
            .model = l->model.dir,
            .served_name = options->model ? NULL : options->shape,
            .isa = options->isa,
            .weights = options->weights,
            .kv_dtype = options->kv_dtype,
            .n_threads = options->n_threads,
            .n_ctx = options->prompt_tokens + options->max_tokens + CTX_SPARE,
            .max_sequences = options->n_clients,
            .batch_tokens = options->batch_tokens,
            .no_prefix_cache = e == OFF,
        };
        rc = bench_engine_open(&engine_options, &l->engines[e], err);
    }
    if (rc == 0) {
        tokfs_engine_get_info(l->engines[ON], &l->info);
    }
    return rc;
}

static void load_close(struct load *l)
{
    for (unsigned i = 0; l->requests && i < l->options->n_clients; i++) {
        bench_request_deinit(&l->requests[i]);
    }
    free(l->requests);
    free(l->ids);
    tokfs_engine_close(l->engines[OFF]);
    tokfs_engine_close(l->engines[ON]);
    bench_model_remove(&l->model);
}

// All requests at once, until all have ended.
static int run_once(struct load *l, int which, size_t round, struct err *err)
{
    struct tokfs_engine_stats before, after;
    int rc = 0;

    tokfs_engine_get_stats(l->engines[which], &before);
    for (unsigned i = 0; rc == 0 && i < l->options->n_clients; i++) {
        bench_random_prompt(&l->random, l->info.n_vocab, l->ids, l->options->prompt_tokens);
        rc = bench_request_submit(&l->requests[i], l->engines[which], l->ids, l->options->prompt_tokens, err);
    }
    rc = rc == 0 ? bench_wait(l->engines[which], l->requests, l->options->n_clients, err) : rc;
    tokfs_engine_get_stats(l->engines[which], &after);
    double step_ns = (double)(after.step_ns - before.step_ns), model_ns = (double)(after.model_ns - before.model_ns);
    l->step_ns[which][round] = step_ns;
    l->outside_share[which][round] = step_ns > 0 ? 1 - model_ns / step_ns : 0;
    return rc;
}

static int measure_load(struct load *l, struct bench_report *report, struct err *err)
{
    size_t n = l->options->n_rounds;
    int rc = run_once(l, OFF, 0, err); // to warm up; these figures are overwritten

    rc = rc == 0 ? run_once(l, ON, 0, err) : rc;
    for (size_t round = 0; rc == 0 && round < n; round++) {
        int first = round % 2 ? ON : OFF;
        rc = run_once(l, first, round, err);
        rc = rc == 0 ? run_once(l, !first, round, err) : rc;
        l->ratio[round] = rc == 0 ? l->step_ns[ON][round] / l->step_ns[OFF][round] - 1 : 0;
    }
    if (rc == 0) {
        double on = bench_quantile(l->outside_share[ON], n, 0.5), off = bench_quantile(l->outside_share[OFF], n, 0.5);

        bench_report_add(report, "unshared_cost", bench_quantile(l->ratio, n, 0.5), "of the steps' time, median");
        bench_report_add(report, "unshared_cost_p25", bench_quantile(l->ratio, n, 0.25), "");
        bench_report_add(report, "unshared_cost_p75", bench_quantile(l->ratio, n, 0.75), "");
        bench_report_add(report, "outside_share_on", on, "of the steps' time outside the model, with the cache");
        bench_report_add(report, "outside_share_off", off, "without");
    }
    return rc;
}

int bench_cache(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct tree tree;
    struct load load = { 0 };
    int rc = tree_open(&tree, options, err);

    rc = rc == 0 ? measure_tree(&tree, report, err) : rc;
    tree_close(&tree);
    if (rc < 0) {
        return rc;
    }
    rc = load_open(&load, options, err);
    rc = rc == 0 ? measure_load(&load, report, err) : rc;
    if (rc == 0) {
        snprintf(report->model, sizeof(report->model), "%s", load.info.model);
        snprintf(report->backend, sizeof(report->backend), "%s", load.info.backend);
        bench_report_add(report, "requests", options->n_clients, "together");
    }
    load_close(&load);
    return rc;
}
