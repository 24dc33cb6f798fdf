// The table of operations. Each launches kernels; nothing waits but download, route (the host plans the experts) and
// sync.
//
// What the operations of a step bring along is sent before the first of them (step.h), and found by the names of the
// caller's arrays. What it does not have is staged by the operation that brings it: experts' rows, and all of those
// that are used outside of steps.
//
// Memory that depends on shapes seen first in a step (rows rounded to 16 bits, staging) grows when a larger one comes.
#include "kernels/cuda/cuda.h"
#include "kernels/cpu/pool.h"
#include "kernels/cuda/blocks.h"
#include "kernels/cuda/draws.h"
#include "kernels/cuda/graphs.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/stage.h"
#include "kernels/cuda/step.h"
#include "kernels/quant.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGE_BYTES    ((size_t)4 << 20)
#define PARTIALS_BYTES ((size_t)64 << 20)
_Static_assert(GPU_MARK_FILLED + BACKEND_MARKS == GPU_N_MARKS, "a mark of the runtime for each of the backend");

// K and V as attention_hopper.cu reads them: whether it does with this layout, and in which pool they are.
struct hopper_kv {
    struct kv_layout layout;
    bool is_there;
    const void *pool;
    struct gpu_tensor_map map;
};

struct cuda_backend {
    struct backend backend;
    struct gpu *gpu;
    struct pool *pool; // of the host, for work between steps
    bool is_deterministic;
    bool has_hopper; // an sm_90, and nobody wants its attention by mma.sync
    struct hopper_kv hopper;
    struct stage stage;
    struct step_block step;
    struct graphs graphs;
    struct draws draws;
    struct {
        const unsigned char *mem; // [bytes] that weights come from; NULL: none is pinned
        size_t bytes;
    } pinned;
    float *partials; // PARTIALS_BYTES
    void *rows_16;   // [rows_16_bytes]
    size_t rows_16_bytes;
    char description[192];
};

struct matrix {
    struct gpu_matrix gpu;
    enum dtype source; // of the rows that matrix_fill is given
};

static struct cuda_backend *cuda_of(struct backend *b)
{
    return (struct cuda_backend *)b;
}

static gpu_queue queue_of(struct cuda_backend *cuda)
{
    return gpu_queue_of(cuda->gpu);
}

// ---- memory --------------------------------------------------------------------------------------------------------

static void *cuda_alloc(struct backend *b, size_t bytes)
{
    return gpu_alloc(cuda_of(b)->gpu, bytes);
}

static void cuda_free(struct backend *b, void *mem)
{
    if (mem) {
        graphs_forget(&cuda_of(b)->graphs);
        gpu_free(cuda_of(b)->gpu, mem);
    }
}

static void cuda_upload(struct backend *b, void *dst, const void *host_src, size_t bytes)
{
    if (bytes > 0) {
        gpu_upload(cuda_of(b)->gpu, dst, host_src, bytes);
    }
}

// The queue is empty: what was staged is done with.
static void forget_step(struct cuda_backend *cuda)
{
    step_forget(&cuda->step);
    stage_reset(&cuda->stage);
}

static void cuda_download(struct backend *b, void *host_dst, const void *src, size_t bytes)
{
    if (bytes > 0) {
        gpu_download(cuda_of(b)->gpu, host_dst, src, bytes);
        forget_step(cuda_of(b));
    }
}

static void cuda_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    if (bytes > 0) {
        gpu_copy(cuda_of(b)->gpu, dst, src, bytes);
    }
}

static void *cuda_host_alloc(struct backend *b, size_t bytes)
{
    return gpu_host_alloc(cuda_of(b)->gpu, bytes);
}

static void cuda_host_free(struct backend *b, void *mem)
{
    if (mem) {
        gpu_host_free(cuda_of(b)->gpu, mem);
    }
}

static void cuda_copy_out(struct backend *b, void *host_dst, const void *src, size_t bytes)
{
    gpu_copy_out(cuda_of(b)->gpu, host_dst, src, bytes);
}

static void cuda_copy_in(struct backend *b, void *dst, const void *host_src, size_t bytes)
{
    gpu_copy_in(cuda_of(b)->gpu, dst, host_src, bytes);
}

static bool cuda_host_pin(struct backend *b, void *mem, size_t bytes)
{
    struct cuda_backend *cuda = cuda_of(b);
    bool is_pinned = !cuda->pinned.mem && gpu_host_pin(cuda->gpu, mem, bytes);
    if (is_pinned) {
        cuda->pinned.mem = mem;
        cuda->pinned.bytes = bytes;
    }
    return is_pinned;
}

static void cuda_host_unpin(struct backend *b, void *mem)
{
    struct cuda_backend *cuda = cuda_of(b);
    assert(cuda->pinned.mem == mem);
    gpu_host_unpin(cuda->gpu, mem);
    cuda->pinned.mem = NULL;
}

static void cuda_mark(struct backend *b, unsigned mark)
{
    assert(mark < BACKEND_MARKS);
    gpu_mark(cuda_of(b)->gpu, GPU_MARK_FILLED + mark);
}

static void cuda_wait(struct backend *b, unsigned mark)
{
    assert(mark < BACKEND_MARKS);
    gpu_wait(cuda_of(b)->gpu, GPU_MARK_FILLED + mark);
}

static void cuda_sync(struct backend *b)
{
    gpu_sync(cuda_of(b)->gpu, NULL);
    forget_step(cuda_of(b));
}

// ---- weights -------------------------------------------------------------------------------------------------------

#define FILL_BYTES ((size_t)16 << 20) // of rows in block formats, on their way into place

static bool grow_rows_16(struct cuda_backend *cuda, size_t bytes)
{
    if (bytes <= cuda->rows_16_bytes) {
        return true;
    }
    void *larger = gpu_alloc(cuda->gpu, 2 * bytes);
    if (!larger) {
        return false;
    }
    if (cuda->rows_16) {
        graphs_forget(&cuda->graphs);
        gpu_free(cuda->gpu, cuda->rows_16);
    }
    cuda->rows_16 = larger;
    cuda->rows_16_bytes = 2 * bytes;
    return true;
}

// Rows that fit FILL_BYTES; one at least.
static size_t n_fill_rows(const struct matrix *m)
{
    size_t n = FILL_BYTES / dtype_row_bytes(m->source, m->gpu.n_in);
    return n > 0 ? n : 1;
}

static size_t matrix_bytes_of(const struct gpu_matrix *m)
{
    return blocks_has(m->dtype) ? blocks_bytes(m->dtype, m->n_out, m->n_in)
                                : m->n_out * m->n_in * dtype_bytes(m->dtype);
}

// Rows of block types that have no kernels are expanded: see matrix_fill.
static struct matrix *cuda_matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in)
{
    struct cuda_backend *cuda = cuda_of(b);
    assert(n_out > 0 && n_in > 0);
    struct matrix *m = calloc(1, sizeof(*m));
    if (!m) {
        return NULL;
    }
    m->source = dtype;
    m->gpu = (struct gpu_matrix){ .dtype = dtype_is_plain(dtype) || blocks_has(dtype) ? dtype : DTYPE_BF16,
                                  .n_out = n_out,
                                  .n_in = n_in };
    size_t n_rows = n_fill_rows(m) < n_out ? n_fill_rows(m) : n_out;
    if (!blocks_has(dtype) || grow_rows_16(cuda, n_rows * dtype_row_bytes(dtype, n_in))) {
        m->gpu.data = gpu_alloc(cuda->gpu, matrix_bytes_of(&m->gpu));
    }
    if (!m->gpu.data) {
        free(m);
        return NULL;
    }
    return m;
}

// From the file's bytes to the device: from pinned memory they go by themselves.
static void send_rows(struct cuda_backend *cuda, void *dst, const void *rows, size_t bytes)
{
    uintptr_t offset = (uintptr_t)rows - (uintptr_t)cuda->pinned.mem;
    bool is_pinned = cuda->pinned.mem && offset < cuda->pinned.bytes && bytes <= cuda->pinned.bytes - offset;
    (is_pinned ? gpu_copy_in : gpu_upload)(cuda->gpu, dst, rows, bytes);
}

#define EXPAND_BLOCK (16 * QUANT_SUPERBLOCK)

static void fill_expanded(struct cuda_backend *cuda, struct matrix *m, size_t first, size_t n, const unsigned char *src)
{
    float values[EXPAND_BLOCK];
    uint16_t rounded[EXPAND_BLOCK];
    for (size_t i = 0; i < n; i += EXPAND_BLOCK) {
        size_t n_here = n - i < EXPAND_BLOCK ? n - i : EXPAND_BLOCK;
        quant_expand(m->source, src + dtype_row_bytes(m->source, i), n_here, values);
        quant_pack(DTYPE_BF16, values, n_here, rounded);
        gpu_upload(cuda->gpu, (uint16_t *)m->gpu.data + first + i, rounded, n_here * sizeof(*rounded));
    }
}

// The device puts them in place.
static void fill_blocks(struct cuda_backend *cuda, struct matrix *m, size_t row, size_t n_rows,
                        const unsigned char *rows)
{
    size_t row_bytes = dtype_row_bytes(m->source, m->gpu.n_in), step = n_fill_rows(m);
    for (size_t i = 0; i < n_rows; i += step) {
        size_t n = n_rows - i < step ? n_rows - i : step;
        send_rows(cuda, cuda->rows_16, rows + i * row_bytes, n * row_bytes);
        gpu_blocks_pack(queue_of(cuda), &m->gpu, row + i, n, cuda->rows_16);
    }
}

static void cuda_matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows)
{
    assert(row <= m->gpu.n_out && n_rows <= m->gpu.n_out - row);
    size_t n = n_rows * m->gpu.n_in, first = row * m->gpu.n_in;
    if (n == 0) {
        return;
    }
    if (blocks_has(m->gpu.dtype)) {
        fill_blocks(cuda_of(b), m, row, n_rows, host_rows);
    } else if (m->source != m->gpu.dtype) {
        fill_expanded(cuda_of(b), m, first, n, host_rows);
    } else {
        size_t element = dtype_bytes(m->gpu.dtype);
        send_rows(cuda_of(b), (unsigned char *)m->gpu.data + first * element, host_rows, n * element);
    }
}

static void cuda_matrix_free(struct backend *b, struct matrix *m)
{
    if (m) {
        graphs_forget(&cuda_of(b)->graphs);
        gpu_free(cuda_of(b)->gpu, m->gpu.data);
        free(m);
    }
}

static size_t cuda_matrix_bytes(const struct matrix *m)
{
    return matrix_bytes_of(&m->gpu);
}

// ---- products ------------------------------------------------------------------------------------------------------

#define EXPANDED_BYTES ((size_t)64 << 20) // of weights in block formats, for cuBLAS

// Outputs whose weights are made 16 bits for one product of the library; all where they are.
static size_t n_slab_outputs(const struct gpu_matrix *w)
{
    size_t n = EXPANDED_BYTES / (w->n_in * 2) / BLOCKS_TILE * BLOCKS_TILE;
    return !blocks_has(w->dtype) || n >= w->n_out ? w->n_out : n > 0 ? n : BLOCKS_TILE;
}

// By cuBLAS, from rounded rows. False: it does not do this one.
static bool linear_by_library(struct cuda_backend *cuda, const struct op_linear *op, const struct gpu_matrix *w)
{
    size_t x_bytes = (op->n_rows * w->n_in * 2 + 255) / 256 * 256, n_outputs = n_slab_outputs(w);
    size_t w_bytes = blocks_has(w->dtype) ? n_outputs * w->n_in * 2 : 0;
    if (w->dtype == DTYPE_F32 || cuda->is_deterministic || !gpu_has_gemm(cuda->gpu) ||
        !grow_rows_16(cuda, x_bytes + w_bytes)) {
        return false;
    }
    struct gpu_gemm gemm = { .w = w->data,
                             .x = cuda->rows_16,
                             .n_rows = op->n_rows,
                             .n_in = w->n_in,
                             .y_stride = op->y_stride,
                             .is_f16 = w->dtype == DTYPE_F16,
                             .accumulate = op->accumulate };
    gpu_rows_to_16(queue_of(cuda), op, w->n_in, gemm.is_f16, cuda->rows_16);
    for (size_t out = 0; out < w->n_out; out += n_outputs) {
        gemm.y = op->y + out;
        gemm.n_out = w->n_out - out < n_outputs ? w->n_out - out : n_outputs;
        if (w_bytes > 0) {
            gemm.w = (unsigned char *)cuda->rows_16 + x_bytes;
            gpu_blocks_expand(queue_of(cuda), w, out, gemm.n_out, (unsigned char *)cuda->rows_16 + x_bytes);
        }
        if (!gpu_gemm(cuda->gpu, &gemm)) {
            assert(out == 0); // it does all of one shape or none
            return false;
        }
    }
    if (op->bias) {
        gpu_add_bias(queue_of(cuda), op, w->n_out);
    }
    return true;
}

// Rows of x rounded for the kernels of linear_blocks.cu; NULL: they read x as it is.
static void *rounded_rows(struct cuda_backend *cuda, size_t n_rows, size_t rows_max, size_t n_in)
{
    bool is_wanted = rows_max > GEMV_ROWS_MAX && grow_rows_16(cuda, gpu_blocks_x16_bytes(n_rows, n_in));
    return is_wanted ? cuda->rows_16 : NULL;
}

static void cuda_linear(struct backend *b, const struct op_linear *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    const struct gpu_matrix *w = &op->w->gpu;
    assert(!op->maxima); // the host finds them where it reads the outputs
    if (op->n_rows == 0) {
        return;
    }
    bool is_block = blocks_has(w->dtype);
    size_t n_few = is_block ? PART_ROWS_MAX : cuda->is_deterministic ? 0 : GEMV_ROWS_MAX;
    if (op->n_rows > n_few && linear_by_library(cuda, op, w)) {
        return;
    }
    if (is_block) {
        gpu_linear_blocks(queue_of(cuda), op, w, rounded_rows(cuda, op->n_rows, op->n_rows, w->n_in));
    } else if (op->n_rows <= n_few) {
        gpu_gemv(queue_of(cuda), op, w);
    } else {
        gpu_linear_tiles(queue_of(cuda), op, w);
    }
}

// Of few rows. With `deterministic` plain weights have one way only, that of many rows.
static bool cuda_linear_glu(struct backend *b, const struct op_linear *op, enum glu kind)
{
    struct cuda_backend *cuda = cuda_of(b);
    const struct gpu_matrix *w = &op->w->gpu;
    if (op->n_rows == 0 || op->n_rows > GEMV_ROWS_MAX) {
        return false;
    }
    if (blocks_has(w->dtype)) {
        return gpu_blocks_glu(queue_of(cuda), op, w, kind);
    }
    return !cuda->is_deterministic && gpu_gemv_glu(queue_of(cuda), op, w, kind);
}

static bool is_one_launch(const struct cuda_backend *cuda, const struct op_linear_group *op)
{
    const struct gpu_matrix *first = &op->parts[0].w->gpu;
    size_t n_rows = 0;
    for (size_t i = 0; i < op->n_parts; i++) {
        const struct gpu_matrix *w = &op->parts[i].w->gpu;
        if (w->dtype != first->dtype || w->n_out != first->n_out || w->n_in != first->n_in) {
            return false;
        }
        n_rows += op->parts[i].n_rows;
    }
    bool is_many = n_rows / op->n_parts > PART_ROWS_MAX && gpu_has_gemm(cuda->gpu);
    return gpu_blocks_has(first->dtype, first->n_in) && (cuda->is_deterministic || !is_many);
}

static void linear_each(struct backend *b, const struct op_linear_group *op)
{
    for (size_t i = 0; i < op->n_parts; i++) {
        const struct linear_part *part = &op->parts[i];
        const struct op_linear one = { .w = part->w,
                                       .bias = part->bias,
                                       .x = op->x + part->row * op->x_stride,
                                       .y = op->y + part->row * op->y_stride,
                                       .x_stride = op->x_stride,
                                       .y_stride = op->y_stride,
                                       .n_rows = part->n_rows };
        cuda_linear(b, &one);
    }
}

static void cuda_linear_group(struct backend *b, const struct op_linear_group *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->n_parts == 0) {
        return;
    }
    if (!is_one_launch(cuda, op)) {
        linear_each(b, op);
        return;
    }
    const struct gpu_matrix *like = &op->parts[0].w->gpu;
    const struct linear_part *last = &op->parts[op->n_parts - 1];
    size_t rows_max = 0, n_pieces = 0, n = 0, n_rows = last->row + last->n_rows;
    for (size_t i = 0; i < op->n_parts; i++) {
        rows_max = op->parts[i].n_rows > rows_max ? op->parts[i].n_rows : rows_max;
    }
    void *x16 = rounded_rows(cuda, n_rows, rows_max, like->n_in);
    size_t step = x16 ? PART_ROWS_MAX : GEMV_ROWS_MAX;
    for (size_t i = 0; i < op->n_parts; i++) {
        n_pieces += (op->parts[i].n_rows + step - 1) / step;
    }
    struct gpu_part *pieces = stage_take(&cuda->stage, n_pieces * sizeof(*pieces));
    for (size_t i = 0; i < op->n_parts; i++) {
        const struct linear_part *part = &op->parts[i];
        for (size_t row = 0; row < part->n_rows; row += step) {
            size_t n_here = part->n_rows - row < step ? part->n_rows - row : step;
            pieces[n++] =
                (struct gpu_part){ part->w->gpu.data, part->bias, (uint32_t)(part->row + row), (uint32_t)n_here };
        }
    }
    const struct op_linear run = {
        .x = op->x, .y = op->y, .x_stride = op->x_stride, .y_stride = op->y_stride, .n_rows = n_rows
    };
    gpu_linear_parts(queue_of(cuda), &run, like, stage_send(&cuda->stage, pieces, n * sizeof(*pieces)), n,
                     rows_max < step ? rows_max : step, x16);
}

// ---- rows ----------------------------------------------------------------------------------------------------------

static void cuda_embed(struct backend *b, const struct op_embed *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->n_rows > 0) {
        bool is_there = op->token_ids == cuda->step.token_ids;
        const int32_t *ids =
            is_there ? cuda->step.device_token_ids : stage_copy(&cuda->stage, op->token_ids, op->n_rows * sizeof(*ids));
        gpu_embed(queue_of(cuda), op, &op->table->gpu, ids, cuda->draws.results);
    }
}

static void cuda_rms_norm(struct backend *b, const struct op_rms_norm *op)
{
    if (op->n_rows > 0) {
        gpu_rms_norm(queue_of(cuda_of(b)), op);
    }
}

static void cuda_glu(struct backend *b, const struct op_glu *op)
{
    if (op->n_rows * op->dim > 0) {
        gpu_glu(queue_of(cuda_of(b)), op);
    }
}

static void cuda_softcap(struct backend *b, const struct op_softcap *op)
{
    if (op->n > 0) {
        gpu_softcap(queue_of(cuda_of(b)), op);
    }
}

static void cuda_gather(struct backend *b, const struct op_gather *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->n_rows > 0) {
        bool is_there = op->rows == cuda->step.logit_rows;
        gpu_gather(queue_of(cuda), op,
                   is_there ? cuda->step.device_logit_rows
                            : stage_copy(&cuda->stage, op->rows, op->n_rows * sizeof(*op->rows)));
    }
}

static void cuda_route(struct backend *b, const struct op_route *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n = op->n_rows * op->n_used;
    if (n == 0) {
        return;
    }
    uint32_t *experts = stage_take(&cuda->stage, n * (sizeof(*op->experts) + sizeof(*op->weights)));
    unsigned char *device = cuda->stage.device + ((unsigned char *)experts - cuda->stage.host);
    float *weights = (float *)(device + n * sizeof(*op->experts));
    gpu_route(queue_of(cuda), op, (uint32_t *)device, weights);
    gpu_download(cuda->gpu, experts, device, n * (sizeof(*op->experts) + sizeof(*op->weights)));
    memcpy(op->experts, experts, n * sizeof(*op->experts));
    memcpy(op->weights, experts + n, n * sizeof(*op->weights));
}

static void cuda_combine(struct backend *b, const struct op_combine *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n = op->n_rows * op->n_used;
    if (n == 0) {
        return;
    }
    uint32_t *rows = stage_take(&cuda->stage, n * (sizeof(*op->rows) + sizeof(*op->weights)));
    memcpy(rows, op->rows, n * sizeof(*op->rows));
    memcpy(rows + n, op->weights, n * sizeof(*op->weights));
    const uint32_t *device = stage_send(&cuda->stage, rows, n * (sizeof(*op->rows) + sizeof(*op->weights)));
    gpu_combine(queue_of(cuda), op, device, (const float *)(device + n));
}

// ---- a step --------------------------------------------------------------------------------------------------------

static bool is_same_layout(const struct kv_layout *a, const struct kv_layout *b)
{
    return a->dtype == b->dtype && a->page_tokens == b->page_tokens && a->page_bytes == b->page_bytes &&
           a->n_layers == b->n_layers && a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim;
}

static bool make_hopper_map(struct cuda_backend *cuda, const struct kv_layout *kv, const void *pool)
{
    struct gpu_tensor tensor;
    cuda->hopper.layout = *kv;
    cuda->hopper.pool = pool;
    return gpu_attention_hopper_tensor(kv, pool, gpu_facts_of(cuda->gpu)->bytes, &tensor) &&
           gpu_tensor_map_make(cuda->gpu, &tensor, &cuda->hopper.map);
}

// Before the pool is known: any memory of the device will do to see whether there can be a map.
static bool uses_hopper(struct cuda_backend *cuda, const struct kv_layout *kv)
{
    if (cuda->has_hopper && !is_same_layout(&cuda->hopper.layout, kv)) {
        cuda->hopper.is_there = make_hopper_map(cuda, kv, cuda->partials);
    }
    return cuda->has_hopper && cuda->hopper.is_there;
}

// NULL: attention is by mma.sync.
static const struct gpu_tensor_map *hopper_map_of(struct cuda_backend *cuda, const struct op_attention *op)
{
    if (!uses_hopper(cuda, op->kv)) {
        return NULL;
    }
    bool is_made = cuda->hopper.pool == op->pool || make_hopper_map(cuda, op->kv, op->pool);
    assert(is_made);
    return &cuda->hopper.map;
}

// n_padded: see step_options.
static void bring(struct cuda_backend *cuda, const struct op_step *op, size_t n_padded)
{
    const struct step_options options = { .n_partials_bytes = PARTIALS_BYTES,
                                          .prefill_rows = uses_hopper(cuda, op->kv) ? ATTENTION_HOPPER_ROWS
                                                                                    : ATTENTION_PREFILL_ROWS,
                                          .n_padded_rows = n_padded,
                                          .is_deterministic = cuda->is_deterministic };
    bool has_moved = draws_reserve(&cuda->draws, n_padded > op->n_logit_rows ? n_padded : op->n_logit_rows);
    if (step_bring(&cuda->step, op, &options) || has_moved) {
        graphs_forget(&cuda->graphs);
    }
}

static void cuda_step(struct backend *b, const struct op_step *op, step_fn *issue, void *ctx)
{
    struct cuda_backend *cuda = cuda_of(b);
    size_t n_padded = graphs_n_rows(&cuda->graphs, op);
    bring(cuda, op, n_padded);
    if (n_padded > 0) {
        graphs_run(&cuda->graphs, op, &cuda->step, issue, ctx);
    } else {
        issue(ctx, op->map.n_rows, op->n_logit_rows);
    }
    if (op->draws) {
        draws_send(&cuda->draws, op->draws, op->n_logit_rows, op->turn);
    }
    step_forget(&cuda->step);
}

// ---- attention -----------------------------------------------------------------------------------------------------

// Outside of a step an operation brings its map itself.
static void bring_map(struct cuda_backend *cuda, const struct batch_map *map, const struct kv_layout *kv,
                      size_t n_heads, const size_t *window)
{
    const struct step_block *step = &cuda->step;
    if (step->seqs != map->seqs || (window && !step_window(step, *window))) {
        const struct op_step op = {
            .map = *map, .kv = kv, .n_heads = n_heads, .windows = { window ? *window : 0 }, .n_windows = window ? 1 : 0
        };
        bring(cuda, &op, 0);
    }
}

static void cuda_rope_kv(struct backend *b, const struct op_rope_kv *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->map->n_rows > 0) {
        bring_map(cuda, op->map, op->kv, op->n_heads, NULL);
        gpu_rope_kv(queue_of(cuda), op, &cuda->step.map);
    }
}

static void cuda_attention(struct backend *b, const struct op_attention *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (op->map->n_rows == 0) {
        return;
    }
    bring_map(cuda, op->map, op->kv, op->n_heads, &op->window);
    const struct step_window *window = step_window(&cuda->step, op->window);
    const struct gpu_attention_plan *plans[] = { &window->prefill, &window->shared, &window->decode };
    if (!gpu_attention_has_tiles(op)) {
        gpu_attention_rows(queue_of(cuda), op, &cuda->step.map);
        return;
    }
    const struct gpu_tensor_map *hopper = hopper_map_of(cuda, op);
    for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
        if (plans[i]->n_work > 0 && hopper && plans[i] == &window->prefill) {
            gpu_attention_hopper(queue_of(cuda), op, &cuda->step.map, plans[i], hopper);
        } else if (plans[i]->n_work > 0) {
            gpu_attention_tiles(queue_of(cuda), op, &cuda->step.map, plans[i], cuda->partials);
        }
    }
}

// ---- draws ---------------------------------------------------------------------------------------------------------

// Outside of a step: sends the rows, and their draws back.
static void sample_alone(struct cuda_backend *cuda, const struct op_sample *op, struct gpu_sample *args)
{
    if (draws_reserve(&cuda->draws, op->n_rows)) {
        graphs_forget(&cuda->graphs);
    }
    size_t rows_bytes = op->n_rows * sizeof(struct gpu_sample_row);
    size_t bytes = rows_bytes + draws_extra_bytes(op->rows, op->n_rows, op->n_vocab);
    struct gpu_sample_row *rows = stage_take(&cuda->stage, bytes);
    draws_fill(op->rows, op->n_rows, op->n_rows, op->n_vocab, rows, (unsigned char *)rows + rows_bytes, rows_bytes);
    args->rows = stage_send(&cuda->stage, rows, bytes);
    args->extra = (void *)(uintptr_t)args->rows;
    args->results = cuda->draws.results;
    args->tops = cuda->draws.tops;
    gpu_sample(queue_of(cuda), args);
    draws_send(&cuda->draws, op->rows, op->n_rows, op->turn);
}

static void cuda_sample(struct backend *b, const struct op_sample *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    struct gpu_sample args = { .logits = op->logits,
                               .rows = cuda->step.device_draws,
                               .extra = cuda->step.device,
                               .results = cuda->draws.results,
                               .tops = cuda->draws.tops,
                               .n_rows = op->n_rows,
                               .n_vocab = op->n_vocab };
    if (op->n_rows == 0) {
        return;
    }
    if (op->rows == cuda->step.draws) {
        gpu_sample(queue_of(cuda), &args);
    } else {
        sample_alone(cuda, op, &args);
    }
}

static int cuda_failure(struct backend *b, struct err *err)
{
    return gpu_failure(cuda_of(b)->gpu, err);
}

static uint64_t cuda_memory_free(struct backend *b)
{
    return gpu_bytes_free(cuda_of(b)->gpu);
}

static struct sample_results cuda_drawn(struct backend *b, unsigned turn)
{
    return draws_wait(&cuda_of(b)->draws, turn);
}

// ---- the host's processors -----------------------------------------------------------------------------------------

static size_t cuda_n_workers(const struct backend *b)
{
    return pool_n_threads(((const struct cuda_backend *)b)->pool);
}

static void cuda_spread(struct backend *b, size_t n_items, host_fn *fn, void *ctx)
{
    pool_run(cuda_of(b)->pool, n_items, 1, fn, ctx);
}

// ---- opening -------------------------------------------------------------------------------------------------------

static void cuda_close(struct backend *b)
{
    struct cuda_backend *cuda = cuda_of(b);
    if (cuda->gpu) {
        gpu_sync(cuda->gpu, NULL);
        graphs_forget(&cuda->graphs);
        if (cuda->rows_16) {
            gpu_free(cuda->gpu, cuda->rows_16);
        }
        if (cuda->partials) {
            gpu_free(cuda->gpu, cuda->partials);
        }
        draws_deinit(&cuda->draws);
        step_deinit(&cuda->step);
        stage_deinit(&cuda->stage);
        gpu_close(cuda->gpu);
    }
    pool_free(cuda->pool);
    free(cuda);
}

static const char *cuda_describe(const struct backend *b)
{
    return ((const struct cuda_backend *)b)->description;
}

static const struct backend_ops cuda_ops = {
    .name = "cuda",
    .has_head_norms = true,
    .head_dim_step = 2,
    .head_dim_max = ATTENTION_HEAD_DIM_MAX_GPU,
    .close = cuda_close,
    .describe = cuda_describe,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .matrix_new = cuda_matrix_new,
    .matrix_fill = cuda_matrix_fill,
    .matrix_free = cuda_matrix_free,
    .matrix_bytes = cuda_matrix_bytes,
    .linear = cuda_linear,
    .linear_glu = cuda_linear_glu,
    .linear_group = cuda_linear_group,
    .embed = cuda_embed,
    .rms_norm = cuda_rms_norm,
    .rope_kv = cuda_rope_kv,
    .attention = cuda_attention,
    .glu = cuda_glu,
    .softcap = cuda_softcap,
    .gather = cuda_gather,
    .route = cuda_route,
    .combine = cuda_combine,
    .sync = cuda_sync,
    .step = cuda_step,
    .failure = cuda_failure,
    .memory_free = cuda_memory_free,
    .host_alloc = cuda_host_alloc,
    .host_free = cuda_host_free,
    .copy_out = cuda_copy_out,
    .copy_in = cuda_copy_in,
    .host_pin = cuda_host_pin,
    .host_unpin = cuda_host_unpin,
    .mark = cuda_mark,
    .wait = cuda_wait,
    .sample = cuda_sample,
    .drawn = cuda_drawn,
    .n_workers = cuda_n_workers,
    .spread = cuda_spread,
};

// TOKFS_CUDA_ATTENTION=mma: for comparisons.
static int choose_attention(struct cuda_backend *cuda, struct err *err)
{
    const char *wanted = getenv("TOKFS_CUDA_ATTENTION");
    if (wanted && strcmp(wanted, "mma") != 0) {
        return err_set_param(err, -EINVAL, "TOKFS_CUDA_ATTENTION", "TOKFS_CUDA_ATTENTION: %s: not mma", wanted);
    }
    cuda->has_hopper = !wanted && gpu_facts_of(cuda->gpu)->capability == 90;
    return 0;
}

static int cuda_init(struct cuda_backend *cuda, const struct backend_options *options, struct err *err)
{
    int r = gpu_open(&cuda->gpu, err);
    if (r == 0) {
        r = choose_attention(cuda, err);
    }
    if (r == 0) {
        r = pool_new(options->n_threads, &cuda->pool, err);
    }
    if (r == 0) {
        r = stage_init(&cuda->stage, cuda->gpu, STAGE_BYTES, err);
    }
    if (r == 0) {
        r = step_init(&cuda->step, cuda->gpu, err);
    }
    if (r == 0) {
        r = draws_init(&cuda->draws, cuda->gpu, err);
    }
    if (r < 0) {
        return r;
    }
    cuda->partials = gpu_alloc(cuda->gpu, PARTIALS_BYTES);
    if (!cuda->partials) {
        return err_set(err, -ENOMEM, "the GPU has no memory for %zu MiB of attention's partial sums",
                       PARTIALS_BYTES >> 20);
    }
    cuda->is_deterministic = options->deterministic;
    cuda->graphs = (struct graphs){ .gpu = cuda->gpu, .is_off = options->no_graphs };
    snprintf(cuda->description, sizeof(cuda->description), "cuda %s%s", gpu_facts_of(cuda->gpu)->name,
             cuda->is_deterministic ? ", deterministic" : "");
    return 0;
}

int cuda_backend_open(const struct backend_options *options, struct backend **ret, struct err *err)
{
    struct cuda_backend *cuda = calloc(1, sizeof(*cuda));
    if (!cuda) {
        return err_set(err, -ENOMEM, "no memory for the cuda backend");
    }
    cuda->backend.ops = &cuda_ops;
    int r = cuda_init(cuda, options, err);
    if (r < 0) {
        cuda_close(&cuda->backend);
        return r;
    }
    *ret = &cuda->backend;
    return 0;
}
