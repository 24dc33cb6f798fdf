// Choosing an instruction set; what vectors do that no operation shows by itself: e^x, tails, and every kind of float
// through the conversions of each instruction set.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/vec_scalar.h"
#include "tests/kernels/kernel_test.h"

#include "kernels/cpu/vec_common.h"

static void test_isa_none_chooses_what_a_name_can_choose(void **state)
{
    (void)state;
    const struct cpu_kernels *best = NULL, *same = NULL;
    assert_int_equal(isa_choose(NULL, &best, NULL), 0);
    assert_int_equal(isa_choose(best->name, &same, NULL), 0);
    assert_ptr_equal(best, same);
    assert_int_equal(isa_choose("scalar", &same, NULL), 0);
    assert_string_equal(same->name, "scalar");
}

static void test_isa_unknown_is_refused(void **state)
{
    (void)state;
    const struct cpu_kernels *kernels = NULL;
    struct err err = { 0 };
    assert_int_equal(isa_choose("", &kernels, &err), -EINVAL);
    assert_int_equal(isa_choose("AVX2", &kernels, &err), -EINVAL);
    assert_null(kernels);
}

static float exp_of(float x)
{
    float lanes[16];
    vf_store(lanes, vf_exp(vf_set1(x)));
    return lanes[7];
}

static void test_exp_is_within_one_ulp(void **state)
{
    (void)state;
    uint64_t rng = 30;
    for (int i = 0; i < 200000; i++) {
        float x = rng_float(&rng) * (i % 2 ? 87.0f : 1.0f);
        double exact = exp((double)x), ulp = (double)nextafterf((float)exact, INFINITY) - (double)(float)exact;
        assert_near(exp_of(x), exact, ulp);
    }
}

static void test_exp_ends_are_exact(void **state)
{
    (void)state;
    assert_true(exp_of(0) == 1);
    assert_true(exp_of(-INFINITY) == 0 && exp_of(-104.5f) == 0 && exp_of(-1e30f) == 0);
    assert_true(exp_of(INFINITY) == INFINITY && exp_of(88.8f) == INFINITY && exp_of(1e30f) == INFINITY);
    assert_true(exp_of(-100.0f) > 0 && exp_of(-100.0f) < 0x1p-126f); // denormal
    assert_true(exp_of(88.7f) < INFINITY);
    assert_true(isnan(exp_of(NAN)));
}

// Specials, all exponents, and random bits; n values so that tails are met too.
static void make_floats(float *x, size_t n)
{
    uint64_t rng = 31;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)rng_next(&rng);
        bits = i % 4 == 0 ? (bits & 0x80ffe000u) | 0x1000u | (uint32_t)(i / 4 % 256) << 23
                          : bits; // half way, any exponent
        x[i] = f32_from_bits(bits);
    }
    const float special[] = { 0,     -0.0f, INFINITY, -INFINITY, NAN,        -NAN,
                              65504, 65520, 0x1p-24f, 0x1p-25f,  0x1.8p-25f, 0x1p-149f };
    memcpy(x, special, sizeof(special));
    x[12] = f32_from_bits(0x7f800001); // signalling
    x[13] = f32_from_bits(0xffbfffff);
}

static void test_store_any_float_equals_scalar(void **state)
{
    (void)state;
    const size_t n = 4099;
    float *x = malloc(n * sizeof(*x));
    uint16_t *want = malloc(n * 4), *got = malloc(n * 4);
    make_floats(x, n);
    for (size_t i = 0; i < N_TEST_ISAS; i++) {
        const struct cpu_kernels *kernels;
        if (isa_choose(test_isas[i], &kernels, NULL) != 0) {
            continue;
        }
        for (int dtype = 0; dtype < 3; dtype++) {
            for (size_t tail = 0; tail < 17; tail++) {
                cpu_kernels_scalar.store((enum dtype)dtype, want, x, n - tail);
                kernels->store((enum dtype)dtype, got, x, n - tail);
                assert_memory_equal(got, want, (n - tail) * dtype_bytes((enum dtype)dtype));
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        cpu_kernels_scalar.store(DTYPE_F16, want, x + i, 1);
        assert_int_equal(want[0], f16_from_f32(x[i]));
    }
    free(x);
    free(want);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isa_none_chooses_what_a_name_can_choose),
        cmocka_unit_test(test_isa_unknown_is_refused),
        cmocka_unit_test(test_exp_is_within_one_ulp),
        cmocka_unit_test(test_exp_ends_are_exact),
        cmocka_unit_test(test_store_any_float_equals_scalar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
