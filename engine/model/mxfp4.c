// Expands MXFP4 to bf16, which holds every value of it: four significant bits less, exponents of the same range (a half
// times the smallest scale is a denormal number).
#include "engine/model/mxfp4.h"
#include "kernels/cpu/convert.h"
#include <math.h>

void mxfp4_expand(const uint8_t *groups, const uint8_t *scales, size_t n_groups, uint16_t *bf16)
{
    static const float values[8] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };
    for (size_t g = 0; g < n_groups; g++) {
        uint16_t table[16];
        float power = scales[g] == 0 ? 0x1p-127f : f32_from_bits((uint32_t)scales[g] << 23);
        power = scales[g] == 255 ? NAN : power;
        for (int i = 0; i < 16; i++) {
            table[i] = bf16_from_f32(values[i % 8] * (i < 8 ? power : -power));
        }
        for (size_t i = 0; i < MXFP4_GROUP_BYTES; i++) {
            uint8_t pair = groups[g * MXFP4_GROUP_BYTES + i];
            bf16[g * MXFP4_GROUP + 2 * i] = table[pair & 15];
            bf16[g * MXFP4_GROUP + 2 * i + 1] = table[pair >> 4];
        }
    }
}
