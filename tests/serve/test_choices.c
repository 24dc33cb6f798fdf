// Several answers to one request, and how probable their tokens were: seeds, events, usage, cancel, a full ring.
#include "tests/serve/engine_test.h"

#include <errno.h>
#include <math.h>
#include <time.h>

static const char *model_dir;

static const int32_t PROMPT[] = { 5, 77, 310, 42, 900, 13, 13, 8 };
#define N_PROMPT (sizeof(PROMPT) / sizeof(*PROMPT))

static const struct tokfs_sampling SAMPLING = {
    .temperature = 1.1, .top_p = 0.98, .frequency_penalty = 0.2, .seed = 40, .max_tokens = 50, .ignore_eos = true
};

static void submit(struct tokfs_engine *engine, struct tokfs_sampling sampling, struct answer *answer)
{
    struct tokfs_error error;
    assert_int_equal(tokfs_submit_tokens(engine, PROMPT, N_PROMPT, &sampling, answer, &answer->completion, &error), 0);
}

static struct answer *ask_one(struct tokfs_engine *engine, struct tokfs_sampling sampling)
{
    struct answer *a = answers_new(1);
    a->probs = calloc(ANSWER_TOKENS_MAX, sizeof(*a->probs));
    assert_non_null(a->probs);
    submit(engine, sampling, a);
    engine_test_finish(engine, a, 1);
    return a;
}

static void answer_free(struct answer *a)
{
    free(a->probs);
    free(a);
}

static void expect_idle(struct tokfs_engine *engine)
{
    struct tokfs_engine_stats stats;
    engine_test_idle(engine, &stats);
    assert_int_equal(stats.n_requests, stats.n_finished + stats.n_cancelled + stats.n_failed);
}

static void test_choices_are_the_answers_to_seeds_in_order(void **state)
{
    (void)state;
    enum { N = 5 };
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *first = answers_new(1), *more = answers_new(N - 1);
    struct tokfs_sampling sampling = SAMPLING;
    first->more = more;
    sampling.n = N;
    submit(engine, sampling, first);
    engine_test_finish(engine, first, 1);
    assert_int_equal(first->usage.prompt_tokens, N_PROMPT);
    assert_int_equal(first->usage.completion_tokens, N * 50);
    assert_true(first->usage.ttft_ns > 0 && first->usage.decode_ns > 0);
    size_t n_different = 0;
    for (unsigned i = 0; i < N; i++) {
        struct tokfs_sampling single = SAMPLING;
        single.seed += i;
        struct answer *alone = ask_one(engine, single), *choice = i == 0 ? first : &more[i - 1];
        assert_true(choice->is_finished);
        answers_equal(choice, alone);
        n_different += memcmp(choice->ids, first->ids, 50 * sizeof(*first->ids)) != 0;
        answer_free(alone);
    }
    assert_int_equal(n_different, N - 1);
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(first);
    free(more);
}

// Their prompt is computed once: the others wait for the first and find it in the prefix cache.
static void test_choices_compute_their_prompt_once(void **state)
{
    (void)state;
    enum { N = 4, LEN = 400 };
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .batch_tokens = 64 });
    struct answer *first = answers_new(1), *more = answers_new(N - 1);
    struct tokfs_sampling sampling = SAMPLING;
    struct tokfs_engine_stats stats;
    struct tokfs_error error;
    int32_t prompt[LEN];
    for (int i = 0; i < LEN; i++) {
        prompt[i] = i * 7 % 990;
    }
    first->more = more;
    sampling.n = N;
    assert_int_equal(tokfs_submit_tokens(engine, prompt, LEN, &sampling, first, &first->completion, &error), 0);
    engine_test_finish(engine, first, 1);
    tokfs_engine_get_stats(engine, &stats);
    assert_true(stats.cached_tokens >= (N - 1) * (LEN - 16)); // all but the last block
    assert_int_equal(first->usage.prompt_tokens, LEN);
    assert_int_equal(first->usage.cached_tokens, 0); // of what the client pays for nothing came from before
    assert_int_equal(first->n_ids, 50);
    tokfs_engine_close(engine);
    free(first);
    free(more);
}

// More choices than slots: some wait while others run; a cancel ends both kinds.
static void test_choices_are_cancelled_together(void **state)
{
    (void)state;
    enum { N = 6 };
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .max_sequences = 2 });
    struct answer *first = answers_new(1), *more = answers_new(N - 1);
    struct tokfs_sampling sampling = SAMPLING;
    first->more = more;
    sampling.n = N;
    sampling.max_tokens = 1500;
    submit(engine, sampling, first);
    while (first->n_ids < 3) {
        engine_test_next(engine);
    }
    tokfs_cancel(first->completion);
    engine_test_finish(engine, first, 1);
    assert_string_equal(first->reason, "cancel");
    for (int i = 0; i < N - 1; i++) {
        assert_true(more[i].is_finished);
        assert_string_equal(more[i].reason, "cancel");
    }
    assert_int_equal(more[N - 2].n_ids, 0);
    struct tokfs_engine_stats stats;
    engine_test_idle(engine, &stats);
    assert_int_equal(stats.n_cancelled, 1);
    struct answer *freed = answers_new(1), *freed_more = answers_new(N - 1);
    freed->more = freed_more;
    submit(engine, sampling, freed);
    tokfs_completion_free(freed->completion); // never heard of again
    struct answer *next = ask_one(engine, SAMPLING);
    assert_int_equal(next->n_ids, 50);
    tokfs_engine_close(engine);
    answer_free(next);
    free(freed);
    free(freed_more);
    free(first);
    free(more);
}

static void test_choices_what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    const struct tokfs_logit_bias far = { 1000, 1 }, strong = { 1, 101 }, list[1025] = { { 0, 0 } };
    const int32_t ids[] = { 0, -1 };
    const char *const stops[] = { "" };
    struct {
        struct tokfs_sampling sampling;
        const char *param;
    } cases[] = {
        { { .top_p = 1, .n = 129 }, "n" },
        { { .top_p = 1, .top_logprobs = 21 }, "top_logprobs" },
        { { .top_p = 1, .logit_bias = &far, .n_logit_bias = 1 }, "logit_bias" },
        { { .top_p = 1, .logit_bias = &strong, .n_logit_bias = 1 }, "logit_bias" },
        { { .top_p = 1, .logit_bias = list, .n_logit_bias = 1025 }, "" },
        { { .top_p = 1, .stop_token_ids = ids, .n_stop_token_ids = 2 }, "stop_token_ids" },
        { { .top_p = 1, .stop = stops, .n_stop = 1 }, "stop" },
        { { .top_p = 1, .repetition_penalty = -1 }, "repetition_penalty" },
        { { .top_p = 1, .presence_penalty = NAN }, "presence_penalty" },
        { { .top_p = 1, .typical_p = 1.1 }, "typical_p" },
        { { .top_p = 1, .min_tokens = -1 }, "min_tokens" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct answer *a = ask_one(engine, cases[i].sampling);
        assert_true(a->is_failed && !a->is_accepted);
        assert_int_equal(a->error.code, -EINVAL);
        assert_string_equal(a->error.param, cases[i].param);
        answer_free(a);
    }
    tokfs_engine_close(engine);
}

// ---- log probabilities --------------------------------------------------------------------------------------------

static void check_probs(struct tokfs_engine *engine, const struct answer *a, size_t token)
{
    const struct tokfs_logprob *p = a->probs[token];
    double mass = 0;
    assert_int_equal(p[0].id, a->ids[token]);
    for (size_t i = 1; i < a->n_probs; i++) {
        size_t len;
        const char *bytes = tokfs_token_bytes(engine, p[i].id, &len);
        assert_int_equal(p[i].n_bytes, len);
        assert_memory_equal(p[i].bytes, bytes, len);
        assert_true(i == 1 || p[i - 1].logprob > p[i].logprob ||
                    (p[i - 1].logprob == p[i].logprob && p[i - 1].id < p[i].id));
        assert_true(p[i].id != p[0].id || p[i].logprob == p[0].logprob);
        mass += exp((double)p[i].logprob);
    }
    assert_true(mass > 0 && mass < 1.000001 && p[1].logprob >= p[0].logprob);
}

// They are the model's own: whatever the request does to the logits, the same tokens have the same ones.
static void test_logprobs_are_of_the_raw_logits(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct tokfs_sampling greedy = { .top_p = 1, .max_tokens = 40, .ignore_eos = true, .logprobs = true };
    greedy.top_logprobs = 20; // more than one entry of the ring holds
    struct answer *a = ask_one(engine, greedy);
    assert_int_equal(a->n_probs, 21);
    for (size_t i = 0; i < a->n_ids; i++) {
        check_probs(engine, a, i);
        assert_int_equal(a->probs[i][0].id, a->probs[i][1].id);
    }
    const struct tokfs_logit_bias bias = { a->ids[0], 50 }; // the same first token, far more certain
    struct tokfs_sampling sampled = { .temperature = 0.5,
                                      .top_p = 1,
                                      .top_k = 3,
                                      .logit_bias = &bias,
                                      .n_logit_bias = 1,
                                      .max_tokens = 3,
                                      .logprobs = true,
                                      .top_logprobs = 5 };
    struct answer *b = ask_one(engine, sampled);
    assert_int_equal(b->n_probs, 6);
    assert_int_equal(b->ids[0], a->ids[0]);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(b->probs[0][i].id, a->probs[0][i].id);
        assert_true(b->probs[0][i].logprob == a->probs[0][i].logprob);
    }
    struct tokfs_sampling none = SAMPLING, own = SAMPLING;
    own.logprobs = true;
    struct answer *c = ask_one(engine, none), *d = ask_one(engine, own);
    assert_int_equal(c->n_probs, 0);
    assert_int_equal(d->n_probs, 1);
    answers_equal(c, d); // asking changes nothing
    tokfs_engine_close(engine);
    answer_free(a);
    answer_free(b);
    answer_free(c);
    answer_free(d);
}

// Entries of many sequences fill the ring while nobody polls: nothing is lost, and each token keeps its own.
static void test_logprobs_survive_a_full_ring(void **state)
{
    (void)state;
    enum { N = 24, TOKENS = 60 }; // 24 x 60 x 3 entries in a ring of 1024
    struct tokfs_engine *engine =
        engine_test_open((struct tokfs_engine_options){ .model = model_dir, .max_sequences = N });
    struct answer *answers = answers_new(N);
    struct tokfs_sampling sampling = SAMPLING;
    sampling.logprobs = true;
    sampling.top_logprobs = 20;
    sampling.max_tokens = TOKENS;
    for (unsigned i = 0; i < N; i++) {
        answers[i].probs = calloc(ANSWER_TOKENS_MAX, sizeof(*answers[i].probs));
        sampling.seed = i;
        submit(engine, sampling, &answers[i]);
    }
    nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
    engine_test_finish(engine, answers, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(answers[i].n_ids, TOKENS);
        assert_int_equal(answers[i].n_probs, 21);
        for (size_t t = 0; t < TOKENS; t++) {
            check_probs(engine, &answers[i], t);
        }
        free(answers[i].probs);
    }
    expect_idle(engine);
    tokfs_engine_close(engine);
    free(answers);
}

// ---- ends ---------------------------------------------------------------------------------------------------------

static void test_stop_ids_and_texts_end_the_answer(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *whole = ask_one(engine, SAMPLING);
    size_t at = 7;
    int32_t id = whole->ids[at];
    for (size_t i = 0; i < at; i++) {
        at = whole->ids[i] == id ? i : at; // its first occurrence
    }
    struct tokfs_sampling sampling = SAMPLING;
    sampling.stop_token_ids = &id;
    sampling.n_stop_token_ids = 1;
    struct answer *a = ask_one(engine, sampling);
    assert_int_equal(a->n_ids, at + 1);
    assert_string_equal(a->reason, "stop");
    assert_true(a->text_len < whole->text_len);
    sampling.include_stop_str_in_output = true;
    struct answer *b = ask_one(engine, sampling);
    assert_int_equal(b->n_ids, at + 1);
    assert_true(b->text_len > a->text_len);
    sampling.min_tokens = (int64_t)at + 2; // not before that
    struct answer *c = ask_one(engine, sampling);
    assert_true(c->n_ids > at + 1);
    for (size_t i = 0; i <= at + 1; i++) {
        assert_int_not_equal(c->ids[i], id);
    }
    size_t begin = 6; // a text that occurs: up to its end with include_stop_str_in_output, else up to its beginning
    while (((unsigned char)whole->text[begin] & 0x80) || ((unsigned char)whole->text[begin + 1] & 0x80)) {
        begin++;
    }
    char stop[3] = { whole->text[begin], whole->text[begin + 1], 0 };
    const char *const stops[] = { "never", stop };
    size_t first = (size_t)(strstr(whole->text, stop) - whole->text);
    struct tokfs_sampling texts = SAMPLING;
    texts.stop = stops;
    texts.n_stop = 2;
    struct answer *d = ask_one(engine, texts);
    assert_int_equal(d->text_len, first);
    texts.include_stop_str_in_output = true;
    struct answer *e = ask_one(engine, texts);
    assert_int_equal(e->text_len, first + 2);
    assert_memory_equal(e->text, whole->text, first + 2);
    tokfs_engine_close(engine);
    answer_free(whole);
    answer_free(a);
    answer_free(b);
    answer_free(c);
    answer_free(d);
    answer_free(e);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices_are_the_answers_to_seeds_in_order),
        cmocka_unit_test(test_choices_compute_their_prompt_once),
        cmocka_unit_test(test_choices_are_cancelled_together),
        cmocka_unit_test(test_choices_what_cannot_be_is_refused),
        cmocka_unit_test(test_logprobs_are_of_the_raw_logits),
        cmocka_unit_test(test_logprobs_survive_a_full_ring),
        cmocka_unit_test(test_stop_ids_and_texts_end_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
