// Which sequences of a batch read the same leading pages: the keys and values there are read once for all of them.
#ifndef TOKFS_KERNELS_CUDA_CASCADE_H
#define TOKFS_KERNELS_CUDA_CASCADE_H

#include "kernels/backend.h"

#define CASCADE_GROUPS_MAX 16
#define CASCADE_NONE       (-1)

struct cascade_group {
    size_t leader;   // a sequence of it: the shared pages are the first of its
    size_t n_tokens; // positions [0, n_tokens) are shared, and before every row of the group
    size_t n_seqs, n_rows;
};

struct cascade_options {
    size_t page_tokens;
    size_t step;         // n_tokens is a multiple of it
    size_t n_tokens_min; // that are worth it
};

// Sorts the sequences whose group_of is 0 into groups of at least two; the others' stays CASCADE_NONE. Returns how many
// groups there are. A sequence joins where the positions that need not be read again, over all of the group, become no
// fewer. Time: each sequence's leading pages are compared with those of a few groups at most.
size_t cascade_find(const struct batch_map *map, const struct cascade_options *options,
                    struct cascade_group groups[CASCADE_GROUPS_MAX], int32_t *group_of);

#endif
