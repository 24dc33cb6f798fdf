// Block formats: runs of weights that share a scale. Scalar and exact; packed kernels are elsewhere. All but f8 are
// those of GGUF files.
//
// Layouts as ggml defines them: https://github.com/ggml-org/ggml, docs/gguf.md (list of types) and src/ggml-common.h
// (fields of a block); the k-quants are described in https://github.com/ggml-org/llama.cpp/pull/1684. Little endian,
// `d` and `dmin` are binary16. A row of a tensor is whole blocks.
#ifndef TOKFS_KERNELS_QUANT_H
#define TOKFS_KERNELS_QUANT_H

#include "kernels/dtype.h"
#include <stdint.h>

#define QUANT_BLOCK      32  // elements of a block of the others
#define QUANT_SUPERBLOCK 256 // of q4_k, q5_k, q6_k
#define QUANT_F8_BLOCK   128 // of f8

struct block_q8_0 { // x[i] = d * q[i]
    uint16_t d;
    int8_t q[QUANT_BLOCK];
};

struct block_q4_0 { // x[i] = d * (q_i - 8); byte j holds q_j (low half) and q_(j + 16)
    uint16_t d;
    uint8_t q[QUANT_BLOCK / 2];
};

struct block_q4_1 { // x[i] = d * q_i + min, halves as above
    uint16_t d, min;
    uint8_t q[QUANT_BLOCK / 2];
};

struct block_q5_0 { // x[i] = d * (q_i - 16); bit i of the 32 of `high` is bit 4 of q_i
    uint16_t d;
    uint8_t high[4];
    uint8_t q[QUANT_BLOCK / 2];
};

struct block_q5_1 { // x[i] = d * q_i + min
    uint16_t d, min;
    uint8_t high[4];
    uint8_t q[QUANT_BLOCK / 2];
};

// x[i] = 2^(scale - 127) * f(q_i), f a float of 1 sign, 2 exponent and 1 mantissa bits (OCP Microscaling Formats 1.0).
// In the order of q4_0, which is not that of safetensors files (engine/model/mxfp4.h).
struct block_mxfp4 {
    uint8_t scale;
    uint8_t q[QUANT_BLOCK / 2];
};

// Eight groups of 32, each with a scale s_g and a minimum m_g of 6 bits: x[i] = d * s_g * q_i - dmin * m_g.
// Bytes 32p ... 32p + 31 of q hold groups 2p (low halves) and 2p + 1.
struct block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12]; // see quant_k_scale
    uint8_t q[QUANT_SUPERBLOCK / 2];
};

// As q4_k, with a fifth bit: of element j of group g it is bit g of high[j].
struct block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t high[QUANT_SUPERBLOCK / 8];
    uint8_t q[QUANT_SUPERBLOCK / 2];
};

// Sixteen groups of 16: x[i] = d * s_g * (q_i - 32). Each half of the block is four runs of 32 elements: run r has its
// low bits in bytes (r % 2) * 32 ... of its half of `low` (lower halves of bytes for r < 2, upper for the others) and
// bits 4 and 5 in bits 2r and 2r + 1 of its half of `high`.
struct block_q6_k {
    uint8_t low[QUANT_SUPERBLOCK / 2];
    uint8_t high[QUANT_SUPERBLOCK / 4];
    int8_t scales[QUANT_SUPERBLOCK / 16];
    uint16_t d;
};

// Scale and minimum of group g < 8: the first four lie in the low 6 bits of bytes g and g + 4, the last four have their
// low 4 bits in the halves of byte g + 4 and the others in the high 2 bits of bytes g - 4 and g.
static inline void quant_k_scale(const uint8_t scales[12], unsigned g, unsigned *ret_scale, unsigned *ret_min)
{
    if (g < 4) {
        *ret_scale = scales[g] & 63u;
        *ret_min = scales[g + 4] & 63u;
    } else {
        *ret_scale = (scales[g + 4] & 15u) | (unsigned)(scales[g - 4] >> 6) << 4;
        *ret_min = (unsigned)(scales[g + 4] >> 4) | (unsigned)(scales[g] >> 6) << 4;
    }
}

// x[i] = d * q[i], codes of F8_E4M3 (convert.h); d is binary32. No type of a file: codes and scales lie in tensors of
// their own there (engine/model/f8.h). Where a code is not a number, nor is d: kernels take no notice of such codes.
struct block_f8 {
    float d;
    uint8_t q[QUANT_F8_BLOCK];
};

// n elements of any dtype (whole blocks; `src` need not be aligned) as f32. Products of a scale and what it scales are
// rounded once each, in the order of the formulas above.
void quant_expand(enum dtype dtype, const void *src, size_t n, float *dst);

// The reverse, for q8_0 and q4_0 and the plain types: nearest value of a scale that covers the block. What is not
// finite is the caller's to refuse.
void quant_pack(enum dtype dtype, const float *src, size_t n, void *dst);
// The same, with less of an error and more work: for weights, which are packed once.
void quant_pack_best(enum dtype dtype, const float *src, size_t n, void *dst);

#endif
