// Choosing and opening a backend, and its memory.
#include "tests/kernels/kernel_test.h"

static int open_named(const char *name, unsigned n_threads, const char *isa, struct err *err)
{
    struct backend *b = NULL;
    struct backend_options options = { .n_threads = n_threads, .isa = isa };
    int r = backend_open(name, &options, &b, err);
    if (r == 0) {
        b->ops->close(b);
    }
    return r;
}

static void test_backend_known_names_open(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(open_named("auto", 0, NULL, &err), 0);
    assert_int_equal(open_named("cpu", 2, NULL, &err), 0);
    assert_int_equal(open_named("cpu", 1, "scalar", NULL), 0);
}

static void test_backend_unknown_name_is_refused_by_name(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(open_named("tpu", 1, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "\"tpu\""));
    assert_int_equal(err.code, -EINVAL);
}

static void test_backend_cuda_that_is_not_there_is_unsupported(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(open_named("cuda", 1, NULL, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "cuda"));
}

static void test_backend_unknown_isa_is_refused_by_name(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(open_named("cpu", 1, "sse9", &err), -EINVAL);
    assert_non_null(strstr(err.msg, "\"sse9\""));
}

static void test_backend_too_many_threads_are_refused(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(open_named("cpu", 100000, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "100000"));
}

static void test_backend_describe_names_isa_and_threads(void **state)
{
    (void)state;
    struct backend *b = open_or_null("scalar", 2);
    assert_string_equal(b->ops->describe(b), "cpu scalar, 2 threads");
    assert_string_equal(b->ops->name, "cpu");
    b->ops->close(b);
    b = open_or_null("scalar", 1);
    assert_string_equal(b->ops->describe(b), "cpu scalar, 1 thread");
    b->ops->close(b);
}

static void test_backend_alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct backend *b = open_or_null("scalar", 1);
    const size_t sizes[] = { 0, 1, 100, 4096, (2 << 20) - 64, (2 << 20) + 1, 5 << 20 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned char *mem = b->ops->alloc(b, sizes[i]);
        assert_non_null(mem);
        assert_int_equal((uintptr_t)mem % 64, 0);
        size_t n_set = 0;
        for (size_t j = 0; j < sizes[i]; j++) {
            n_set += mem[j] != 0;
            mem[j] = 0xff;
        }
        assert_int_equal(n_set, 0);
        b->ops->free(b, mem);
    }
    b->ops->free(b, NULL);
    b->ops->close(b);
}

static void test_backend_alloc_beyond_memory_is_null(void **state)
{
    (void)state;
    struct backend *b = open_or_null("scalar", 1);
    assert_null(b->ops->alloc(b, SIZE_MAX));
    b->ops->close(b);
}

static void test_backend_copies_move_bytes(void **state)
{
    (void)state;
    struct backend *b = open_or_null("scalar", 2);
    char *mem = b->ops->alloc(b, 64), back[8] = { 0 };
    b->ops->upload(b, mem, "abcdefg", 8);
    b->ops->copy(b, mem + 32, mem, 8);
    b->ops->download(b, back, mem + 32, 8);
    b->ops->copy(b, NULL, NULL, 0);
    b->ops->sync(b);
    assert_string_equal(back, "abcdefg");
    b->ops->free(b, mem);
    b->ops->close(b);
}

#define N_ITEMS 1000

struct spread_run {
    unsigned n_times[N_ITEMS];
    size_t n_workers;
    bool is_bad;
};

static void count_items(void *ctx, size_t begin, size_t end, size_t worker)
{
    struct spread_run *run = ctx;
    for (size_t i = begin; i < end; i++) {
        run->n_times[i]++;
    }
    if (worker >= run->n_workers) {
        run->is_bad = true;
    }
}

static void test_backend_spread_does_each_item_once(void **state)
{
    (void)state;
    for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
        struct backend *b = open_or_null("scalar", n_threads);
        static const size_t counts[] = { 0, 1, 2, 7, N_ITEMS };
        assert_int_equal(b->ops->n_workers(b), n_threads);
        for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++) {
            struct spread_run run = { .n_workers = n_threads };
            b->ops->spread(b, counts[c], count_items, &run);
            for (size_t i = 0; i < N_ITEMS; i++) {
                assert_int_equal(run.n_times[i], i < counts[c]);
            }
            assert_false(run.is_bad);
        }
        b->ops->close(b);
    }
}

static void test_backend_measure_read_gives_a_rate(void **state)
{
    (void)state;
    struct backend *b = open_or_null(NULL, 2);
    double rate = cpu_backend_measure_read(b, 3 << 20, 0.01);
    assert_true(rate > 1e6 && rate < 1e14);
    b->ops->close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backend_known_names_open),
        cmocka_unit_test(test_backend_unknown_name_is_refused_by_name),
        cmocka_unit_test(test_backend_cuda_that_is_not_there_is_unsupported),
        cmocka_unit_test(test_backend_unknown_isa_is_refused_by_name),
        cmocka_unit_test(test_backend_too_many_threads_are_refused),
        cmocka_unit_test(test_backend_describe_names_isa_and_threads),
        cmocka_unit_test(test_backend_alloc_is_zeroed_and_aligned),
        cmocka_unit_test(test_backend_alloc_beyond_memory_is_null),
        cmocka_unit_test(test_backend_copies_move_bytes),
        cmocka_unit_test(test_backend_spread_does_each_item_once),
        cmocka_unit_test(test_backend_measure_read_gives_a_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
