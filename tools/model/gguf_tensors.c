// Walks the table of weights by the scheme of GGUF: each of its parts is some rows of a place.
#include "tools/model/gguf_tensors.h"
#include "engine/model/weights_table.h"
#include "tools/model/memory_backend.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const struct gguf_tensors *tensors;
    struct gguf_writer *w; // describing, or
    FILE *out;             // writing
};

static uint32_t type_of(enum dtype dtype)
{
    char name[16];
    size_t n = 0;
    for (const char *c = dtype_name(dtype); *c; c++) {
        name[n++] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    int type = gguf_tensor_type_find((struct str){ name, n });
    assert(type >= 0);
    return (uint32_t)type;
}

static void put(const struct walk *walk, const void *bytes, size_t n)
{
    fwrite(bytes, 1, n, walk->out);
}

static void pad(const struct walk *walk, uint64_t bytes)
{
    static const char zeros[GGUF_WRITE_ALIGNMENT];
    put(walk, zeros, (GGUF_WRITE_ALIGNMENT - bytes % GGUF_WRITE_ALIGNMENT) % GGUF_WRITE_ALIGNMENT);
}

// The piece that holds row `*row`, which becomes its row in that piece.
static uint32_t piece_of(const struct weight_matrix *m, size_t *row)
{
    uint32_t piece = 0;
    while (piece + 1 < m->n_pieces && *row >= m->n_rows[piece]) {
        *row -= m->n_rows[piece++];
    }
    return piece;
}

static bool is_paired(const struct walk *walk, const struct weight_part *part)
{
    return part->order == HEADS_INTERLEAVED && walk->tensors->is_permuted;
}

// Where row or element i of the tensor is in the part.
static size_t source_of(const struct walk *walk, const struct weight_part *part, size_t i)
{
    size_t head_dim = walk->tensors->config->head_dim, at = i % head_dim;
    return is_paired(walk, part) ? i - at + at % 2 * (head_dim / 2) + at / 2 : i;
}

static void write_rows(const struct walk *walk, const struct weight_part *part, const struct weight_matrix *m)
{
    const struct model_config *c = walk->tensors->config;
    size_t at = weight_dim(c, part->at), n = weight_dim(c, part->n),
           n_in = weight_dim(c, weight_places[part->place].n_in);
    for (size_t i = 0; i < n; i++) {
        size_t row = at + source_of(walk, part, i);
        uint32_t piece = piece_of(m, &row);
        put(walk, memory_matrix_row(m->pieces[piece], row), dtype_row_bytes(m->dtypes[piece], n_in));
    }
}

static void write_elements(const struct walk *walk, const struct weight_part *part, const float *vector)
{
    const struct model_config *c = walk->tensors->config;
    for (size_t i = 0, n = weight_dim(c, part->n); i < n; i++) {
        put(walk, &vector[weight_dim(c, part->at) + source_of(walk, part, i)], sizeof(*vector));
    }
}

static void visit_part(const struct walk *walk, const struct weight_part *part, uint32_t layer)
{
    const struct model_config *c = walk->tensors->config;
    const struct weight_place *place = &weight_places[part->place];
    struct weight_unit unit = { layer, 0 };
    if (!weight_has_part(c, part) || !weight_has_unit(c, part->place, unit)) {
        return;
    }
    uint32_t n_stacked = part->packing == PLAIN ? 1 : c->n_experts, n_dims = 0;
    size_t at = weight_dim(c, part->at), n = weight_dim(c, part->n), n_in = weight_dim(c, place->n_in);
    const void *first = weight_place_of(walk->tensors->weights, part->place, unit);
    const struct weight_matrix *m = first;
    enum dtype dtype = place->is_matrix ? m->dtypes[piece_of(m, &at)] : DTYPE_F32;
    uint64_t shape[3], bytes = n_stacked * (place->is_matrix ? n * dtype_row_bytes(dtype, n_in) : n * sizeof(float));
    if (place->is_matrix) {
        shape[n_dims++] = n_in;
    }
    shape[n_dims++] = n;
    if (part->packing != PLAIN) {
        shape[n_dims++] = n_stacked;
    }
    if (walk->w) {
        char name[128];
        snprintf(name, sizeof(name), part->name, layer);
        gguf_write_tensor(walk->w, name, type_of(dtype), n_dims, shape, bytes);
        return;
    }
    for (; unit.expert < n_stacked; unit.expert++) {
        const void *p = weight_place_of(walk->tensors->weights, part->place, unit);
        if (place->is_matrix) {
            write_rows(walk, part, p);
        } else {
            write_elements(walk, part, *(float *const *)p);
        }
    }
    pad(walk, bytes);
}

static void visit_factors(const struct walk *walk)
{
    for (size_t i = 0; i < walk->tensors->n_factors; i++) {
        const struct gguf_factors *f = &walk->tensors->factors[i];
        uint64_t n = f->n;
        if (walk->w) {
            gguf_write_tensor(walk->w, f->name, type_of(DTYPE_F32), 1, &n, n * sizeof(float));
        } else {
            put(walk, f->values, f->n * sizeof(float));
            pad(walk, n * sizeof(float));
        }
    }
}

static void visit_all(const struct walk *walk)
{
    const struct weight_scheme *scheme = weight_scheme_of(CHECKPOINT_GGUF);
    for (size_t i = 0; i < scheme->n_parts; i++) {
        bool is_of_model = weight_places[scheme->parts[i].place].scope == MODEL;
        uint32_t n = is_of_model ? 1 : walk->tensors->config->n_layers;
        for (uint32_t layer = 0; layer < n; layer++) {
            visit_part(walk, &scheme->parts[i], layer);
        }
    }
    visit_factors(walk);
}

void gguf_tensors_describe(const struct gguf_tensors *tensors, struct gguf_writer *w)
{
    const struct walk walk = { .tensors = tensors, .w = w };
    visit_all(&walk);
}

int gguf_tensors_write(const struct gguf_tensors *tensors, FILE *out)
{
    const struct walk walk = { .tensors = tensors, .out = out };
    visit_all(&walk);
    return ferror(out) ? -EIO : 0;
}
