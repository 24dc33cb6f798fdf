// The tables of weights, for those who bind and load them (weights.c, weights_load.c).
//
// `weight_places` says what a decoder holds (a matrix or a vector; once, in every layer, or per expert), a scheme, of
// which each format of files has one, which tensor fills which rows of which place. A family with other names or other
// fused tensors is other rows.
#ifndef TOKFS_MODEL_WEIGHTS_TABLE_H
#define TOKFS_MODEL_WEIGHTS_TABLE_H

#include "engine/model/weights.h"

enum dim {
    DIM_0,
    DIM_1,
    DIM_EMBD,
    DIM_Q,
    DIM_KV,
    DIM_QKV,
    DIM_Q_KV,
    DIM_HEAD,
    DIM_FF,
    DIM_2FF,
    DIM_HEADS,
    DIM_EXPERTS,
    DIM_FFE,
    DIM_2FFE,
    DIM_VOCAB
};

enum place_id {
    ATTN_NORM,
    ATTN_POST_NORM,
    QKV,
    QKV_B,
    Q_NORM,
    K_NORM,
    O,
    O_B,
    MLP_NORM,
    MLP_POST_NORM,
    GATE_UP,
    GATE_UP_B,
    DOWN,
    DOWN_B,
    ROUTER,
    EXPERT_GATE_UP,
    EXPERT_DOWN,
    EXPERT_GATE_UP_B,
    EXPERT_DOWN_B,
    ROUTER_B,
    SINKS,
    EMBED,
    FINAL_NORM,
    LM_HEAD,
    N_PLACES
};

// How many of a place there are: one, one in every layer, in those without or with experts, one per expert.
enum scope { MODEL, LAYER, DENSE_LAYER, EXPERT_LAYER, EXPERT };

struct weight_place {
    enum scope scope;
    bool is_matrix;
    size_t offset; // of the pointer in struct weights, layer_weights or expert_weights
    enum dim n_out, n_in;
    uint32_t needs, excludes; // FEATURE_*
};

extern const struct weight_place weight_places[N_PLACES];

// How a tensor holds its part: as it is; or one tensor for all experts of a layer, [n_experts] of the part: plain, or
// groups or scales of MXFP4.
enum packing { PLAIN, STACKED, STACKED_GROUPS, STACKED_SCALES };

// How the rows of a tensor are those of its part: they are; rows 2i and 2i + 1 are row i of either half; or, with
// FEATURE_PERMUTED, they are so within each head.
enum row_order { AS_IS, HALVES_INTERLEAVED, HEADS_INTERLEAVED };

struct weight_part {
    enum place_id place;
    char name[80]; // %u: layer, expert
    enum dim at, n;
    uint32_t needs, excludes; // FEATURE_*
    enum packing packing;
    enum row_order order;
};

struct weight_scheme {
    const struct weight_part *parts;
    size_t n_parts;
    const char *asker; // who says which shape a tensor must have, for messages
};

const struct weight_scheme *weight_scheme_of(enum checkpoint_format format);

// The type of a place that a tensor of such a type fills.
enum dtype weight_stored_dtype(const struct model_config *c, enum place_id id, enum dtype dtype, enum weight_form form);

// One of the things that a place stands for.
struct weight_unit {
    uint32_t layer, expert;
};

size_t weight_dim(const struct model_config *c, enum dim dim);
bool weight_has_place(const struct model_config *c, enum place_id id);
bool weight_has_part(const struct model_config *c, const struct weight_part *part);
// The units of a place, of which those count that the config has.
uint32_t weight_n_units(const struct model_config *c, enum place_id id);
struct weight_unit weight_unit_at(const struct model_config *c, enum place_id id, uint32_t idx);
bool weight_has_unit(const struct model_config *c, enum place_id id, struct weight_unit unit);
// The struct weight_matrix, or the pointer to a vector, that is the place.
void *weight_place_of(struct weights *w, enum place_id id, struct weight_unit unit);
// A tensor's user_idx: which part of which unit it is.
uint32_t weight_pack_use(const struct weight_scheme *scheme, const struct model_config *c, size_t part_idx,
                         struct weight_unit unit);
const struct weight_part *weight_unpack_use(const struct weight_scheme *scheme, const struct model_config *c,
                                            uint32_t use, struct weight_unit *ret);

#endif
