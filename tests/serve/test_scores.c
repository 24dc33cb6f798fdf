// Log probabilities of prompts: the same bits however the prompt was cut, whatever is cached or runs beside it, and as
// they are when the same tokens are sampled.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>

#define N_MAX 400

static const char *model_dir;

struct told {
    size_t n, n_probs;
    struct tokfs_logprob probs[N_MAX][TOKFS_PROBS_MAX];
    uint32_t ranks[N_MAX];
    struct tokfs_usage usage;
};

static void write_ids(char *out, size_t size, const int32_t *ids, size_t n)
{
    size_t len = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(out + len, size - len, i > 0 ? ",%d" : "%d", ids[i]);
        assert(len + 2 < size);
    }
    snprintf(out + len, size - len, "]");
}

static void make_ids(int32_t *ids, size_t n, int32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        ids[i] = (int32_t)(((int64_t)seed * 7919 + (int64_t)i * i * 31 + 17) % 1000);
    }
}

static void submit(struct tokfs_engine *engine, const int32_t *ids, size_t n, const char *more, struct answer *answer)
{
    static char list[16384], body[20000];
    struct tokfs_error error;
    write_ids(list, sizeof(list), ids, n);
    int len = snprintf(body, sizeof(body), "{\"prompt\":%s,\"temperature\":0,\"echo\":true%s}", list, more);
    assert_int_equal(tokfs_submit_completion(engine, body, (size_t)len, answer, &answer->completion, &error), 0);
}

static void run_to_end(struct tokfs_engine *engine, const struct answer *answer)
{
    while (!answer_is_over(answer)) {
        engine_test_next(engine);
    }
    assert_false(answer->is_failed);
}

static struct told *told_of(const struct answer *answer, unsigned index)
{
    struct told *told = calloc(1, sizeof(*told));
    assert_non_null(told);
    const int32_t *ids = tokfs_completion_prompt(answer->completion, index, &told->n);
    assert_true(told->n > 0 && told->n <= N_MAX);
    for (size_t i = 0; i < told->n; i++) {
        size_t n = tokfs_completion_prompt_probs(answer->completion, index, i, told->probs[i], &told->ranks[i]);
        assert_int_equal(n > 0, i > 0);
        assert_true(i == 0 || told->probs[i][0].id == ids[i]);
        told->n_probs = n;
    }
    told->usage = answer->usage;
    return told;
}

static struct told *ask(struct tokfs_engine *engine, const int32_t *ids, size_t n, const char *more)
{
    struct answer *a = answers_new(1);
    submit(engine, ids, n, more, a);
    run_to_end(engine, a);
    struct told *told = told_of(a, 0);
    tokfs_completion_free(a->completion);
    free(a);
    return told;
}

static void expect_same(const struct told *a, const struct told *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_probs, b->n_probs);
    for (size_t i = 1; i < a->n; i++) {
        assert_int_equal(a->ranks[i], b->ranks[i]);
        for (size_t k = 0; k < a->n_probs; k++) {
            assert_int_equal(a->probs[i][k].id, b->probs[i][k].id);
            assert_memory_equal(&a->probs[i][k].logprob, &b->probs[i][k].logprob, sizeof(float));
        }
    }
}

#define WITH_PROBS ",\"logprobs\":3,\"max_tokens\":0"

static void test_scores_are_the_same_however_the_prompt_is_cut(void **state)
{
    static const struct tokfs_engine_options options[] = {
        { .batch_tokens = 512 },
        { .batch_tokens = 16, .max_sequences = 3 },
        { .batch_tokens = 7, .max_sequences = 1 },
        { .batch_tokens = 64, .max_sequences = 5, .no_prefix_cache = true, .n_threads = 3 },
    };
    enum { N = 203 };
    int32_t ids[N];
    struct told *first = NULL;
    (void)state;
    make_ids(ids, N, 3);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct tokfs_engine_options o = options[i];
        o.model = model_dir;
        struct tokfs_engine *engine = engine_test_open(o);
        struct told *told = ask(engine, ids, N, WITH_PROBS);
        assert_int_equal(told->n_probs, 4);
        if (first) {
            expect_same(told, first);
        }
        for (size_t k = 1; k < N; k++) { // the token is among the most probable exactly where its rank says so
            uint32_t rank = told->ranks[k];
            assert_true(rank > 3 || told->probs[k][rank].id == told->probs[k][0].id);
            assert_true(told->probs[k][0].logprob <= told->probs[k][1].logprob);
        }
        struct told *again = ask(engine, ids, N, WITH_PROBS); // its tokens are cached now, their scores are not
        expect_same(again, told);
        assert_int_equal(again->usage.cached_tokens, 0);
        free(again);
        tokfs_engine_close(engine);
        if (first) {
            free(told);
        } else {
            first = told;
        }
    }
    free(first);
}

static void test_scores_of_an_answer_are_those_it_was_sampled_with(void **state)
{
    enum { N = 21 };
    int32_t ids[N_MAX];
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(1);
    (void)state;
    make_ids(ids, N, 8);
    a->probs = calloc(ANSWER_TOKENS_MAX, sizeof(*a->probs));
    submit(engine, ids, N, ",\"logprobs\":2,\"max_tokens\":90,\"ignore_eos\":true,\"temperature\":0.9,\"seed\":4", a);
    run_to_end(engine, a);
    assert_int_equal(a->n_ids, 90);
    memcpy(ids + N, a->ids, 90 * sizeof(*ids));
    struct told *told = ask(engine, ids, N + 90, ",\"logprobs\":2,\"max_tokens\":1");
    for (size_t i = 0; i < 90; i++) {
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(told->probs[N + i][k].id, a->probs[i][k].id);
            assert_memory_equal(&told->probs[N + i][k].logprob, &a->probs[i][k].logprob, sizeof(float));
        }
    }
    tokfs_completion_free(a->completion);
    tokfs_engine_close(engine);
    free(a->probs);
    free(a);
    free(told);
}

// Few pages: sequences give way to each other while their prompts are being scored.
static void test_scores_among_many_and_after_preemption(void **state)
{
    enum { N_ANSWERS = 12, N = 150 };
    static int32_t ids[N_ANSWERS][N];
    struct told *alone[N_ANSWERS];
    struct answer *answers = answers_new(N_ANSWERS);
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    for (int i = 0; i < N_ANSWERS; i++) {
        make_ids(ids[i], N, i / 2); // pairs are equal
        alone[i] = ask(engine, ids[i], N, WITH_PROBS);
    }
    struct tokfs_engine_info info;
    tokfs_engine_get_info(engine, &info);
    uint64_t page_bytes = info.kv_bytes / info.n_pages;
    tokfs_engine_close(engine);
    engine = engine_test_open((struct tokfs_engine_options){
        .model = model_dir, .kv_bytes = 25 * page_bytes, .n_ctx = 256, .max_sequences = 6, .batch_tokens = 40 });
    for (int i = 0; i < N_ANSWERS; i++) {
        submit(engine, ids[i], N, ",\"logprobs\":3,\"max_tokens\":60,\"ignore_eos\":true", &answers[i]);
    }
    for (int i = 0; i < N_ANSWERS; i++) {
        run_to_end(engine, &answers[i]);
        struct told *told = told_of(&answers[i], 0);
        expect_same(told, alone[i]);
        free(told);
        free(alone[i]);
    }
    struct tokfs_engine_stats stats;
    tokfs_engine_get_stats(engine, &stats);
    assert_true(stats.n_preempted > 0);
    for (int i = 0; i < N_ANSWERS; i++) {
        tokfs_completion_free(answers[i].completion);
    }
    tokfs_engine_close(engine);
    free(answers);
}

// The scores of a prompt are there when the first token of any of its choices is.
static void test_scores_are_shared_by_choices(void **state)
{
    enum { N = 64 };
    int32_t ids[N];
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .batch_tokens = 8, .max_sequences = 4 });
    (void)state;
    make_ids(ids, N, 5);
    struct told *alone = ask(engine, ids, N, WITH_PROBS); // and everything is cached
    struct answer *a = answers_new(1);
    a->more = answers_new(3);
    a->n = 4;
    submit(engine, ids, N, ",\"logprobs\":3,\"max_tokens\":5,\"n\":4,\"seed\":1", a);
    bool is_seen[4] = { false };
    while (!answer_is_over(a)) {
        struct tokfs_event event;
        while (tokfs_poll(engine, &event) == 0) {
            struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
            assert_int_equal(poll(&pfd, 1, 300000), 1);
        }
        if (event.kind == TOKFS_EVENT_TOKEN && !is_seen[event.index]) {
            is_seen[event.index] = true;
            struct told *told = told_of(a, event.index);
            expect_same(told, alone);
            free(told);
        }
        answer_take(a, &event);
    }
    tokfs_completion_free(a->completion);
    tokfs_engine_close(engine);
    free(a->more);
    free(a);
    free(alone);
}

static void test_scores_are_bounded_and_given_back(void **state)
{
    int32_t ids[4] = { 1, 2, 3, 4 };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *a = answers_new(2);
    (void)state;
    submit(engine, ids, 4, WITH_PROBS, &a[0]);
    tokfs_cancel(a[0].completion);
    while (!answer_is_over(&a[0])) {
        engine_test_next(engine);
    }
    tokfs_completion_free(a[0].completion);
    struct tokfs_error error;
    const char late[] = "{\"input_ids\":[1,2],\"return_logprob\":true,\"logprob_start_len\":3}";
    assert_int_equal(tokfs_submit_generate(engine, late, strlen(late), &a[1], &a[1].completion, &error), 0);
    engine_test_finish(engine, &a[1], 1);
    assert_true(a[1].is_failed && a[1].error.code == -EINVAL);
    assert_string_equal(a[1].error.param, "logprob_start_len");
    tokfs_engine_close(engine);
    free(a);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s TOKFS-MODEL\n", argv[0]);
        return 2;
    }
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores_are_the_same_however_the_prompt_is_cut),
        cmocka_unit_test(test_scores_of_an_answer_are_those_it_was_sampled_with),
        cmocka_unit_test(test_scores_among_many_and_after_preemption),
        cmocka_unit_test(test_scores_are_shared_by_choices),
        cmocka_unit_test(test_scores_are_bounded_and_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
