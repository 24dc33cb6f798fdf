// How a step's attention is cut into pieces for the GPU's processors.
#ifndef TOKFS_KERNELS_CUDA_PLAN_H
#define TOKFS_KERNELS_CUDA_PLAN_H

#include "kernels/cuda/kernels.h"

struct plan_options {
    size_t group; // query heads of a KV head
    size_t n_kv_heads;
    size_t window; // 0: none
    size_t n_processors;
    size_t n_partials_max; // that there is room for
    bool is_deterministic; // pieces do not depend on the batch: nothing is split
};

struct plan_counts {
    size_t n_prefill, n_decode, n_merges, n_partials;
};

// The largest counts that plan_make can give for this batch.
struct plan_counts plan_bounds(const struct batch_map *map, const struct plan_options *options);

// Pieces of prefill and of decode, and merges of decode pieces, into arrays of plan_bounds.
struct plan_counts plan_make(const struct batch_map *map, const struct plan_options *options, struct gpu_work *prefill,
                             struct gpu_work *decode, struct gpu_merge *merges);

#endif
