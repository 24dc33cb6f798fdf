// Random requests for random workloads: prompts that share beginnings of all lengths, repeat themselves or do not, and
// all that a request can ask of sampling. What a request asks follows from a number, so that a failure can be repeated.
#ifndef TOKFS_TESTS_SERVE_WORKLOAD_REQUESTS_H
#define TOKFS_TESTS_SERVE_WORKLOAD_REQUESTS_H

#include "engine/base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define WORKLOAD_REQUESTS    48 // of one set
#define WORKLOAD_PROMPTS_MAX 2  // of one request
#define WORKLOAD_N_MAX       4  // choices of one prompt
#define WORKLOAD_CHOICES_MAX (WORKLOAD_PROMPTS_MAX * WORKLOAD_N_MAX)
#define WORKLOAD_CTX_MAX     320

struct random {
    uint64_t state;
};

uint32_t random_below(struct random *rnd, uint32_t n);
bool random_one_in(struct random *rnd, uint32_t n);

struct workload_limits {
    uint32_t n_vocab, n_ctx;
    uint32_t n_answer_max; // but for those that ask for all there is
};

struct workload_request {
    int32_t prompts[WORKLOAD_PROMPTS_MAX][WORKLOAD_CTX_MAX];
    uint32_t n_prompt[WORKLOAD_PROMPTS_MAX];
    uint32_t n_prompts, n;
    uint32_t seed;
    char params[512]; // members of the body, each with a comma before it
    bool has_probs, scores_prompt;
};

void workload_requests_make(struct workload_request *requests, const struct workload_limits *limits, uint64_t seed);
// The body of v1/completions that asks for all choices, `more` its last members; or for choice `idx` alone.
void workload_request_write(const struct workload_request *request, const char *more, struct strbuf *ret);
void workload_request_write_choice(const struct workload_request *request, uint32_t idx, struct strbuf *ret);

#endif
