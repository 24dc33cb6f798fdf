// Which tensors a checkpoint must have, and whether a file has them: everything is checked before the first byte is
// loaded.
#include "engine/model/mxfp4.h"
#include "engine/model/weights_f8.h"
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

// Parts first ... end.
static int list_layer(const struct model_config *c, uint32_t layer, const struct weight_part *first,
                      const struct weight_part *end, int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    int rc = 0;
    for (const struct weight_part *part = first; rc == 0 && part < end; part++) {
        uint32_t n = weight_places[part->place].scope == EXPERT ? c->n_experts : 1;
        for (uint32_t expert = 0; rc == 0 && expert < n; expert++) {
            rc = list_part(c, part, (struct weight_unit){ layer, expert }, fn, ctx);
        }
    }
    return rc;
}

int weights_list(const struct model_config *config, int (*fn)(void *ctx, const struct weight_spec *spec), void *ctx)
{
    const struct weight_scheme *scheme = weight_scheme_of(CHECKPOINT_SAFETENSORS);
    const struct weight_part *first = scheme->parts; // parts first ... end repeat in every layer
    while (weight_places[first->place].scope == MODEL) {
        first++;
    }
    const struct weight_part *end = first;
    while (weight_places[end->place].scope != MODEL) {
        end++;
    }
    int rc = list_layer(config, 0, scheme->parts, first, fn, ctx);
    for (uint32_t layer = 0; rc == 0 && layer < config->n_layers; layer++) {
        rc = list_layer(config, layer, first, end, fn, ctx);
    }
    return rc == 0 ? list_layer(config, 0, end, scheme->parts + scheme->n_parts, fn, ctx) : rc;
}

// ---- binding -------------------------------------------------------------------------------------------------------

struct binding {
    struct checkpoint *cp;
    const struct weight_scheme *scheme;
    const struct model_config *c;
    struct err *err;
};

#define SHAPE_TEXT_MAX (TENSOR_DIMS_MAX * 24)

static const char *shape_text(const uint64_t *shape, uint32_t n_dims, char buf[SHAPE_TEXT_MAX])
{
    size_t len = 0;
    buf[0] = 0;
    for (uint32_t i = 0; i < n_dims; i++) {
        len += (size_t)snprintf(buf + len, SHAPE_TEXT_MAX - len, "%s%" PRIu64, i ? ", " : "", shape[i]);
    }
    return buf;
}

// What a tensor of the part must be. Stacks of MXFP4 have groups of n_in, and their bytes.
static uint32_t wanted_shape(const struct model_config *c, const struct weight_part *part, uint64_t ret[4])
{
    const struct weight_place *place = &weight_places[part->place];
    uint64_t n_in = weight_dim(c, place->n_in);
    uint32_t n = 0;
    if (part->packing != PLAIN) {
        ret[n++] = c->n_experts;
    }
    ret[n++] = weight_dim(c, part->n);
    if (part->packing == STACKED_GROUPS || part->packing == STACKED_SCALES) {
        ret[n++] = n_in / MXFP4_GROUP;
    } else if (place->is_matrix) {
        ret[n++] = n_in;
    }
    if (part->packing == STACKED_GROUPS) {
        ret[n++] = MXFP4_GROUP_BYTES;
    }
    return n;
}

static int check_shape(const struct binding *b, const struct tensor_info *t, const struct weight_part *part)
{
    uint64_t want[4];
    uint32_t n_dims = wanted_shape(b->c, part, want);
    bool is_grouped = part->packing == STACKED_GROUPS || part->packing == STACKED_SCALES;
    bool fits = t->n_dims == n_dims && !(is_grouped && weight_dim(b->c, weight_places[part->place].n_in) % MXFP4_GROUP);
    for (uint32_t i = 0; fits && i < n_dims; i++) {
        fits = t->shape[i] == want[i];
    }
    if (fits) {
        return 0;
    }
    char has[SHAPE_TEXT_MAX], asked[SHAPE_TEXT_MAX];
    return err_set(b->err, -EINVAL, "%s: tensor \"%.*s\" has %" PRIu32 " dimensions [%.80s], %s for [%.80s]",
                   checkpoint_file_name(b->cp, t->file_idx), STR_ARG(str_take(t->name, 60)), t->n_dims,
                   shape_text(t->shape, t->n_dims, has), b->scheme->asker, shape_text(want, n_dims, asked));
}

static int bind_part(const struct binding *b, size_t part_idx, struct weight_unit unit)
{
    const struct weight_part *part = &b->scheme->parts[part_idx];
    char name[128];
    snprintf(name, sizeof(name), part->name, unit.layer, unit.expert);
    struct tensor_info *t = checkpoint_find(b->cp, str_from(name));
    if (!t) {
        return err_set(b->err, -EINVAL, "tensor \"%s\" is missing", name);
    }
    bool is_packed = part->packing == STACKED_GROUPS || part->packing == STACKED_SCALES;
    bool is_f8 = tensor_is_f8(t) && weight_places[part->place].is_matrix && part->packing == PLAIN;
    if (is_packed ? !str_eq(t->dtype_name, STR("U8")) : !t->is_loadable && !is_f8) {
        return err_set(b->err, -EOPNOTSUPP, "%s: tensor \"%s\" has dtype %.*s, which is not supported",
                       checkpoint_file_name(b->cp, t->file_idx), name, STR_ARG(t->dtype_name));
    }
    int rc = check_shape(b, t, part);
    if (rc == 0) {
        t->is_used = true;
        t->user_idx = weight_pack_use(b->scheme, b->c, part_idx, unit);
    }
    return rc == 0 && is_f8 ? f8_bind(b->cp, b->c, t, b->err) : rc;
}

static int bind_place(const struct binding *b, enum place_id id, struct weight_unit unit)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < b->scheme->n_parts; i++) {
        const struct weight_part *part = &b->scheme->parts[i];
        bool is_other = part->packing != PLAIN && unit.expert > 0; // one tensor for all experts
        if (part->place == id && weight_has_part(b->c, part) && !is_other) {
            rc = bind_part(b, i, unit);
        }
    }
    return rc;
}

static bool is_known_extra(const struct binding *b, struct str name)
{
    if (b->cp->format == CHECKPOINT_GGUF) { // what the config is made of
        return str_eq(name, STR("rope_freqs.weight")) || str_eq(name, STR("rope_factors_long.weight")) ||
               str_eq(name, STR("rope_factors_short.weight"));
    }
    return str_ends_with(name, STR(".rotary_emb.inv_freq")) || // buffers that old versions saved
           (model_has(b->c, FEATURE_F8) && f8_is_input_scale(name)) ||
           (model_has(b->c, FEATURE_TIED) && str_eq(name, STR("lm_head.weight")));
}

// A tensor that nothing asks for may be one that changes the results.
static int refuse_unused(const struct binding *b)
{
    size_t n_unused = 0;
    const struct tensor_info *first = NULL;
    for (size_t i = 0; i < checkpoint_n_tensors(b->cp); i++) {
        const struct tensor_info *t = checkpoint_tensor(b->cp, i);
        if (!t->is_used && !is_known_extra(b, t->name)) {
            n_unused++;
            first = first ? first : t;
        }
    }
    if (n_unused == 0) {
        return 0;
    }
    const char *asker = b->cp->format == CHECKPOINT_GGUF ? "the metadata describes" : "config.json describes";
    return err_set(b->err, -EOPNOTSUPP, "%s: \"%.*s\" is not a tensor of %s as %s it (%zu such tensors)",
                   checkpoint_file_name(b->cp, first->file_idx), STR_ARG(str_take(first->name, 80)), b->c->architecture,
                   asker, n_unused);
}

// Of the first projection; of one that is several, its first part.
static enum dtype first_dtype(const struct binding *b)
{
    for (size_t i = 0; i < b->scheme->n_parts; i++) {
        const struct weight_part *part = &b->scheme->parts[i];
        char name[128];
        snprintf(name, sizeof(name), part->name, 0u, 0u);
        const struct tensor_info *t = part->place == QKV ? checkpoint_find(b->cp, str_from(name)) : NULL;
        if (t && t->is_used) {
            return tensor_loaded_dtype(t);
        }
    }
    return DTYPE_F32;
}

// What a tensor takes once it is loaded: as much as in the file, or as the type that it becomes.
static uint64_t loaded_bytes(const struct binding *b, const struct tensor_info *t, enum weight_form form)
{
    struct weight_unit unit;
    const struct weight_part *part = weight_unpack_use(b->scheme, b->c, t->user_idx, &unit);
    bool is_expanded = part->packing == STACKED_GROUPS;
    uint64_t n = t->bytes;
    enum dtype from = is_expanded ? DTYPE_BF16 : tensor_loaded_dtype(t);
    if (t->is_scales) { // until all is loaded
        return 0;
    }
    if (is_expanded) {
        n *= 4;
    } else if (t->scales) {
        n = dtype_row_bytes(from, n);
    }
    struct dtype_format has = dtype_format(from),
                        gets = dtype_format(weight_stored_dtype(b->c, part->place, from, form));
    return part->packing == STACKED_SCALES ? n
                                           : n / has.block_bytes * has.block_len / gets.block_len * gets.block_bytes;
}

int weights_bind(struct checkpoint *cp, const struct model_config *c, enum weight_form form, enum dtype *ret_dtype,
                 uint64_t *ret_bytes, struct err *err)
{
    const struct binding b = { cp, weight_scheme_of(cp->format), c, err };
    for (int id = 0; id < N_PLACES; id++) {
        for (uint32_t i = 0; weight_has_place(c, id) && i < weight_n_units(c, id); i++) {
            struct weight_unit unit = weight_unit_at(c, id, i);
            int rc = weight_has_unit(c, id, unit) ? bind_place(&b, id, unit) : 0;
            if (rc < 0) {
                return rc;
            }
        }
    }
    uint64_t bytes = 0;
    for (size_t i = 0; i < checkpoint_n_tensors(cp); i++) {
        const struct tensor_info *t = checkpoint_tensor(cp, i);
        bytes += t->is_used ? loaded_bytes(&b, t, form) : 0;
    }
    int rc = refuse_unused(&b);
    if (rc == 0) {
        *ret_dtype = first_dtype(&b);
        *ret_bytes = bytes;
    }
    return rc;
}
