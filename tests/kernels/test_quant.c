// Block formats against what the Python package `gguf` makes of the same bytes (tests/oracle/gen_quant.py), bit for
// bit; and as weights of a product.
#include "kernels/quant.h"
#include "tests/kernels/kernel_test.h"

#define LINE_MAX_BYTES (64 << 10)

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

static enum dtype dtype_named(const char *name)
{
    for (int dtype = 0; dtype < N_CPU_DTYPES; dtype++) {
        if (strcmp(dtype_name((enum dtype)dtype), name) == 0) {
            return (enum dtype)dtype;
        }
    }
    fail_msg("no dtype is called %s", name);
    return N_DTYPES;
}

// Calls check with each line's bytes; *state counts them.
static void each_line(const char *what, void (*check)(enum dtype dtype, const void *in, size_t in_bytes,
                                                      const void *want, size_t want_bytes))
{
    char path[4096], *line = malloc(LINE_MAX_BYTES), *save;
    unsigned char *bytes[2] = { malloc(LINE_MAX_BYTES), malloc(LINE_MAX_BYTES) };
    snprintf(path, sizeof(path), "%s/tests/kernels/quant.txt", test_source_root());
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t n_lines = 0;
    while (fgets(line, LINE_MAX_BYTES, f)) {
        line[strcspn(line, "\n")] = 0;
        bool is_wanted = strcmp(strtok_r(line, " ", &save), what) == 0;
        const char *name = strtok_r(NULL, " ", &save);
        size_t n_in = read_hex(strtok_r(NULL, " ", &save), bytes[0]);
        size_t n_want = read_hex(strtok_r(NULL, " ", &save), bytes[1]);
        if (is_wanted) {
            check(dtype_named(name), bytes[0], n_in, bytes[1], n_want);
            n_lines++;
        }
    }
    assert_true(n_lines >= 4);
    fclose(f);
    free(line);
    free(bytes[0]);
    free(bytes[1]);
}

static void check_expand(enum dtype dtype, const void *in, size_t in_bytes, const void *want, size_t want_bytes)
{
    size_t n = want_bytes / sizeof(float);
    assert_int_equal(in_bytes, dtype_row_bytes(dtype, n));
    float *got = malloc(want_bytes);
    quant_expand(dtype, in, n, got);
    assert_memory_equal(got, want, want_bytes);
    free(got);
}

static void test_quant_expand_blocks_gives_the_values_of_gguf(void **state)
{
    (void)state;
    each_line("expand", check_expand);
}

static void check_pack(enum dtype dtype, const void *in, size_t in_bytes, const void *want, size_t want_bytes)
{
    size_t n = in_bytes / sizeof(float);
    assert_int_equal(want_bytes, dtype_row_bytes(dtype, n));
    unsigned char *got = malloc(want_bytes);
    quant_pack(dtype, in, n, got);
    assert_memory_equal(got, want, want_bytes);
    free(got);
}

static void test_quant_pack_values_gives_the_blocks_of_gguf(void **state)
{
    (void)state;
    each_line("pack", check_pack);
}

static void test_quant_pack_tiny_values_gives_zeros(void **state)
{
    (void)state;
    float x[QUANT_BLOCK], y[QUANT_BLOCK];
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        x[i] = 0x1p-140f * (float)i;
    }
    struct block_q8_0 q8;
    struct block_q4_0 q4;
    quant_pack(DTYPE_Q8_0, x, QUANT_BLOCK, &q8);
    quant_expand(DTYPE_Q8_0, &q8, QUANT_BLOCK, y);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        assert_true(y[i] == 0);
    }
    quant_pack(DTYPE_Q4_0, x, QUANT_BLOCK, &q4);
    quant_expand(DTYPE_Q4_0, &q4, QUANT_BLOCK, y);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        assert_true(y[i] == 0);
    }
}

static double square_error(const float *x, const void *block, enum dtype dtype)
{
    float y[QUANT_BLOCK];
    double sum = 0;
    quant_expand(dtype, block, QUANT_BLOCK, y);
    for (size_t i = 0; i < QUANT_BLOCK; i++) {
        sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    return sum;
}

static void test_quant_pack_best_leaves_less_error(void **state)
{
    (void)state;
    uint64_t rng = 9;
    double plain = 0, best = 0;
    for (size_t n = 0; n < 1000; n++) {
        float x[QUANT_BLOCK] = { 0 };
        for (size_t i = 0; n > 0 && i < QUANT_BLOCK; i++) {
            x[i] = rng_float(&rng) + rng_float(&rng) + rng_float(&rng);
        }
        struct block_q4_0 q4;
        quant_pack(DTYPE_Q4_0, x, QUANT_BLOCK, &q4);
        plain += square_error(x, &q4, DTYPE_Q4_0);
        quant_pack_best(DTYPE_Q4_0, x, QUANT_BLOCK, &q4);
        double error = square_error(x, &q4, DTYPE_Q4_0);
        assert_true(n > 0 || error == 0);
        best += error;
    }
    assert_true(best < 0.9 * plain);
}

// ---- as weights ----------------------------------------------------------------------------------------------------

static struct matrix *fill_matrix(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in,
                                  const unsigned char *rows, uint64_t *rng)
{
    struct matrix *m = b->ops->matrix_new(b, dtype, n_out, n_in);
    assert_non_null(m);
    for (size_t end = n_out; end > 0;) {
        size_t n = 1 + rng_below(rng, end);
        b->ops->matrix_fill(b, m, end - n, n, rows + (end - n) * dtype_row_bytes(dtype, n_in));
        end -= n;
    }
    return m;
}

// How far a product may be from that of the exact weights, as a share of the sum of its terms' sizes: a packed kernel
// may round activations to 8 bits.
#define PRODUCT_TOLERANCE 0.02

static void check_product(struct backend *b, enum dtype dtype, size_t n_out, size_t n_in, uint64_t *rng)
{
    float *w, *x = random_floats(rng, 3 * n_in), *y = malloc(3 * n_out * sizeof(*y));
    unsigned char *rows = random_elements(rng, dtype, n_out * n_in, &w);
    struct matrix *m = fill_matrix(b, dtype, n_out, n_in, rows, rng);
    struct op_linear op = { .w = m, .x = x, .y = y, .x_stride = n_in, .y_stride = n_out, .n_rows = 3 };
    b->ops->linear(b, &op);
    b->ops->sync(b);
    for (size_t i = 0; i < 3 * n_out; i++) {
        double sum = 0, terms = 0;
        for (size_t k = 0; k < n_in; k++) {
            double term = (double)x[i / n_out * n_in + k] * (double)w[i % n_out * n_in + k];
            sum += term;
            terms += fabs(term);
        }
        assert_near(y[i], sum, PRODUCT_TOLERANCE * terms);
    }
    b->ops->matrix_free(b, m);
    free(w);
    free(x);
    free(y);
    free(rows);
}

static void test_quant_matrix_product_is_that_of_the_values(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 7;
    for (int dtype = DTYPE_Q8_0; dtype < N_CPU_DTYPES; dtype++) {
        size_t n_in = dtype_format((enum dtype)dtype).block_len * 3;
        for (size_t i = 0; i < all->n; i++) {
            check_product(all->b[i], (enum dtype)dtype, 41, n_in, &rng);
        }
    }
}

static void test_quant_matrix_embeds_the_values(void **state)
{
    const struct test_backends *all = *state;
    uint64_t rng = 8;
    const size_t n_vocab = 37, n_embd = 256;
    for (int dtype = DTYPE_Q8_0; dtype < N_CPU_DTYPES; dtype++) {
        float *w, y[2 * 256];
        unsigned char *rows = random_elements(&rng, (enum dtype)dtype, n_vocab * n_embd, &w);
        struct backend *b = all->b[all->n - 1];
        struct matrix *m = fill_matrix(b, (enum dtype)dtype, n_vocab, n_embd, rows, &rng);
        const int32_t tokens[2] = { 36, 3 };
        struct op_embed op = { .table = m, .token_ids = tokens, .y = y, .n_rows = 2, .scale = 1 };
        b->ops->embed(b, &op);
        b->ops->sync(b);
        for (size_t i = 0; i < 2 * n_embd; i++) {
            size_t token = (size_t)tokens[i / n_embd];
            assert_near(y[i], (double)w[token * n_embd + i % n_embd], 1e-5);
        }
        b->ops->matrix_free(b, m);
        free(rows);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quant_expand_blocks_gives_the_values_of_gguf),
        cmocka_unit_test(test_quant_pack_values_gives_the_blocks_of_gguf),
        cmocka_unit_test(test_quant_pack_tiny_values_gives_zeros),
        cmocka_unit_test(test_quant_pack_best_leaves_less_error),
        cmocka_unit_test_setup_teardown(test_quant_matrix_product_is_that_of_the_values, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_quant_matrix_embeds_the_values, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
