// Launches written to a folder, with the memory that each could reach, before and after it: for an interpreter of the
// code that nvcc makes of the same kernels (tests/oracle/ptx). The environment names the folder, TOKFS_SHIM_TRACE; else
// nothing is written. Of a kernel, the first launches of each shape: TOKFS_SHIM_TRACE_MOST, 2 where it is not set.
#ifndef TOKFS_KERNELS_CUDA_SHIM_TRACE_H
#define TOKFS_KERNELS_CUDA_SHIM_TRACE_H

#include <stddef.h>
#include <vector>

struct dim3;

struct shim_call {
    const void *kernel;
    std::vector<unsigned char> params; // as a GPU has them: each at a multiple of its alignment
};

void shim_add_param(std::vector<unsigned char> &params, const void *x, size_t bytes, size_t alignment);

template <class... Params> static inline struct shim_call shim_call_of(void (*kernel)(Params...), Params... params)
{
    struct shim_call call = { reinterpret_cast<const void *>(kernel), {} };
    (shim_add_param(call.params, &params, sizeof(Params), alignof(Params)), ...);
    return call;
}

// The device's memory; 0 bytes: given back.
void shim_trace_memory(const void *mem, size_t bytes);

struct shim_trace;
// NULL: this launch is not written.
struct shim_trace *shim_trace_begin(const struct shim_call &call, const dim3 &grid, const dim3 &block,
                                    size_t shared_bytes);
void shim_trace_end(struct shim_trace *trace); // NULL: nothing

#endif
