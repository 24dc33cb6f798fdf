// The engine's own runner over a trace, with a clock and a cost of steps in place of the model.
//
// Everything but the forward pass is the real code: admission, the scheduler, pages, the prefix cache, sequences, the
// sampler, the ring. A step takes step_us + row_us for each row + context_us for each position that a row attends to.
#ifndef TOKFS_BENCH_SIMULATE_H
#define TOKFS_BENCH_SIMULATE_H

#include "tools/bench/trace.h"

struct simulation {
    uint64_t end_ns;                                          // of simulated time
    uint64_t prompt_tokens, cached_tokens, completion_tokens; // as struct tokfs_engine_stats has them
    uint64_t n_preempted, n_steps, n_evicted, n_failed;
    double *ttft_ms, *itl_ms; // [n_ttft], [n_itl]
    size_t n_ttft, n_itl, n_itl_allocated;
    uint32_t n_queued_max;
    double fairness;        // Jain's index over tenants; see simulate.c. 1 where nobody competed
    double wall_s, model_s; // real time of the run, and in the place of the model: what the simulator adds
};

int simulate(const struct bench_options *options, uint32_t n_ctx, const struct trace *trace, struct simulation *ret,
             struct err *err);
void simulation_free(struct simulation *simulation); // what it holds; no-op on a zeroed one

#endif
