// The feed-forward of a layer with experts.
#ifndef TOKFS_MODEL_EXPERTS_H
#define TOKFS_MODEL_EXPERTS_H

#include <stddef.h>
#include <stdint.h>

struct batch_map;
struct err;
struct expert_matrices;
struct model;

// Those of experts' matrices that give the same outputs, as the backend finds them.
struct expert_piece {
    struct expert_matrices *w;
    uint32_t first; // output
};

struct expert_pieces {
    struct expert_piece *list;
    size_t n;
};

struct layer_experts {
    struct expert_pieces gate_up, down;
};

int experts_init(struct model *model, struct err *err); // -ENOMEM; nothing where no layer has experts
void experts_deinit(struct model *model);
// x += sum over the experts of each row of weight * down(act(gate(normed)) * up(normed))
void experts_run(struct model *model, size_t layer, const struct batch_map *map);

#endif
