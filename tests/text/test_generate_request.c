// The generate request: texts or ids, what its sampling parameters become, and what is refused with its path.
#include "engine/text/generate_request.h"
#include "tests/unit.h"
#include <errno.h>

static int parse(const char *body, struct arena *arena, struct completion_request *ret, struct err *err)
{
    *err = (struct err){ 0 };
    return generate_request_parse(arena, str_from(body), NULL, ret, err);
}

static void test_generate_request_takes_texts_and_ids(void **state)
{
    static const struct {
        const char *body, *name, *first;
        size_t n;
        bool is_list;
    } cases[] = {
        { "{\"text\":\"a b\"}", "text", "a b", 1, false },
        { "{\"text\":[\"a\"]}", "text", "a", 1, true },
        { "{\"text\":null,\"input_ids\":[1,2]}", "input_ids", "[1,2]", 1, false },
        { "{\"input_ids\":[[1,2],[3]]}", "input_ids", "[1,2]", 2, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct completion_request request;
        struct arena arena;
        struct err err;
        arena_init(&arena, 0);
        assert_int_equal(parse(cases[i].body, &arena, &request, &err), 0);
        assert_int_equal(request.prompts.n, cases[i].n);
        assert_int_equal(request.prompts.is_list, cases[i].is_list);
        assert_string_equal(request.prompt_name, cases[i].name);
        assert_true(str_eq(prompts_next(&request.prompts, NULL)->text, str_from(cases[i].first)));
        assert_true(request.add_special_tokens && request.n == 1 && request.sampling.max_tokens == 128);
        arena_deinit(&arena);
    }
}

static void test_generate_request_sampling_params_are_the_shared_ones(void **state)
{
    struct completion_request request;
    struct arena arena;
    struct err err;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(
        parse("{\"text\":\"a\",\"return_logprob\":true,\"top_logprobs_num\":3,\"rid\":\"x\",\"stream\":true,"
              "\"cache_salt\":\"s\",\"sampling_params\":{\"max_new_tokens\":9,\"min_new_tokens\":2,\"n\":4,"
              "\"top_k\":-1,\"min_p\":0.1,\"sampling_seed\":5,\"stop\":[\"x\"],\"stop_token_ids\":[7],"
              "\"no_stop_trim\":true,\"skip_special_tokens\":false,\"regex\":null,\"stream_interval\":2}}",
              &arena, &request, &err),
        0);
    assert_true(request.n == 4 && request.logprobs && request.top_logprobs == 3 && request.common.stream);
    assert_true(request.sampling.max_tokens == 9 && request.sampling.min_tokens == 2 && request.sampling.seed == 5);
    assert_true(request.sampling.n_stop == 1 && request.sampling.n_stop_ids == 1 && request.sampling.include_stop);
    assert_true(request.sampling.shows_special && str_eq(request.common.cache_salt, STR("s")));
    assert_int_equal(parse("{\"text\":\"a\",\"top_logprobs_num\":3}", &arena, &request, &err), 0);
    assert_true(!request.logprobs && request.top_logprobs == 0);
    arena_deinit(&arena);
}

static void test_generate_request_refusals_name_the_field(void **state)
{
    static const struct {
        const char *body;
        int code;
        const char *param;
    } cases[] = {
        { "{}", -EINVAL, "text" },
        { "{\"prompt\":\"a\"}", -EINVAL, "prompt" },
        { "{\"text\":1}", -EINVAL, "text" },
        { "{\"text\":[[1]]}", -EINVAL, "text[0]" },
        { "{\"input_ids\":[1,\"a\"]}", -EINVAL, "input_ids[1]" },
        { "{\"text\":\"a\",\"rid\":[\"b\"]}", -EINVAL, "rid" },
        { "{\"text\":\"a\",\"rid\":1}", -EINVAL, "rid" },
        { "{\"text\":[\"a\"],\"rid\":[1]}", -EINVAL, "rid[0]" },
        { "{\"text\":\"a\",\"logprob_start_len\":-2}", -EINVAL, "logprob_start_len" },
        { "{\"text\":\"a\",\"sampling_params\":[]}", -EOPNOTSUPP, "sampling_params" },
        { "{\"text\":\"a\",\"sampling_params\":{\"top_p\":2}}", -EINVAL, "sampling_params.top_p" },
        { "{\"text\":\"a\",\"sampling_params\":{\"stop\":[1]}}", -EINVAL, "sampling_params.stop[0]" },
        { "{\"text\":\"a\",\"sampling_params\":{\"stream\":true}}", -EINVAL, "sampling_params.stream" },
        { "{\"text\":\"a\",\"sampling_params\":{\"custom_params\":{\"a\":1}}}", -EOPNOTSUPP,
          "sampling_params.custom_params" },
        { "{\"text\":\"a\",\"lora_path\":\"b\"}", -EOPNOTSUPP, "lora_path" },
        { "{\"text\":\"a\",\"input_embeds\":[[0.5]]}", -EOPNOTSUPP, "input_embeds" },
        { "{\"text\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"sampling_params\":{\"n\":128}}", -EINVAL, "text" },
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
        cmocka_unit_test(test_generate_request_takes_texts_and_ids),
        cmocka_unit_test(test_generate_request_sampling_params_are_the_shared_ones),
        cmocka_unit_test(test_generate_request_refusals_name_the_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
