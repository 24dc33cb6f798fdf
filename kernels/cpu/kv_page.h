// Where K and V lie in a page: [n_layers][2 (K, V)][n_kv_heads][what is below], a position's share the same for all
// types.
//
//   f32, f16   [page_tokens][head_dim]
//   bf16, K    [page_tokens / KV_RUN][head_dim / 2][KV_RUN][2]   pairs of dimensions, side by side for KV_RUN positions
//   bf16, V    [page_tokens / 2][head_dim][2]                    pairs of positions
//   q8_0       [page_tokens / KV_RUN], each the integers and then [head_dim / 32][KV_RUN] of d
//              K: [head_dim][KV_RUN]; V: [KV_RUN / 2][head_dim / 16][2][16], pairs of positions
//
// Pairs of bf16 are what the kernels multiply (linear_body.h): attention reads both as they lie, and makes them of q8_0
// vector by vector.
#ifndef TOKFS_KERNELS_CPU_KV_PAGE_H
#define TOKFS_KERNELS_CPU_KV_PAGE_H

#include "kernels/backend.h"
#include "kernels/quant.h"

#define KV_RUN 16

static inline size_t kv_row_bytes(const struct kv_layout *kv)
{
    return dtype_row_bytes(kv->dtype, kv->head_dim);
}

// Of one head of K or V.
static inline size_t kv_head_bytes(const struct kv_layout *kv)
{
    return kv->page_tokens * kv_row_bytes(kv);
}

#endif
