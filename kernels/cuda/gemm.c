// See gemm.h. cuBLAS comes first, but not with `deterministic`: which of its kernels it takes depends on the number
// of rows.
#include "kernels/cuda/gemm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// For comparisons.
#define VARIABLE "TOKFS_CUDA_PRODUCTS"

int gemm_init(struct gemm *p, struct gpu *gpu, bool is_deterministic, struct err *err)
{
    const char *wanted = getenv(VARIABLE);
    bool is_any = !wanted, has_cublas = gpu_has_gemm(gpu), is_hopper = gpu_facts_of(gpu)->capability == 90;
    bool is_cublas = wanted && strcmp(wanted, "cublas") == 0, is_wgmma = wanted && strcmp(wanted, "wgmma") == 0;
    if (wanted && !is_cublas && !is_wgmma && strcmp(wanted, "mma") != 0) {
        return err_set_param(err, -EINVAL, VARIABLE, VARIABLE ": %s: not cublas, wgmma or mma", wanted);
    }
    if ((is_cublas && (!has_cublas || is_deterministic)) || (is_wgmma && !is_hopper)) {
        return err_set_param(err, -EINVAL, VARIABLE, VARIABLE ": %s: %s", wanted,
                             is_wgmma           ? "the device is not of compute capability 9.0"
                             : is_deterministic ? "not with deterministic"
                                                : "the library is not there");
    }
    *p = (struct gemm){ .gpu = gpu,
                        .has_cublas = (is_any || is_cublas) && has_cublas && !is_deterministic,
                        .has_wgmma = (is_any || is_wgmma) && is_hopper };
    return 0;
}

bool gemm_has_any(const struct gemm *p)
{
    return p->has_cublas || p->has_wgmma;
}

bool gemm_map(const struct gemm *p, const struct gpu_matrix *w, struct gpu_tensor_map *ret)
{
    bool is_16_bit = w->dtype == DTYPE_F16 || w->dtype == DTYPE_BF16;
    return p->has_wgmma && is_16_bit &&
           gpu_linear_hopper_map(p->gpu, w->data, w->n_out, w->n_in, w->dtype == DTYPE_F16, ret);
}

static bool by_wgmma(const struct gemm *p, const struct gpu_gemm *gemm, const float *bias,
                     const struct gpu_tensor_map *w)
{
    struct gpu_tensor_map map;
    if (!w && gpu_linear_hopper_map(p->gpu, gemm->w, gemm->n_out, gemm->n_in, gemm->is_f16, &map)) {
        w = &map;
    }
    if (w) {
        gpu_linear_hopper(p->gpu, gemm, bias, w);
    }
    return w != NULL;
}

bool gemm_multiply(const struct gemm *p, const struct gpu_gemm *gemm, const float *bias, const struct gpu_tensor_map *w)
{
    if (!p->has_cublas || !gpu_gemm(p->gpu, gemm)) {
        return p->has_wgmma && by_wgmma(p, gemm, bias, w);
    }
    if (bias) {
        const struct op_linear sums = {
            .bias = bias, .y = gemm->y, .y_stride = gemm->y_stride, .n_rows = gemm->n_rows
        };
        gpu_add_bias(gpu_queue_of(p->gpu), &sums, gemm->n_out);
    }
    return true;
}
