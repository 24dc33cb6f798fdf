// Any bytes as a request: taken, with messages that a template can use, or refused with an errno of the interface and a
// reason.
#include "engine/text/chat_request.h"
#include "engine/text/chat_tools.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>

const struct str fuzz_seeds[] = {
    STR("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"temperature\":0.5,\"stop\":[\"a\"],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true}}"),
    STR("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\","
        "\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\","
        "\"content\":\"x\"}]}"),
    STR("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":"
        "\"b\"}]}],\"tools\":"
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"tool_choice\":\"auto\",\"n\":1,"
        "\"logit_bias\":{}}"),
    STR("temperature 0.2\ntop_k 5\nstop END\n"),
    STR("{\"messages\":[{\"role\":\"developer\",\"content\":\"hi\"}],\"n\":2,\"logprobs\":true,\"top_logprobs\":3,"
        "\"logit_bias\":{\"5\":-1.5,\"7\":false},\"stop_token_ids\":[1,2],\"repeat_penalty\":1.1,\"repeat_last_n\":-1,"
        "\"reasoning_effort\":\"low\",\"chat_template_kwargs\":{\"a\":1},\"cache_salt\":\"s\",\"priority\":-1}"),
    STR("{\"logit_bias\":[[5,1],[6,false]],\"typical_p\":0.9,\"stop_token_ids\":[3]}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\"messages\":"),
    STR("\"role\":\"user\""),
    STR("\"content\":"),
    STR("\"tool_calls\":[{}]"),
    STR("\"seed\":9e99"),
    STR("null"),
    STR("\"stop\":"),
    STR("\"n\":2"),
    STR("\"logit_bias\":"),
    STR("\"stop_token_ids\":"),
    STR("[[1,2]]"),
    STR("\"tools\":"),
    STR("\"arguments\":\"{}\""),
    STR("[]"),
    STR("{}"),
    { NULL, 0 },
};

static void check_code(int rc, const struct err *err)
{
    assert(rc == 0 || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOMEM);
    assert(rc == 0 || (err->code == rc && err->msg[0] != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str body = { (const char *)data, size };
    struct chat_request request;
    const struct json *tools;
    struct arena arena;
    struct strbuf out;
    struct err err = { 0 };
    arena_init(&arena, 64 << 20);
    strbuf_init(&out, 0);
    int rc = chat_request_parse(&arena, body, NULL, &request, &err);
    check_code(rc, &err);
    for (size_t i = 0; rc == 0 && i < request.messages->n_children; i++) {
        const struct json *content = json_get(json_at(request.messages, i), STR("content"));
        assert(content && content->type == JSON_STRING);
    }
    assert(rc < 0 || (request.messages->n_children > 0 && request.sampling.n_stop <= STOP_STRINGS_MAX));
    assert(rc < 0 || (request.sampling.n_bias <= LOGIT_BIAS_MAX && request.sampling.n_stop_ids <= STOP_IDS_MAX));
    assert(rc < 0 || (request.n >= 1 && request.n <= CHOICES_MAX && request.top_logprobs <= TOP_LOGPROBS_MAX));
    check_code(chat_tools_parse(&arena, body, &tools, &err), &err);
    rc = sampling_params_parse(&arena, body, &out, &err);
    check_code(rc, &err);
    assert(rc == 0 || out.len == 0);
    if (rc == 0) { // what it wrote, it takes
        struct str text = arena_copy(&arena, strbuf_str(&out));
        strbuf_reset(&out);
        assert(sampling_params_parse(&arena, text, &out, &err) == 0 && str_eq(strbuf_str(&out), text));
    }
    strbuf_deinit(&out);
    arena_deinit(&arena);
    return 0;
}
