// The engine's limits: defaults, refusals with their numbers, and that the longest sequence always fits.
#include "engine/serve/sizes.h"

#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static void test_sizes_defaults_are_as_documented(void **state)
{
    (void)state;
    struct tokfs_engine_options options = { 0 };
    struct sizes sizes;
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes.n_slots, 64);
    assert_int_equal(sizes.max_queued, 10000);
    assert_int_equal(sizes.batch_tokens, 512);
    options.max_sequences = 1024;
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes.batch_tokens, 1024);
}

static void test_sizes_bad_options_are_named(void **state)
{
    (void)state;
    struct sizes sizes;
    struct err err;
    struct tokfs_engine_options small_batch = { .batch_tokens = 32 };
    assert_int_equal(sizes_from_options(&small_batch, &sizes, &err), -EINVAL);
    assert_string_equal(err.param, "batch_tokens");
    struct tokfs_engine_options many = { .max_sequences = 5000 };
    assert_int_equal(sizes_from_options(&many, &sizes, &err), -EINVAL);
    assert_string_equal(err.param, "max_sequences");
    struct tokfs_engine_options short_ctx = { .n_ctx = 31 };
    assert_int_equal(sizes_from_options(&short_ctx, &sizes, &err), -EINVAL);
    assert_string_equal(err.param, "n_ctx");
}

static void test_sizes_pages_are_no_more_than_useful(void **state)
{
    (void)state;
    struct tokfs_engine_options options = { .max_sequences = 4 };
    struct sizes sizes;
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 1ull << 40, NULL), 0);
    assert_int_equal(sizes.n_ctx, 1000);
    assert_int_equal(sizes.n_pages, 4 * 63);
    // A quarter of the memory holds less: fewer pages, and the context follows when not even one sequence fits.
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 4 * 100 << 10, NULL), 0);
    assert_int_equal(sizes.n_pages, 100);
    assert_int_equal(sizes.n_ctx, 1000);
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 4 * 10 << 10, NULL), 0);
    assert_int_equal(sizes.n_pages, 10);
    assert_int_equal(sizes.n_ctx, 160);
}

static void test_sizes_explicit_context_is_kept_or_refused(void **state)
{
    (void)state;
    struct tokfs_engine_options options = { .n_ctx = 500, .kv_bytes = 32 << 10 };
    struct sizes sizes;
    struct err err;
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 1ull << 40, NULL), 0);
    assert_int_equal(sizes.n_ctx, 500);
    assert_int_equal(sizes.n_pages, 32);
    options.kv_bytes = 31 << 10;
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 1ull << 40, &err), -ENOMEM);
    assert_string_equal(err.param, "kv_bytes");
    assert_non_null(strstr(err.msg, "32"));
    assert_int_equal(sizes_fit_pages(&sizes, &options, 499, 1 << 10, 1ull << 40, &err), -EINVAL);
    assert_string_equal(err.param, "n_ctx");
}

static void test_sizes_what_cannot_work_is_refused(void **state)
{
    (void)state;
    struct sizes sizes;
    struct err err;
    struct tokfs_engine_options options = { .kv_bytes = 1 << 10 }; // a page: 16 tokens
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 1ull << 40, &err), -ENOMEM);
    assert_string_equal(err.param, "kv_bytes");
    options.kv_bytes = (1ull << 40) + 1; // more than there is, though not all would be used
    assert_int_equal(sizes_check_options(&options, 1000, 1ull << 40, &err), -ENOMEM);
    assert_string_equal(err.param, "kv_bytes");
    options.kv_bytes = 1ull << 40;
    assert_int_equal(sizes_check_options(&options, 1000, 1ull << 40, &err), 0);
}

static void test_sizes_host_tier_is_counted_in_pages_or_refused(void **state)
{
    (void)state;
    struct sizes sizes;
    struct err err;
    struct tokfs_engine_options options = { .n_ctx = 100, .host_kv_bytes = (10 << 10) + 5 };
    assert_int_equal(sizes_from_options(&options, &sizes, NULL), 0);
    assert_int_equal(sizes_check_host_tier(&options, true, 1 << 20, &err), 0);
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 1 << 10, 1ull << 40, NULL), 0);
    assert_int_equal(sizes.n_host_pages, 10);
    assert_int_equal(sizes_check_host_tier(&options, false, 1 << 20, &err), -EINVAL);
    assert_string_equal(err.param, "host_kv_bytes");
    assert_int_equal(sizes_check_host_tier(&options, true, 10 << 10, &err), -ENOMEM);
    assert_string_equal(err.param, "host_kv_bytes");
    assert_int_equal(sizes_fit_pages(&sizes, &options, 1000, 11 << 10, 1ull << 40, &err), -ENOMEM);
    assert_string_equal(err.param, "host_kv_bytes");
    options.no_prefix_cache = true;
    assert_int_equal(sizes_check_host_tier(&options, true, 1 << 20, &err), -EINVAL);
    options.host_kv_bytes = 0;
    assert_int_equal(sizes_check_host_tier(&options, false, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_defaults_are_as_documented),
        cmocka_unit_test(test_sizes_bad_options_are_named),
        cmocka_unit_test(test_sizes_pages_are_no_more_than_useful),
        cmocka_unit_test(test_sizes_what_cannot_work_is_refused),
        cmocka_unit_test(test_sizes_explicit_context_is_kept_or_refused),
        cmocka_unit_test(test_sizes_host_tier_is_counted_in_pages_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
