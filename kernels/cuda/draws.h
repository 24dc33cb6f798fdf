// Drawn tokens on their way from the device: what op_sample is given, and two places for what it tells, so that one
// step's tokens can be read while the next one runs.
#ifndef TOKFS_KERNELS_CUDA_DRAWS_H
#define TOKFS_KERNELS_CUDA_DRAWS_H

#include "kernels/cuda/kernels.h"

#define N_TURNS 2

// Rows of draws that are told outside of a step, with their masks and edits: one of the host's buffers is filled while
// the other one is sent.
struct draws_rows {
    unsigned char *device, *host[N_TURNS]; // [bytes]; the host's are pinned
    size_t bytes;
    unsigned turn;
};

struct draws {
    struct gpu *gpu;
    size_t n_rows_max;
    // Device: of the last op_sample, which op_embed may read.
    struct sample_result *results;
    struct sample_top *tops;
    // Pinned, [n_rows_max] each.
    struct sample_result *host_results[N_TURNS];
    struct sample_top *host_tops[N_TURNS];
    bool has_tops[N_TURNS];
    struct draws_rows rows;
};

int draws_init(struct draws *draws, struct gpu *gpu, struct err *err);
void draws_deinit(struct draws *draws); // the queue is empty
// Room for so many rows. Empties the queue when there was less. True: `results` and `tops` have moved, with what was
// drawn; so have the host's, and what draws_wait gave is gone.
bool draws_reserve(struct draws *draws, size_t n_rows);

// Bytes of masks and edits of the rows, and of what is drawn of them all on the device.
size_t draws_extra_bytes(const struct sample_row *rows, size_t n_rows, size_t n_vocab);
// Writes rows [0, n_rows), and padding up to n_padded; their masks and edits to `extra`, which will lie extra_at bytes
// behind gpu_sample.extra.
void draws_fill(const struct sample_row *rows, size_t n_rows, size_t n_padded, size_t n_vocab,
                struct gpu_sample_row *ret, unsigned char *extra, size_t extra_at);

// Sends rows of draws outside of a step: args->rows and args->extra are theirs.
void draws_bring(struct draws *draws, const struct sample_row *rows, size_t n_rows, size_t n_vocab,
                 struct gpu_sample *args);
// Issues the copies to the host, and marks where they end.
void draws_send(struct draws *draws, const struct sample_row *rows, size_t n_rows, unsigned turn);
struct sample_results draws_wait(struct draws *draws, unsigned turn);

#endif
