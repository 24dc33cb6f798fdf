// The table of operations. Each launches kernels; nothing waits but download and sync.
//
// What the operations of a step bring along is sent before the first of them (step.h), and found by the names of the
// caller's arrays. What is used outside of steps is staged by the operation that brings it.
//
// Memory that depends on shapes seen first in a step (rows rounded to 16 bits, staging) grows when a larger one comes.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cuda_backend.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGE_BYTES ((size_t)4 << 20)
_Static_assert(GPU_MARK_FILLED + BACKEND_MARKS == GPU_MARK_ROWS, "a mark of the runtime for each of the backend");

// ---- memory --------------------------------------------------------------------------------------------------------

static void *cuda_alloc(struct backend *b, size_t bytes)
{
    return gpu_alloc(cuda_of(b)->gpu, bytes);
}

void cuda_free(struct backend *b, void *mem)
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

static uint64_t cuda_copy_out(struct backend *b, void *host_dst, const void *src, size_t bytes)
{
    return gpu_move_out(cuda_of(b)->gpu, host_dst, src, bytes);
}

static uint64_t cuda_copy_in(struct backend *b, void *dst, const void *host_src, size_t bytes)
{
    return gpu_move_in(cuda_of(b)->gpu, dst, host_src, bytes);
}

static void cuda_await_copy(struct backend *b, uint64_t copy)
{
    gpu_await_move(cuda_of(b)->gpu, copy);
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

static int cuda_failure(struct backend *b, struct err *err)
{
    return gpu_failure(cuda_of(b)->gpu, err);
}

static uint64_t cuda_memory_free(struct backend *b)
{
    return gpu_bytes_free(cuda_of(b)->gpu);
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
    .has_f8 = true,
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
    .embed = cuda_embed,
    .rms_norm = cuda_rms_norm,
    .rope_kv = cuda_rope_kv,
    .attention = cuda_attention,
    .glu = cuda_glu,
    .softcap = cuda_softcap,
    .gather = cuda_gather,
    .route = cuda_route,
    .dispatch = cuda_dispatch,
    .combine = cuda_combine,
    .expert_matrices_new = cuda_expert_matrices_new,
    .expert_matrices_free = cuda_expert_matrices_free,
    .linear_experts = cuda_linear_experts,
    .sync = cuda_sync,
    .step = cuda_step,
    .failure = cuda_failure,
    .memory_free = cuda_memory_free,
    .host_alloc = cuda_host_alloc,
    .host_free = cuda_host_free,
    .copy_out = cuda_copy_out,
    .copy_in = cuda_copy_in,
    .await_copy = cuda_await_copy,
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

// TOKFS_CUDA_PDL=off: each kernel begins when the one before has ended; for comparisons.
static int choose_overlap(struct cuda_backend *cuda, struct err *err)
{
    const char *wanted = getenv("TOKFS_CUDA_PDL");
    if (wanted && strcmp(wanted, "off") != 0) {
        return err_set_param(err, -EINVAL, "TOKFS_CUDA_PDL", "TOKFS_CUDA_PDL: %s: not off", wanted);
    }
    queue_of(cuda)->overlaps &= !wanted;
    return 0;
}

static int cuda_init(struct cuda_backend *cuda, const struct backend_options *options, struct err *err)
{
    int r = gpu_open(&cuda->gpu, err);
    if (r == 0) {
        r = choose_attention(cuda, err);
    }
    if (r == 0) {
        r = choose_overlap(cuda, err);
    }
    if (r == 0) {
        r = gemm_init(&cuda->gemm, cuda->gpu, options->deterministic, err);
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
    const struct gpu_facts *facts = gpu_facts_of(cuda->gpu);
    snprintf(cuda->description, sizeof(cuda->description), "cuda %s, %s%s", facts->name,
             facts->library[0] ? facts->library : "no cuBLAS", cuda->is_deterministic ? ", deterministic" : "");
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
