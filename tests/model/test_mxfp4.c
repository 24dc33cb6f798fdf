// MXFP4: every code under every scale, and the order within a group.
#include "engine/model/mxfp4.h"
#include "kernels/cpu/convert.h"
#include "tests/unit.h"
#include <math.h>

static void test_mxfp4_every_code_and_scale_is_exact(void **state)
{
    (void)state;
    static const double values[16] = { 0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6 };
    for (int scale = 0; scale < 256; scale++) {
        uint8_t group[MXFP4_GROUP_BYTES], scales[1] = { (uint8_t)scale };
        uint16_t out[MXFP4_GROUP];
        for (unsigned i = 0; i < MXFP4_GROUP_BYTES; i++) {
            group[i] = (uint8_t)(i | (15 - i) << 4);
        }
        mxfp4_expand(group, scales, 1, out);
        for (unsigned i = 0; i < MXFP4_GROUP; i++) {
            double want = ldexp(values[i % 2 ? 15 - i / 2 : i / 2], scale - 127), got = (double)f32_from_bf16(out[i]);
            if (scale == 255) {
                assert_true(isnan(got));
            } else if (fabs(want) > 0x1.fep127) { // 6 * 2^127 and the like
                assert_true(isinf(got));
            } else {
                assert_true(got == want && signbit(got) == signbit(want));
            }
        }
    }
}

static void test_mxfp4_groups_have_their_own_scales(void **state)
{
    (void)state;
    uint8_t groups[2 * MXFP4_GROUP_BYTES] = { 0x21 }, scales[2] = { 127, 130 };
    uint16_t out[2 * MXFP4_GROUP];
    groups[MXFP4_GROUP_BYTES] = 0x21;
    mxfp4_expand(groups, scales, 2, out);
    assert_true(f32_from_bf16(out[0]) == 0.5f && f32_from_bf16(out[1]) == 1.0f && f32_from_bf16(out[2]) == 0);
    assert_true(f32_from_bf16(out[32]) == 4.0f && f32_from_bf16(out[33]) == 8.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mxfp4_every_code_and_scale_is_exact),
        cmocka_unit_test(test_mxfp4_groups_have_their_own_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
