// AMX's tile instructions. Registers are written as numbers: TILE_LOAD(4, p, 128).
//
// In assembly, because the compiler's intrinsics (gcc 12) tell it of 8 of the 64 bytes that LDTILECFG reads, and of
// none that TILELOADD does: stores to the others are dropped or come too late. tests/kernels/tile_model.h is the same
// on any processor.
#ifndef TOKFS_KERNELS_CPU_TILE_AMX_H
#define TOKFS_KERNELS_CPU_TILE_AMX_H

#include "kernels/cpu/tile_config.h"

#include <stddef.h>

#define TILE_CONFIG(config) __asm__ volatile("ldtilecfg %0" ::"m"(*(config)))
#define TILE_RELEASE()      __asm__ volatile("tilerelease")
#define TILE_ZERO(t)        __asm__ volatile("tilezero %%tmm" #t ::)
// Rows `stride` bytes apart.
#define TILE_LOAD(t, p, stride)                                                                                        \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"((size_t)(stride)) : "memory")
#define TILE_STORE(t, p, stride)                                                                                       \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"((size_t)(stride)) : "memory")
// sum[m][n] += sum over k of a[m][k] * b[k / 2][n][k % 2], in bf16; or of a[m][k] * b[k / 4][n][k % 4], signed bytes.
#define TILE_DOT_BF16(sum, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::)
#define TILE_DOT_INT8(sum, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::)

#endif
