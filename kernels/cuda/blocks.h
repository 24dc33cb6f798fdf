// Weights in block formats (kernels/quant.h) as the GPU keeps them, so that a lane finds what it multiplies in
// loads of 16 bytes, as many bytes as in the file.
//
// A tile is 16 outputs, a chunk of it 128 inputs: one record of codes, then scales. Lane l = 4 * g + t of a warp has,
// of each group of 32 inputs, those at 4t ... 4t + 3 and 16 + 4t ... 16 + 4t + 3 of outputs g and g + 8. These eight,
// e0 ... e7, are four pairs, as the matrix instruction takes them: the two elements of pair p lie 16 bits apart in one
// word.
//   nibbles: [2 (g, g + 8)][32 lanes][4 groups] words; e(2p) in bits 4p ..., e(2p + 1) in bits 16 + 4p ...
//   bytes:   [2][2][32 lanes][2 groups][2] words; word w has e(4w), e(4w + 2), e(4w + 1), e(4w + 3)
//   fifth bits: [2][32 lanes] words; of group i, e(2p) in bit p + 4i, e(2p + 1) 16 further
//   upper bits of six: [2][32 lanes][2] words; of group 2w + i, e(2p) in bits 2p + 8i ..., e(2p + 1) 16 further
// What is beyond the matrix's outputs and inputs has scales of zero.
#ifndef TOKFS_KERNELS_CUDA_BLOCKS_H
#define TOKFS_KERNELS_CUDA_BLOCKS_H

#include "kernels/dtype.h"

#define BLOCKS_TILE  16  // outputs
#define BLOCKS_CHUNK 128 // inputs

// Bytes of codes and of scales in a record; no codes: rows of this type are kept otherwise. `groups` are of 32 inputs.
struct blocks_format {
    size_t code_bytes, scale_bytes;
};

static inline struct blocks_format blocks_format(enum dtype dtype)
{
    switch (dtype) {
    case DTYPE_Q8_0: return (struct blocks_format){ 2048, 128 }; // [16][4 groups] d, f16
    case DTYPE_Q4_0: return (struct blocks_format){ 1024, 128 }; // likewise
    case DTYPE_Q4_K: return (struct blocks_format){ 1024, 128 }; // heads of blocks as in the file: see fmt_k
    case DTYPE_Q5_K: return (struct blocks_format){ 1280, 128 };
    case DTYPE_Q6_K: return (struct blocks_format){ 1536, 160 }; // [16][8] scales, [16] d
    case DTYPE_MXFP4: return (struct blocks_format){ 1024, 64 }; // [16][4 groups] scales
    case DTYPE_F8: return (struct blocks_format){ 2048, 64 };    // [16] d, f32
    default: return (struct blocks_format){ 0, 0 };
    }
}

static inline bool blocks_has(enum dtype dtype)
{
    return blocks_format(dtype).code_bytes > 0;
}

static inline size_t blocks_n_tiles(size_t n_out)
{
    return (n_out + BLOCKS_TILE - 1) / BLOCKS_TILE;
}

static inline size_t blocks_n_chunks(size_t n_in)
{
    return (n_in + BLOCKS_CHUNK - 1) / BLOCKS_CHUNK;
}

static inline size_t blocks_bytes(enum dtype dtype, size_t n_out, size_t n_in)
{
    struct blocks_format format = blocks_format(dtype);
    return blocks_n_tiles(n_out) * blocks_n_chunks(n_in) * (format.code_bytes + format.scale_bytes);
}

#endif
