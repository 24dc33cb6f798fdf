// What the prefix cache is for: nothing is computed twice. That no answer depends on it is test_workloads.c's and
// test_runner.c's.
#include "tests/serve/engine_test.h"

static const char *model_dir;

#define N_PROMPT 400

static void submit(struct tokfs_engine *engine, struct answer *a)
{
    const struct tokfs_sampling sampling = { .top_p = 1, .max_tokens = 5, .ignore_eos = true };
    struct tokfs_error error;
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) {
        prompt[i] = i;
    }
    assert_int_equal(tokfs_submit_tokens(engine, prompt, N_PROMPT, &sampling, a, &a->completion, &error), 0);
}

static void test_prefix_cache_second_time_computes_one_token(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(2);
    for (int i = 0; i < 2; i++) {
        submit(engine, &a[i]);
        engine_test_finish(engine, &a[i], 1);
    }
    answers_equal(&a[1], &a[0]);
    assert_int_equal(a[0].usage.cached_tokens, 0);
    assert_int_equal(a[1].usage.cached_tokens, N_PROMPT - 1);
    tokfs_engine_close(engine);
    free(a);
}

// Tenants of different scopes cannot tell from what is cached whether the other asked the same.
static void test_prefix_cache_scopes_share_nothing(void **state)
{
    (void)state;
    static const struct {
        uint32_t id;
        uint64_t scope;
        bool is_known;
    } turns[] = { { 1, 1, false }, { 2, 2, false }, { 1, 1, true }, { 2, 2, true }, { 3, 1, true }, { 3, 3, false } };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        struct answer *a = answers_new(1);
        tokfs_set_tenant(engine, &(struct tokfs_tenant){ .id = turns[i].id, .cache_scope = turns[i].scope });
        submit(engine, a);
        engine_test_finish(engine, a, 1);
        assert_int_equal(a->usage.cached_tokens, turns[i].is_known ? N_PROMPT - 1 : 0);
        free(a);
    }
    tokfs_engine_close(engine);
}

static void test_prefix_cache_in_flight_duplicates_compute_once(void **state)
{
    (void)state;
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .batch_tokens = 64 });
    struct answer *a = answers_new(8);
    for (int i = 0; i < 8; i++) {
        submit(engine, &a[i]);
    }
    engine_test_finish(engine, a, 8);
    int n_computed = 0; // any of them: two text threads may have changed their order
    for (int i = 0; i < 8; i++) {
        answers_equal(&a[i], &a[0]);
        n_computed += a[i].usage.cached_tokens < N_PROMPT - 16;
    }
    assert_true(n_computed <= 1);
    tokfs_engine_close(engine);
    free(a);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefix_cache_second_time_computes_one_token),
        cmocka_unit_test(test_prefix_cache_scopes_share_nothing),
        cmocka_unit_test(test_prefix_cache_in_flight_duplicates_compute_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
