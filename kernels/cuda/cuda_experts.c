// Mixtures of experts: nothing of what a row is routed to comes to the host. Launches depend on the number of rows
// alone.
#include "kernels/cuda/blocks.h"
#include "kernels/cuda/cuda_backend.h"

#include <assert.h>
#include <stdlib.h>

#define FULL_PART_ROWS 16 // slots that an expert has in the mean; an estimate

struct expert_matrices {
    struct gpu_matrix like;     // shape and type of all
    struct gpu_expert *experts; // [n_experts] on the device
    size_t n_experts, n_slots_max;
};

static bool send_table(struct cuda_backend *cuda, struct expert_matrices *m, const struct matrix *const *w,
                       const float *const *bias)
{
    size_t bytes = m->n_experts * sizeof(*m->experts);
    struct gpu_expert *host = calloc(m->n_experts, sizeof(*host));
    m->experts = gpu_alloc(cuda->gpu, bytes);
    for (size_t e = 0; host && e < m->n_experts; e++) {
        if (w[e]) {
            assert(m->like.n_out == 0 || (m->like.dtype == w[e]->gpu.dtype && m->like.n_out == w[e]->gpu.n_out &&
                                          m->like.n_in == w[e]->gpu.n_in));
            m->like = w[e]->gpu;
            host[e] = (struct gpu_expert){ w[e]->gpu.data, bias[e] };
        }
    }
    if (host && m->experts) {
        gpu_upload(cuda->gpu, m->experts, host, bytes);
    }
    bool is_done = host && m->experts;
    free(host);
    return is_done;
}

// Inputs of products have their room from the beginning: a step asks for none.
struct expert_matrices *cuda_expert_matrices_new(struct backend *b, const struct matrix *const *w,
                                                 const float *const *bias, size_t n_experts, size_t n_slots_max)
{
    struct cuda_backend *cuda = cuda_of(b);
    struct expert_matrices *m = calloc(1, sizeof(*m));
    if (!m) {
        return NULL;
    }
    m->n_experts = n_experts;
    m->n_slots_max = n_slots_max;
    if (!send_table(cuda, m, w, bias) || !cuda_grow_rows_16(cuda, gpu_blocks_x16_bytes(n_slots_max, m->like.n_in))) {
        cuda_expert_matrices_free(b, m);
        return NULL;
    }
    return m;
}

void cuda_expert_matrices_free(struct backend *b, struct expert_matrices *m)
{
    if (m) {
        cuda_free(b, m->experts);
        free(m);
    }
}

void cuda_route(struct backend *b, const struct op_route *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    bool is_of_step = op->map && op->map->seqs == cuda->step.seqs;
    assert(!is_of_step || op->routes->n_rows == cuda->step.map.n_rows);
    if (op->routes->n_rows > 0) {
        gpu_route(queue_of(cuda), op, is_of_step ? cuda->step.map.row_seq : NULL);
    }
}

void cuda_dispatch(struct backend *b, const struct op_dispatch *op)
{
    if (op->routes->n_rows > 0) {
        gpu_dispatch(queue_of(cuda_of(b)), op);
    }
}

void cuda_combine(struct backend *b, const struct op_combine *op)
{
    if (op->routes->n_rows > 0) {
        gpu_combine(queue_of(cuda_of(b)), op);
    }
}

void cuda_linear_experts(struct backend *b, const struct op_linear_experts *op)
{
    struct cuda_backend *cuda = cuda_of(b);
    const struct routes *routes = op->routes;
    const struct gpu_matrix *like = &op->w->like;
    const size_t rows = gpu_part_rows(routes), n_slots = routes->n_rows * routes->n_used;
    const struct gpu_parts parts = { .parts = (const struct gpu_part *)routes->parts,
                                     .experts = op->w->experts,
                                     .n_max = gpu_n_parts_max(routes, rows),
                                     .rows = rows,
                                     .are_full =
                                         rows > GEMV_ROWS_MAX && n_slots >= FULL_PART_ROWS * routes->n_experts };
    const struct op_linear run = {
        .x = op->x, .y = op->y, .x_stride = op->x_stride, .y_stride = op->y_stride, .n_rows = n_slots
    };
    assert(routes->n_experts == op->w->n_experts && n_slots <= op->w->n_slots_max);
    if (n_slots == 0) {
        return;
    }
    if (gpu_blocks_has(like->dtype, like->n_in)) {
        gpu_linear_parts(queue_of(cuda), &run, like, &parts, rows > GEMV_ROWS_MAX ? cuda->rows_16 : NULL);
    } else {
        gpu_linear_tile_parts(queue_of(cuda), &run, like, &parts);
    }
}
