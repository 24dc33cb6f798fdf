// What the backend asks of a device besides kernels: memory, copies, order, and a library for large products. One queue
// per device: all that is issued runs in order, but for moves, which have a queue of their own. Two implementations:
// runtime_nvidia.cu (CUDA, cuBLAS) and shim/runtime_host.cpp (the host plays the device).
//
// A CUDA error sticks: the first is kept, and later calls do nothing that could hide it. gpu_sync and gpu_failure
// report it.
#ifndef TOKFS_KERNELS_CUDA_RUNTIME_H
#define TOKFS_KERNELS_CUDA_RUNTIME_H

#include "engine/base/err.h"
#include "kernels/cuda/queue.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpu;
typedef struct CUgraphExec_st *gpu_graph; // cudaGraphExec_t

struct gpu_facts {
    char name[128];   // "NVIDIA H100 80GB HBM3, sm_90, 79.1 GiB"
    char library[32]; // that does large products: "cuBLAS 13.0"; empty: none
    uint64_t bytes, bytes_free;
    unsigned capability;   // 80, 90, ...
    unsigned n_processors; // streaming multiprocessors
    unsigned shared_bytes; // that one CTA may have
};

// 0; -EOPNOTSUPP: no driver, no device, or one older than sm_80; -EIO: the device fails; -ENOMEM.
int gpu_open(struct gpu **ret, struct err *err);
// After a failure the device's context is given up, so that gpu_open gets a fresh one.
void gpu_close(struct gpu *gpu);
const struct gpu_facts *gpu_facts_of(const struct gpu *gpu);
uint64_t gpu_bytes_free(struct gpu *gpu);
gpu_queue gpu_queue_of(struct gpu *gpu);

void *gpu_alloc(struct gpu *gpu, size_t bytes);      // zeroed, aligned to 256; NULL: no memory
void gpu_free(struct gpu *gpu, void *mem);           // waits for what uses it
void *gpu_host_alloc(struct gpu *gpu, size_t bytes); // pinned; NULL: no memory
void gpu_host_free(struct gpu *gpu, void *mem);

bool gpu_host_pin(struct gpu *gpu, void *mem, size_t bytes); // whole pages of the caller's
void gpu_host_unpin(struct gpu *gpu, void *mem);             // waits for what uses it

// From pageable memory, which is the caller's again on return.
void gpu_upload(struct gpu *gpu, void *dst, const void *host_src, size_t bytes);
// From pinned memory, which must stay until gpu_wait for a mark that was set later, or gpu_sync.
void gpu_copy_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes);
void gpu_download(struct gpu *gpu, void *host_dst, const void *src, size_t bytes); // waits
void gpu_copy(struct gpu *gpu, void *dst, const void *src, size_t bytes);
// To pinned memory, when the queue comes to it: it is there after gpu_wait for a mark that was set later, or gpu_sync.
void gpu_copy_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes);

// The same beside the queue, in order among themselves: a move begins when what was issued in the queue before it is
// over. Returns its number, from 1. The memory of both ends must stay as it is, and that of the destination is not to
// be read, until the move was awaited, or gpu_sync.
uint64_t gpu_move_in(struct gpu *gpu, void *dst, const void *pinned_src, size_t bytes);
uint64_t gpu_move_out(struct gpu *gpu, void *pinned_dst, const void *src, size_t bytes);
// What is issued in the queue from now on begins when this move, and those before it, are over.
void gpu_await_move(struct gpu *gpu, uint64_t move);

// Marks in the queue: where the results of op_sample have been copied out, step inputs in, and rows of draws that came
// after their step; of two turns each; and those of whoever fills weights from pinned memory.
enum { GPU_MARK_DRAWN, GPU_MARK_SENT = 2, GPU_MARK_FILLED = 4, GPU_MARK_ROWS = 12, GPU_N_MARKS = 14 };
void gpu_mark(struct gpu *gpu, unsigned mark);
void gpu_wait(struct gpu *gpu, unsigned mark); // until the queue has passed it; a mark that was never set is passed

// Launches and products between the two are not run but kept, as a graph that can be launched many times. Nothing else
// may be asked of the device between them. -EIO: it cannot be done, and nothing was run or kept; the queue is as
// before. -EAGAIN: likewise, and launches overlap no more, which may have been the reason.
int gpu_record_begin(struct gpu *gpu, struct err *err);
int gpu_record_end(struct gpu *gpu, gpu_graph *ret, struct err *err);
void gpu_graph_launch(struct gpu *gpu, gpu_graph graph);
void gpu_graph_free(struct gpu *gpu, gpu_graph graph); // it does not run

int gpu_sync(struct gpu *gpu, struct err *err); // both queues; 0, or -EIO with what went wrong first
// What has gone wrong until now, as far as it is known; does not wait.
int gpu_failure(struct gpu *gpu, struct err *err);

// y[n_rows][n_out] (+)= x[n_rows][n_in] w[n_out][n_in]^T with f32 sums; x and w of 16-bit elements, dense. False: no
// library for it here, nothing was issued.
struct gpu_gemm {
    const void *w, *x;
    float *y;
    size_t n_rows, n_out, n_in, y_stride;
    bool is_f16, accumulate;
};
bool gpu_has_gemm(const struct gpu *gpu);
bool gpu_gemm(struct gpu *gpu, const struct gpu_gemm *gemm);

// A tensor of elements of 16 bits, and the boxes of it that a kernel copies to shared memory (hopper.h): innermost
// dimension first. The first stride is an element; a row of a box is as long as the swizzle, or there is none (0).
struct gpu_tensor {
    const void *base;       // at a multiple of 16 bytes
    uint64_t dims[4];       // elements, up to 2^32
    uint64_t strides[3];    // bytes from one to the next of dimensions 1 ... 3: multiples of 16, below 2^40
    uint32_t box[4];        // elements, up to 256
    uint32_t swizzle_bytes; // 128, 64, 32 or 0
    bool is_f16;
};
struct gpu_tensor_map { // CUtensorMap: a parameter of kernels, by value
    unsigned char opaque[128];
} __attribute__((aligned(64)));
// False: this device has none, or not such a one.
bool gpu_tensor_map_make(const struct gpu *gpu, const struct gpu_tensor *tensor, struct gpu_tensor_map *ret);

#ifdef __cplusplus
}
#endif

#endif
