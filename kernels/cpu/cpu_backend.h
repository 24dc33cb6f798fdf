// What the files of the CPU backend share. One thread, the engine thread, calls all of it; workers see only the job
// they run.
#ifndef TOKFS_KERNELS_CPU_CPU_BACKEND_H
#define TOKFS_KERNELS_CPU_CPU_BACKEND_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/pool.h"

struct rope_cache;

// Sums of segments of contexts that are shared out; those that take more are not.
#define ATTENTION_PARTIALS_BYTES ((size_t)4 << 20)

struct cpu_backend {
    struct backend backend; // first
    const struct cpu_kernels *kernels;
    struct pool *pool;
    size_t n_threads;
    struct attention_scratch *attention_scratch; // [n_threads]
    float *attention_partials;                   // ATTENTION_PARTIALS_BYTES
    struct quant_panel *quant_panels;            // [n_threads]
    struct rope_cache *rope;
    // Rows of an operation packed for the product kernel (struct linear_job), as many as the widest matrix so far
    // takes. Grown by matrix_new.
    unsigned char *packed;
    size_t packed_bytes;
    char description[64];
};

static inline struct cpu_backend *cpu_backend_of(struct backend *b)
{
    return (struct cpu_backend *)b;
}

// matrix.c
struct matrix *cpu_matrix_new(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in);
void cpu_matrix_fill(struct backend *b, struct matrix *m, size_t row, size_t n_rows, const void *host_rows);
void cpu_matrix_free(struct backend *b, struct matrix *m);
size_t cpu_matrix_bytes(const struct matrix *m);
unsigned char *cpu_matrix_packed(struct matrix *m);
// matrix_quant.c
void matrix_quant_fill_row(struct matrix *m, size_t row, const void *src); // src: blocks as in a file
void matrix_quant_read_row(const struct matrix *m, size_t row, float *dst);
// linear.c, embed.c, elementwise.c, experts.c, rope_kv.c, attention.c
void cpu_linear(struct backend *b, const struct op_linear *op);
void cpu_embed(struct backend *b, const struct op_embed *op);
void cpu_rms_norm(struct backend *b, const struct op_rms_norm *op);
void cpu_glu(struct backend *b, const struct op_glu *op);
void cpu_softcap(struct backend *b, const struct op_softcap *op);
void cpu_gather(struct backend *b, const struct op_gather *op);
void cpu_route(struct backend *b, const struct op_route *op);
void cpu_dispatch(struct backend *b, const struct op_dispatch *op);
void cpu_combine(struct backend *b, const struct op_combine *op);
void cpu_rope_kv(struct backend *b, const struct op_rope_kv *op);
void cpu_attention(struct backend *b, const struct op_attention *op);

// rope_kv.c
struct rope_cache *rope_cache_new(size_t n_threads); // NULL: no memory
void rope_cache_free(struct rope_cache *cache);

#endif
