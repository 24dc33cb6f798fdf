// Which tensors a checkpoint must have, and whether a file has them: everything is checked before the first byte is
// loaded.
#include "engine/model/mxfp4.h"
#include "engine/model/weights_table.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

// ---- list ----------------------------------------------------------------------------------------------------------

static int list_part(const struct model_config *c, const struct weight_part *part, struct weight_unit unit,
                     int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    const struct weight_place *place = &weight_places[part->place];
    if (!weight_has_part(c, part) || !weight_has_unit(c, part->place, unit)) {
        return 0;
    }
    assert(part->packing == PLAIN); // nobody lists packed tensors yet
    struct weight_spec spec = { .n_dims = place->is_matrix ? 2 : 1 };
    snprintf(spec.name, sizeof(spec.name), part->name, unit.layer, unit.expert);
    spec.shape[0] = weight_dim(c, part->n);
    spec.shape[1] = place->is_matrix ? weight_dim(c, place->n_in) : 1;
    return fn(ctx, &spec);
}

static int list_layer(const struct model_config *c, uint32_t layer, size_t first, size_t end,
                      int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    int rc = 0;
    for (size_t i = first; rc == 0 && i < end; i++) {
        uint32_t n = weight_places[weight_parts[i].place].scope == EXPERT ? c->n_experts : 1;
        for (uint32_t expert = 0; rc == 0 && expert < n; expert++) {
            rc = list_part(c, &weight_parts[i], (struct weight_unit){ layer, expert }, fn, ctx);
        }
    }
    return rc;
}

int weights_list(const struct model_config *config, int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    size_t first = 0; // weight_parts[first .. end) repeat in every layer
    while (weight_places[weight_parts[first].place].scope == MODEL) {
        first++;
    }
    size_t end = first;
    while (weight_places[weight_parts[end].place].scope != MODEL) {
        end++;
    }
    int rc = list_layer(config, 0, 0, first, fn, ctx);
    for (uint32_t layer = 0; rc == 0 && layer < config->n_layers; layer++) {
        rc = list_layer(config, layer, first, end, fn, ctx);
    }
    return rc == 0 ? list_layer(config, 0, end, weight_n_parts, fn, ctx) : rc;
}

// ---- binding -------------------------------------------------------------------------------------------------------

static int check_shape(const struct safetensors *st, const struct tensor_info *t, const struct model_config *c,
                       const struct weight_part *part, struct err *err)
{
    const struct weight_place *place = &weight_places[part->place];
    uint64_t n = weight_dim(c, part->n), n_in = weight_dim(c, place->n_in);
    const char *file = safetensors_file_name(st, t->file_idx);
    if (place->is_matrix && !(t->n_dims == 2 && t->shape[0] == n && t->shape[1] == n_in)) {
        return err_set(err, -EINVAL,
                       "%s: tensor \"%.*s\" has %" PRIu32 " dimensions [%" PRIu64 ", %" PRIu64
                       "], config.json asks for [%" PRIu64 ", %" PRIu64 "]",
                       file, STR_ARG(str_take(t->name, 80)), t->n_dims, t->shape[0], t->shape[1], n, n_in);
    }
    if (!place->is_matrix && !(t->n_dims == 1 && t->shape[0] == n)) {
        return err_set(err, -EINVAL,
                       "%s: tensor \"%.*s\" has %" PRIu32 " dimensions [%" PRIu64 "...], config.json asks for [%" PRIu64
                       "]",
                       file, STR_ARG(str_take(t->name, 80)), t->n_dims, t->shape[0], n);
    }
    return 0;
}

// [n_experts][n], [n_experts][n][n_groups][16] or [n_experts][n][n_groups]
static int check_stacked(const struct safetensors *st, const struct tensor_info *t, const struct model_config *c,
                         const struct weight_part *part, struct err *err)
{
    uint64_t n = weight_dim(c, part->n), n_in = weight_dim(c, weight_places[part->place].n_in);
    uint64_t want[4] = { c->n_experts, n, n_in / MXFP4_GROUP, MXFP4_GROUP_BYTES };
    uint32_t n_dims = part->packing == STACKED ? 2 : part->packing == STACKED_SCALES ? 3 : 4;
    bool is_packed = part->packing != STACKED, fits = t->n_dims == n_dims && (!is_packed || n_in % MXFP4_GROUP == 0);
    for (uint32_t i = 0; fits && i < n_dims; i++) {
        fits = t->shape[i] == want[i];
    }
    if (!fits) {
        return err_set(err, -EINVAL, "%s: tensor \"%.*s\" has another shape than config.json asks for",
                       safetensors_file_name(st, t->file_idx), STR_ARG(str_take(t->name, 80)));
    }
    return 0;
}

static int bind_part(struct safetensors *st, const struct model_config *c, size_t part_idx, struct weight_unit unit,
                     struct tensor_info **ret, struct err *err)
{
    char name[128];
    snprintf(name, sizeof(name), weight_parts[part_idx].name, unit.layer, unit.expert);
    struct tensor_info *t = safetensors_find(st, str_from(name));
    if (!t) {
        return err_set(err, -EINVAL, "tensor \"%s\" is missing", name);
    }
    bool is_packed =
        weight_parts[part_idx].packing == STACKED_GROUPS || weight_parts[part_idx].packing == STACKED_SCALES;
    if (is_packed ? !str_eq(t->dtype_name, STR("U8")) : !t->is_loadable) {
        return err_set(err, -EOPNOTSUPP, "%s: tensor \"%s\" has dtype %.*s, which is not supported",
                       safetensors_file_name(st, t->file_idx), name, STR_ARG(t->dtype_name));
    }
    const struct weight_part *part = &weight_parts[part_idx];
    int rc = part->packing == PLAIN ? check_shape(st, t, c, part, err) : check_stacked(st, t, c, part, err);
    if (rc == 0) {
        t->is_used = true;
        t->user_idx = weight_pack_use(c, part_idx, unit);
        *ret = t;
    }
    return rc;
}

// Parts of one matrix must agree in type, since the matrix has one.
static int check_same_dtype(const struct safetensors *st, const struct tensor_info *first, const struct tensor_info *t,
                            struct err *err)
{
    if (first->dtype == t->dtype) {
        return 0;
    }
    return err_set(err, -EOPNOTSUPP, "%s: tensor \"%.*s\" is %s, but \"%.*s\" is %s: they form one matrix",
                   safetensors_file_name(st, t->file_idx), STR_ARG(str_take(t->name, 70)), dtype_name(t->dtype),
                   STR_ARG(str_take(first->name, 70)), dtype_name(first->dtype));
}

static int bind_place(struct safetensors *st, const struct model_config *c, enum place_id id, struct weight_unit unit,
                      enum dtype *ret_dtype, struct err *err)
{
    const struct tensor_info *first = NULL;
    for (size_t i = 0; i < weight_n_parts; i++) {
        bool is_other = weight_parts[i].packing != PLAIN && unit.expert > 0; // one tensor for all experts
        if (weight_parts[i].place != id || !weight_has_part(c, &weight_parts[i]) || is_other) {
            continue;
        }
        struct tensor_info *t = NULL;
        int rc = bind_part(st, c, i, unit, &t, err);
        if (rc == 0 && first && weight_places[id].is_matrix) {
            rc = check_same_dtype(st, first, t, err);
        }
        if (rc < 0) {
            return rc;
        }
        first = first ? first : t;
    }
    *ret_dtype = first ? first->dtype : *ret_dtype;
    return 0;
}

static bool is_known_extra(const struct model_config *c, struct str name)
{
    return str_ends_with(name, STR(".rotary_emb.inv_freq")) || // buffers that old versions saved
           (model_has(c, FEATURE_TIED) && str_eq(name, STR("lm_head.weight")));
}

// A tensor that nothing asks for may be one that changes the results.
static int refuse_unused(struct safetensors *st, const struct model_config *c, struct err *err)
{
    size_t n_unused = 0;
    const struct tensor_info *first = NULL;
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        if (!t->is_used && !is_known_extra(c, t->name)) {
            n_unused++;
            first = first ? first : t;
        }
    }
    if (n_unused == 0) {
        return 0;
    }
    return err_set(
        err, -EOPNOTSUPP, "%s: \"%.*s\" is not a tensor of %s as config.json describes it (%zu such tensors)",
        safetensors_file_name(st, first->file_idx), STR_ARG(str_take(first->name, 80)), c->architecture, n_unused);
}

int weights_bind(struct safetensors *st, const struct model_config *c, enum dtype *ret_dtype, uint64_t *ret_bytes,
                 struct err *err)
{
    enum dtype dtype = DTYPE_F32, ignored = DTYPE_F32;
    for (int id = 0; id < N_PLACES; id++) {
        for (uint32_t i = 0; weight_has_place(c, id) && i < weight_n_units(c, id); i++) {
            struct weight_unit unit = weight_unit_at(c, id, i);
            int rc = 0;
            if (weight_has_unit(c, id, unit)) {
                rc = bind_place(st, c, id, unit, id == QKV && i == 0 ? &dtype : &ignored, err);
            }
            if (rc < 0) {
                return rc;
            }
        }
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct weight_unit unit;
        bool is_expanded = t->is_used && weight_unpack_use(c, t->user_idx, &unit)->packing == STACKED_GROUPS;
        bytes += t->is_used ? (is_expanded ? 4 : 1) * t->bytes : 0;
    }
    int rc = refuse_unused(st, c, err);
    if (rc == 0) {
        *ret_dtype = dtype;
        *ret_bytes = bytes;
    }
    return rc;
}
