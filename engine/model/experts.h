// The feed-forward of a layer with experts.
#ifndef TOKFS_MODEL_EXPERTS_H
#define TOKFS_MODEL_EXPERTS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct linear_part;
struct model;

// Host memory, sized once for the largest step. A slot is one row under one of its experts.
struct expert_plan {
    uint32_t *experts;         // [batch_rows_max][n_experts_used], of each row
    float *weights;            // likewise
    uint32_t *slots;           // likewise: where the row lies among the rows of its expert
    uint32_t *rows;            // [batch_rows_max * n_experts_used], the row of each slot
    uint32_t *first;           // [n_experts + 1], first slot of each expert
    struct linear_part *parts; // [n_experts], products of one launch
};

int experts_init(struct model *model, struct err *err); // -ENOMEM; nothing where no layer has experts
void experts_deinit(struct model *model);
// x += sum over the experts of each row of weight * down(act(gate(normed)) * up(normed))
void experts_run(struct model *model, size_t layer, size_t n_rows);

#endif
