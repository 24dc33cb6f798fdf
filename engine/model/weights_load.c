// From tensors to matrices on a backend.
//
// Matrices keep the type of the file and are filled run by run as the file is read, so that no second copy of the
// weights exists; experts of MXFP4 become bf16, for which their scales are read first. Vectors (norms, biases) become
// f32.
#include "engine/model/mxfp4.h"
#include "engine/model/weights_table.h"
#include "kernels/cpu/convert.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EXPAND_ROWS 32

struct loader {
    struct weights *w;
    const struct model_config *config;
    float *vector;    // [longest vector], a vector as f32 on the host
    uint8_t **scales; // [n_layers][2], of gate_up and down: [n_experts][n][n_groups]; NULL where nothing is packed
    uint16_t *rows;   // [EXPAND_ROWS][longest row], of expanded matrices
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
    void *progress_ctx;
};

static void **place_pointer(struct weights *w, enum place_id id, struct weight_unit unit)
{
    char *base = (char *)w;
    if (weight_places[id].scope == EXPERT) {
        base = (char *)&w->layers[unit.layer].experts[unit.expert];
    } else if (weight_places[id].scope != MODEL) {
        base = (char *)&w->layers[unit.layer];
    }
    return (void **)(base + weight_places[id].offset);
}

static int make_place(struct loader *l, enum place_id id, struct weight_unit unit, enum dtype dtype)
{
    struct backend *b = l->w->backend;
    const struct model_config *c = l->config;
    size_t n_out = weight_dim(c, weight_places[id].n_out), n_in = weight_dim(c, weight_places[id].n_in);
    void **p = place_pointer(l->w, id, unit);
    if (weight_places[id].is_matrix) {
        struct matrix *m = b->ops->matrix_new(b, dtype, n_out, n_in);
        uint64_t bytes = m && id != EMBED ? b->ops->matrix_bytes(m) : 0;
        l->w->bytes_per_step += weight_places[id].scope == EXPERT ? bytes * c->n_experts_used / c->n_experts : bytes;
        *p = m;
    } else {
        *p = b->ops->alloc(b, n_in * sizeof(float));
        l->w->bytes_per_step += n_in * sizeof(float);
    }
    return *p ? 0 : -ENOMEM;
}

// Makes each place when its first bound tensor names its type.
static int make_stack(struct loader *l, const struct tensor_info *t, const struct weight_part *part,
                      struct weight_unit unit)
{
    int rc = 0;
    for (unit.expert = 0; rc == 0 && unit.expert < l->config->n_experts; unit.expert++) {
        rc = make_place(l, part->place, unit, part->packing == STACKED ? t->dtype : DTYPE_BF16);
    }
    return rc;
}

static int make_places(struct loader *l, struct safetensors *st, struct err *err)
{
    for (size_t i = 0; i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct weight_unit unit;
        const struct weight_part *part = weight_unpack_use(l->config, t->user_idx, &unit);
        if (!t->is_used || *place_pointer(l->w, part->place, unit)) {
            continue;
        }
        int rc = part->packing == PLAIN ? make_place(l, part->place, unit, t->dtype) : make_stack(l, t, part, unit);
        if (rc < 0) {
            return err_set(err, rc, "no memory for \"%.*s\" (%.1f MiB of weights are loaded)",
                           STR_ARG(str_take(t->name, 100)), (double)l->w->bytes_per_step / 0x1p20);
        }
    }
    return 0;
}

static void convert_to_f32(enum dtype dtype, const void *src, float *dst, size_t n)
{
    const uint16_t *half = src;
    for (size_t i = 0; i < n; i++) {
        if (dtype == DTYPE_F32) {
            memcpy(&dst[i], (const char *)src + 4 * i, 4);
        } else {
            dst[i] = dtype == DTYPE_BF16 ? f32_from_bf16(half[i]) : f32_from_f16(half[i]);
        }
    }
}

static bool is_norm(enum place_id id)
{
    return id == ATTN_NORM || id == ATTN_POST_NORM || id == MLP_NORM || id == MLP_POST_NORM || id == Q_NORM ||
           id == K_NORM || id == FINAL_NORM;
}

static void add_one(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] += 1.0f;
    }
}

// Rows of an expert's matrix, from groups of MXFP4; interleaved ones go to their halves.
static void expand_expert(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                          const uint8_t *groups)
{
    struct backend *b = l->w->backend;
    size_t n = weight_dim(l->config, part->n), n_in = weight_dim(l->config, weight_places[part->place].n_in);
    size_t n_groups = n_in / MXFP4_GROUP, step = part->is_interleaved ? 2 : 1, n_half = n / step;
    const uint8_t *scales = l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * n * n_groups;
    struct matrix *m = *place_pointer(l->w, part->place, unit);
    for (size_t i = 0; i < n; i += EXPAND_ROWS) {
        size_t n_rows = 0;
        for (; n_rows < EXPAND_ROWS && i + n_rows < n; n_rows++) {
            size_t to = i + n_rows, from = to % n_half * step + to / n_half;
            mxfp4_expand(groups + from * n_groups * MXFP4_GROUP_BYTES, scales + from * n_groups, n_groups,
                         l->rows + n_rows * n_in);
        }
        b->ops->matrix_fill(b, m, i, n_rows, l->rows);
    }
}

static void load_stacked_vector(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                                enum dtype dtype, const char *src)
{
    size_t n = weight_dim(l->config, part->n), step = part->is_interleaved ? 2 : 1, n_half = n / step;
    for (size_t i = 0; i < n; i++) {
        convert_to_f32(dtype, src + (i % n_half * step + i / n_half) * dtype_bytes(dtype), &l->vector[i], 1);
    }
    l->w->backend->ops->upload(l->w->backend, *place_pointer(l->w, part->place, unit), l->vector, n * sizeof(float));
}

// Some experts of a layer.
static void load_stack(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                       const struct tensor_run *run)
{
    size_t bytes = run->tensor->bytes / l->config->n_experts;
    for (uint64_t i = 0; i < run->n_rows; i++) {
        const char *src = (const char *)run->data + i * bytes;
        unit.expert = (uint32_t)(run->row + i);
        if (part->packing == STACKED) {
            load_stacked_vector(l, part, unit, run->tensor->dtype, src);
        } else if (part->packing == STACKED_GROUPS) {
            expand_expert(l, part, unit, (const uint8_t *)src);
        } else {
            memcpy(l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * bytes, src, bytes);
        }
    }
}

static int load_run(void *ctx, const struct tensor_run *run, struct err *err)
{
    (void)err;
    struct loader *l = ctx;
    struct backend *b = l->w->backend;
    struct weight_unit unit;
    const struct weight_part *part = weight_unpack_use(l->config, run->tensor->user_idx, &unit);
    if (part->packing != PLAIN) {
        load_stack(l, part, unit, run);
        return 0;
    }
    void *dst = *place_pointer(l->w, part->place, unit);
    size_t at = weight_dim(l->config, part->at);
    if (weight_places[part->place].is_matrix) {
        b->ops->matrix_fill(b, dst, at + run->row, run->n_rows, run->data);
    } else {
        size_t n = weight_dim(l->config, part->n);
        convert_to_f32(run->tensor->dtype, run->data, l->vector, n);
        if (is_norm(part->place) && model_has(l->config, FEATURE_NORM_PLUS_ONE)) {
            add_one(l->vector, n);
        }
        b->ops->upload(b, (float *)dst + at, l->vector, n * sizeof(float));
    }
    return 0;
}

static void report_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    struct loader *l = ctx;
    l->progress(l->progress_ctx, bytes_done, bytes_total);
}

static size_t longest_vector(const struct model_config *c)
{
    size_t n = 0;
    for (int id = 0; id < N_PLACES; id++) {
        size_t n_in = weight_dim(c, weight_places[id].n_in);
        n = !weight_places[id].is_matrix && n_in > n ? n_in : n;
    }
    return n;
}

static int make_layers(struct weights *w, const struct model_config *c)
{
    w->n_layers = c->n_layers;
    w->n_experts = c->n_experts;
    w->layers = calloc(c->n_layers, sizeof(*w->layers));
    for (uint32_t i = 0; w->layers && i < c->n_layers; i++) {
        if (c->layers[i] & LAYER_EXPERTS) {
            w->layers[i].experts = calloc(c->n_experts, sizeof(*w->layers[i].experts));
            if (!w->layers[i].experts) {
                return -ENOMEM;
            }
        }
    }
    return w->layers ? 0 : -ENOMEM;
}

static int make_scales(struct loader *l, struct safetensors *st)
{
    const struct model_config *c = l->config;
    size_t n_in = c->n_embd > c->n_ff_expert ? c->n_embd : c->n_ff_expert;
    l->scales = calloc(2 * (size_t)c->n_layers, sizeof(*l->scales));
    l->rows = malloc(EXPAND_ROWS * n_in * sizeof(*l->rows));
    bool is_complete = l->scales && l->rows;
    for (size_t i = 0; is_complete && i < safetensors_n_tensors(st); i++) {
        const struct tensor_info *t = safetensors_tensor(st, i);
        struct weight_unit unit;
        const struct weight_part *part = weight_unpack_use(c, t->user_idx, &unit);
        if (t->is_used && part->packing == STACKED_SCALES) {
            uint8_t **scales = &l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)];
            *scales = malloc(t->bytes);
            is_complete = *scales != NULL;
        }
    }
    return is_complete ? 0 : -ENOMEM;
}

// One pass over the tensors that are scales, or over all others. Files have the scales behind what they scale.
static int read_pass(struct loader *l, struct safetensors *st, bool of_scales, struct err *err)
{
    size_t n = safetensors_n_tensors(st);
    bool *was_used = malloc(n * sizeof(*was_used) + 1);
    if (!was_used) {
        return err_set(err, -ENOMEM, "no memory for %zu tensors", n);
    }
    for (size_t i = 0; i < n; i++) {
        struct tensor_info *t = safetensors_tensor(st, i);
        struct weight_unit unit;
        was_used[i] = t->is_used;
        t->is_used =
            t->is_used && (weight_unpack_use(l->config, t->user_idx, &unit)->packing == STACKED_SCALES) == of_scales;
    }
    const struct tensor_read read = { load_run, l->progress && !of_scales ? report_progress : NULL, l };
    int rc = safetensors_read_all(st, &read, err);
    for (size_t i = 0; i < n; i++) {
        safetensors_tensor(st, i)->is_used = was_used[i];
    }
    free(was_used);
    return rc;
}

static void loader_deinit(struct loader *l)
{
    for (uint32_t i = 0; l->scales && i < 2 * l->config->n_layers; i++) {
        free(l->scales[i]);
    }
    free(l->scales);
    free(l->rows);
    free(l->vector);
}

int weights_load(struct weights *w, struct safetensors *st, const struct model_config *config, struct backend *backend,
                 void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total), void *progress_ctx,
                 struct err *err)
{
    memset(w, 0, sizeof(*w));
    w->backend = backend;
    struct loader l = { .w = w, .config = config, .progress = progress, .progress_ctx = progress_ctx };
    int rc = make_layers(w, config);
    l.vector = malloc(longest_vector(config) * sizeof(float));
    if (rc == 0 && model_has(config, FEATURE_MXFP4)) {
        rc = make_scales(&l, st);
    }
    if (rc < 0 || !l.vector) {
        loader_deinit(&l);
        return err_set(err, -ENOMEM, "no memory for %" PRIu32 " layers", config->n_layers);
    }
    rc = make_places(&l, st, err);
    if (rc == 0 && model_has(config, FEATURE_TIED)) {
        w->lm_head = w->embed;
        w->bytes_per_step += backend->ops->matrix_bytes(w->embed);
    }
    if (rc == 0 && model_has(config, FEATURE_MXFP4)) {
        rc = read_pass(&l, st, true, err);
    }
    if (rc == 0) {
        rc = read_pass(&l, st, false, err);
    }
    loader_deinit(&l);
    return rc;
}

static void free_place(struct weights *w, enum place_id id, uint32_t layer)
{
    uint32_t n = 1;
    if (weight_places[id].scope == EXPERT) {
        n = w->layers[layer].experts ? w->n_experts : 0;
    }
    for (uint32_t expert = 0; expert < n; expert++) {
        void *p = *place_pointer(w, id, (struct weight_unit){ layer, expert });
        if (p && weight_places[id].is_matrix) {
            w->backend->ops->matrix_free(w->backend, p);
        } else if (p) {
            w->backend->ops->free(w->backend, p);
        }
    }
}

void weights_deinit(struct weights *w)
{
    if (w->lm_head == w->embed) {
        w->lm_head = NULL;
    }
    for (int id = 0; w->layers && id < N_PLACES; id++) {
        uint32_t n = weight_places[id].scope == MODEL ? 1 : w->n_layers;
        for (uint32_t layer = 0; layer < n; layer++) {
            free_place(w, id, layer);
        }
    }
    for (uint32_t layer = 0; w->layers && layer < w->n_layers; layer++) {
        free(w->layers[layer].experts);
    }
    free(w->layers);
    memset(w, 0, sizeof(*w));
}
