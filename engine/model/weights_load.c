// From tensors to matrices on a backend.
//
// Matrices are filled run by run as the files are read, so that no second copy of the weights exists. They keep the
// type of the file, but for experts of MXFP4 and projections of F8_E4M3 in a safetensors file, which become bf16 (F8
// blocks, where the backend has them), and for which their scales are read first; or they are quantized a few rows at a
// time, by all workers. Where the parts of
// a projection have different types it is in as many pieces. Vectors (norms, biases) become f32.
#include "engine/model/mxfp4.h"
#include "engine/model/weights_f8.h"
#include "engine/model/weights_packed.h"
#include "engine/model/weights_table.h"
#include "kernels/quant.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define EXPAND_ROWS  128
#define CONVERT_ROWS 64
#define SAMPLE_BYTES 4096

struct loader {
    struct weights *w;
    struct checkpoint *cp;
    const struct weight_scheme *scheme;
    const struct model_config *config;
    float *vector;    // [longest vector], a vector as f32 on the host
    uint8_t **scales; // [n_layers][2], of gate_up and down: [n_experts][n][n_groups]; NULL where nothing is packed
    struct f8_scales f8;
    uint16_t *rows;         // [EXPAND_ROWS][longest row], of expanded matrices
    unsigned char *ordered; // [head_dim / 2][longest row], of heads whose rows are interleaved; or NULL
    enum weight_form form;
    float *values;            // [n_workers][longest row], of rows that change their type
    unsigned char *converted; // [CONVERT_ROWS][longest row], these
    uint64_t hash;
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total);
    void *progress_ctx;
};

// ---- places --------------------------------------------------------------------------------------------------------

void *weight_place_of(struct weights *w, enum place_id id, struct weight_unit unit)
{
    char *base = (char *)w;
    if (weight_places[id].scope == EXPERT) {
        base = (char *)&w->layers[unit.layer].experts[unit.expert];
    } else if (weight_places[id].scope != MODEL) {
        base = (char *)&w->layers[unit.layer];
    }
    return base + weight_places[id].offset;
}

static bool is_made(struct weights *w, enum place_id id, struct weight_unit unit)
{
    void *place = weight_place_of(w, id, unit);
    return weight_places[id].is_matrix ? ((struct weight_matrix *)place)->n_pieces > 0 : *(float **)place != NULL;
}

// The pieces of a projection: its parts, those of one type that follow each other as one if all are of one type.
static void plan_pieces(const struct loader *l, enum place_id id, struct weight_unit unit, struct weight_matrix *ret)
{
    uint32_t n = 0;
    bool is_uniform = true;
    for (size_t i = 0; i < l->scheme->n_parts; i++) {
        const struct weight_part *part = &l->scheme->parts[i];
        if (part->place != id || part->packing == STACKED_SCALES || !weight_has_part(l->config, part)) {
            continue;
        }
        char name[128];
        snprintf(name, sizeof(name), part->name, unit.layer, unit.expert);
        const struct tensor_info *t = checkpoint_find(l->cp, str_from(name));
        assert(t && n < WEIGHT_PIECES_MAX);
        enum dtype dtype = part->packing == STACKED_GROUPS ? DTYPE_BF16 : tensor_loaded_dtype(t);
        ret->dtypes[n] = weight_stored_dtype(l->config, id, dtype, l->form);
        ret->n_rows[n] = (uint32_t)weight_dim(l->config, part->n);
        is_uniform = is_uniform && ret->dtypes[n] == ret->dtypes[0];
        n++;
    }
    ret->n_pieces = is_uniform ? 1 : n;
    ret->n_rows[0] = is_uniform ? (uint32_t)weight_dim(l->config, weight_places[id].n_out) : ret->n_rows[0];
}

static int make_matrix(struct loader *l, enum place_id id, struct weight_unit unit)
{
    struct backend *b = l->w->backend;
    const struct model_config *c = l->config;
    struct weight_matrix plan = { .n_pieces = 0 }, *m = weight_place_of(l->w, id, unit);
    plan_pieces(l, id, unit, &plan);
    *m = plan;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->n_pieces; i++) {
        m->pieces[i] = b->ops->matrix_new(b, m->dtypes[i], m->n_rows[i], weight_dim(c, weight_places[id].n_in));
        if (!m->pieces[i]) {
            return -ENOMEM;
        }
        bytes += id != EMBED ? b->ops->matrix_bytes(m->pieces[i]) : 0;
    }
    l->w->bytes_per_step += weight_places[id].scope == EXPERT ? bytes * c->n_experts_used / c->n_experts : bytes;
    return 0;
}

static int make_vector(struct loader *l, enum place_id id, struct weight_unit unit)
{
    struct backend *b = l->w->backend;
    size_t bytes = weight_dim(l->config, weight_places[id].n_in) * sizeof(float);
    float **vector = weight_place_of(l->w, id, unit);
    *vector = b->ops->alloc(b, bytes);
    l->w->bytes_per_step += bytes;
    return *vector ? 0 : -ENOMEM;
}

// What the tensor fills: a place, or that of every expert.
static int make_part(struct loader *l, const struct weight_part *part, struct weight_unit unit)
{
    bool is_stack = part->packing != PLAIN;
    uint32_t end = is_stack ? l->config->n_experts : unit.expert + 1;
    int rc = 0;
    for (unit.expert = is_stack ? 0 : unit.expert; rc == 0 && unit.expert < end; unit.expert++) {
        rc = weight_places[part->place].is_matrix ? make_matrix(l, part->place, unit)
                                                  : make_vector(l, part->place, unit);
    }
    return rc;
}

static int make_places(struct loader *l, struct err *err)
{
    for (size_t i = 0; i < checkpoint_n_tensors(l->cp); i++) {
        const struct tensor_info *t = checkpoint_tensor(l->cp, i);
        struct weight_unit unit;
        const struct weight_part *part = weight_unpack_use(l->scheme, l->config, t->user_idx, &unit);
        if (!t->is_used || is_made(l->w, part->place, unit)) {
            continue;
        }
        int rc = make_part(l, part, unit);
        if (rc < 0) {
            return err_set(err, rc, "no memory for \"%.*s\" (%.1f MiB of weights are loaded)",
                           STR_ARG(str_take(t->name, 100)), (double)l->w->bytes_per_step / 0x1p20);
        }
    }
    return 0;
}

// ---- matrices ------------------------------------------------------------------------------------------------------

struct conversion {
    const struct loader *l;
    enum dtype from, to;
    size_t n_in;
    const unsigned char *rows;
};

static void convert_rows(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct conversion *job = ctx;
    float *values = job->l->values + worker * job->n_in;
    for (size_t row = begin; row < end; row++) {
        quant_expand(job->from, job->rows + row * dtype_row_bytes(job->from, job->n_in), job->n_in, values);
        quant_pack_best(job->to, values, job->n_in, job->l->converted + row * dtype_row_bytes(job->to, job->n_in));
    }
}

// Rows of type `dtype`, from row `row` of the projection on, which are within one piece.
static void fill(struct loader *l, enum place_id id, struct weight_unit unit, size_t row, size_t n_rows,
                 const void *rows, enum dtype dtype)
{
    struct backend *b = l->w->backend;
    struct weight_matrix *m = weight_place_of(l->w, id, unit);
    uint32_t piece = 0;
    while (m->n_pieces > 1 && row >= m->n_rows[piece]) {
        row -= m->n_rows[piece++];
        assert(piece < m->n_pieces);
    }
    if (m->dtypes[piece] == dtype) {
        b->ops->matrix_fill(b, m->pieces[piece], row, n_rows, rows);
        return;
    }
    struct conversion job = { l, dtype, m->dtypes[piece], weight_dim(l->config, weight_places[id].n_in), rows };
    for (size_t n; n_rows > 0; n_rows -= n, row += n) {
        n = n_rows < CONVERT_ROWS ? n_rows : CONVERT_ROWS;
        b->ops->spread(b, n, convert_rows, &job);
        b->ops->matrix_fill(b, m->pieces[piece], row, n, l->converted);
        job.rows += n * dtype_row_bytes(dtype, job.n_in);
    }
}

static bool is_interleaved(const struct loader *l, const struct weight_part *part)
{
    return part->order == HEADS_INTERLEAVED && model_has(l->config, FEATURE_PERMUTED);
}

// Rows [row, row + n_rows) of a part whose heads have rows 2j and 2j + 1 where j and j + head_dim / 2 belong.
static void fill_heads(struct loader *l, const struct weight_part *part, struct weight_unit unit, size_t row,
                       size_t n_rows, const unsigned char *rows, enum dtype dtype)
{
    size_t head_dim = l->config->head_dim, half = head_dim / 2, at = weight_dim(l->config, part->at), base = row;
    size_t row_bytes = dtype_row_bytes(dtype, weight_dim(l->config, weight_places[part->place].n_in));
    for (size_t end = row + n_rows, next; row < end; row = next) {
        next = (row / head_dim + 1) * head_dim < end ? (row / head_dim + 1) * head_dim : end;
        for (size_t odd = 0; odd < 2; odd++) {
            size_t first = row + (row % 2 != odd), n = 0;
            for (size_t from = first; from < next; from += 2) {
                memcpy(l->ordered + n++ * row_bytes, rows + (from - base) * row_bytes, row_bytes);
            }
            size_t to = at + first / head_dim * head_dim + odd * half + first % head_dim / 2;
            if (n > 0) {
                fill(l, part->place, unit, to, n, l->ordered, dtype);
            }
        }
    }
}

static void fill_part(struct loader *l, const struct weight_part *part, struct weight_unit unit, size_t row,
                      size_t n_rows, const void *rows, enum dtype dtype)
{
    if (is_interleaved(l, part)) {
        fill_heads(l, part, unit, row, n_rows, rows, dtype);
    } else {
        fill(l, part->place, unit, weight_dim(l->config, part->at) + row, n_rows, rows, dtype);
    }
}

// Rows of an expert's matrix, from groups of MXFP4; interleaved ones go to their halves.
static void expand_expert(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                          const uint8_t *groups)
{
    size_t n = weight_dim(l->config, part->n), n_in = weight_dim(l->config, weight_places[part->place].n_in);
    size_t n_groups = n_in / MXFP4_GROUP, step = part->order == HALVES_INTERLEAVED ? 2 : 1, n_half = n / step;
    const uint8_t *scales = l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * n * n_groups;
    for (size_t i = 0; i < n; i += EXPAND_ROWS) {
        size_t n_rows = 0;
        for (; n_rows < EXPAND_ROWS && i + n_rows < n; n_rows++) {
            size_t to = i + n_rows, from = to % n_half * step + to / n_half;
            mxfp4_expand(groups + from * n_groups * MXFP4_GROUP_BYTES, scales + from * n_groups, n_groups,
                         l->rows + n_rows * n_in);
        }
        fill(l, part->place, unit, i, n_rows, l->rows, DTYPE_BF16);
    }
}

struct f8_rows {
    const struct loader *l;
    const struct tensor_run *run;
    uint64_t first; // of the run
    size_t n_in, row_bytes;
    char *rows; // [EXPAND_ROWS][row_bytes]
};

static void scale_f8_rows(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct f8_rows *job = ctx;
    for (size_t i = begin; i < end; i++) {
        uint64_t row = job->first + i;
        f8_scales_apply(&job->l->f8, job->run->tensor, job->run->row + row,
                        (const uint8_t *)job->run->data + row * job->n_in, job->rows + i * job->row_bytes);
    }
}

static void load_f8_rows(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                         const struct tensor_run *run)
{
    struct backend *b = l->w->backend;
    enum dtype dtype = tensor_loaded_dtype(run->tensor);
    size_t n_in = weight_dim(l->config, weight_places[part->place].n_in);
    struct f8_rows job = { l, run, 0, n_in, dtype_row_bytes(dtype, n_in), (char *)l->rows };
    for (; job.first < run->n_rows; job.first += EXPAND_ROWS) {
        size_t left = run->n_rows - job.first, n = left < EXPAND_ROWS ? left : EXPAND_ROWS;
        b->ops->spread(b, n, scale_f8_rows, &job);
        fill_part(l, part, unit, run->row + job.first, n, l->rows, dtype);
    }
}

// ---- vectors -------------------------------------------------------------------------------------------------------

static bool is_norm(enum place_id id)
{
    return id == ATTN_NORM || id == ATTN_POST_NORM || id == MLP_NORM || id == MLP_POST_NORM || id == Q_NORM ||
           id == K_NORM || id == FINAL_NORM;
}

// Where element i of a part lies in a tensor.
static size_t source_of(const struct loader *l, const struct weight_part *part, size_t i)
{
    size_t n = weight_dim(l->config, part->n), first = 0;
    if (is_interleaved(l, part)) {
        n = l->config->head_dim;
        first = i / n * n;
        i %= n;
    } else if (part->order != HALVES_INTERLEAVED) {
        return i;
    }
    return first + i % (n / 2) * 2 + i / (n / 2);
}

static void load_vector(struct loader *l, const struct weight_part *part, struct weight_unit unit, enum dtype dtype,
                        const void *src)
{
    struct backend *b = l->w->backend;
    size_t n = weight_dim(l->config, part->n);
    float *values = l->vector, *ordered = l->vector + n, **dst = weight_place_of(l->w, part->place, unit);
    bool adds_one = is_norm(part->place) && model_has(l->config, FEATURE_NORM_PLUS_ONE);
    quant_expand(dtype, src, n, values);
    for (size_t i = 0; i < n; i++) {
        ordered[i] = values[source_of(l, part, i)] + (adds_one ? 1.0f : 0.0f);
    }
    b->ops->upload(b, *dst + weight_dim(l->config, part->at), ordered, n * sizeof(float));
}

// ---- runs ----------------------------------------------------------------------------------------------------------

// Some rows of the stack of all experts' matrices of a part.
static void load_stacked_rows(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                              const struct tensor_run *run)
{
    size_t n = weight_dim(l->config, part->n), row_bytes = run->tensor->bytes / tensor_n_rows(run->tensor);
    for (uint64_t done = 0, count; done < run->n_rows; done += count) {
        uint64_t row = run->row + done, left = n - row % n;
        count = left < run->n_rows - done ? left : run->n_rows - done;
        unit.expert = (uint32_t)(row / n);
        fill_part(l, part, unit, row % n, count, (const char *)run->data + done * row_bytes, run->tensor->dtype);
    }
}

// Some experts of a layer, of which each is one row.
static void load_experts(struct loader *l, const struct weight_part *part, struct weight_unit unit,
                         const struct tensor_run *run)
{
    size_t bytes = run->tensor->bytes / l->config->n_experts;
    for (uint64_t i = 0; i < run->n_rows; i++) {
        const char *src = (const char *)run->data + i * bytes;
        unit.expert = (uint32_t)(run->row + i);
        if (part->packing == STACKED) {
            load_vector(l, part, unit, run->tensor->dtype, src);
        } else if (part->packing == STACKED_GROUPS) {
            expand_expert(l, part, unit, (const uint8_t *)src);
        } else {
            memcpy(l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)] + unit.expert * bytes, src, bytes);
        }
    }
}

// The beginning of a tensor's first and middle row, whatever the runs: a sum, so that shards may be cut in any way.
static void hash_samples(struct loader *l, const struct tensor_run *run)
{
    const struct tensor_info *t = run->tensor;
    uint64_t n_rows = tensor_n_rows(t), row_bytes = n_rows > 0 ? t->bytes / n_rows : 0;
    uint64_t name = XXH3_64bits(t->name.ptr, t->name.len);
    const uint64_t rows[] = { 0, n_rows / 2 };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i] >= run->row && rows[i] - run->row < run->n_rows) {
            const char *row = (const char *)run->data + (rows[i] - run->row) * row_bytes;
            l->hash += XXH3_64bits_withSeed(row, row_bytes < SAMPLE_BYTES ? row_bytes : SAMPLE_BYTES, name + i);
        }
    }
}

static int load_run(void *ctx, const struct tensor_run *run, struct err *err)
{
    struct loader *l = ctx;
    hash_samples(l, run);
    if (run->tensor->is_scales) {
        return f8_scales_take(&l->f8, run, err);
    }
    struct weight_unit unit;
    const struct weight_part *part = weight_unpack_use(l->scheme, l->config, run->tensor->user_idx, &unit);
    bool is_matrix = weight_places[part->place].is_matrix;
    if (part->packing == STACKED && is_matrix) {
        load_stacked_rows(l, part, unit, run);
    } else if (part->packing != PLAIN) {
        load_experts(l, part, unit, run);
    } else if (run->tensor->scales) {
        load_f8_rows(l, part, unit, run);
    } else if (is_matrix) {
        fill_part(l, part, unit, run->row, run->n_rows, run->data, run->tensor->dtype);
    } else {
        load_vector(l, part, unit, run->tensor->dtype, run->data);
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

static size_t longest_row(const struct model_config *c)
{
    size_t n = 0;
    for (int id = 0; id < N_PLACES; id++) {
        size_t n_in = weight_dim(c, weight_places[id].n_in);
        n = weight_places[id].is_matrix && n_in > n ? n_in : n;
    }
    return n;
}

static int make_scales(struct loader *l)
{
    const struct model_config *c = l->config;
    l->rows = malloc(EXPAND_ROWS * longest_row(c) * sizeof(*l->rows));
    if (model_has(c, FEATURE_F8)) {
        return l->rows ? f8_scales_init(&l->f8, l->cp) : -ENOMEM;
    }
    l->scales = calloc(2 * (size_t)c->n_layers, sizeof(*l->scales));
    bool is_complete = l->scales && l->rows;
    for (size_t i = 0; is_complete && i < checkpoint_n_tensors(l->cp); i++) {
        const struct tensor_info *t = checkpoint_tensor(l->cp, i);
        struct weight_unit unit;
        const struct weight_part *part = weight_unpack_use(l->scheme, c, t->user_idx, &unit);
        if (t->is_used && part->packing == STACKED_SCALES) {
            uint8_t **scales = &l->scales[2 * unit.layer + (part->place == EXPERT_DOWN)];
            *scales = malloc(t->bytes);
            is_complete = *scales != NULL;
        }
    }
    return is_complete ? 0 : -ENOMEM;
}

// One pass over the tensors that are scales, or over all others. Files have the scales behind what they scale.
static int read_pass(struct loader *l, bool of_scales, struct err *err)
{
    size_t n = checkpoint_n_tensors(l->cp);
    bool *was_used = malloc(n * sizeof(*was_used) + 1);
    if (!was_used) {
        return err_set(err, -ENOMEM, "no memory for %zu tensors", n);
    }
    for (size_t i = 0; i < n; i++) {
        struct tensor_info *t = checkpoint_tensor(l->cp, i);
        struct weight_unit unit;
        was_used[i] = t->is_used;
        bool is_scales =
            t->is_scales || weight_unpack_use(l->scheme, l->config, t->user_idx, &unit)->packing == STACKED_SCALES;
        t->is_used = t->is_used && is_scales == of_scales;
    }
    const struct tensor_read read = { load_run, l->progress && !of_scales ? report_progress : NULL, l, l->w->backend };
    int rc = checkpoint_read(l->cp, &read, err);
    for (size_t i = 0; i < n; i++) {
        checkpoint_tensor(l->cp, i)->is_used = was_used[i];
    }
    free(was_used);
    return rc;
}

static bool has_scales(const struct loader *l)
{
    return l->cp->format == CHECKPOINT_SAFETENSORS && (l->config->features & (FEATURE_MXFP4 | FEATURE_F8));
}

static int read_all(struct loader *l, struct err *err)
{
    int rc = has_scales(l) ? read_pass(l, true, err) : 0;
    return rc < 0 ? rc : read_pass(l, false, err);
}

// Twice the longest vector: as it is in the file, and in order.
static int loader_init(struct loader *l)
{
    const struct model_config *c = l->config;
    struct backend *b = l->w->backend;
    size_t n_values = l->form == WEIGHTS_AS_STORED ? 0 : b->ops->n_workers(b) * longest_row(c);
    l->vector = malloc(2 * longest_vector(c) * sizeof(float));
    l->ordered = malloc((size_t)c->head_dim / 2 * c->n_embd * sizeof(float) + 1);
    l->values = malloc(n_values * sizeof(float) + 1);
    l->converted = malloc(n_values > 0 ? CONVERT_ROWS * longest_row(c) * sizeof(float) : 1);
    bool is_complete = l->vector && l->ordered && l->values && l->converted;
    int rc = is_complete ? make_layers(l->w, c) : -ENOMEM;
    return rc == 0 && has_scales(l) ? make_scales(l) : rc;
}

static void loader_deinit(struct loader *l)
{
    for (uint32_t i = 0; l->scales && i < 2 * l->config->n_layers; i++) {
        free(l->scales[i]);
    }
    free(l->scales);
    f8_scales_deinit(&l->f8);
    free(l->rows);
    free(l->vector);
    free(l->ordered);
    free(l->values);
    free(l->converted);
}

int weights_load(struct weights *w, struct backend *backend, const struct weight_source *source, struct err *err)
{
    const struct model_config *config = source->config;
    memset(w, 0, sizeof(*w));
    w->backend = backend;
    struct loader l = { .w = w,
                        .cp = source->cp,
                        .scheme = weight_scheme_of(source->cp->format),
                        .config = config,
                        .form = source->form,
                        .progress = source->progress,
                        .progress_ctx = source->progress_ctx };
    if (loader_init(&l) < 0) {
        loader_deinit(&l);
        return err_set(err, -ENOMEM, "no memory for %" PRIu32 " layers", config->n_layers);
    }
    int rc = make_places(&l, err);
    if (rc == 0 && model_has(config, FEATURE_TIED)) {
        w->lm_head = w->embed;
        w->bytes_per_step += backend->ops->matrix_bytes(w->embed.pieces[0]);
    }
    const struct packed_weights *packed = source->packed && source->packed->path[0] ? source->packed : NULL;
    if (rc == 0 && !(packed && packed_weights_take(packed, w, source))) {
        rc = read_all(&l, err);
        w->hash = l.hash;
        if (rc == 0 && packed) {
            packed_weights_keep(packed, w, source);
        }
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
        void *place = weight_place_of(w, id, (struct weight_unit){ layer, expert });
        struct weight_matrix *m = place;
        for (uint32_t i = 0; weight_places[id].is_matrix && i < m->n_pieces; i++) {
            w->backend->ops->matrix_free(w->backend, m->pieces[i]);
        }
        if (!weight_places[id].is_matrix && *(float **)place) {
            w->backend->ops->free(w->backend, *(float **)place);
        }
    }
}

void weights_deinit(struct weights *w)
{
    if (w->lm_head.pieces[0] == w->embed.pieces[0]) {
        w->lm_head.n_pieces = 0;
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
