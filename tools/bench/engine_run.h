// Runs token sequences through the C API and keeps when each token was sampled.
#ifndef TOKFS_BENCH_ENGINE_RUN_H
#define TOKFS_BENCH_ENGINE_RUN_H

#include "tools/bench/bench.h"
#include "tools/bench/request.h"

struct engine_run {
    struct bench_model model;
    struct tokfs_engine *engine;
    struct tokfs_engine_info info;
    struct bench_request *sequences; // [n_sequences]
    size_t n_sequences, max_tokens, prompt_tokens;
    uint64_t random; // state of the prompt generator
    bool keeps_prompts;
};

// keeps_prompts: all runs have the same prompts, which only the first one computes, the others take from the prefix
// cache; otherwise each has its own.
int engine_run_open(const struct bench_options *options, size_t n_sequences, size_t max_tokens, bool keeps_prompts,
                    struct engine_run *run, struct err *err);
void engine_run_close(struct engine_run *run);
// Submits every sequence with a random prompt and waits until all have ended. Results in run->sequences.
int engine_run_once(struct engine_run *run, struct err *err);
// The machine's read bandwidth now, in bytes per second.
int engine_run_bandwidth(const struct bench_options *options, double *ret, struct err *err);
bool engine_run_is_on_gpu(const struct engine_run *run);
// Tokens per second of what has just run: of all sequences together while all of them decode (0: they never did), of
// the first one's prompt.
double engine_run_decode_rate(const struct engine_run *run);
double engine_run_prefill_rate(const struct engine_run *run);
void engine_run_describe(const struct engine_run *run, struct bench_report *report);

#endif
