// What kernels are launched into: one per device, made by the runtime (gpu_queue_of).
#ifndef TOKFS_KERNELS_CUDA_QUEUE_H
#define TOKFS_KERNELS_CUDA_QUEUE_H

#include <stdbool.h>

struct gpu_queue_state {
    struct CUstream_st *stream; // cudaStream_t
    bool overlaps;              // gpu_launch_early does what it says; else it is gpu_launch
    bool is_after_plain;        // what was issued last is by gpu_launch, or no kernel: a copy, a graph, an awaited move
};
typedef struct gpu_queue_state *gpu_queue;

#endif
