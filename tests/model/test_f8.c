// F8_E4M3: every code under many scales, scales of all shapes, what is refused, and weights that are quantized from it.
#include "engine/model/model.h"
#include "engine/model/weights_f8.h"
#include "kernels/cpu/convert.h"
#include "kernels/quant.h"
#include "tests/model/model_run.h"
#include "tests/unit.h"
#include <errno.h>
#include <math.h>

#define BLOCKS_FIXTURE "tests/fixtures/models/f8-blocks"
#define WHOLE_FIXTURE  "tests/fixtures/models/f8-whole"

// ---- codes ---------------------------------------------------------------------------------------------------------

static double value_of(unsigned code)
{
    int exponent = code >> 3 & 15;
    double magnitude = exponent > 0 ? ldexp(8 + code % 8, exponent - 10) : ldexp(code % 8, -9);
    return code & 128 ? -magnitude : magnitude;
}

static void test_f8_every_code_is_exact(void **state)
{
    (void)state;
    static const float scales[] = { 1, 0.5f, 0x1p-12f, 0x1p60f, 3, 0x1.cp-7f, -1 };
    uint8_t codes[256];
    uint16_t out[256];
    for (unsigned i = 0; i < 256; i++) {
        codes[i] = (uint8_t)i;
    }
    assert_true(value_of(0x7e) == 448 && value_of(1) == 0x1p-9 && value_of(0x38) == 1);
    for (size_t s = 0; s < sizeof(scales) / sizeof(*scales); s++) { // of three bits at most: products fit into bf16
        f8_expand(codes, 256, &scales[s], 256, out);
        for (unsigned i = 0; i < 256; i++) {
            double got = (double)f32_from_bf16(out[i]), want = value_of(i) * (double)scales[s];
            if ((i & 127) == 127) {
                assert_true(isnan(got));
            } else {
                assert_true(got == want && signbit(got) == signbit(want));
            }
        }
    }
}

static void test_f8_products_are_rounded_to_nearest_even(void **state)
{
    (void)state;
    uint8_t code = 0x38; // 1
    const struct {
        float scale;
        uint16_t want;
    } cases[] = { { 0x1.01p0f, 0x3f80 }, { 0x1.03p0f, 0x3f82 }, { 0x1.010002p0f, 0x3f81 }, { 0x1.ffp127f, 0x7f80 } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint16_t got;
        f8_expand(&code, 1, &cases[i].scale, 1, &got);
        assert_int_equal(got, cases[i].want);
    }
}

// ---- scales --------------------------------------------------------------------------------------------------------

#define N_ROWS 5
#define N_COLS 7

struct small {
    struct checkpoint *cp;
    struct tensor_info *weight, *scales;
    struct model_config config;
};

static struct tensor_info *add(struct checkpoint *cp, const char *name, const char *dtype_name, uint32_t n_dims,
                               const uint64_t *shape)
{
    struct tensor_info *t;
    struct err err;
    assert_int_equal(checkpoint_add_tensor(cp, "f", str_from(name), &t, &err), 0);
    t->dtype_name = str_from(dtype_name);
    t->is_loadable = strcmp(dtype_name, "F32") == 0;
    t->dtype = DTYPE_F32;
    t->n_dims = n_dims;
    t->n_row_dims = n_dims > 1;
    memcpy(t->shape, shape, n_dims * sizeof(*shape));
    t->offset = cp->n_tensors;
    return t;
}

// scale_dtype NULL: there are none.
static void make_small(struct small *s, const char *scale_dtype, uint32_t n_dims, const uint64_t *shape)
{
    static const uint64_t weight_shape[] = { N_ROWS, N_COLS };
    struct err err;
    memset(s, 0, sizeof(*s));
    s->config.features = FEATURE_F8;
    s->cp = checkpoint_new(CHECKPOINT_SAFETENSORS);
    assert_non_null(s->cp);
    assert_int_equal(checkpoint_alloc_files(s->cp, 1, &err), 0);
    s->cp->files[0].name = "a.safetensors";
    s->cp->n_files = 1;
    add(s->cp, "w.weight", "F8_E4M3", 2, weight_shape);
    if (scale_dtype) {
        add(s->cp, "w.weight_scale", scale_dtype, n_dims, shape);
    }
    assert_int_equal(checkpoint_sort(s->cp, &err), 0);
    s->weight = checkpoint_find(s->cp, STR("w.weight"));
    s->scales = checkpoint_find(s->cp, STR("w.weight_scale"));
    s->weight->is_used = true;
}

static void check_scaled(struct small *s, size_t n_scales, size_t (*scale_of)(size_t row, size_t col))
{
    static const float values[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256 };
    uint8_t codes[N_COLS];
    uint16_t out[N_COLS];
    struct f8_scales scales = { 0 };
    struct err err;
    assert_int_equal(f8_bind(s->cp, &s->config, s->weight, &err), 0);
    assert_true(s->scales->is_used && s->scales->is_scales && s->weight->scales == s->scales);
    assert_int_equal(tensor_loaded_dtype(s->weight), DTYPE_BF16);
    assert_int_equal(f8_scales_init(&scales, s->cp), 0);
    uint64_t n_rows = tensor_n_rows(s->scales), half = n_rows / 2;
    struct tensor_run run = { s->scales, 0, half, values };
    assert_int_equal(f8_scales_take(&scales, &run, &err), 0);
    run = (struct tensor_run){ s->scales, half, n_rows - half, values + half * (n_scales / n_rows) };
    assert_int_equal(f8_scales_take(&scales, &run, &err), 0);
    for (size_t row = 0; row < N_ROWS; row++) {
        memset(codes, 0x38, sizeof(codes)); // 1
        f8_scales_apply(&scales, s->weight, row, codes, out);
        for (size_t col = 0; col < N_COLS; col++) {
            assert_true(f32_from_bf16(out[col]) == values[scale_of(row, col)]);
        }
    }
    const float bad = INFINITY;
    run = (struct tensor_run){ s->scales, 0, n_scales == 1, &bad };
    if (n_scales == 1) {
        assert_int_equal(f8_scales_take(&scales, &run, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "a.safetensors: tensor \"w.weight_scale\": scale 0 is inf"));
    }
    f8_scales_deinit(&scales);
    checkpoint_close(s->cp);
}

static size_t of_tensor(size_t row, size_t col)
{
    return 0 * row * col;
}

static size_t of_row(size_t row, size_t col)
{
    return row + 0 * col;
}

static size_t of_block(size_t row, size_t col) // of 2 rows and 3 columns
{
    return row / 2 * 3 + col / 3;
}

static void test_f8_scales_of_tensors_rows_and_blocks(void **state)
{
    (void)state;
    static const uint64_t one[] = { 1, 1 }, rows[] = { N_ROWS, 1 }, blocks[] = { 3, 3 };
    struct small s;
    for (uint32_t n_dims = 0; n_dims < 3; n_dims++) {
        make_small(&s, "F32", n_dims, one);
        s.config.f8.has_rows = true;
        check_scaled(&s, 1, of_tensor);
    }
    for (uint32_t n_dims = 1; n_dims < 3; n_dims++) {
        make_small(&s, "F32", n_dims, rows);
        s.config.f8.has_rows = true;
        check_scaled(&s, N_ROWS, of_row);
    }
    make_small(&s, "F32", 2, blocks);
    s.config.f8.block = (struct f8_grid){ 2, 3 };
    check_scaled(&s, 9, of_block);
}

static void test_f8_wrong_scales_are_refused_by_name(void **state)
{
    (void)state;
    static const uint64_t shape[] = { 3, 2, 1 };
    const struct {
        const char *dtype; // NULL: no scales
        uint32_t n_dims;
        bool has_rows;
        size_t block;
        int rc;
        const char *msg;
    } cases[] = {
        { "F32", 2, true, 0, -EINVAL,
          "\"w.weight_scale\" has shape [3, 2], quantization_config asks for [1] or [5, 1]" },
        { "F32", 2, false, 2, -EINVAL, "has shape [3, 2], quantization_config asks for [3, 4]" },
        { "F32", 3, false, 2, -EINVAL, "has shape [3, 2, ...]" },
        { "F32", 1, true, 4, -EINVAL, "has shape [3], quantization_config asks for [2, 2], [1] or [5, 1]" },
        { "F8_E8M0", 2, true, 0, -EOPNOTSUPP, "\"w.weight_scale\" has dtype F8_E8M0, scales must be" },
        { NULL, 0, true, 0, -EINVAL, "a.safetensors: tensor \"w.weight\" is F8_E4M3, its scales" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct small s;
        struct err err;
        make_small(&s, cases[i].dtype, cases[i].n_dims, shape);
        s.config.f8 = (struct f8_config){ { cases[i].block, cases[i].block }, cases[i].has_rows };
        assert_int_equal(f8_bind(s.cp, &s.config, s.weight, &err), cases[i].rc);
        assert_non_null(strstr(err.msg, cases[i].msg));
        s.config.features = 0;
        assert_int_equal(f8_bind(s.cp, &s.config, s.weight, &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.msg, "but config.json no quantization_config"));
        checkpoint_close(s.cp);
    }
}

// ---- blocks --------------------------------------------------------------------------------------------------------

#define WIDE_ROWS 3
#define WIDE_COLS 384

// What the file says of each element, as blocks have it.
static void check_blocks(const struct f8_grid *grid, const float *scales)
{
    uint8_t codes[WIDE_COLS];
    struct block_f8 blocks[WIDE_COLS / QUANT_F8_BLOCK];
    float values[WIDE_COLS];
    size_t n_groups = (WIDE_COLS - 1) / grid->n_cols + 1;
    assert_true(f8_fits_blocks(grid, WIDE_COLS));
    for (size_t row = 0; row < WIDE_ROWS; row++) {
        const float *of_row = scales + row / grid->n_rows * n_groups;
        for (size_t i = 0; i < WIDE_COLS; i++) {
            codes[i] = f8_is_nan((uint8_t)i) ? 0 : (uint8_t)i;
        }
        codes[300] = row == 2 ? 0xff : 1; // makes its block one
        f8_to_blocks(codes, WIDE_COLS, of_row, grid->n_cols, blocks);
        quant_expand(DTYPE_F8, blocks, WIDE_COLS, values);
        for (size_t i = 0; i < WIDE_COLS; i++) {
            float want = f32_from_f8(codes[i]) * of_row[i / grid->n_cols];
            assert_true(row == 2 && i >= 256 ? isnan(values[i]) : f32_bits(values[i]) == f32_bits(want));
        }
    }
}

static void test_f8_blocks_have_codes_and_scales_of_all_shapes(void **state)
{
    (void)state;
    static const float scales[] = { 1, 0.3f, 0x1p-20f, -7, 1e30f, 0x1p-140f, 5, 6, 0 };
    static const struct f8_grid grids[] = {
        { WIDE_ROWS, WIDE_COLS }, { 1, WIDE_COLS }, { 128, 128 }, { 1, 128 }, { 2, 256 }, { 2, 1000 }
    };
    for (size_t i = 0; i < sizeof(grids) / sizeof(*grids); i++) {
        check_blocks(&grids[i], scales);
    }
    assert_false(f8_fits_blocks(&(struct f8_grid){ 128, 64 }, WIDE_COLS));
    assert_false(f8_fits_blocks(&(struct f8_grid){ 128, 192 }, WIDE_COLS));
    assert_false(f8_fits_blocks(&(struct f8_grid){ 1, 192 }, 192));
}

// ---- a checkpoint --------------------------------------------------------------------------------------------------

static void test_f8_checkpoint_binds_and_other_types_do_not(void **state)
{
    (void)state;
    static struct model_config config;
    char dir[4096];
    struct checkpoint *cp;
    struct err err;
    enum dtype dtype;
    uint64_t bytes, q8_bytes;
    source_path(dir, sizeof(dir), BLOCKS_FIXTURE);
    assert_int_equal(model_config_read(dir, &config, &err), 0);
    assert_true(model_has(&config, FEATURE_F8));
    assert_int_equal(checkpoint_open(dir, &cp, &err), 0);
    assert_int_equal(weights_bind(cp, &config, WEIGHTS_AS_STORED, &dtype, &bytes, &err), 0);
    assert_int_equal(dtype, DTYPE_BF16);
    assert_int_equal(bytes, 2 * model_config_n_params(&config));
    assert_int_equal(weights_bind(cp, &config, WEIGHTS_Q8, &dtype, &q8_bytes, &err), 0);
    assert_true(q8_bytes < bytes * 6 / 10);
    struct tensor_info *up = checkpoint_find(cp, STR("model.layers.1.mlp.up_proj.weight"));
    assert_non_null(up);
    up->dtype_name = STR("F8_E5M2");
    assert_int_equal(weights_bind(cp, &config, WEIGHTS_AS_STORED, &dtype, &bytes, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "model.layers.1.mlp.up_proj.weight\" has dtype F8_E5M2, which is not supported"));
    checkpoint_close(cp);
}

static uint64_t bound_bytes(const char *fixture, bool is_kept, enum dtype *ret_dtype)
{
    static struct model_config config;
    char dir[4096];
    struct checkpoint *cp;
    struct err err;
    uint64_t bytes;
    source_path(dir, sizeof(dir), fixture);
    assert_int_equal(model_config_read(dir, &config, &err), 0);
    config.f8.is_kept = is_kept;
    assert_int_equal(checkpoint_open(dir, &cp, &err), 0);
    assert_int_equal(weights_bind(cp, &config, WEIGHTS_AS_STORED, ret_dtype, &bytes, &err), 0);
    checkpoint_close(cp);
    return bytes;
}

// 128 + 4 bytes for 128 weights; where rows are no whole blocks they become bf16 all the same.
static void test_f8_checkpoint_that_stays_f8_is_counted_as_such(void **state)
{
    (void)state;
    enum dtype dtype;
    const uint64_t n_f8 = 2 * (128 * 128 + 2 * 64 * 128 + 128 * 128 + 3 * 128 * 256) - 64 * 128; // but a k_proj
    uint64_t expanded = bound_bytes(WHOLE_FIXTURE, false, &dtype);
    assert_int_equal(dtype, DTYPE_BF16);
    assert_int_equal(bound_bytes(WHOLE_FIXTURE, true, &dtype), expanded - 2 * n_f8 + n_f8 / 128 * 132);
    assert_int_equal(dtype, DTYPE_F8);
    expanded = bound_bytes(BLOCKS_FIXTURE, false, &dtype);
    assert_int_equal(bound_bytes(BLOCKS_FIXTURE, true, &dtype), expanded);
    assert_int_equal(dtype, DTYPE_BF16);
}

static void test_f8_weights_are_quantized_from_their_values(void **state)
{
    (void)state;
    enum { N = 12, VOCAB = 61 };
    static float as_stored[N * VOCAB], quantized[N * VOCAB];
    char dir[4096];
    int32_t tokens[N];
    struct model_run run;
    for (int i = 0; i < N; i++) {
        tokens[i] = i * 5 + 1;
    }
    struct run_options options = { .dir = source_path(dir, sizeof(dir), BLOCKS_FIXTURE) };
    run_open_with(&run, &options);
    run_prompt(&run, tokens, N, N, as_stored);
    run_close(&run);
    options.weights = WEIGHTS_Q8;
    run_open_with(&run, &options);
    run_prompt(&run, tokens, N, N, quantized);
    run_close(&run);
    double worst = 0;
    for (int i = 0; i < N * VOCAB; i++) {
        worst = fmax(worst, fabs((double)as_stored[i] - (double)quantized[i]));
    }
    assert_true(worst > 0 && worst < 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f8_every_code_is_exact),
        cmocka_unit_test(test_f8_products_are_rounded_to_nearest_even),
        cmocka_unit_test(test_f8_scales_of_tensors_rows_and_blocks),
        cmocka_unit_test(test_f8_wrong_scales_are_refused_by_name),
        cmocka_unit_test(test_f8_checkpoint_binds_and_other_types_do_not),
        cmocka_unit_test(test_f8_blocks_have_codes_and_scales_of_all_shapes),
        cmocka_unit_test(test_f8_checkpoint_that_stays_f8_is_counted_as_such),
        cmocka_unit_test(test_f8_weights_are_quantized_from_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
