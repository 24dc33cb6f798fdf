// The built-in model through the engine: chats asked together are answered as each alone, and they are answers.
#include "tests/serve/engine_test.h"

#define N_CHATS 16

static char model_dir[512];

static void ask(struct tokfs_engine *engine, int i, struct answer *answer)
{
    static const char *const questions[] = { "Hello!", "What is 12 + 30?", "Spell the word river.",
                                             "What day comes after Monday?" };
    char body[512];
    struct tokfs_error error;
    int len = snprintf(body, sizeof(body),
                       "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"temperature\":%g,\"top_p\":%g,"
                       "\"seed\":%d,\"max_tokens\":80,\"stream\":true}",
                       questions[i % 4], i < 4 ? 0.0 : 1.2, i % 3 == 0 ? 0.95 : 1.0, i);
    assert_int_equal(tokfs_submit_chat(engine, body, (size_t)len, answer, &answer->completion, &error), 0);
}

static void test_demo_model_chats_together_answer_as_alone(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *alone = answers_new(N_CHATS), *together = answers_new(N_CHATS);
    for (int i = 0; i < N_CHATS; i++) {
        ask(engine, i, &alone[i]);
        engine_test_finish(engine, &alone[i], 1);
        assert_true(alone[i].is_finished);
    }
    for (int i = 0; i < N_CHATS; i++) {
        ask(engine, i, &together[i]);
    }
    engine_test_finish(engine, together, N_CHATS);
    for (int i = 0; i < N_CHATS; i++) {
        answers_equal(&together[i], &alone[i]);
    }
    for (int i = 0; i < 4; i++) { // greedy: the model stops by itself, and says nothing of its markup
        assert_string_equal(alone[i].reason, "stop");
        assert_true(alone[i].text_len > 0);
        assert_null(strstr(alone[i].text, "<|"));
    }
    tokfs_engine_close(engine);
    free(alone);
    free(together);
}

int main(void)
{
    snprintf(model_dir, sizeof(model_dir), "%s/tools/demo/model", test_source_root());
    char config[600];
    snprintf(config, sizeof(config), "%s/config.json", model_dir);
    if (access(config, R_OK) != 0) {
        printf("skipped: no %s\n", config);
        return TEST_EXIT_SKIP;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demo_model_chats_together_answer_as_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
