// Runs token sequences through the C API and keeps when each token was sampled.
#include "tools/bench/engine_run.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/measure.h>

#define CTX_TOKENS_SPARE 64 // what the engine wants at least, however short the run
#define RANDOM_SEED      0x9e3779b97f4a7c15u

int engine_run_open(const struct bench_options *options, size_t n_sequences, size_t max_tokens, bool keeps_prompts,
                    struct engine_run *run, struct err *err)
{
    *run = (struct engine_run){
        .n_sequences = n_sequences,
        .max_tokens = max_tokens,
        .prompt_tokens = options->prompt_tokens,
        .random = RANDOM_SEED,
        .keeps_prompts = keeps_prompts,
    };
    int rc = bench_model_prepare(options, &run->model, err);
    if (rc < 0) {
        return rc;
    }
    run->sequences = calloc(n_sequences, sizeof(run->sequences[0]));
    if (!run->sequences) {
        engine_run_close(run);
        return err_set(err, -ENOMEM, "out of memory for %zu sequences", n_sequences);
    }
    for (size_t i = 0; i < n_sequences && rc == 0; i++) {
        rc = bench_request_init(&run->sequences[i], max_tokens, err);
    }
    struct tokfs_engine_options engine_options = {
        .model = run->model.dir,
        .served_name = options->model ? NULL : options->shape,
        .device = options->device,
        .deterministic = options->is_deterministic,
        .no_graphs = options->no_graphs,
        .no_ahead = options->no_ahead,
        .isa = options->isa,
        .weights = options->weights,
        .kv_dtype = options->kv_dtype,
        .n_threads = options->n_threads,
        .n_ctx = options->prompt_tokens + max_tokens + CTX_TOKENS_SPARE,
        .max_sequences = (unsigned)n_sequences,
        .no_prefix_cache = !keeps_prompts, // what is measured is computing: each token by a step
        .no_speculation = true,
    };
    rc = rc == 0 ? bench_engine_open(&engine_options, &run->engine, err) : rc;
    if (rc < 0) {
        engine_run_close(run);
        return rc;
    }
    tokfs_engine_get_info(run->engine, &run->info);
    return 0;
}

void engine_run_close(struct engine_run *run)
{
    for (size_t i = 0; run->sequences && i < run->n_sequences; i++) {
        bench_request_deinit(&run->sequences[i]);
    }
    free(run->sequences);
    tokfs_engine_close(run->engine);
    bench_model_remove(&run->model);
}

int engine_run_once(struct engine_run *run, struct err *err)
{
    int32_t *ids = malloc(run->prompt_tokens * sizeof(ids[0]));
    int rc = ids ? 0 : err_set(err, -ENOMEM, "out of memory for a prompt of %zu tokens", run->prompt_tokens);

    run->random = run->keeps_prompts ? RANDOM_SEED : run->random;
    for (size_t i = 0; rc == 0 && i < run->n_sequences; i++) {
        bench_random_prompt(&run->random, run->info.n_vocab, ids, run->prompt_tokens);
        rc = bench_request_submit(&run->sequences[i], run->engine, ids, run->prompt_tokens, err);
    }
    free(ids);
    return rc == 0 ? bench_wait(run->engine, run->sequences, run->n_sequences, err) : rc;
}

int engine_run_bandwidth(const struct bench_options *options, double *ret, struct err *err)
{
    struct tokfs_error error = { 0 };

    return tokfs_measure_memory_read(options->n_threads, 0.5, ret, &error) < 0
               ? err_set(err, error.code, "%s", error.msg)
               : 0;
}

bool engine_run_is_on_gpu(const struct engine_run *run)
{
    return strncmp(run->info.backend, "cuda", 4) == 0;
}

void engine_run_describe(const struct engine_run *run, struct bench_report *report)
{
    snprintf(report->model, sizeof(report->model), "%s", run->info.model);
    snprintf(report->backend, sizeof(report->backend), "%s", run->info.backend);
}

// Between the last first token and the first last one.
double engine_run_decode_rate(const struct engine_run *run)
{
    uint64_t begin = 0, end = UINT64_MAX;
    size_t n_tokens = 0;

    for (size_t i = 0; i < run->n_sequences; i++) {
        const struct bench_request *seq = &run->sequences[i];

        if (seq->n_sampled < 2) {
            return 0;
        }
        begin = seq->sampled_ns[0] > begin ? seq->sampled_ns[0] : begin;
        end = seq->sampled_ns[seq->n_sampled - 1] < end ? seq->sampled_ns[seq->n_sampled - 1] : end;
    }
    for (size_t i = 0; i < run->n_sequences; i++) {
        const struct bench_request *seq = &run->sequences[i];

        for (size_t j = 0; j < seq->n_sampled; j++) {
            n_tokens += seq->sampled_ns[j] > begin && seq->sampled_ns[j] <= end;
        }
    }
    return end > begin ? (double)n_tokens * 1e9 / (double)(end - begin) : 0;
}

double engine_run_prefill_rate(const struct engine_run *run)
{
    const struct tokfs_usage *usage = &run->sequences[0].usage;

    return usage->prefill_ns ? (double)run->prompt_tokens * 1e9 / (double)usage->prefill_ns : 0;
}
