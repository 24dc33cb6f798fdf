// To bf16 as transformers does: every code is exact in f32, its product with the scale is rounded to f32 and then to
// bf16. To blocks nothing is rounded: each gets its codes and their scale.
#include "engine/model/f8.h"
#include "kernels/cpu/convert.h"
#include "kernels/quant.h"
#include <math.h>

void f8_expand(const uint8_t *codes, size_t n, const float *scales, size_t group, uint16_t *bf16)
{
    float values[256];
    for (unsigned code = 0; code < 256; code++) {
        values[code] = f32_from_f8((uint8_t)code);
    }
    for (size_t begin = 0; begin < n; begin += group) {
        float scale = scales[begin / group];
        size_t end = group < n - begin ? begin + group : n;
        for (size_t i = begin; i < end; i++) {
            bf16[i] = bf16_from_f32(values[codes[i]] * scale);
        }
    }
}

bool f8_fits_blocks(const struct f8_grid *grid, size_t n_cols)
{
    return n_cols % QUANT_F8_BLOCK == 0 && (grid->n_cols >= n_cols || grid->n_cols % QUANT_F8_BLOCK == 0);
}

static bool has_nan(const uint8_t *codes, size_t n)
{
    unsigned n_nans = 0;
    for (size_t i = 0; i < n; i++) {
        n_nans += f8_is_nan(codes[i]);
    }
    return n_nans > 0;
}

void f8_to_blocks(const uint8_t *codes, size_t n, const float *scales, size_t group, struct block_f8 *blocks)
{
    for (size_t i = 0; i < n / QUANT_F8_BLOCK; i++) {
        const uint8_t *q = codes + i * QUANT_F8_BLOCK;
        blocks[i].d = has_nan(q, QUANT_F8_BLOCK) ? NAN : scales[i * QUANT_F8_BLOCK / group];
        memcpy(blocks[i].q, q, QUANT_F8_BLOCK);
    }
}
