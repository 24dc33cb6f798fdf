// What a step brings along, on the device: token ids, where rows and sequences stand, pieces of attention, wanted rows
// and draws lie in one block at a fixed place, and are sent by one copy. Page tables stay there and get what has
// changed.
//
// A step that is to be recorded is laid out for a number of rows, and for counts of pieces that are powers of two:
// places and counts are then those of every step with as many. What is beyond the step's own rows is nobody's: rows of
// no sequence, pieces of no positions, draws of nothing.
#ifndef TOKFS_KERNELS_CUDA_STEP_H
#define TOKFS_KERNELS_CUDA_STEP_H

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/plan.h"
#include "kernels/cuda/tables.h"

#define STEP_TURNS 2

struct step_window {
    size_t window;
    struct gpu_attention_plan prefill, shared, decode;
};

struct step_block {
    struct gpu *gpu;
    unsigned char *device, *host[STEP_TURNS]; // [bytes]; the host's are pinned: one is filled while the other is sent
    size_t bytes;
    unsigned turn;
    struct page_tables tables;
    // The step that is there. Operations name its arrays as the host has them; NULL: there are none.
    const int32_t *token_ids;
    const struct batch_seq *seqs;
    const uint32_t *logit_rows;
    const struct sample_row *draws;
    // The same on the device.
    const int32_t *device_token_ids;
    const uint32_t *device_logit_rows;
    const struct gpu_sample_row *device_draws;
    struct gpu_map map;
    struct step_window windows[STEP_WINDOWS_MAX];
    size_t n_windows;
};

int step_init(struct step_block *block, struct gpu *gpu, struct err *err);
void step_deinit(struct step_block *block); // the queue is empty

struct step_options {
    size_t n_partials_bytes; // room for attention's partial sums
    size_t prefill_rows;     // of a piece of attention
    size_t n_padded_rows;    // laid out for so many rows; 0: for those that there are
    bool is_deterministic;
};
// Sends the step. True: the block, or the page tables, have moved.
bool step_bring(struct step_block *block, const struct op_step *op, const struct step_options *options);
void step_forget(struct step_block *block); // its arrays are the caller's again

const struct step_window *step_window(const struct step_block *block, size_t window); // NULL: not planned

#endif
