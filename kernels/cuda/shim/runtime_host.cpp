// The host as the device: memory is memory, and all is done when it is issued.
#include "kernels/cpu/convert.h"
#include "kernels/cuda/runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gpu {
    struct gpu_facts facts;
};

int gpu_open(struct gpu **ret, struct err *err)
{
    struct gpu *gpu = static_cast<struct gpu *>(calloc(1, sizeof(*gpu)));
    if (!gpu) {
        return err_set(err, -ENOMEM, "no memory for the model of a GPU");
    }
    snprintf(gpu->facts.name, sizeof(gpu->facts.name), "model of a GPU on the host");
    gpu->facts.bytes = gpu->facts.bytes_free = UINT64_MAX;
    gpu->facts.n_processors = 4;
    gpu->facts.shared_bytes = 227 << 10;
    *ret = gpu;
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    free(gpu);
}

const struct gpu_facts *gpu_facts_of(const struct gpu *gpu)
{
    return &gpu->facts;
}

gpu_queue gpu_queue_of(struct gpu *gpu)
{
    (void)gpu;
    return NULL;
}

void *gpu_alloc(struct gpu *gpu, size_t bytes)
{
    (void)gpu;
    void *mem = NULL;
    if (posix_memalign(&mem, 256, bytes) != 0) {
        return NULL;
    }
    return memset(mem, 0, bytes);
}

void gpu_free(struct gpu *gpu, void *mem)
{
    (void)gpu;
    free(mem);
}

void *gpu_host_alloc(struct gpu *gpu, size_t bytes)
{
    return gpu_alloc(gpu, bytes);
}

void gpu_host_free(struct gpu *gpu, void *mem)
{
    gpu_free(gpu, mem);
}

void gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t bytes)
{
    (void)gpu;
    memcpy(dst, src, bytes);
}

void gpu_upload(struct gpu *gpu, void *dst, const void *host_src, size_t bytes)
{
    gpu_copy(gpu, dst, host_src, bytes);
}

void gpu_copy_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes)
{
    gpu_copy(gpu, dst, pinned_src, bytes);
}

void gpu_download(struct gpu *gpu, void *host_dst, const void *src, size_t bytes)
{
    gpu_copy(gpu, host_dst, src, bytes);
}

int gpu_sync(struct gpu *gpu, struct err *err)
{
    (void)gpu;
    (void)err;
    return 0;
}

bool gpu_has_gemm(const struct gpu *gpu)
{
    (void)gpu;
    return true;
}

bool gpu_gemm(struct gpu *gpu, const struct gpu_gemm *g)
{
    (void)gpu;
    float (*f32)(uint16_t) = g->is_f16 ? f32_from_f16 : f32_from_bf16;
    for (size_t i = 0; i < g->n_rows * g->n_out; i++) {
        const uint16_t *x = static_cast<const uint16_t *>(g->x) + i / g->n_out * g->n_in;
        const uint16_t *w = static_cast<const uint16_t *>(g->w) + i % g->n_out * g->n_in;
        float sum = 0.0f;
        for (size_t k = 0; k < g->n_in; k++) {
            sum += f32(x[k]) * f32(w[k]);
        }
        float *y = g->y + i / g->n_out * g->y_stride + i % g->n_out;
        *y = g->accumulate ? *y + sum : sum;
    }
    return true;
}
