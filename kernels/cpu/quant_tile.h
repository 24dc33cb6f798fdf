// Tiles of weights in block formats (kernels/quant.h), which the kernels multiply as integers.
//
// A tile of LINEAR_TILE outputs is a run of units; a unit is a head and then groups of QUANT_BLOCK inputs. Everything
// is stored output by output, so that vectors hold the same inputs of sixteen outputs; four inputs of an output side by
// side are a quad, which one lane of an integer dot product multiplies. All parts are whole cache lines.
//
//          unit    head              group
//   q8_0   1 group                   bytes [8 quads][32][4] of q + 128, then d [32]
//   q4_0   1 group                   halves, then d [32]
//   q4_1   1 group                   halves, then d [32], min [32]
//   q5_0   1 group                   halves, high [32][4], then d [32]
//   q5_1   1 group                   halves, high [32][4], then d [32], min [32]
//   mxfp4  1 group                   halves, then scales [32] and as many unused bytes
//   q4_k   8       d [32], dmin [32] halves, then scales [32], minima [32]
//   q5_k   8       d [32], dmin [32] halves, high [32][4], then scales [32], minima [32]
//   q6_k   8       d [32]            halves, high [2][32][4], then scales of the 16 first inputs [32], of the others
//   [32]
//
// Halves are bytes [4][32][4]: byte i of quad j has input 4j + i in its low half and input 4j + i + 16 in its high one.
// `high` of 5 bits has bit j of byte i for quad j; of q6_k, part s, bits 2p and 2p + 1 for quad 4s + p. d, dmin and min
// are binary16, scales and minima bytes. The values of mxfp4 are codes (quant_mxfp4_values).
#ifndef TOKFS_KERNELS_CPU_QUANT_TILE_H
#define TOKFS_KERNELS_CPU_QUANT_TILE_H

#include "kernels/cpu/convert.h"
#include "kernels/cpu/kernels.h"
#include "kernels/quant.h"

#define QUANT_HALVES_BYTES (QUANT_BLOCK / 2 * LINEAR_TILE)

struct quant_tile {
    size_t unit_groups, head_bytes, group_bytes;
    size_t high_bytes;    // of a group, after the halves
    size_t scale_at;      // of a group: its scales
    uint8_t offset;       // stored value of a weight of 0, where there are no minima
    bool has_min;         // w = scale * q - min, or + min where there is no head
    bool has_half_scales; // scales are for 16 inputs
};

// Twice what the codes of mxfp4 stand for, and 12; a step of the scale is half as large.
static const uint8_t quant_mxfp4_values[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0 };

static inline float quant_mxfp4_step(uint8_t scale)
{
    return f32_from_bits((uint32_t)scale << 23) * 0.5f;
}

static inline struct quant_tile quant_tile(enum dtype dtype)
{
    const size_t bytes = QUANT_BLOCK * LINEAR_TILE, halves = QUANT_HALVES_BYTES;
    switch (dtype) {
    case DTYPE_Q8_0: return (struct quant_tile){ 1, 0, bytes + 64, 0, bytes, 128, false, false };
    case DTYPE_Q4_0: return (struct quant_tile){ 1, 0, halves + 64, 0, halves, 8, false, false };
    case DTYPE_Q4_1: return (struct quant_tile){ 1, 0, halves + 128, 0, halves, 0, true, false };
    case DTYPE_Q5_0: return (struct quant_tile){ 1, 0, halves + 192, 128, halves + 128, 16, false, false };
    case DTYPE_Q5_1: return (struct quant_tile){ 1, 0, halves + 256, 128, halves + 128, 0, true, false };
    case DTYPE_MXFP4: return (struct quant_tile){ 1, 0, halves + 64, 0, halves, 12, false, false };
    case DTYPE_Q4_K: return (struct quant_tile){ 8, 128, halves + 64, 0, halves, 0, true, false };
    case DTYPE_Q5_K: return (struct quant_tile){ 8, 128, halves + 192, 128, halves + 128, 0, true, false };
    case DTYPE_Q6_K: return (struct quant_tile){ 8, 64, halves + 320, 256, halves + 256, 32, false, true };
    default: assert(0 && "a block type"); return (struct quant_tile){ 0 };
    }
}

// Bytes of n_in inputs of a tile, which are whole units.
static inline size_t quant_tile_bytes(struct quant_tile form, size_t n_in)
{
    return n_in / (form.unit_groups * QUANT_BLOCK) * (form.head_bytes + form.unit_groups * form.group_bytes);
}

// Head of the unit of group `group` of a tile, and the group.
static inline size_t quant_tile_head(struct quant_tile form, size_t group)
{
    return group / form.unit_groups * (form.head_bytes + form.unit_groups * form.group_bytes);
}

static inline size_t quant_tile_group(struct quant_tile form, size_t group)
{
    return quant_tile_head(form, group) + form.head_bytes + group % form.unit_groups * form.group_bytes;
}

#endif
