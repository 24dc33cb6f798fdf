// How a step's attention is cut into pieces for the GPU's processors.
#ifndef TOKFS_KERNELS_CUDA_PLAN_H
#define TOKFS_KERNELS_CUDA_PLAN_H

#include "kernels/cuda/kernels.h"

struct plan_options {
    size_t group; // query heads of a KV head
    size_t n_kv_heads;
    size_t page_tokens;
    size_t window;       // 0: none
    size_t prefill_rows; // packed rows of a piece: ATTENTION_PREFILL_ROWS or _HOPPER_ROWS
    size_t n_processors;
    size_t n_partials_max; // that there is room for
    bool is_deterministic; // pieces do not depend on the batch: nothing is split, and nothing shared
};

struct plan_counts {
    size_t n_prefill, n_shared, n_decode, n_merges, n_partials, n_listed;
};

// Pieces of prefill, of positions that several sequences share, and of decode; merges of the last two; the rows that
// shared pieces name; and for planning, each sequence's cascade group.
struct plan_arrays {
    struct gpu_work *prefill, *shared, *decode;
    struct gpu_merge *merges;
    int32_t *rows;     // [n_listed]
    int32_t *group_of; // [n_seqs]
};

// The largest counts that plan_make can give for this batch.
struct plan_counts plan_bounds(const struct batch_map *map, const struct plan_options *options);
// ... for any batch of up to so many rows.
struct plan_counts plan_bounds_of_rows(size_t n_rows, const struct plan_options *options);

struct plan_counts plan_make(const struct batch_map *map, const struct plan_options *options,
                             const struct plan_arrays *arrays);

#endif
