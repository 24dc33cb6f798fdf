// Guesses: found where they should be, adapted to how right they were, and never seen in an answer.
#include "engine/serve/draft.h"

#include "tests/serve/engine_test.h"

static const char *model_dir;

static void expect_guess(const char *text, uint32_t n_max, const char *expected)
{
    int32_t tokens[100], guess[DRAFT_MAX];
    uint32_t n = (uint32_t)strlen(text);
    for (uint32_t i = 0; i < n; i++) {
        tokens[i] = text[i];
    }
    assert_int_equal(draft_find(tokens, n, n_max, guess), strlen(expected));
    for (uint32_t i = 0; expected[i]; i++) {
        assert_int_equal(guess[i], expected[i]);
    }
}

static void test_draft_is_what_followed_last_time(void **state)
{
    (void)state;
    expect_guess("the cat sat, the c", 4, "at s");
    expect_guess("abcX abcY abc", 2, "Y "); // the latest
    expect_guess("xabX yabY zab", 2, "Y "); // three are nowhere: two
    expect_guess("ababab", 5, "ababa");     // past the end it goes round
    expect_guess("aaaa", 3, "aaa");
    expect_guess("abcdef", 4, "");
    expect_guess("ab", 4, "");
    expect_guess("a", 4, "");
    expect_guess("the cat, the c", 0, "");
}

static void test_draft_length_follows_success(void **state)
{
    (void)state;
    struct draft_state s;
    draft_init(&s);
    uint32_t n = draft_length(&s);
    assert_true(n > 1);
    draft_adapt(&s, n, n);
    assert_int_equal(draft_length(&s), DRAFT_MAX);
    draft_adapt(&s, DRAFT_MAX, 2);
    assert_int_equal(draft_length(&s), 3);
    draft_adapt(&s, 3, 0);
    assert_int_equal(draft_length(&s), 1);
    draft_adapt(&s, 1, 0);
    uint32_t n_rests = 0;
    while (draft_length(&s) == 0) {
        n_rests++;
    }
    assert_true(n_rests > 4);
    draft_adapt(&s, 1, 1);
    assert_true(draft_length(&s) > 1);
}

// A prompt that repeats itself: a small random model soon does so too.
static void ask(struct tokfs_engine *engine, int i, struct answer *a)
{
    int32_t ids[60];
    for (int t = 0; t < 60; t++) {
        ids[t] = (t % 12) * 7 + i;
    }
    const struct tokfs_sampling sampling = { .temperature = i % 2 ? 0.4 : 0,
                                             .top_p = 1,
                                             .seed = (uint64_t)i,
                                             .max_tokens = 100 + 30 * i,
                                             .repetition_penalty = i == 2 ? 1.1 : 0,
                                             .ignore_eos = true };
    struct tokfs_error error;
    assert_int_equal(tokfs_submit_tokens(engine, ids, 60, &sampling, a, &a->completion, &error), 0);
}

static void test_draft_changes_no_answer(void **state)
{
    (void)state;
    enum { N = 6 };
    struct answer *without = answers_new(N), *with = answers_new(N);
    struct tokfs_engine_stats stats;
    for (int pass = 0; pass < 2; pass++) {
        struct tokfs_engine *engine =
            engine_test_open((struct tokfs_engine_options){ .model = model_dir, .no_speculation = pass == 0 });
        struct answer *answers = pass == 0 ? without : with;
        for (int i = 0; i < N; i++) { // two alone, four together
            ask(engine, i, &answers[i]);
            if (i < 2) {
                engine_test_finish(engine, &answers[i], 1);
            }
        }
        engine_test_finish(engine, answers + 2, N - 2);
        tokfs_engine_get_stats(engine, &stats);
        assert_int_equal(stats.n_guessed > 0, pass == 1);
        tokfs_engine_close(engine);
    }
    for (int i = 0; i < N; i++) {
        assert_true(with[i].is_finished);
        answers_equal(&with[i], &without[i]);
    }
    printf("%llu of %llu guesses were right, %llu steps for %llu tokens\n", (unsigned long long)stats.n_guessed_right,
           (unsigned long long)stats.n_guessed, (unsigned long long)stats.n_steps,
           (unsigned long long)stats.completion_tokens);
    assert_true(stats.n_guessed_right > 0); // the control
    free(without);
    free(with);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draft_is_what_followed_last_time),
        cmocka_unit_test(test_draft_length_follows_success),
        cmocka_unit_test(test_draft_changes_no_answer),
    };
    return cmocka_run_group_tests_name("draft", tests, NULL, NULL);
}
