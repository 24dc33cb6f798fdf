// Requests whose body is made by the caller's function: on a text thread, and let go exactly once, whatever becomes of
// them.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static const char *model_dir;

struct source {
    const char *json; // NULL: it cannot be made
    pthread_t thread; // that made it
    atomic_uint n_made, n_released;
};

static int make(void *ctx, char **ret_json, size_t *ret_len, struct tokfs_error *reason)
{
    struct source *source = ctx;
    source->thread = pthread_self();
    atomic_fetch_add(&source->n_made, 1);
    if (!source->json) {
        *reason = (struct tokfs_error){ -EXDEV, "messages[7]", "nothing can be made of it" };
        return reason->code;
    }
    *ret_json = strdup(source->json);
    *ret_len = strlen(source->json);
    return 0;
}

static void release(void *ctx)
{
    atomic_fetch_add(&((struct source *)ctx)->n_released, 1);
}

static struct tokfs_completion *submit_source(struct tokfs_engine *engine, struct source *source, struct answer *answer)
{
    const struct tokfs_chat_source from = { make, release, source, 100 };
    struct tokfs_error error = { 0 };
    assert_int_equal(tokfs_submit_chat_source(engine, &from, NULL, answer, &answer->completion, &error), 0);
    return answer->completion;
}

static const char good[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":3,\"ignore_eos\":true,\"temperature\":0}";

static void test_chat_source_is_answered_as_its_body(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(2);
    struct source source = { .json = good };
    struct tokfs_error error = { 0 };
    submit_source(engine, &source, &a[0]);
    assert_int_equal(tokfs_submit_chat(engine, good, strlen(good), &a[1], &a[1].completion, &error), 0);
    engine_test_finish(engine, a, 2);
    assert_true(a[0].is_finished);
    answers_equal(&a[0], &a[1]);
    assert_int_equal(source.n_made, 1);
    assert_int_equal(source.n_released, 1);
    assert_false(pthread_equal(source.thread, pthread_self()));
    tokfs_engine_close(engine);
    free(a);
}

static void test_chat_source_tells_its_own_reason(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(2);
    struct source none = { 0 }, bad = { .json = "{\"messages\":5}" };
    submit_source(engine, &none, &a[0]);
    submit_source(engine, &bad, &a[1]);
    engine_test_finish(engine, a, 2);
    assert_true(a[0].is_failed && a[1].is_failed);
    assert_int_equal(a[0].error.code, -EXDEV);
    assert_string_equal(a[0].error.param, "messages[7]");
    assert_string_equal(a[1].error.param, "messages");
    assert_int_equal(none.n_released, 1);
    assert_int_equal(bad.n_released, 1);
    tokfs_engine_close(engine);
    free(a);
}

static void test_chat_source_of_a_cancelled_request_is_released_once(void **state)
{
    (void)state;
    enum { N = 200 };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(N);
    struct source *sources = calloc(N, sizeof(*sources));
    for (int i = 0; i < N; i++) {
        sources[i].json = good;
        tokfs_cancel(submit_source(engine, &sources[i], &a[i]));
    }
    engine_test_finish(engine, a, N);
    for (int i = 0; i < N; i++) {
        assert_true(sources[i].n_made <= 1);
        assert_int_equal(sources[i].n_released, 1);
    }
    tokfs_engine_close(engine);
    free(sources);
    free(a);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_source_is_answered_as_its_body),
        cmocka_unit_test(test_chat_source_tells_its_own_reason),
        cmocka_unit_test(test_chat_source_of_a_cancelled_request_is_released_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
