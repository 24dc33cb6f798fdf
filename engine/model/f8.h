// The type F8_E4M3 (1 sign, 4 exponent and 3 mantissa bits, no infinities): codes that share scales, per tensor, per
// row or per block of rows and columns. https://arxiv.org/abs/2209.05433 (E4M3)
#ifndef TOKFS_MODEL_F8_H
#define TOKFS_MODEL_F8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What one scale is for; blocks at the lower and right edges may be cut.
struct f8_grid {
    size_t n_rows, n_cols;
};

// One row: n bf16 elements, each the product with its scale in f32, rounded to nearest even. `scales` are the row's,
// one for each `group` elements. Codes 0x7f and 0xff are NaN.
void f8_expand(const uint8_t *codes, size_t n, const float *scales, size_t group, uint16_t *bf16);

// Whether each block of 128 elements of a row of n_cols has one scale.
struct block_f8;
bool f8_fits_blocks(const struct f8_grid *grid, size_t n_cols);
// One row, as n / 128 blocks of kernels/quant.h: as f8_expand, of a grid that fits.
void f8_to_blocks(const uint8_t *codes, size_t n, const float *scales, size_t group, struct block_f8 *blocks);

#endif
