// Splits the operations whose rows (or elements) are independent over the workers; and the two that only move data.
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_backend.h"

#include <assert.h>
#include <string.h>

// Floats that one worker takes at a time; an operation of fewer runs on the caller alone.
#define CHUNK_FLOATS ((size_t)8192)

struct run {
    const struct cpu_kernels *kernels;
    const void *op;
};

static size_t chunk_rows(size_t row_floats)
{
    return row_floats < CHUNK_FLOATS ? CHUNK_FLOATS / row_floats : 1;
}

static void run_rms_norm(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct run *run = ctx;
    run->kernels->rms_norm(run->op, begin, end);
}

void cpu_rms_norm(struct backend *b, const struct op_rms_norm *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->dim > 0 && (op->group == 0 || op->stride >= op->group * op->dim));
    struct run run = { .kernels = cpu->kernels, .op = op };
    pool_run(cpu->pool, op->n_rows, chunk_rows(op->dim), run_rms_norm, &run);
}

// Items are pieces of CHUNK_FLOATS of a row, so that a single wide row is shared out too.
static void run_glu(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct run *run = ctx;
    const struct op_glu *op = run->op;
    size_t row_pieces = (op->dim - 1) / CHUNK_FLOATS + 1;
    for (size_t item = begin; item < end; item++) {
        size_t row = item / row_pieces, first = item % row_pieces * CHUNK_FLOATS;
        size_t n = op->dim - first < CHUNK_FLOATS ? op->dim - first : CHUNK_FLOATS;
        const float *gate = op->x + row * 2 * op->dim + first;
        run->kernels->glu(op->kind, gate, gate + op->dim, op->y + row * op->dim + first, n);
    }
}

void cpu_glu(struct backend *b, const struct op_glu *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->dim > 0);
    struct run run = { .kernels = cpu->kernels, .op = op };
    size_t row_pieces = (op->dim - 1) / CHUNK_FLOATS + 1;
    pool_run(cpu->pool, op->n_rows * row_pieces, chunk_rows(op->dim), run_glu, &run);
}

// Items are pieces of CHUNK_FLOATS.
static void run_softcap(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct run *run = ctx;
    const struct op_softcap *op = run->op;
    size_t first = begin * CHUNK_FLOATS, last = end * CHUNK_FLOATS < op->n ? end * CHUNK_FLOATS : op->n;
    run->kernels->softcap(op->x + first, op->cap, last - first);
}

void cpu_softcap(struct backend *b, const struct op_softcap *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->cap > 0);
    struct run run = { .kernels = cpu->kernels, .op = op };
    pool_run(cpu->pool, (op->n + CHUNK_FLOATS - 1) / CHUNK_FLOATS, 1, run_softcap, &run);
}

static void run_gather(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct op_gather *op = ((const struct run *)ctx)->op;
    for (size_t row = begin; row < end; row++) {
        memcpy(op->y + row * op->dim, op->x + op->rows[row] * op->dim, op->dim * sizeof(*op->y));
    }
}

void cpu_gather(struct backend *b, const struct op_gather *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(op->dim > 0);
    struct run run = { .op = op };
    pool_run(cpu->pool, op->n_rows, chunk_rows(op->dim), run_gather, &run);
}

static float matrix_element(const struct matrix *m, const unsigned char *tile, size_t lane, size_t k)
{
    if (m->dtype == DTYPE_F32) {
        return ((const float *)tile)[k * LINEAR_TILE + lane];
    }
    if (m->dtype == DTYPE_F16) {
        return f32_from_f16(((const uint16_t *)tile)[k * LINEAR_TILE + lane]);
    }
    return f32_from_bf16(((const uint16_t *)tile)[(k / 2 * LINEAR_TILE + lane) * 2 + k % 2]);
}

static void run_embed(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    const struct op_embed *op = ((const struct run *)ctx)->op;
    const struct matrix *m = op->table;
    for (size_t row = begin; row < end; row++) {
        size_t token = (size_t)op->token_ids[row];
        const unsigned char *tile = m->data + token / LINEAR_TILE * m->tile_bytes;
        float *y = op->y + row * m->n_in;
        if (!dtype_is_plain(m->dtype)) {
            matrix_quant_read_row(m, token, y);
        }
        for (size_t k = 0; k < m->n_in; k++) {
            y[k] = (dtype_is_plain(m->dtype) ? matrix_element(m, tile, token % LINEAR_TILE, k) : y[k]) * op->scale;
        }
    }
}

void cpu_embed(struct backend *b, const struct op_embed *op)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    for (size_t row = 0; row < op->n_rows; row++) {
        assert(op->token_ids[row] >= 0 && (size_t)op->token_ids[row] < op->table->n_out);
    }
    struct run run = { .op = op };
    pool_run(cpu->pool, op->n_rows, chunk_rows(op->table->n_in * 4), run_embed, &run);
}
