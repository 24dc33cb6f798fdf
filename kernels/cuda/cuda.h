// The CUDA backend: the operations of backend.h on an NVIDIA GPU of compute capability 8.0 or later.
#ifndef TOKFS_KERNELS_CUDA_CUDA_H
#define TOKFS_KERNELS_CUDA_CUDA_H

#include "kernels/backend.h"

// Errors as backend_open; -EOPNOTSUPP where there is no driver or no such GPU, -EIO when it fails.
int cuda_backend_open(const struct backend_options *options, struct backend **ret, struct err *err);

#endif
