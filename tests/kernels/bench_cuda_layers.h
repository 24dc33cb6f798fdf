// Part of bench_cuda.c: layers of a decoded token as a step has them.
#ifndef TOKFS_TESTS_KERNELS_BENCH_CUDA_LAYERS_H
#define TOKFS_TESTS_KERNELS_BENCH_CUDA_LAYERS_H

#include <stdbool.h>

// A row for each shape, with kernels that begin early and without. `copy_rate`: bytes per second. `is_small`: shapes
// for a model of a GPU, whose times mean nothing.
void bench_cuda_layers(double copy_rate, bool is_small);

#endif
