// AMX's tile registers and instructions in portable C, in place of kernels/cpu/tile_amx.h: what the Intel 64 and IA-32
// Architectures Software Developer's Manual, volumes 1 (chapter on AMX) and 2 (LDTILECFG, TILELOADD, TILESTORED,
// TILEZERO, TDPBF16PS, TDPBSSD), says of them in pseudo code, and of what makes them fault.
//
// Memory is touched with memcpy, row by row and no byte further than the configuration says, so that AddressSanitizer
// sees what a tile load would see. A result is flushed to zero that is below 2^-126 after it was rounded.
#ifndef TOKFS_TESTS_KERNELS_TILE_MODEL_H
#define TOKFS_TESTS_KERNELS_TILE_MODEL_H

#include "kernels/cpu/convert.h"
#include "kernels/cpu/tile_config.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tile_model {
    struct tile_config config; // palette 0: none
    unsigned char data[8][TILE_ROWS][TILE_ROW_BYTES];
};

// ---- instructions: NULL, or why the processor would fault ----------------------------------------------------------

static inline const char *tile_model_config(struct tile_model *m, const void *p)
{
    struct tile_config config;
    memcpy(&config, p, sizeof(config));
    if (config.palette > 1) {
        return "LDTILECFG: no such palette";
    }
    for (size_t i = 0; i < sizeof(config.reserved); i++) {
        if (config.reserved[i] != 0) {
            return "LDTILECFG: reserved bytes";
        }
    }
    for (size_t t = 0; t < 16; t++) {
        if (t >= 8 && (config.rows[t] != 0 || config.row_bytes[t] != 0)) {
            return "LDTILECFG: a register that is not there";
        }
        if (config.rows[t] > TILE_ROWS || config.row_bytes[t] > TILE_ROW_BYTES ||
            (config.rows[t] == 0) != (config.row_bytes[t] == 0)) {
            return "LDTILECFG: a shape that is not there";
        }
    }
    memset(m, 0, sizeof(*m));
    if (config.palette == 1) {
        m->config = config;
    }
    return NULL;
}

static inline void tile_model_release(struct tile_model *m)
{
    memset(m, 0, sizeof(*m));
}

static inline const char *tile_model_check(const struct tile_model *m, unsigned t)
{
    return m->config.palette == 0   ? "tiles are not configured"
           : t >= 8                 ? "no such register"
           : m->config.rows[t] == 0 ? "the configuration leaves this register out"
                                    : NULL;
}

static inline const char *tile_model_zero(struct tile_model *m, unsigned t)
{
    const char *fault = tile_model_check(m, t);
    if (fault == NULL) {
        memset(m->data[t], 0, sizeof(m->data[t]));
    }
    return fault;
}

static inline const char *tile_model_load(struct tile_model *m, unsigned t, const void *p, size_t stride)
{
    const char *fault = tile_model_zero(m, t);
    for (size_t r = 0; fault == NULL && r < m->config.rows[t]; r++) {
        memcpy(m->data[t][r], (const unsigned char *)p + r * stride, m->config.row_bytes[t]);
    }
    return fault;
}

static inline const char *tile_model_store(const struct tile_model *m, unsigned t, void *p, size_t stride)
{
    const char *fault = tile_model_check(m, t);
    for (size_t r = 0; fault == NULL && r < m->config.rows[t]; r++) {
        memcpy((unsigned char *)p + r * stride, m->data[t][r], m->config.row_bytes[t]);
    }
    return fault;
}

static inline const char *tile_model_check_dot(const struct tile_model *m, unsigned sum, unsigned a, unsigned b)
{
    const struct tile_config *c = &m->config;
    const unsigned tiles[3] = { sum, a, b };
    for (size_t i = 0; i < 3; i++) {
        const char *fault = tile_model_check(m, tiles[i]);
        if (fault != NULL) {
            return fault;
        }
        if (c->row_bytes[tiles[i]] % 4 != 0) {
            return "dot product: rows of no whole lanes";
        }
    }
    if (sum == a || a == b || sum == b) {
        return "dot product: one register twice";
    }
    if (c->rows[sum] != c->rows[a] || c->row_bytes[sum] != c->row_bytes[b] || c->row_bytes[a] / 4 != c->rows[b]) {
        return "dot product: shapes that do not fit";
    }
    return NULL;
}

static inline float tile_model_flush(float x)
{
    return fabsf(x) < FLT_MIN ? copysignf(0, x) : x;
}

static inline float tile_model_f32(const unsigned char *p)
{
    float x;
    memcpy(&x, p, sizeof(x));
    return tile_model_flush(x);
}

static inline float tile_model_bf16(const unsigned char *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof(x));
    return tile_model_flush(f32_from_bf16(x));
}

static inline const char *tile_model_dot_bf16(struct tile_model *m, unsigned sum, unsigned a, unsigned b)
{
    const char *fault = tile_model_check_dot(m, sum, a, b);
    for (size_t r = 0; fault == NULL && r < m->config.rows[sum]; r++) {
        for (size_t n = 0; n < m->config.row_bytes[sum]; n += 4) {
            float even = 0, odd = 0;
            for (size_t k = 0; k < m->config.row_bytes[a]; k += 4) {
                const unsigned char *x = m->data[a][r] + k, *y = m->data[b][k / 4] + n;
                even = tile_model_flush(fmaf(tile_model_bf16(x), tile_model_bf16(y), even));
                odd = tile_model_flush(fmaf(tile_model_bf16(x + 2), tile_model_bf16(y + 2), odd));
            }
            float total = tile_model_flush(tile_model_f32(m->data[sum][r] + n) + tile_model_flush(even + odd));
            memcpy(m->data[sum][r] + n, &total, sizeof(total));
        }
    }
    return fault;
}

static inline const char *tile_model_dot_int8(struct tile_model *m, unsigned sum, unsigned a, unsigned b)
{
    const char *fault = tile_model_check_dot(m, sum, a, b);
    for (size_t r = 0; fault == NULL && r < m->config.rows[sum]; r++) {
        for (size_t n = 0; n < m->config.row_bytes[sum]; n += 4) {
            uint32_t total;
            memcpy(&total, m->data[sum][r] + n, sizeof(total));
            for (size_t k = 0; k < m->config.row_bytes[a]; k++) {
                int32_t x = (int8_t)m->data[a][r][k], y = (int8_t)m->data[b][k / 4][n + k % 4];
                total += (uint32_t)(x * y);
            }
            memcpy(m->data[sum][r] + n, &total, sizeof(total));
        }
    }
    return fault;
}

// ---- in place of the instructions ----------------------------------------------------------------------------------

extern _Thread_local struct tile_model tile_model_here; // of a thread, as registers are

static inline void tile_model_must(const char *fault)
{
    if (fault != NULL) {
        fprintf(stderr, "tile model: %s\n", fault);
        abort();
    }
}

#define TILE_CONFIG(config)      tile_model_must(tile_model_config(&tile_model_here, config))
#define TILE_RELEASE()           tile_model_release(&tile_model_here)
#define TILE_ZERO(t)             tile_model_must(tile_model_zero(&tile_model_here, t))
#define TILE_LOAD(t, p, stride)  tile_model_must(tile_model_load(&tile_model_here, t, p, stride))
#define TILE_STORE(t, p, stride) tile_model_must(tile_model_store(&tile_model_here, t, p, stride))
#define TILE_DOT_BF16(sum, a, b) tile_model_must(tile_model_dot_bf16(&tile_model_here, sum, a, b))
#define TILE_DOT_INT8(sum, a, b) tile_model_must(tile_model_dot_int8(&tile_model_here, sum, a, b))

#endif
