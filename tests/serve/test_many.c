// As many as are promised: 256 run together, 10,000 wait, the next one is refused, and nobody is forgotten. Nothing is
// polled while they are sent, so that all of them count as waiting.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <malloc.h>

#define N_RUNNING 256
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define N_QUEUED 1500
#else
#define N_QUEUED 10000
#endif
#define BYTES_EACH_MAX 4096 // of one that waits

static const char *model_dir;

struct one {
    struct tokfs_completion *completion;
    uint32_t n_tokens;
    bool is_over;
};

static struct tokfs_engine *open_engine(void)
{
    struct tokfs_engine_options options = { .model = model_dir, .n_ctx = 128, .max_sequences = N_RUNNING };
    options.max_queued = N_QUEUED < 10000 ? N_QUEUED : 0; // 10,000 is what there is without it
    return engine_test_open(options);
}

// Of two lengths: the first ones run together for a while.
static uint32_t answer_tokens(uint32_t i)
{
    return i < N_RUNNING ? 60 : 1 + i % 3;
}

static int submit(struct tokfs_engine *engine, struct one *all, uint32_t i, struct tokfs_error *error)
{
    const struct tokfs_sampling sampling = { .top_p = 1, .max_tokens = answer_tokens(i), .ignore_eos = true };
    const int32_t prompt[] = { (int32_t)(i % 1000), (int32_t)(i / 1000) };
    return tokfs_submit_tokens(engine, prompt, 2, &sampling, &all[i], &all[i].completion, error);
}

static struct one *submit_all(struct tokfs_engine *engine)
{
    struct one *all = calloc(N_QUEUED + 1, sizeof(*all));
    struct tokfs_error error;
    assert_non_null(all);
    for (uint32_t i = 0; i < N_QUEUED; i++) {
        assert_int_equal(submit(engine, all, i, &error), 0);
    }
    assert_int_equal(submit(engine, all, N_QUEUED, &error), -EAGAIN);
    return all;
}

static bool take_event(struct tokfs_engine *engine, struct tokfs_event *ret)
{
    while (tokfs_poll(engine, ret) == 0) {
        struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
        assert_int_equal(poll(&pfd, 1, 300000), 1);
    }
    struct one *one = ret->user;
    assert_false(one->is_over);
    one->n_tokens += ret->kind == TOKFS_EVENT_TOKEN && ret->token_id >= 0;
    one->is_over = ret->kind == TOKFS_EVENT_FINISHED;
    assert_int_not_equal(ret->kind, TOKFS_EVENT_FAILED);
    return one->is_over;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void expect_nothing_left(struct tokfs_engine *engine)
{
    struct tokfs_engine_stats s;
    engine_test_idle(engine, &s);
    assert_int_equal(s.n_requests, s.n_finished + s.n_cancelled + s.n_failed);
}

static void test_many_wait_and_all_are_answered(void **state)
{
    (void)state;
    struct tokfs_engine *engine = open_engine();
    size_t before = heap_bytes();
    struct one *all = submit_all(engine);
    size_t each = (heap_bytes() - before) / N_QUEUED;
    struct tokfs_engine_stats stats;
    struct tokfs_event event;
    struct tokfs_error error;
    uint32_t n_over = 0, n_running_most = 0, n_submitted = N_QUEUED;
    while (n_over < n_submitted) {
        n_over += take_event(engine, &event);
        tokfs_engine_get_stats(engine, &stats);
        n_running_most = stats.n_running > n_running_most ? stats.n_running : n_running_most;
        if (event.kind == TOKFS_EVENT_STARTED && n_submitted == N_QUEUED) { // one waits no more
            assert_int_equal(submit(engine, all, n_submitted++, &error), 0);
        }
    }
    assert_int_equal(n_running_most, N_RUNNING);
    for (uint32_t i = 0; i < n_submitted; i++) {
        assert_int_equal(all[i].n_tokens, answer_tokens(i));
        tokfs_completion_free(all[i].completion);
    }
    printf("%zu bytes for each that waits\n", each);
    assert_true(each < BYTES_EACH_MAX);
    expect_nothing_left(engine);
    tokfs_engine_close(engine);
    free(all);
}

// Their clients go away, all at once.
static void test_many_are_given_up(void **state)
{
    (void)state;
    struct tokfs_engine *engine = open_engine();
    struct one *all = submit_all(engine);
    struct tokfs_event event;
    for (int i = 0; i < 1000; i++) {
        take_event(engine, &event);
    }
    for (uint32_t i = 0; i < N_QUEUED; i++) {
        tokfs_completion_free(all[i].completion);
    }
    struct tokfs_engine_stats stats;
    do {
        assert_int_equal(tokfs_poll(engine, &event), 0); // nobody hears of them
        tokfs_engine_get_stats(engine, &stats);
    } while (stats.n_finished + stats.n_cancelled + stats.n_failed < stats.n_requests);
    expect_nothing_left(engine);
    tokfs_engine_close(engine);
    free(all);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_wait_and_all_are_answered),
        cmocka_unit_test(test_many_are_given_up),
    };
    return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
