// Steps that are issued again and again, recorded as graphs of their launches: one call of the driver instead of
// hundreds.
#ifndef TOKFS_KERNELS_CUDA_GRAPHS_H
#define TOKFS_KERNELS_CUDA_GRAPHS_H

#include "kernels/cuda/step.h"

#define GRAPHS_MAX 64

// What the launches of a step depend on, beside the places of what they read and write.
struct graph_shape {
    const void *model;
    size_t n_rows;
    size_t is_drawn;                    // else the logits are where it ends
    size_t n_work[STEP_WINDOWS_MAX][4]; // pieces of attention, of each kind, and merges
};

struct recorded {
    struct graph_shape shape;
    gpu_graph graph; // NULL: seen once
    uint64_t last_use;
};

struct graphs {
    struct gpu *gpu;
    bool is_off;
    struct recorded all[GRAPHS_MAX]; // the first n
    size_t n;
    uint64_t now; // counts uses
};

// How many rows the step is to be laid out for, so that it can be one of few shapes; 0: it is not to be recorded.
size_t graphs_n_rows(const struct graphs *graphs, const struct op_step *op);
// Issues the step that is in the block: by its graph, if there is one.
void graphs_run(struct graphs *graphs, const struct op_step *op, const struct step_block *block, step_fn *issue,
                void *ctx);
// Something that launches name has moved or is gone.
void graphs_forget(struct graphs *graphs);

#endif
