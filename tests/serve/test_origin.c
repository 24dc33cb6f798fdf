// Answers that are taken up again: the same request with the same origin, and with what was sampled before, ends the
// same.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <time.h>

static const char *model_dir;

#define FORM "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello there\"}],\"ignore_eos\":true,%s}"

static const char *const requests[] = {
    "\"temperature\":1.2,\"max_tokens\":60",
    "\"temperature\":0,\"max_tokens\":60,\"repetition_penalty\":1.3,\"frequency_penalty\":0.5",
    "\"temperature\":0.9,\"max_tokens\":60,\"stop\":[\"e\",\"ab\"],\"min_tokens\":20",
    "\"temperature\":0.7,\"max_tokens\":60,\"seed\":99,\"include_stop_str_in_output\":true,\"stop\":[\"a\"],\"min_"
    "tokens\":9",
};

static void submit(struct tokfs_engine *engine, const char *params, const struct tokfs_origin *origin,
                   struct answer *answer)
{
    char body[512];
    struct tokfs_error error;
    int len = snprintf(body, sizeof(body), FORM, params);
    assert_int_equal(tokfs_submit_chat_from(engine, body, (size_t)len, origin, answer, &answer->completion, &error), 0);
}

static struct answer *run(struct tokfs_engine *engine, const char *params, const struct tokfs_origin *origin)
{
    struct answer *answer = answers_new(1);
    submit(engine, params, origin, answer);
    engine_test_finish(engine, answer, 1);
    return answer;
}

static void test_origin_makes_an_answer_repeatable(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 2 });
    struct answer *a = run(engine, requests[0], &(struct tokfs_origin){ .seed = 3 });
    struct answer *b = run(engine, requests[0], &(struct tokfs_origin){ .seed = 3 });
    struct answer *c = run(engine, requests[0], &(struct tokfs_origin){ .seed = 4 });
    struct answer *d = run(engine, requests[3], &(struct tokfs_origin){ .seed = 3 });
    struct answer *e = run(engine, requests[3], &(struct tokfs_origin){ .seed = 4 }); // the body names its own
    answers_equal(a, b);
    assert_memory_not_equal(a->ids, c->ids, 60 * sizeof(*a->ids));
    answers_equal(d, e);
    free(a), free(b), free(c), free(d), free(e);
    tokfs_engine_close(engine);
}

static void resume_everywhere(struct tokfs_engine_options options)
{
    options.model = model_dir;
    options.n_threads = 2;
    struct tokfs_engine *engine = engine_test_open(options);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct tokfs_origin origin = { .seed = 17 };
        struct answer *whole = run(engine, requests[i], &origin);
        assert_true(whole->is_finished && whole->n_ids > 0);
        origin.ids = whole->ids;
        for (origin.n_ids = 0; origin.n_ids <= whole->n_ids; origin.n_ids++) {
            struct answer *again = run(engine, requests[i], &origin);
            answers_equal(whole, again);
            assert_int_equal(again->usage.prompt_tokens, whole->usage.prompt_tokens);
            assert_true(again->usage.cached_tokens <= again->usage.prompt_tokens);
            free(again);
        }
        free(whole);
    }
    tokfs_engine_close(engine);
}

static void test_origin_resumed_after_any_token_ends_the_same(void **state)
{
    (void)state;
    resume_everywhere((struct tokfs_engine_options){ 0 });
}

static void test_origin_resumed_without_a_cache_ends_the_same(void **state)
{
    (void)state;
    resume_everywhere((struct tokfs_engine_options){ .no_prefix_cache = true, .batch_tokens = 64 });
}

// More is told again than the ring holds, while nobody polls, and with others that want its room.
static void test_origin_longer_than_the_ring_waits_for_room(void **state)
{
    (void)state;
    enum { N = 6, LONG = 700 };
    static const char params[] = "\"temperature\":1.1,\"max_tokens\":800";
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 2 });
    struct answer *whole[N], *again = answers_new(N);
    for (int i = 0; i < N; i++) {
        struct tokfs_origin origin = { .seed = (uint64_t)i };
        whole[i] = run(engine, params, &origin);
        assert_int_equal(whole[i]->n_ids, 800);
    }
    for (int i = 0; i < N; i++) {
        struct tokfs_origin origin = { .seed = (uint64_t)i, .ids = whole[i]->ids, .n_ids = LONG + (size_t)i };
        submit(engine, params, &origin, &again[i]);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    engine_test_finish(engine, again, N);
    for (int i = 0; i < N; i++) {
        answers_equal(whole[i], &again[i]);
        free(whole[i]);
    }
    free(again);
    tokfs_engine_close(engine);
}

static void test_origin_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const int32_t ids[80] = { [3] = 1 << 20 };
    const struct {
        const char *params;
        size_t n_ids;
    } cases[] = { { "\"max_tokens\":10", 4 }, { "\"max_tokens\":2", 3 }, { "\"n\":2", 1 } };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 2 });
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tokfs_origin origin = { .ids = ids, .n_ids = cases[i].n_ids };
        struct answer *answer = run(engine, cases[i].params, &origin);
        assert_true(answer->is_failed);
        assert_int_equal(answer->error.code, -EINVAL);
        assert_string_equal(answer->error.param, "origin");
        free(answer);
    }
    tokfs_engine_close(engine);
}

static void test_origin_cancelled_while_it_is_told_ends(void **state)
{
    (void)state;
    static const int32_t ids[1500];
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir, .n_threads = 2 });
    struct tokfs_origin origin = { .ids = ids, .n_ids = 1500 };
    struct answer *answer = answers_new(1);
    submit(engine, "\"max_tokens\":1600", &origin, answer);
    while (!answer->is_started) {
        engine_test_next(engine);
    }
    tokfs_cancel(answer->completion);
    engine_test_finish(engine, answer, 1);
    assert_true(answer->is_finished);
    free(answer);
    tokfs_engine_close(engine);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s tokfs-model\n", argv[0]);
        return 1;
    }
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origin_makes_an_answer_repeatable),
        cmocka_unit_test(test_origin_resumed_after_any_token_ends_the_same),
        cmocka_unit_test(test_origin_resumed_without_a_cache_ends_the_same),
        cmocka_unit_test(test_origin_longer_than_the_ring_waits_for_room),
        cmocka_unit_test(test_origin_that_cannot_be_is_refused),
        cmocka_unit_test(test_origin_cancelled_while_it_is_told_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
