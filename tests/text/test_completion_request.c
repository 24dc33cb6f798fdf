// The v1/completions request: the four forms of a prompt, what is taken, and what is refused with its path.
#include "engine/text/completion_request.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static int parse(const char *body, struct arena *arena, struct completion_request *ret, struct err *err)
{
    *err = (struct err){ 0 };
    return completion_request_parse(arena, str_from(body), NULL, ret, err);
}

static void test_completion_request_prompt_has_four_forms(void **state)
{
    static const struct {
        const char *body;
        size_t n;
        const char *first, *last; // as written
    } cases[] = {
        { "{\"prompt\":\"a b\"}", 1, "a b", "a b" },
        { "{\"prompt\":[1,2]}", 1, "[1,2]", "[1,2]" },
        { "{\"prompt\":[\"a\",\"\",\"c\"]}", 3, "a", "c" },
        { "{\"prompt\":[[1,2],[],[3]]}", 3, "[1,2]", "[3]" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct completion_request request;
        struct arena arena;
        struct err err;
        arena_init(&arena, 0);
        assert_int_equal(parse(cases[i].body, &arena, &request, &err), 0);
        assert_int_equal(request.prompts.n, cases[i].n);
        const struct json *first = prompts_next(&request.prompts, NULL), *last = first;
        for (size_t k = 1; k < request.prompts.n; k++) {
            last = prompts_next(&request.prompts, last);
        }
        assert_true(str_eq(first->text, str_from(cases[i].first)));
        assert_true(str_eq(last->text, str_from(cases[i].last)));
        arena_deinit(&arena);
    }
}

static void test_completion_request_defaults_are_openais(void **state)
{
    struct completion_request request;
    struct arena arena;
    struct err err;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(parse("{\"prompt\":\"\",\"max_tokens\":null}", &arena, &request, &err), 0);
    assert_int_equal(request.sampling.max_tokens, 16);
    assert_true(request.sampling.temperature == 1 && request.n == 1 && request.add_special_tokens);
    assert_false(request.logprobs || request.echo || request.common.stream);
    assert_int_equal(parse("{\"prompt\":\"\",\"max_tokens\":0,\"logprobs\":0,\"suffix\":\"\",\"n\":3,\"best_of\":3,"
                           "\"top_k\":5,\"stop\":\"x\",\"user\":\"u\"}",
                           &arena, &request, &err),
                     0);
    assert_true(request.logprobs && request.top_logprobs == 0 && request.sampling.max_tokens == 0);
    assert_true(request.n == 3 && request.sampling.top_k == 5 && request.sampling.n_stop == 1);
    arena_deinit(&arena);
}

static void test_completion_request_refusals_name_the_field(void **state)
{
    static const struct {
        const char *body;
        int code;
        const char *param;
    } cases[] = {
        { "{}", -EINVAL, "prompt" },
        { "{\"prompt\":null}", -EINVAL, "prompt" },
        { "{\"prompt\":{}}", -EINVAL, "prompt" },
        { "{\"prompt\":[]}", -EINVAL, "prompt" },
        { "{\"prompt\":[true]}", -EINVAL, "prompt[0]" },
        { "{\"prompt\":[1,2.5]}", -EINVAL, "prompt[1]" },
        { "{\"prompt\":[1,3000000000]}", -EINVAL, "prompt[1]" },
        { "{\"prompt\":[[1],2]}", -EINVAL, "prompt[1]" },
        { "{\"prompt\":[[1],[\"a\"]]}", -EINVAL, "prompt[1][0]" },
        { "{\"prompt\":\"a\",\"suffix\":\"b\"}", -EOPNOTSUPP, "suffix" },
        { "{\"prompt\":\"a\",\"n\":2,\"best_of\":3}", -EOPNOTSUPP, "best_of" },
        { "{\"prompt\":\"a\",\"logprobs\":21}", -EINVAL, "logprobs" },
        { "{\"prompt\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"n\":128}", -EINVAL, "prompt" },
        { "{\"prompt\":\"a\",\"messages\":[]}", -EINVAL, "messages" },
        { "{\"prompt\":\"a\",\"cache_salt\":\"\"}", -EINVAL, "cache_salt" },
        { "{\"prompt\":\"a\",\"stream_options\":{}}", -EINVAL, "stream_options" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct completion_request request;
        struct arena arena;
        struct err err;
        arena_init(&arena, 0);
        assert_int_equal(parse(cases[i].body, &arena, &request, &err), cases[i].code);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.param, cases[i].param);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completion_request_prompt_has_four_forms),
        cmocka_unit_test(test_completion_request_defaults_are_openais),
        cmocka_unit_test(test_completion_request_refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
