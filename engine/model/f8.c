// Expands F8_E4M3 to bf16 as transformers does: every code is exact in f32, its product with the scale is rounded to
// f32 and then to bf16.
#include "engine/model/f8.h"
#include "kernels/cpu/convert.h"

// Exponents 1 ... 15 are 2^-6 ... 2^8, exponent 0 counts multiples of 2^-9.
static float value_of(uint8_t code)
{
    uint32_t sign = (uint32_t)(code & 0x80u) << 24, exponent = code >> 3 & 15u, mantissa = code & 7u;
    if ((code & 0x7fu) == 0x7fu) {
        return f32_from_bits(sign | 0x7fc00000u);
    }
    if (exponent == 0) {
        return f32_from_bits(sign | f32_bits((float)mantissa * 0x1p-9f));
    }
    return f32_from_bits(sign | (exponent + 120u) << 23 | mantissa << 20);
}

void f8_expand(const uint8_t *codes, size_t n, const float *scales, size_t group, uint16_t *bf16)
{
    float values[256];
    for (unsigned code = 0; code < 256; code++) {
        values[code] = value_of((uint8_t)code);
    }
    for (size_t begin = 0; begin < n; begin += group) {
        float scale = scales[begin / group];
        size_t end = group < n - begin ? begin + group : n;
        for (size_t i = begin; i < end; i++) {
            bf16[i] = bf16_from_f32(values[codes[i]] * scale);
        }
    }
}
