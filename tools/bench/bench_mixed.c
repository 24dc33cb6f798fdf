// Workload `mixed`: what running answers feel of long prompts.
//
// Answers run alone for a quarter of their tokens: the quiet part. Then long prompts come, each as soon as the one
// before has its first token, until an answer has ended. A time between two tokens of an answer counts as loaded when a
// prompt was in the engine for all of it.
#include "tools/bench/bench.h"
#include "tools/bench/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SHORT_PROMPT     16
#define CTX_TOKENS_SPARE 64

struct mixed {
    const struct bench_options *options;
    struct bench_model model;
    struct tokfs_engine *engine;
    struct tokfs_engine_info info;
    struct bench_request *answers; // [n_sequences]
    struct bench_request prompt;   // the long one of the moment
    int32_t *ids;                  // [prompt_tokens] or a short prompt
    uint64_t random;
    uint64_t loaded_ns, ended_ns; // the first long prompt came, the last one went
    double *loaded, *quiet;       // ms
    size_t n_loaded, n_quiet;
    double prompt_tokens, prefill_ns; // of the long prompts that came to their first token
};

static int mixed_open(struct mixed *m, const struct bench_options *options, struct err *err)
{
    size_t n = options->n_sequences, n_times = n * options->max_tokens;
    size_t n_long = options->prompt_tokens > SHORT_PROMPT ? options->prompt_tokens : SHORT_PROMPT;
    size_t n_answer = SHORT_PROMPT + options->max_tokens;

    *m = (struct mixed){ .options = options, .random = 0x9e3779b97f4a7c15u };
    m->answers = calloc(n, sizeof(m->answers[0]));
    m->ids = calloc(n_long, sizeof(m->ids[0]));
    m->loaded = calloc(n_times, sizeof(double));
    m->quiet = calloc(n_times, sizeof(double));
    if (!m->answers || !m->ids || !m->loaded || !m->quiet) {
        return err_set(err, -ENOMEM, "out of memory for %zu tokens", n_times);
    }
    int rc = bench_request_init(&m->prompt, 1, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = bench_request_init(&m->answers[i], options->max_tokens, err);
    }
    rc = rc == 0 ? bench_model_prepare(options, &m->model, err) : rc;
    if (rc < 0) {
        return rc;
    }
    struct tokfs_engine_options engine_options = {
        .model = m->model.dir,
        .served_name = options->model ? NULL : options->shape,
        .isa = options->isa,
        .weights = options->weights,
        .kv_dtype = options->kv_dtype,
        .n_threads = options->n_threads,
        .n_ctx = (n_long > n_answer ? n_long : n_answer) + CTX_TOKENS_SPARE,
        .max_sequences = (unsigned)n + 1,
        .batch_tokens = options->batch_tokens,
    };
    rc = bench_engine_open(&engine_options, &m->engine, err);
    if (rc == 0) {
        tokfs_engine_get_info(m->engine, &m->info);
    }
    return rc;
}

static void mixed_close(struct mixed *m)
{
    for (size_t i = 0; m->answers && i < m->options->n_sequences; i++) {
        bench_request_deinit(&m->answers[i]);
    }
    bench_request_deinit(&m->prompt);
    tokfs_engine_close(m->engine);
    free(m->answers);
    free(m->ids);
    free(m->loaded);
    free(m->quiet);
    bench_model_remove(&m->model);
}

static int submit(struct mixed *m, struct bench_request *request, size_t n_prompt, struct err *err)
{
    bench_random_prompt(&m->random, m->info.n_vocab, m->ids, n_prompt);
    return bench_request_submit(request, m->engine, m->ids, n_prompt, err);
}

// The answers have n tokens each; or one has ended.
static bool have_tokens(const struct mixed *m, size_t n)
{
    size_t n_there = 0;

    for (size_t i = 0; i < m->options->n_sequences; i++) {
        if (m->answers[i].is_finished) {
            return true;
        }
        n_there += m->answers[i].n_sampled >= n;
    }
    return n_there == m->options->n_sequences;
}

static int wait_for_tokens(struct mixed *m, size_t n, struct err *err)
{
    int rc = 0;

    while (rc == 0 && !have_tokens(m, n)) {
        rc = bench_poll(m->engine, err);
    }
    return rc;
}

static int run_prompts(struct mixed *m, struct err *err)
{
    int rc = 0;

    while (rc == 0 && !have_tokens(m, SIZE_MAX)) {
        rc = submit(m, &m->prompt, m->options->prompt_tokens, err);
        rc = rc == 0 ? bench_wait(m->engine, &m->prompt, 1, err) : rc;
        if (rc == 0) {
            uint64_t sampled_ns = m->prompt.sampled_ns[0];

            m->loaded_ns = m->loaded_ns ? m->loaded_ns : sampled_ns - m->prompt.usage.ttft_ns;
            m->ended_ns = sampled_ns;
            m->prompt_tokens += m->options->prompt_tokens;
            m->prefill_ns += (double)m->prompt.usage.ttft_ns;
        }
    }
    return rc;
}

static int run(struct mixed *m, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->options->n_sequences; i++) {
        rc = submit(m, &m->answers[i], SHORT_PROMPT, err);
    }
    rc = rc == 0 ? wait_for_tokens(m, m->options->max_tokens / 4, err) : rc;
    rc = rc == 0 ? run_prompts(m, err) : rc;
    return rc == 0 ? bench_wait(m->engine, m->answers, m->options->n_sequences, err) : rc;
}

static uint64_t last_first_token_ns(const struct mixed *m)
{
    uint64_t ns = 0;

    for (size_t i = 0; i < m->options->n_sequences; i++) {
        ns = m->answers[i].sampled_ns[0] > ns ? m->answers[i].sampled_ns[0] : ns;
    }
    return ns;
}

static void sort_times(struct mixed *m)
{
    uint64_t begin_ns = last_first_token_ns(m); // before that the short prompts are in the way

    for (size_t i = 0; i < m->options->n_sequences; i++) {
        const struct bench_request *answer = &m->answers[i];

        for (size_t t = 1; t < answer->n_sampled; t++) {
            uint64_t from = answer->sampled_ns[t - 1], to = answer->sampled_ns[t];
            double ms = (double)(to - from) / 1e6;

            if (from >= m->loaded_ns && to <= m->ended_ns) {
                m->loaded[m->n_loaded++] = ms;
            } else if (from >= begin_ns && to <= m->loaded_ns) {
                m->quiet[m->n_quiet++] = ms;
            }
        }
    }
}

int bench_mixed(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct mixed m = { 0 };

    if (options->max_tokens < 8) {
        return err_set(err, -EINVAL, "--tokens %u: mixed needs at least 8", options->max_tokens);
    }
    int rc = mixed_open(&m, options, err);
    rc = rc == 0 ? run(&m, err) : rc;
    if (rc == 0) {
        sort_times(&m);
        snprintf(report->model, sizeof(report->model), "%s", m.info.model);
        snprintf(report->backend, sizeof(report->backend), "%s", m.info.backend);
        double p50 = bench_quantile(m.loaded, m.n_loaded, 0.5), p99 = bench_quantile(m.loaded, m.n_loaded, 0.99);
        double quiet = bench_quantile(m.quiet, m.n_quiet, 0.5);

        bench_report_add(report, "itl_ms_p50", p50, "ms between tokens while long prompts arrive");
        bench_report_add(report, "itl_ms_p99", p99, "ms");
        bench_report_add(report, "itl_ms_max", bench_quantile(m.loaded, m.n_loaded, 1), "ms");
        bench_report_add(report, "itl_p99_over_p50", p50 > 0 ? p99 / p50 : 0, "");
        bench_report_add(report, "itl_ms_quiet_p50", quiet, "ms while none does");
        bench_report_add(report, "itl_ms_quiet_p99", bench_quantile(m.quiet, m.n_quiet, 0.99), "ms");
        bench_report_add(report, "prefill_tokens_per_s", m.prefill_ns > 0 ? m.prompt_tokens * 1e9 / m.prefill_ns : 0,
                         "tokens/s of the long prompts");
        bench_report_add(report, "loaded_times", (double)m.n_loaded, "times between tokens counted");
        bench_report_add(report, "sequences", options->n_sequences, "answers");
        bench_report_add(report, "prompt_tokens", options->prompt_tokens, "of a long prompt");
    }
    mixed_close(&m);
    return rc;
}
