// The guard of invariant 5: while sequences decode, no thread but the caller's allocates.
//
// The linker wraps malloc and its relatives in this program's own objects; calls of threads other than main are
// counted.
#include "tests/serve/engine_test.h"

#include <stdatomic.h>

static atomic_size_t n_calls; // by threads other than main
static _Thread_local bool is_main;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);

static void count(void)
{
    if (!is_main) {
        atomic_fetch_add(&n_calls, 1);
    }
}

void *__wrap_malloc(size_t size)
{
    count();
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count();
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    count();
    return __real_realloc(ptr, size);
}

void __wrap_free(void *ptr)
{
    count();
    __real_free(ptr);
}

static const char *model_dir;

#define N_SEQUENCES 13

static void submit_all(struct tokfs_engine *engine, struct answer *answers)
{
    static const char *const variants[N_SEQUENCES] = {
        "\"temperature\":0",
        "\"temperature\":1",
        "\"temperature\":1,\"top_p\":0.9",
        "\"temperature\":1,\"top_k\":40",
        "\"temperature\":1,\"min_p\":0.02",
        "\"temperature\":0.7,\"top_p\":0.95,\"top_k\":200,\"min_p\":0.001",
        "\"temperature\":1,\"stop\":[\"a stop that never comes\",\"\\n\\n\\n\\n\"]",
        "\"temperature\":0,\"min_tokens\":700",
        "\"temperature\":1,\"repetition_penalty\":1.1,\"frequency_penalty\":0.3,\"presence_penalty\":0.2,"
        "\"logit_bias\":{\"5\":-3,\"7\":2},\"stop_token_ids\":[3],\"min_tokens\":690",
        "\"temperature\":1.2,\"typical_p\":0.8,\"logprobs\":true,\"top_logprobs\":20,\"repeat_penalty\":1.1,\"skip_"
        "special_tokens\":false",
        "\"temperature\":1.5,\"guided_regex\":\"([a-z]{1,9}[ ,.])*\"",
        "\"temperature\":1,\"guided_json\":{\"type\":\"array\",\"minItems\":900,\"items\":{\"properties\":{\"name\":"
        "{\"type\":\"string\",\"maxLength\":9},\"size\":{\"type\":\"number\"}},\"required\":[\"name\"]}}",
        "\"temperature\":2,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"tree\",\"schema\":"
        "{"
        "\"type\":\"array\",\"items\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"integer\"}]},\"minItems\":400}}}",
    };
    for (int i = 0; i < N_SEQUENCES; i++) {
        char body[800];
        struct tokfs_error error;
        int len = snprintf(body, sizeof(body),
                           "{\"messages\":[{\"role\":\"user\",\"content\":\"Go\"}],\"max_tokens\":700,%s%s}",
                           variants[i], i == 7 ? "" : ",\"ignore_eos\":true");
        assert_int_equal(tokfs_submit_chat(engine, body, (size_t)len, &answers[i], &answers[i].completion, &error), 0);
    }
}

static void test_decode_steps_do_not_allocate(void **state)
{
    (void)state;
    struct tokfs_engine *engine = engine_test_open((struct tokfs_engine_options){ .model = model_dir });
    struct answer *answers = answers_new(N_SEQUENCES);
    submit_all(engine, answers);
    size_t n_past = 0;
    while (n_past < N_SEQUENCES) { // all are admitted and decode
        n_past += engine_test_next(engine)->n_ids == 20;
    }
    assert_true(atomic_load(&n_calls) > 0); // the control: requests were parsed, on a thread that is counted
    atomic_store(&n_calls, 0);
    for (n_past = 0; n_past == 0;) {
        n_past += engine_test_next(engine)->n_ids == 650; // nobody is near the end
    }
    assert_int_equal(atomic_load(&n_calls), 0);
    engine_test_finish(engine, answers, N_SEQUENCES);
    tokfs_engine_close(engine);
    free(answers);
}

int main(int argc, char **argv)
{
    is_main = true;
    assert(argc == 2);
    model_dir = engine_test_model(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
