// The CPU backend: opening and closing, memory, and the table of operations. Everything is done when an operation
// returns.
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void cpu_close(struct backend *b)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    pool_free(cpu->pool);
    rope_cache_free(cpu->rope);
    memory_free(cpu->attention_scratch);
    memory_free(cpu->quant_panels);
    memory_free(cpu->attention_partials);
    memory_free(cpu->packed);
    free(cpu);
}

static const char *cpu_describe(const struct backend *b)
{
    return ((const struct cpu_backend *)b)->description;
}

static void *cpu_alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return memory_new(bytes);
}

static void cpu_free(struct backend *b, void *mem)
{
    (void)b;
    memory_free(mem);
}

static void cpu_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    if (bytes > 0) {
        memcpy(dst, src, bytes);
    }
}

static void cpu_sync(struct backend *b)
{
    (void)b;
}

static size_t cpu_n_workers(const struct backend *b)
{
    return ((const struct cpu_backend *)b)->n_threads;
}

static void cpu_spread(struct backend *b, size_t n_items, host_fn *fn, void *ctx)
{
    pool_run(cpu_backend_of(b)->pool, n_items, 1, fn, ctx);
}

static const struct backend_ops cpu_ops = {
    .name = "cpu",
    .has_host_memory = true,
    .has_block_kv = true,
    .head_dim_step = 8,
    .head_dim_max = ATTENTION_HEAD_DIM_MAX,
    .close = cpu_close,
    .describe = cpu_describe,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_copy,
    .download = cpu_copy,
    .copy = cpu_copy,
    .matrix_new = cpu_matrix_new,
    .matrix_fill = cpu_matrix_fill,
    .matrix_free = cpu_matrix_free,
    .matrix_bytes = cpu_matrix_bytes,
    .matrix_packed = cpu_matrix_packed,
    .linear = cpu_linear,
    .embed = cpu_embed,
    .rms_norm = cpu_rms_norm,
    .rope_kv = cpu_rope_kv,
    .attention = cpu_attention,
    .glu = cpu_glu,
    .softcap = cpu_softcap,
    .gather = cpu_gather,
    .route = cpu_route,
    .dispatch = cpu_dispatch,
    .combine = cpu_combine,
    .sync = cpu_sync,
    .n_workers = cpu_n_workers,
    .spread = cpu_spread,
};

int cpu_backend_open(const struct backend_options *options, struct backend **ret, struct err *err)
{
    const struct cpu_kernels *kernels;
    int r = isa_choose(options->isa, &kernels, err);
    return r < 0 ? r : cpu_backend_open_on(kernels, options->n_threads, ret, err);
}

int cpu_backend_open_on(const struct cpu_kernels *kernels, unsigned n_threads, struct backend **ret, struct err *err)
{
    struct cpu_backend *cpu = calloc(1, sizeof(*cpu));
    if (cpu == NULL) {
        return err_set(err, -ENOMEM, "no memory for the cpu backend");
    }
    cpu->backend.ops = &cpu_ops;
    cpu->kernels = kernels;
    int r = pool_new(n_threads, &cpu->pool, err);
    if (r < 0) {
        cpu_close(&cpu->backend);
        return r;
    }
    cpu->n_threads = pool_n_threads(cpu->pool);
    cpu->attention_scratch = memory_new(cpu->n_threads * sizeof(*cpu->attention_scratch));
    cpu->quant_panels = memory_new(cpu->n_threads * sizeof(*cpu->quant_panels));
    cpu->attention_partials = memory_new(ATTENTION_PARTIALS_BYTES);
    cpu->rope = rope_cache_new(cpu->n_threads);
    if (cpu->attention_scratch == NULL || cpu->quant_panels == NULL || cpu->attention_partials == NULL ||
        cpu->rope == NULL) {
        size_t n = cpu->n_threads;
        cpu_close(&cpu->backend);
        return err_set(err, -ENOMEM, "no memory for the working space of %zu threads", n);
    }
    snprintf(cpu->description, sizeof(cpu->description), "cpu %s, %zu thread%s", cpu->kernels->name, cpu->n_threads,
             cpu->n_threads == 1 ? "" : "s");
    *ret = &cpu->backend;
    return 0;
}

struct read_run {
    const struct cpu_backend *cpu;
    const unsigned char *mem;
    float *sums; // [n_threads], 64 bytes apart
};

#define READ_CHUNK ((size_t)1 << 20)

static void run_read(void *ctx, size_t begin, size_t end, size_t worker)
{
    const struct read_run *run = ctx;
    run->sums[worker * 16] += run->cpu->kernels->read(run->mem + begin * READ_CHUNK, (end - begin) * READ_CHUNK);
}

static void run_touch(void *ctx, size_t begin, size_t end, size_t worker)
{
    (void)worker;
    memset(((unsigned char *)ctx) + begin * READ_CHUNK, 0, (end - begin) * READ_CHUNK);
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double cpu_backend_measure_read(struct backend *b, size_t bytes, double seconds)
{
    struct cpu_backend *cpu = cpu_backend_of(b);
    assert(b->ops == &cpu_ops);
    size_t n_chunks = bytes / READ_CHUNK > 0 ? bytes / READ_CHUNK : 1;
    unsigned char *mem = memory_new(n_chunks * READ_CHUNK);
    float *sums = memory_new(cpu->n_threads * 64);
    double rate = 0;
    if (mem != NULL && sums != NULL) {
        struct read_run run = { .cpu = cpu, .mem = mem, .sums = sums };
        pool_run(cpu->pool, n_chunks, 1, run_touch, mem);
        double start = now_seconds(), elapsed = 0;
        size_t n_passes = 0;
        do {
            pool_run(cpu->pool, n_chunks, 1, run_read, &run);
            n_passes++;
            elapsed = now_seconds() - start;
        } while (elapsed < seconds);
        rate = (double)n_passes * (double)(n_chunks * READ_CHUNK) / elapsed;
    }
    memory_free(mem);
    memory_free(sums);
    return rate;
}
