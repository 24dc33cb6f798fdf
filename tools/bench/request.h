// Requests of token ids through the C API, each with its own prompt, and when each of their tokens was sampled.
#ifndef TOKFS_BENCH_REQUEST_H
#define TOKFS_BENCH_REQUEST_H

#include "engine/base/err.h"
#include <tokfs/engine.h>

struct bench_request {
    size_t max_tokens;
    int32_t *token_ids;   // [max_tokens]
    uint64_t *sampled_ns; // [max_tokens]
    size_t n_sampled;
    struct tokfs_usage usage;
    bool is_finished;
    struct tokfs_completion *completion;
};

int bench_request_init(struct bench_request *request, size_t max_tokens, struct err *err);
void bench_request_deinit(struct bench_request *request); // no-op on a zeroed one
// Begins anew, with a prompt that need not outlive the call; the answer has max_tokens tokens.
int bench_request_submit(struct bench_request *request, struct tokfs_engine *engine, const int32_t *prompt,
                         size_t n_prompt, struct err *err);
// Waits for events and takes all that are there.
int bench_poll(struct tokfs_engine *engine, struct err *err);
int bench_wait(struct tokfs_engine *engine, const struct bench_request *requests, size_t n, struct err *err);

int bench_engine_open(const struct tokfs_engine_options *options, struct tokfs_engine **ret, struct err *err);

// xorshift64* (Vigna 2016): prompts that no cache has seen before, the same in every run of the program. Not from 0.
uint64_t bench_random(uint64_t *state);
void bench_random_prompt(uint64_t *state, size_t n_vocab, int32_t *ids, size_t n_ids);

#endif
