// What the files of the backend share: its state, and the operations by file (cuda.c has their table).
#ifndef TOKFS_KERNELS_CUDA_CUDA_BACKEND_H
#define TOKFS_KERNELS_CUDA_CUDA_BACKEND_H

#include "kernels/cpu/pool.h"
#include "kernels/cuda/draws.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/graphs.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/stage.h"
#include "kernels/cuda/step.h"

#define PARTIALS_BYTES ((size_t)64 << 20)

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
    struct gemm gemm;
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
    enum dtype source;         // of the rows that matrix_fill is given
    bool has_map;              // products can be by wgmma
    struct gpu_tensor_map map; // of gpu.data
};

static inline struct cuda_backend *cuda_of(struct backend *b)
{
    return (struct cuda_backend *)b;
}

static inline gpu_queue queue_of(struct cuda_backend *cuda)
{
    return gpu_queue_of(cuda->gpu);
}

// Room for so many bytes in rows_16, which loses what is there where it grows. False: there is no memory.
bool cuda_grow_rows_16(struct cuda_backend *cuda, size_t bytes);

// cuda.c
void cuda_free(struct backend *b, void *mem);

// cuda_weights.c
struct matrix *cuda_matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in);
void cuda_matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows);
void cuda_matrix_free(struct backend *b, struct matrix *m);
size_t cuda_matrix_bytes(const struct matrix *m);

// cuda_products.c
void cuda_linear(struct backend *b, const struct op_linear *op);
bool cuda_linear_glu(struct backend *b, const struct op_linear *op, enum glu kind);

// cuda_experts.c
struct expert_matrices *cuda_expert_matrices_new(struct backend *b, const struct matrix *const *w,
                                                 const float *const *bias, size_t n_experts, size_t n_slots_max);
void cuda_expert_matrices_free(struct backend *b, struct expert_matrices *m);
void cuda_route(struct backend *b, const struct op_route *op);
void cuda_dispatch(struct backend *b, const struct op_dispatch *op);
void cuda_linear_experts(struct backend *b, const struct op_linear_experts *op);
void cuda_combine(struct backend *b, const struct op_combine *op);

// cuda_rows.c
void cuda_embed(struct backend *b, const struct op_embed *op);
void cuda_rms_norm(struct backend *b, const struct op_rms_norm *op);
void cuda_glu(struct backend *b, const struct op_glu *op);
void cuda_softcap(struct backend *b, const struct op_softcap *op);
void cuda_gather(struct backend *b, const struct op_gather *op);

// cuda_step.c
void cuda_rope_kv(struct backend *b, const struct op_rope_kv *op);
void cuda_attention(struct backend *b, const struct op_attention *op);
void cuda_step(struct backend *b, const struct op_step *op, step_fn *issue, void *ctx);
void cuda_sample(struct backend *b, const struct op_sample *op);
struct sample_results cuda_drawn(struct backend *b, unsigned turn);

#endif
