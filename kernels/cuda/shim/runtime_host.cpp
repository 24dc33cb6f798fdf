// The host as the device: memory is memory, and all is done when it is issued, but for copies out, which reach the
// host's memory when they are waited for.
#include "kernels/cpu/convert.h"
#include "kernels/cuda/runtime.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>

struct copy_out {
    void *to;
    std::vector<unsigned char> bytes; // as they were when the queue came to them
};

struct gpu {
    struct gpu_facts facts;
    std::vector<struct copy_out> copies; // that nobody has waited for, in order
    size_t marks[GPU_N_MARKS];           // how many of them were before
};

int gpu_open(struct gpu **ret, struct err *err)
{
    (void)err;
    struct gpu *gpu = new struct gpu();
    snprintf(gpu->facts.name, sizeof(gpu->facts.name), "model of a GPU on the host");
    gpu->facts.bytes = gpu->facts.bytes_free = UINT64_MAX;
    gpu->facts.n_processors = 4;
    gpu->facts.shared_bytes = 227 << 10;
    *ret = gpu;
    return 0;
}

void gpu_close(struct gpu *gpu)
{
    delete gpu;
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
    gpu_sync(gpu, NULL);
    memcpy(host_dst, src, bytes);
}

void gpu_copy_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes)
{
    const unsigned char *from = static_cast<const unsigned char *>(src);
    gpu->copies.push_back({ pinned_dst, std::vector<unsigned char>(from, from + bytes) });
    memset(pinned_dst, 0xff, bytes);
}

static void deliver(struct gpu *gpu, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(gpu->copies[i].to, gpu->copies[i].bytes.data(), gpu->copies[i].bytes.size());
    }
    gpu->copies.erase(gpu->copies.begin(), gpu->copies.begin() + (ptrdiff_t)n);
    for (size_t &mark : gpu->marks) {
        mark -= mark < n ? mark : n;
    }
}

void gpu_mark(struct gpu *gpu, unsigned mark)
{
    gpu->marks[mark] = gpu->copies.size();
}

void gpu_wait(struct gpu *gpu, unsigned mark)
{
    deliver(gpu, gpu->marks[mark]);
}

int gpu_sync(struct gpu *gpu, struct err *err)
{
    deliver(gpu, gpu->copies.size());
    return gpu_failure(gpu, err);
}

int gpu_failure(struct gpu *gpu, struct err *err)
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
