// The shape of a tensor of scales says what one of them is for, as far as config.json allows: one or none in all
// dimensions, one per row, or a grid of blocks.
#include "engine/model/weights_f8.h"
#include "kernels/quant.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// ---- binding -------------------------------------------------------------------------------------------------------

static uint64_t n_elements(const struct tensor_info *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        n *= t->shape[i];
    }
    return n;
}

static size_t n_blocks(uint64_t n, size_t block)
{
    return (size_t)((n - 1) / block + 1);
}

// False: these are not scales of `t`.
static bool find_grid(const struct model_config *c, const struct tensor_info *t, const struct tensor_info *scales,
                      struct f8_grid *ret)
{
    const struct f8_grid *block = &c->f8.block;
    uint64_t n_rows = t->shape[0], n_cols = t->shape[1];
    bool is_column = scales->n_dims == 1 || (scales->n_dims == 2 && scales->shape[1] == 1);
    if (c->f8.has_rows && n_elements(scales) == 1 && scales->n_dims <= 2) {
        *ret = (struct f8_grid){ n_rows, n_cols };
        return true;
    }
    if (c->f8.has_rows && is_column && scales->shape[0] == n_rows) {
        *ret = (struct f8_grid){ 1, n_cols };
        return true;
    }
    *ret = *block;
    return block->n_rows > 0 && scales->n_dims == 2 && scales->shape[0] == n_blocks(n_rows, block->n_rows) &&
           scales->shape[1] == n_blocks(n_cols, block->n_cols);
}

static int wrong_shape(const struct checkpoint *cp, const struct model_config *c, const struct tensor_info *t,
                       const struct tensor_info *scales, struct err *err)
{
    char wanted[96] = "";
    size_t len = 0;
    if (c->f8.block.n_rows > 0) {
        len = (size_t)snprintf(wanted, sizeof(wanted), "[%zu, %zu]", n_blocks(t->shape[0], c->f8.block.n_rows),
                               n_blocks(t->shape[1], c->f8.block.n_cols));
    }
    if (c->f8.has_rows) {
        snprintf(wanted + len, sizeof(wanted) - len, "%s[1] or [%" PRIu64 ", 1]", len ? ", " : "", t->shape[0]);
    }
    char has[64] = "[]";
    for (uint32_t i = 0, at = 0; i < scales->n_dims && i < 2; i++) {
        at += (uint32_t)snprintf(has + at, sizeof(has) - at, "%s%" PRIu64, i ? ", " : "[", scales->shape[i]);
        snprintf(has + at, sizeof(has) - at, scales->n_dims > 2 ? ", ...]" : "]");
    }
    return err_set(err, -EINVAL, "%s: tensor \"%.*s\" has shape %s, quantization_config asks for %s",
                   checkpoint_file_name(cp, scales->file_idx), STR_ARG(str_take(scales->name, 80)), has, wanted);
}

// NAME.weight -> NAME.weight_scale_inv, NAME.weight_scale: the one that is there.
static int find_scales(struct checkpoint *cp, const struct tensor_info *t, struct tensor_info **ret, struct err *err)
{
    static const char *const suffixes[] = { "_scale_inv", "_scale" };
    *ret = NULL;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        char name[160];
        snprintf(name, sizeof(name), "%.*s%s", STR_ARG(str_take(t->name, 140)), suffixes[i]);
        struct tensor_info *scales = checkpoint_find(cp, str_from(name));
        if (scales && *ret) {
            return err_set(err, -EINVAL, "%s: tensors \"%.*s\" and \"%s\" are both there",
                           checkpoint_file_name(cp, scales->file_idx), STR_ARG(str_take((*ret)->name, 80)), name);
        }
        *ret = scales ? scales : *ret;
    }
    return *ret ? 0
                : err_set(err, -EINVAL, "%s: tensor \"%.*s\" is F8_E4M3, its scales \"%.*s_scale\" are missing",
                          checkpoint_file_name(cp, t->file_idx), STR_ARG(str_take(t->name, 60)),
                          STR_ARG(str_take(t->name, 60)));
}

int f8_bind(struct checkpoint *cp, const struct model_config *c, struct tensor_info *t, struct err *err)
{
    struct tensor_info *scales;
    struct f8_grid grid;
    if (!model_has(c, FEATURE_F8)) {
        return err_set(err, -EOPNOTSUPP,
                       "%s: tensor \"%.*s\" has dtype F8_E4M3, but config.json no quantization_config",
                       checkpoint_file_name(cp, t->file_idx), STR_ARG(str_take(t->name, 80)));
    }
    int rc = find_scales(cp, t, &scales, err);
    if (rc < 0) {
        return rc;
    }
    if (!scales->is_loadable) {
        return err_set(err, -EOPNOTSUPP, "%s: tensor \"%.*s\" has dtype %.*s, scales must be F32, F16 or BF16",
                       checkpoint_file_name(cp, scales->file_idx), STR_ARG(str_take(scales->name, 80)),
                       STR_ARG(scales->dtype_name));
    }
    if (!find_grid(c, t, scales, &grid)) {
        return wrong_shape(cp, c, t, scales, err);
    }
    scales->is_used = true;
    scales->is_scales = true;
    scales->user_idx = t->user_idx;
    scales->grid = grid;
    t->scales = scales;
    t->is_kept = c->f8.is_kept && f8_fits_blocks(&grid, t->shape[1]);
    return 0;
}

bool f8_is_input_scale(struct str name)
{
    return str_ends_with(name, STR(".input_scale")) || str_ends_with(name, STR(".activation_scale"));
}

// ---- loading -------------------------------------------------------------------------------------------------------

int f8_scales_init(struct f8_scales *s, struct checkpoint *cp)
{
    size_t n = checkpoint_n_tensors(cp);
    s->cp = cp;
    s->values = calloc(n + 1, sizeof(*s->values));
    for (size_t i = 0; s->values && i < n; i++) {
        const struct tensor_info *t = checkpoint_tensor(cp, i);
        if (t->is_used && t->is_scales) {
            s->values[i] = malloc(n_elements(t) * sizeof(**s->values));
            if (!s->values[i]) {
                return -ENOMEM;
            }
        }
    }
    return s->values ? 0 : -ENOMEM;
}

void f8_scales_deinit(struct f8_scales *s)
{
    for (size_t i = 0; s->values && i < checkpoint_n_tensors(s->cp); i++) {
        free(s->values[i]);
    }
    free(s->values);
}

static float *values_of(const struct f8_scales *s, const struct tensor_info *scales)
{
    return s->values[scales - s->cp->tensors];
}

int f8_scales_take(struct f8_scales *s, const struct tensor_run *run, struct err *err)
{
    const struct tensor_info *t = run->tensor;
    size_t n_row = n_elements(t) / tensor_n_rows(t), n = run->n_rows * n_row;
    float *values = values_of(s, t) + run->row * n_row;
    quant_expand(t->dtype, run->data, n, values);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return err_set(err, -EINVAL, "%s: tensor \"%.*s\": scale %zu is %g",
                           checkpoint_file_name(s->cp, t->file_idx), STR_ARG(str_take(t->name, 100)),
                           (size_t)run->row * n_row + i, (double)values[i]);
        }
    }
    return 0;
}

void f8_scales_apply(const struct f8_scales *s, const struct tensor_info *t, uint64_t row, const uint8_t *codes,
                     void *ret)
{
    const struct f8_grid *grid = &t->scales->grid;
    size_t n = t->shape[1];
    const float *scales = values_of(s, t->scales) + row / grid->n_rows * n_blocks(n, grid->n_cols);
    if (t->is_kept) {
        f8_to_blocks(codes, n, scales, grid->n_cols, ret);
    } else {
        f8_expand(codes, n, scales, grid->n_cols, ret);
    }
}
