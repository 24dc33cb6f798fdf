// The answer objects, byte for byte. tests/text/check_chat_response.py holds the same bytes against OpenAI's schema.
#include "engine/text/chat_response.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

static const struct chat_response_head head = { STR("chatcmpl-1"), 1700000000, STR("demo"), { NULL, 0 } };
static const struct chat_usage usage = { 12, 8, 5 };

static void write_answer(struct strbuf *out)
{
    const struct answer_part parts[] = { { .text = STR("a \"b\"") }, { .text = STR("\n\xc3\xa9") } };
    const struct chat_choice choice = { .answer = { parts, 2 }, .finish_reason = STR("stop") };
    chat_response_write(out, &head, &choice, 1, &usage);
}

static const struct chat_prob hi_probs[] = { { STR("hi"), -0.12345678f },
                                             { STR("hi"), -0.12345678f },
                                             { STR("\xc3"), -9999 } };
static const struct chat_prob end_probs[] = { { STR("<|end|>"), -0.0f } };

static void write_choices(struct strbuf *out)
{
    const struct answer_part part = { .text = STR("hi") };
    const struct chat_token tokens[] = { { hi_probs, 3 }, { end_probs, 1 } };
    const struct chat_choice choices[] = {
        { .answer = { &part, 1 }, .finish_reason = STR("stop"), .tokens = tokens, .n_tokens = 2 },
        { .index = 1, .finish_reason = STR("length") },
    };
    chat_response_write(out, &head, choices, 2, &usage);
}

static void write_token_chunk(struct strbuf *out)
{
    const struct answer_part part = { .text = STR("") };
    const struct chat_chunk chunk = { .index = 3, .part = &part, .token = { hi_probs, 2 } };
    chat_chunk_write(out, &head, &chunk);
}

static const struct answer_part calls[] = {
    { .kind = ANSWER_REASONING, .text = STR("Hm.") },
    { .kind = ANSWER_CALL, .id = STR("call_a"), .text = STR("f") },
    { .kind = ANSWER_ARGUMENTS, .text = STR("{\"x\"") },
    { .kind = ANSWER_ARGUMENTS, .text = STR(":1}") },
    { .kind = ANSWER_CALL, .call_idx = 1, .id = STR("call_b"), .text = STR("g") },
};

static void write_calls(struct strbuf *out)
{
    const struct chat_choice choice = { .answer = { calls, 5 }, .finish_reason = STR("tool_calls") };
    chat_response_write(out, &head, &choice, 1, &usage);
}

static void write_reasoning_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .part = &calls[0] });
}

static void write_call_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .part = &calls[4] });
}

static void write_arguments_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .part = &calls[3] });
}

static void write_first_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .role = true });
}

static void write_text_chunk(struct strbuf *out)
{
    struct chat_response_head with_fingerprint = head;
    const struct answer_part part = { .text = STR("hi") };
    with_fingerprint.system_fingerprint = STR("fp_1");
    chat_chunk_write(out, &with_fingerprint, &(struct chat_chunk){ .part = &part });
}

static void write_last_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .finish_reason = STR("length") });
}

static void write_usage_chunk(struct strbuf *out)
{
    chat_chunk_write(out, &head, &(struct chat_chunk){ .usage = &usage, .no_choices = true });
}

static void write_texts(struct strbuf *out)
{
    const struct answer_part part = { .text = STR("\xc3\xa9hi") };
    const struct chat_prob first[] = { { STR("\xc3\xa9"), -1 } };
    const struct chat_token tokens[] = { { first, 1 }, { hi_probs, 3 } };
    const struct chat_choice choices[] = {
        { .answer = { &part, 1 }, .finish_reason = STR("stop"), .tokens = tokens, .n_tokens = 2 },
        { .index = 1, .finish_reason = STR("length") },
    };
    text_completion_write(out, &head, choices, 2, &usage);
}

static void write_text_end(struct strbuf *out)
{
    const struct chat_choice choice = { .finish_reason = STR("stop") };
    text_chunk_write(out, &head, &choice, NULL, 5);
}

static void write_text_usage(struct strbuf *out)
{
    text_chunk_write(out, &head, NULL, &usage, 0);
}

static void write_error(struct strbuf *out)
{
    struct err err;
    err_set_param(&err, -EINVAL, "messages[0].role", "Invalid value: 'king'.");
    chat_error_write(out, &err);
}

static const struct {
    const char *schema;
    void (*write)(struct strbuf *out);
    const char *expected;
} objects[] = {
    { "CreateChatCompletionResponse", write_answer,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[{"
      "\"index\":0,"
      "\"message\":{\"role\":\"assistant\",\"content\":\"a \\\"b\\\"\\n\xc3\xa9\",\"refusal\":null},\"logprobs\":null,"
      "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17,"
      "\"prompt_tokens_details\":{\"cached_tokens\":8}}}" },
    { "CreateChatCompletionResponse", write_calls,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[{"
      "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"Hm.\",\"refusal\":null,"
      "\"tool_calls\":[{\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{"
      "\\\"x\\\":1}\"}},{\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
      "\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,"
      "\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_tokens\":8}}}" },
    { "CreateChatCompletionResponse", write_choices,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[{"
      "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hi\",\"refusal\":null},\"logprobs\":{\"content\":["
      "{\"token\":\"hi\",\"logprob\":-0.1234568,\"bytes\":[104,105],\"top_logprobs\":["
      "{\"token\":\"hi\",\"logprob\":-0.1234568,\"bytes\":[104,105]},"
      "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-9999.0,\"bytes\":[195]}]},"
      "{\"token\":\"<|end|>\",\"logprob\":0.0,\"bytes\":[60,124,101,110,100,124,62],\"top_logprobs\":[]}],"
      "\"refusal\":null},\"finish_reason\":\"stop\"},{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"\","
      "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":12,"
      "\"completion_tokens\":5,\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_tokens\":8}}}" },
    { "CreateChatCompletionStreamResponse", write_token_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":3,\"delta\":{\"content\":\"\"},\"logprobs\":{\"content\":[{\"token\":\"hi\","
      "\"logprob\":-0.1234568,\"bytes\":[104,105],\"top_logprobs\":[{\"token\":\"hi\",\"logprob\":-0.1234568,"
      "\"bytes\":[104,105]}]}],\"refusal\":null},\"finish_reason\":null}]}" },
    { "CreateChatCompletionStreamResponse", write_reasoning_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Hm.\"},\"logprobs\":null,\"finish_reason\":null}]"
      "}" },
    { "CreateChatCompletionStreamResponse", write_call_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\","
      "\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},\"logprobs\":null,\"finish_reason\":null}]}" },
    { "CreateChatCompletionStreamResponse", write_arguments_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]},"
      "\"logprobs\":null,\"finish_reason\":null}]}" },
    { "CreateChatCompletionStreamResponse", write_first_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":0,"
      "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}" },
    { "CreateChatCompletionStreamResponse", write_text_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"logprobs\":null,"
      "\"finish_reason\":null}]}" },
    { "CreateChatCompletionStreamResponse", write_last_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[{\"index\":0,"
      "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}" },
    { "CreateChatCompletionStreamResponse", write_usage_chunk,
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"demo\","
      "\"choices\":[],"
      "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_"
      "tokens\":8}}}" },
    { "CreateCompletionResponse", write_texts,
      "{\"id\":\"chatcmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[{"
      "\"index\":0,\"text\":\"\xc3\xa9hi\",\"logprobs\":{\"tokens\":[\"\xc3\xa9\",\"hi\"],\"token_logprobs\":[-1.0,"
      "-0.1234568],\"top_logprobs\":[{\"\xc3\xa9\":-1.0},{\"hi\":-0.1234568,\"\xef\xbf\xbd\":-9999.0}],"
      "\"text_offset\":[0,1]},\"finish_reason\":\"stop\"},{\"index\":1,\"text\":\"\",\"logprobs\":null,"
      "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,"
      "\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_tokens\":8}}}" },
    { "CreateCompletionResponse", write_text_end,
      "{\"id\":\"chatcmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[{"
      "\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}],\"timings\":{\"sampled_ns\":5}}" },
    { "CreateCompletionResponse", write_text_usage,
      "{\"id\":\"chatcmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"demo\",\"choices\":[],"
      "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17,\"prompt_tokens_details\":{\"cached_"
      "tokens\":8}}}" },
    { "ErrorResponse", write_error,
      "{\"error\":{\"message\":\"Invalid value: "
      "'king'.\",\"type\":\"invalid_request_error\",\"param\":\"messages[0].role\","
      "\"code\":\"invalid_value\"}}" },
};

static void test_chat_response_objects_have_their_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        struct strbuf out;
        strbuf_init(&out, 0);
        objects[i].write(&out);
        assert_string_equal(out.ptr, objects[i].expected);
        strbuf_deinit(&out);
    }
}

static void test_chat_error_codes_are_openais(void **state)
{
    static const struct {
        int code;
        const char *msg, *expected;
    } cases[] = {
        { -EINVAL, "Missing required parameter: 'messages'.", "\"code\":\"missing_required_parameter\"" },
        { -EINVAL, "Invalid type for 'n': expected an integer.", "\"code\":\"invalid_type\"" },
        { -EINVAL, "Invalid 'n': integer above maximum value.", "\"code\":\"integer_above_max_value\"" },
        { -EINVAL, "Invalid 'top_p': decimal below minimum value.", "\"code\":\"decimal_below_min_value\"" },
        { -EINVAL, "Invalid 'stop': array too long.", "\"code\":\"array_above_max_length\"" },
        { -EINVAL, "Unrecognized request argument supplied: x", "\"code\":null" },
        { -EOPNOTSUPP, "Unsupported value: 'n' must be 1.", "\"code\":\"unsupported_value\"" },
        { -EOPNOTSUPP, "Unsupported parameter: 'audio' is not supported.", "\"code\":\"unsupported_parameter\"" },
        { -E2BIG, "Invalid type for", "\"code\":\"context_length_exceeded\"" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strbuf out;
        struct err err;
        err_set(&err, cases[i].code, "%s", cases[i].msg);
        strbuf_init(&out, 0);
        chat_error_write(&out, &err);
        assert_non_null(strstr(out.ptr, cases[i].expected));
        strbuf_deinit(&out);
    }
}

static void test_chat_error_statuses_follow_errno(void **state)
{
    (void)state;
    assert_int_equal(chat_error_http_status(-EINVAL), 400);
    assert_int_equal(chat_error_http_status(-EOPNOTSUPP), 400);
    assert_int_equal(chat_error_http_status(-E2BIG), 400);
    assert_int_equal(chat_error_http_status(-ENOENT), 404);
    assert_int_equal(chat_error_http_status(-EBUSY), 409);
    assert_int_equal(chat_error_http_status(-EFBIG), 413);
    assert_int_equal(chat_error_http_status(-EAGAIN), 429);
    assert_int_equal(chat_error_http_status(-EDQUOT), 429);
    assert_int_equal(chat_error_http_status(-ESHUTDOWN), 503);
    assert_int_equal(chat_error_http_status(-EIO), 500);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_response_objects_have_their_bytes),
        cmocka_unit_test(test_chat_error_codes_are_openais),
        cmocka_unit_test(test_chat_error_statuses_follow_errno),
    };
    if (argc > 1 && strcmp(argv[1], "--print") == 0) { // for check_chat_response.py: schema, tab, object
        for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
            printf("%s\t%s\n", objects[i].schema, objects[i].expected);
        }
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
