// AMX's products: the model of the tile instructions against its manual's pseudo code (tests/oracle/gen_tiles.py), the
// kernels over the model against double precision, the order that they document, and the other kernels; and the same
// kernels as they are compiled for the processor, on one that has AMX, or with what it has not carried out by the
// model.
#include "kernels/cpu/isa.h"
#include "tests/kernels/linear_problem.h"
#include "tests/kernels/tile_model.h"
#ifdef TOKFS_CPU_X86
#include "tests/kernels/tile_trap.h"
#endif

extern const struct cpu_kernels test_kernels_amx_model;

static const struct shape shapes[] = { { 1, 1 },    { 5, 3 },    { 33, 64 },   { 17, 31 },
                                       { 47, 513 }, { 40, 544 }, { 33, 1200 }, { 130, 1025 } };
#define N_SHAPES (sizeof(shapes) / sizeof(*shapes))
static const size_t row_counts[] = { 0, 1, 2, 15, 16, 17, 29, 32, 33, 49, 70 };
#define N_ROW_COUNTS (sizeof(row_counts) / sizeof(*row_counts))

// ---- the instructions ----------------------------------------------------------------------------------------------

static size_t read_hex(const char *hex, unsigned char *ret)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        ret[i] = (unsigned char)byte;
    }
    return n;
}

static struct tile_config shapes_of(size_t rows, size_t sum_bytes, size_t a_bytes)
{
    struct tile_config config = { .palette = 1 };
    config.rows[0] = config.rows[1] = (uint8_t)rows;
    config.rows[2] = (uint8_t)(a_bytes / 4);
    config.row_bytes[0] = config.row_bytes[2] = (uint16_t)sum_bytes;
    config.row_bytes[1] = (uint16_t)a_bytes;
    return config;
}

static void check_line(char *line)
{
    static struct tile_model m;
    unsigned char bytes[4][1024];
    char *save, *name = strtok_r(line, " \n", &save);
    size_t sizes[3], n_bytes[4];
    for (size_t i = 0; i < 3; i++) {
        sizes[i] = strtoul(strtok_r(NULL, " \n", &save), NULL, 10);
    }
    for (size_t i = 0; i < 4; i++) {
        n_bytes[i] = read_hex(strtok_r(NULL, " \n", &save), bytes[i]);
    }
    struct tile_config config = shapes_of(sizes[0], sizes[1], sizes[2]);
    assert_int_equal(n_bytes[3], sizes[0] * sizes[1]);
    assert_null(tile_model_config(&m, &config));
    assert_null(tile_model_load(&m, 1, bytes[0], sizes[2]));
    assert_null(tile_model_load(&m, 2, bytes[1], sizes[1]));
    assert_null(tile_model_load(&m, 0, bytes[2], sizes[1]));
    if (strcmp(name, "bf16") == 0) {
        assert_null(tile_model_dot_bf16(&m, 0, 1, 2));
    } else {
        assert_null(tile_model_dot_int8(&m, 0, 1, 2));
    }
    assert_null(tile_model_store(&m, 0, bytes[2], sizes[1]));
    assert_memory_equal(bytes[2], bytes[3], n_bytes[3]);
}

static void test_tile_model_gives_what_the_manual_says(void **state)
{
    (void)state;
    static char line[16 << 10], path[4096];
    snprintf(path, sizeof(path), "%s/tests/kernels/tiles.txt", test_source_root());
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n_lines = 0;
    for (; fgets(line, sizeof(line), f) != NULL; n_lines++) {
        check_line(line);
    }
    fclose(f);
    assert_int_equal(n_lines, 18);
}

static void test_tile_model_faults_where_the_processor_does(void **state)
{
    (void)state;
    static struct tile_model m;
    unsigned char bytes[1024] = { 0 };
    assert_non_null(tile_model_zero(&m, 0)); // before any configuration
    struct tile_config good = shapes_of(16, 64, 64), bad = good;
    assert_null(tile_model_config(&m, &good));
    assert_null(tile_model_dot_bf16(&m, 0, 1, 2));
    assert_non_null(tile_model_load(&m, 3, bytes, 64)); // left out
    assert_non_null(tile_model_dot_bf16(&m, 0, 1, 1));
    bad.rows[1] = 8; // the sum has 16
    assert_null(tile_model_config(&m, &bad));
    assert_non_null(tile_model_dot_bf16(&m, 0, 1, 2));
    bad = good;
    bad.row_bytes[1] = 32; // of 16 rows of the second factor
    assert_null(tile_model_config(&m, &bad));
    assert_non_null(tile_model_dot_int8(&m, 0, 1, 2));
    bad.rows[3] = 1; // of no bytes
    assert_non_null(tile_model_config(&m, &bad));
    bad = good;
    bad.rows[0] = 17;
    assert_non_null(tile_model_config(&m, &bad));
    bad = good;
    bad.reserved[3] = 1;
    assert_non_null(tile_model_config(&m, &bad));
    tile_model_release(&m);
    assert_non_null(tile_model_store(&m, 0, bytes, 64));
}

// ---- the kernels ---------------------------------------------------------------------------------------------------

static struct backend *open_on(const struct cpu_kernels *kernels, unsigned n_threads)
{
    struct backend *b = NULL;
    assert_int_equal(cpu_backend_open_on(kernels, n_threads, &b, NULL), 0);
    return b;
}

// The model with 1 and 3 threads, and the compiled kernels where they can run.
static int open_amx(void **state)
{
    struct test_backends *all = calloc(1, sizeof(*all));
    all->b[all->n++] = open_on(&test_kernels_amx_model, 1);
    all->b[all->n++] = open_on(&test_kernels_amx_model, 3);
#ifdef TOKFS_CPU_X86
    const struct cpu_kernels *kernels;
    if (isa_choose("amx", &kernels, NULL) == 0) {
        print_message("the processor has AMX\n");
    } else if (isa_choose("avx512vnni", &kernels, NULL) == 0) {
        print_message("the processor has AVX-512 and no AMX: what is missing is carried out by the model\n");
    } else {
        kernels = NULL;
        print_message("the processor has no AVX-512: the compiled kernels do not run\n");
    }
    if (kernels != NULL) {
        all->b[all->n++] = open_on(&cpu_kernels_amx, 1); // workers block signals, that of an illegal instruction, too
    }
#endif
    *state = all;
    return 0;
}

// To be called by each test: cmocka has handlers of its own.
static const struct test_backends *backends(void **state)
{
#ifdef TOKFS_CPU_X86
    const struct cpu_kernels *kernels;
    if (isa_choose("amx", &kernels, NULL) != 0) {
        tile_trap_install();
    }
#endif
    return *state;
}

// One output by the order that linear_amx_body.h documents.
static float by_steps(const struct problem *p, size_t row, size_t out)
{
    const float *x = p->x + row * p->x_stride;
    const uint16_t *w = (const uint16_t *)p->w + out * p->n_in;
    float y = p->bias != NULL ? p->bias[out] : 0;
    y += p->accumulate ? p->y[row * p->y_stride + out] : 0;
    for (size_t k0 = 0; k0 < p->n_in; k0 += LINEAR_K_BLOCK) {
        float sum = 0;
        for (size_t step = k0; step < k0 + LINEAR_K_BLOCK && step < p->n_in; step += 32) {
            float chains[2] = { 0 };
            for (size_t k = step; k < step + 32 && k < p->n_in; k++) {
                float xk = tile_model_flush(f32_from_bf16(bf16_from_f32(x[k]))), wk = f32_from_bf16(w[k]);
                chains[k % 2] = tile_model_flush(fmaf(xk, tile_model_flush(wk), chains[k % 2]));
            }
            sum = tile_model_flush(sum + tile_model_flush(chains[0] + chains[1]));
        }
        y += sum;
    }
    return y;
}

static void check_shape(const struct test_backends *all, uint64_t *rng, struct shape shape, size_t n_rows)
{
    struct problem p = problem_make(rng, DTYPE_BF16, shape, n_rows);
    for (size_t i = 0; i < all->n; i++) {
        struct matrix *m = matrix_make(all->b[i], &p, rng);
        float *y = problem_run(all->b[i], &p, m, 0, n_rows);
        check_against_double(&p, y);
        for (size_t row = 0; row < n_rows; row++) {
            for (size_t out = 0; out < p.n_out; out++) {
                float want = by_steps(&p, row, out);
                assert_same_bits(y + row * p.y_stride + out, &want, 1, all->b[i]);
            }
        }
        free(y);
        all->b[i]->ops->matrix_free(all->b[i], m);
    }
    problem_free(&p);
}

static void test_amx_bf16_any_shape_is_summed_as_documented(void **state)
{
    uint64_t rng = 2;
    for (size_t s = 0; s < N_SHAPES; s++) {
        for (size_t r = s % 3; r < N_ROW_COUNTS; r += 3) {
            check_shape(backends(state), &rng, shapes[s], row_counts[r]);
        }
    }
}

// Integers are exact: the other kernels' bits.
static void test_amx_blocks_of_any_format_equal_scalar(void **state)
{
    const struct test_backends *all = backends(state);
    static const struct shape sizes[] = { { 1, 1 }, { 33, 2 }, { 47, 3 }, { 32, 16 }, { 70, 17 }, { 16, 21 } };
    struct backend *scalar = open_on(&cpu_kernels_scalar, 1);
    uint64_t rng = 12;
    for (int dtype = DTYPE_Q8_0; dtype < N_CPU_DTYPES; dtype++) {
        size_t block_len = dtype_format((enum dtype)dtype).block_len;
        for (size_t i = 0; i < 6; i++) {
            size_t n_blocks = block_len == QUANT_BLOCK ? sizes[i].n_in : sizes[i].n_in % 4 + 1;
            struct shape shape = { sizes[i].n_out, n_blocks * block_len };
            struct problem p = problem_make(&rng, (enum dtype)dtype, shape, row_counts[3 + (i + (size_t)dtype) % 8]);
            struct matrix *m = matrix_make(scalar, &p, &rng);
            float *want = problem_run(scalar, &p, m, 0, p.n_rows);
            scalar->ops->matrix_free(scalar, m);
            for (size_t b = 0; b < all->n; b++) {
                m = matrix_make(all->b[b], &p, &rng);
                float *y = problem_run(all->b[b], &p, m, 0, p.n_rows);
                assert_same_bits(y, want, p.n_rows * p.y_stride, all->b[b]);
                free(y);
                all->b[b]->ops->matrix_free(all->b[b], m);
            }
            free(want);
            problem_free(&p);
        }
    }
    scalar->ops->close(scalar);
}

static void check_invariance(struct backend *b, enum dtype dtype, struct shape shape, size_t n_rows, size_t most)
{
    uint64_t rng = 3;
    struct problem p = problem_make(&rng, dtype, shape, n_rows);
    struct matrix *m = matrix_make(b, &p, &rng);
    float *want = problem_run(b, &p, m, 0, n_rows);
    for (size_t first = 0; first < n_rows;) {
        size_t left = n_rows - first, n = 1 + rng_below(&rng, left < most ? left : most);
        float *y = problem_run(b, &p, m, first, n);
        assert_same_bits(y + first * p.y_stride, want + first * p.y_stride, n * p.y_stride, b);
        free(y);
        first += n;
    }
    free(want);
    b->ops->matrix_free(b, m);
    problem_free(&p);
}

static void test_amx_row_alone_equals_row_in_batch(void **state)
{
    const struct test_backends *all = backends(state);
    for (size_t i = 0; i < all->n; i++) {
        check_invariance(all->b[i], DTYPE_BF16, (struct shape){ 40, 530 }, 75, 40);
        check_invariance(all->b[i], DTYPE_BF16, (struct shape){ 3, 70 }, 530, 520); // two passes
        for (int dtype = DTYPE_Q8_0; dtype < N_CPU_DTYPES; dtype++) {
            check_invariance(all->b[i], (enum dtype)dtype, (struct shape){ 40, 768 }, 45, 40);
        }
    }
}

static void test_amx_other_rows_nan_leave_a_row_alone(void **state)
{
    const struct test_backends *all = backends(state);
    for (size_t i = 0; i < 2 * all->n; i++) {
        uint64_t rng = 5;
        struct backend *b = all->b[i / 2];
        struct problem p = problem_make(&rng, i % 2 ? DTYPE_Q4_K : DTYPE_BF16, (struct shape){ 33, 256 }, 19);
        struct matrix *m = matrix_make(b, &p, &rng);
        float *want = problem_run(b, &p, m, 0, p.n_rows);
        p.x[17 * p.x_stride] = NAN;
        float *y = problem_run(b, &p, m, 0, p.n_rows);
        assert_same_bits(y, want, 17 * p.y_stride, b);
        assert_same_bits(y + 18 * p.y_stride, want + 18 * p.y_stride, p.y_stride, b);
        assert_true(isnan(y[17 * p.y_stride])); // the control: the NaN does reach its own row
        free(y);
        y = problem_run(b, &p, m, 0, 17); // it now lies behind the last row
        assert_same_bits(y, want, 17 * p.y_stride, b);
        free(y);
        free(want);
        b->ops->matrix_free(b, m);
        problem_free(&p);
    }
}

static void test_amx_compiled_kernels_use_tiles(void **state)
{
#ifdef TOKFS_CPU_X86
    const struct test_backends *all = backends(state);
    const struct cpu_kernels *kernels;
    bool has_amx = isa_choose("amx", &kernels, NULL) == 0;
    assert_true(all->n == 2 || has_amx || tile_trap_count() > 1000);
#else
    (void)state;
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tile_model_gives_what_the_manual_says),
        cmocka_unit_test(test_tile_model_faults_where_the_processor_does),
        cmocka_unit_test(test_amx_bf16_any_shape_is_summed_as_documented),
        cmocka_unit_test(test_amx_blocks_of_any_format_equal_scalar),
        cmocka_unit_test(test_amx_row_alone_equals_row_in_batch),
        cmocka_unit_test(test_amx_other_rows_nan_leave_a_row_alone),
        cmocka_unit_test(test_amx_compiled_kernels_use_tiles),
    };
    return cmocka_run_group_tests(tests, open_amx, close_all);
}
