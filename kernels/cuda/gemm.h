// The ways of products with weights of 16 bits and more rows than gemv takes: cuBLAS, wgmma (linear_hopper.cu), or the
// tiles of linear.cu, which is what there is without these two. The first two read x rounded to the weights' type.
#ifndef TOKFS_KERNELS_CUDA_GEMM_H
#define TOKFS_KERNELS_CUDA_GEMM_H

#include "kernels/cuda/kernels.h"

struct gemm {
    struct gpu *gpu;
    bool has_cublas, has_wgmma; // and they may be taken
};

// -EINVAL: TOKFS_CUDA_PRODUCTS asks for what is not known, or not here.
int gemm_init(struct gemm *p, struct gpu *gpu, bool is_deterministic, struct err *err);
// Of rounded rows at all, whatever the weights.
bool gemm_has_any(const struct gemm *p);
// Weights of 16 bits as wgmma reads them; false: it does not.
bool gemm_map(const struct gemm *p, const struct gpu_matrix *w, struct gpu_tensor_map *ret);
// `w`: of gemm_map, or NULL. False: neither cuBLAS nor wgmma does it, and nothing was issued.
bool gemm_multiply(const struct gemm *p, const struct gpu_gemm *gemm, const float *bias,
                   const struct gpu_tensor_map *w);

#endif
