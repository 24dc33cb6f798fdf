// Filling the tiles of quant_tile.h from rows of blocks as files have them, and reading weights of them again.
//
// A row of the file is one lane of its tile: no byte of a tile belongs to two rows.
#include "kernels/cpu/convert.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/quant_tile.h"

#include <string.h>

// A group of a row of the file.
struct group {
    uint8_t q[QUANT_BLOCK]; // stored values
    uint16_t d, dmin;       // binary16
    uint8_t scales[2];      // scale, minimum; or the scales of its halves
};

static void take_q8_0(const void *src, size_t g, struct group *ret)
{
    struct block_q8_0 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->d = block.d;
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        ret->q[i] = (uint8_t)(block.q[i] + 128);
    }
}

static void take_halves(const uint8_t *q, uint32_t high, struct group *ret)
{
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        unsigned low = i < 16 ? q[i] & 15u : q[i - 16] >> 4;
        ret->q[i] = (uint8_t)(low | (high >> i & 1) << 4);
    }
}

static void take_q4_0(const void *src, size_t g, struct group *ret)
{
    struct block_q4_0 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->d = block.d;
    take_halves(block.q, 0, ret);
}

static uint32_t take_high(const uint8_t high[4])
{
    return (uint32_t)high[0] | (uint32_t)high[1] << 8 | (uint32_t)high[2] << 16 | (uint32_t)high[3] << 24;
}

static void take_q4_1(const void *src, size_t g, struct group *ret)
{
    struct block_q4_1 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->d = block.d;
    ret->dmin = block.min;
    take_halves(block.q, 0, ret);
}

static void take_q5_0(const void *src, size_t g, struct group *ret)
{
    struct block_q5_0 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->d = block.d;
    take_halves(block.q, take_high(block.high), ret);
}

static void take_q5_1(const void *src, size_t g, struct group *ret)
{
    struct block_q5_1 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->d = block.d;
    ret->dmin = block.min;
    take_halves(block.q, take_high(block.high), ret);
}

static void take_mxfp4(const void *src, size_t g, struct group *ret)
{
    struct block_mxfp4 block;
    memcpy(&block, (const char *)src + g * sizeof(block), sizeof(block));
    ret->scales[0] = block.scale;
    take_halves(block.q, 0, ret);
}

static void take_scales(const uint8_t scales[12], unsigned g, struct group *ret)
{
    unsigned scale, min;
    quant_k_scale(scales, g, &scale, &min);
    ret->scales[0] = (uint8_t)scale;
    ret->scales[1] = (uint8_t)min;
}

static void take_q4_k(const void *src, size_t g, struct group *ret)
{
    struct block_q4_k block;
    memcpy(&block, (const char *)src + g / 8 * sizeof(block), sizeof(block));
    ret->d = block.d;
    ret->dmin = block.dmin;
    take_scales(block.scales, g % 8, ret);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        ret->q[i] = block.q[g % 8 / 2 * 32 + i] >> 4 * (g % 2) & 15;
    }
}

static void take_q5_k(const void *src, size_t g, struct group *ret)
{
    struct block_q5_k block;
    memcpy(&block, (const char *)src + g / 8 * sizeof(block), sizeof(block));
    ret->d = block.d;
    ret->dmin = block.dmin;
    take_scales(block.scales, g % 8, ret);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        unsigned low = block.q[g % 8 / 2 * 32 + i] >> 4 * (g % 2) & 15, high = block.high[i] >> g % 8 & 1;
        ret->q[i] = (uint8_t)(low | high << 4);
    }
}

static void take_q6_k(const void *src, size_t g, struct group *ret)
{
    struct block_q6_k block;
    memcpy(&block, (const char *)src + g / 8 * sizeof(block), sizeof(block));
    size_t half = g % 8 / 4, run = g % 4;
    ret->d = block.d;
    memcpy(ret->scales, block.scales + g % 8 * 2, 2);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        unsigned low = block.low[half * 64 + run % 2 * 32 + i] >> (run < 2 ? 0 : 4) & 15;
        unsigned high = block.high[half * 32 + i] >> 2 * run & 3;
        ret->q[i] = (uint8_t)(low | high << 4);
    }
}

static void take_group(enum dtype dtype, const void *src, size_t g, struct group *ret)
{
    switch (dtype) {
    case DTYPE_Q8_0: take_q8_0(src, g, ret); break;
    case DTYPE_Q4_0: take_q4_0(src, g, ret); break;
    case DTYPE_Q4_1: take_q4_1(src, g, ret); break;
    case DTYPE_Q5_0: take_q5_0(src, g, ret); break;
    case DTYPE_Q5_1: take_q5_1(src, g, ret); break;
    case DTYPE_MXFP4: take_mxfp4(src, g, ret); break;
    case DTYPE_Q4_K: take_q4_k(src, g, ret); break;
    case DTYPE_Q5_K: take_q5_k(src, g, ret); break;
    case DTYPE_Q6_K: take_q6_k(src, g, ret); break;
    default: assert(0 && "a block type");
    }
}

// High bits of quad j, input i of it: which byte of the lane's, and from which bit on.
static size_t high_at(struct quant_tile form, size_t lane, size_t j, size_t i, unsigned *ret_shift)
{
    bool is_wide = form.high_bytes == 256;
    *ret_shift = (unsigned)(is_wide ? 2 * (j % 4) : j);
    return QUANT_HALVES_BYTES + ((is_wide ? j / 4 : 0) * LINEAR_TILE + lane) * 4 + i;
}

static void store_group(enum dtype dtype, const struct group *src, size_t lane, unsigned char *head, unsigned char *dst)
{
    struct quant_tile form = quant_tile(dtype);
    for (size_t j = 0; j < (dtype == DTYPE_Q8_0 ? 8 : 4); j++) {
        uint32_t quad, upper = 0; // four bytes at once
        memcpy(&quad, src->q + 4 * j, 4);
        if (dtype != DTYPE_Q8_0) {
            memcpy(&upper, src->q + 4 * j + 16, 4);
            quad = (quad & 0x0f0f0f0f) | (upper & 0x0f0f0f0f) << 4;
        }
        memcpy(dst + (j * LINEAR_TILE + lane) * 4, &quad, 4);
    }
    for (size_t k = 0; form.high_bytes > 0 && k < QUANT_BLOCK; k++) {
        unsigned shift;
        size_t at = high_at(form, lane, k / 4, k % 4, &shift);
        dst[at] |= (uint8_t)(src->q[k] >> 4 << shift);
    }
    if (dtype == DTYPE_MXFP4) {
        dst[form.scale_at + lane] = src->scales[0];
        return;
    }
    if (form.head_bytes == 0) {
        memcpy(dst + form.scale_at + lane * 2, &src->d, 2);
        if (form.has_min) {
            memcpy(dst + form.scale_at + 64 + lane * 2, &src->dmin, 2);
        }
        return;
    }
    memcpy(head + lane * 2, &src->d, 2);
    if (form.has_min) {
        memcpy(head + 64 + lane * 2, &src->dmin, 2);
    }
    dst[form.scale_at + lane] = src->scales[0];
    dst[form.scale_at + LINEAR_TILE + lane] = src->scales[1];
}

void matrix_quant_fill_row(struct matrix *m, size_t row, const void *src)
{
    struct quant_tile form = quant_tile(m->dtype);
    unsigned char *tile = m->data + row / LINEAR_TILE * m->tile_bytes;
    for (size_t g = 0; g < m->n_in / QUANT_BLOCK; g++) {
        struct group group = { 0 };
        take_group(m->dtype, src, g, &group);
        store_group(m->dtype, &group, row % LINEAR_TILE, tile + quant_tile_head(form, g),
                    tile + quant_tile_group(form, g));
    }
}

static float read_f16(const unsigned char *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof(half));
    return f32_from_f16(half);
}

static unsigned stored_value(enum dtype dtype, const unsigned char *group, size_t lane, size_t k)
{
    struct quant_tile form = quant_tile(dtype);
    size_t j = k / 4, i = k % 4;
    if (dtype == DTYPE_Q8_0) {
        return group[(j * LINEAR_TILE + lane) * 4 + i];
    }
    unsigned value = group[(j % 4 * LINEAR_TILE + lane) * 4 + i] >> (j < 4 ? 0 : 4) & 15u;
    if (form.high_bytes > 0) {
        unsigned shift, mask = form.high_bytes == 256 ? 3 : 1;
        size_t at = high_at(form, lane, j, i, &shift);
        value |= (group[at] >> shift & mask) << 4;
    }
    return dtype == DTYPE_MXFP4 ? quant_mxfp4_values[value] : value;
}

void matrix_quant_read_row(const struct matrix *m, size_t row, float *dst)
{
    struct quant_tile form = quant_tile(m->dtype);
    const unsigned char *tile = m->data + row / LINEAR_TILE * m->tile_bytes;
    size_t lane = row % LINEAR_TILE;
    for (size_t k = 0; k < m->n_in; k++) {
        size_t g = k / QUANT_BLOCK;
        const unsigned char *head = tile + quant_tile_head(form, g), *group = tile + quant_tile_group(form, g);
        const unsigned char *scales = group + form.scale_at;
        float step, min = 0, q = (float)((int)stored_value(m->dtype, group, lane, k % QUANT_BLOCK) - form.offset);
        if (m->dtype == DTYPE_MXFP4) {
            step = quant_mxfp4_step(scales[lane]);
        } else if (form.head_bytes == 0) {
            step = read_f16(scales + lane * 2);
            min = form.has_min ? -read_f16(scales + 64 + lane * 2) : 0;
        } else if (form.has_min) {
            step = read_f16(head + lane * 2) * (float)scales[lane];
            min = read_f16(head + 64 + lane * 2) * (float)scales[LINEAR_TILE + lane];
        } else {
            step = read_f16(head + lane * 2) * (float)(int8_t)scales[k % QUANT_BLOCK / 16 * LINEAR_TILE + lane];
        }
        dst[k] = form.has_min ? step * q - min : step * q;
    }
}
