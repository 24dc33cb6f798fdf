#include "kernels/cuda/stage.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ALIGN 256

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

int stage_init(struct stage *stage, struct gpu *gpu, size_t bytes, struct err *err)
{
    *stage = (struct stage){ .gpu = gpu, .bytes = padded(bytes) };
    stage->host = gpu_host_alloc(gpu, stage->bytes);
    stage->device = gpu_alloc(gpu, stage->bytes);
    if (!stage->host || !stage->device) {
        stage_deinit(stage);
        return err_set(err, -ENOMEM, "no memory for %zu bytes of staging on the host and the GPU", padded(bytes));
    }
    return 0;
}

void stage_deinit(struct stage *stage)
{
    if (stage->host) {
        gpu_host_free(stage->gpu, stage->host);
    }
    if (stage->device) {
        gpu_free(stage->gpu, stage->device);
    }
    *stage = (struct stage){ 0 };
}

void stage_reset(struct stage *stage)
{
    stage->used = 0;
}

// Grows by doubling, which is rare: for batches larger than any before.
static void stage_grow(struct stage *stage, size_t bytes)
{
    struct stage larger;
    size_t wanted = stage->bytes;
    while (wanted < bytes) {
        wanted *= 2;
    }
    int r = stage_init(&larger, stage->gpu, wanted, NULL);
    assert(r == 0); // a few MiB, asked for by a step that has all its pages
    stage_deinit(stage);
    *stage = larger;
}

static void stage_reserve(struct stage *stage, size_t bytes)
{
    if (stage->used + bytes <= stage->bytes) {
        return;
    }
    gpu_sync(stage->gpu, NULL);
    stage_reset(stage);
    if (bytes > stage->bytes) {
        stage_grow(stage, bytes);
    }
}

void *stage_take(struct stage *stage, size_t bytes)
{
    stage_reserve(stage, padded(bytes));
    void *host = stage->host + stage->used;
    stage->used += padded(bytes);
    return host;
}

const void *stage_send(struct stage *stage, const void *host, size_t bytes)
{
    unsigned char *device = stage->device + ((const unsigned char *)host - stage->host);
    gpu_copy_in(stage->gpu, device, host, bytes);
    return device;
}

const void *stage_copy(struct stage *stage, const void *host, size_t bytes)
{
    void *pinned = stage_take(stage, bytes);
    memcpy(pinned, host, bytes);
    return stage_send(stage, pinned, bytes);
}
