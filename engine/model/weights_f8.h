// Projections of F8_E4M3 in safetensors files: finding their scales, keeping these while weights are loaded, and rows
// of bf16 or of blocks made from both (weights.c, weights_load.c).
//
// Beside NAME.weight there is NAME.weight_scale_inv or NAME.weight_scale, which the codes are multiplied with.
#ifndef TOKFS_MODEL_WEIGHTS_F8_H
#define TOKFS_MODEL_WEIGHTS_F8_H

#include "engine/model/checkpoint.h"
#include "engine/model/config.h"

static inline bool tensor_is_f8(const struct tensor_info *t)
{
    return str_eq(t->dtype_name, STR("F8_E4M3"));
}

// The type of what is made of a bound tensor.
static inline enum dtype tensor_loaded_dtype(const struct tensor_info *t)
{
    return t->is_kept ? DTYPE_F8 : t->scales ? DTYPE_BF16 : t->dtype;
}

// Binds the scales of `t`, a matrix of F8_E4M3 of the right shape, to the same use. -EINVAL: they are missing, there
// twice, or of another shape; -EOPNOTSUPP: of another type, or config.json asks for none. err names file and tensor.
int f8_bind(struct checkpoint *cp, const struct model_config *c, struct tensor_info *t, struct err *err);
// What belongs to a projection and is not read: scales of its inputs, which keep 16 bits.
bool f8_is_input_scale(struct str name);

struct f8_scales {
    const struct checkpoint *cp;
    float **values; // [n_tensors], of those that are scales
};

// Room for the scales of all bound tensors. -ENOMEM.
int f8_scales_init(struct f8_scales *s, struct checkpoint *cp);
void f8_scales_deinit(struct f8_scales *s);                                             // also when zeroed
int f8_scales_take(struct f8_scales *s, const struct tensor_run *run, struct err *err); // -EINVAL: not finite
// Row `row` of the matrix `t`, as the type that it is loaded as.
void f8_scales_apply(const struct f8_scales *s, const struct tensor_info *t, uint64_t row, const uint8_t *codes,
                     void *ret);

#endif
