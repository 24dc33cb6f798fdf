// Small arrays that operations bring along outside of steps, on their way to the device: written into pinned memory,
// copied in the order of the queue. What was staged stays until stage_reset, which is for when the
// queue is empty.
#ifndef TOKFS_KERNELS_CUDA_STAGE_H
#define TOKFS_KERNELS_CUDA_STAGE_H

#include "kernels/cuda/runtime.h"

struct stage {
    struct gpu *gpu;
    unsigned char *host, *device;
    size_t bytes, used;
};

int stage_init(struct stage *stage, struct gpu *gpu, size_t bytes, struct err *err);
void stage_deinit(struct stage *stage);
void stage_reset(struct stage *stage);

// Room for `bytes`: *ret_host is to be filled, then stage_send gives the address on the device. A stage that is full
// empties the queue and begins anew, so that nothing staged before may be used by operations after it.
void *stage_take(struct stage *stage, size_t bytes);
const void *stage_send(struct stage *stage, const void *host, size_t bytes);
// The same for an array that exists.
const void *stage_copy(struct stage *stage, const void *host, size_t bytes);

#endif
